from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from shared.access.idempotency import MAX_ANSWER_BYTES, Answered, Begun, IdempotencyKeys
from shared.errors import Conflict, InvalidInput
from tests.access.conftest import House

DONE = Answered(201, "application/json", b'{"made": 1}')


@pytest.fixture
def keys(house: House) -> IdempotencyKeys:
    return IdempotencyKeys(house.documents, house.now)


def begin(keys: IdempotencyKeys, **changes: Any) -> Begun | Answered:
    call = {"caller": "ada", "route": "POST /x", "key": "k1", "request": b"body", "lease_seconds": 60.0}
    return keys.begin(**{**call, **changes})


def begun(keys: IdempotencyKeys, **changes: Any) -> Begun:
    found = begin(keys, **changes)
    assert isinstance(found, Begun)
    return found


def test_the_answer_is_replayed_for_the_same_key_and_request(keys: IdempotencyKeys) -> None:
    keys.finish(begun(keys), DONE, holds_secret=False)
    assert begin(keys) == DONE
    assert begin(keys) == DONE


@pytest.mark.parametrize("other", [{"caller": "eve"}, {"route": "POST /y"}, {"key": "k2"}])
def test_another_caller_route_or_key_is_another_call(keys: IdempotencyKeys, other: dict[str, str]) -> None:
    keys.finish(begun(keys), DONE, holds_secret=False)
    assert isinstance(begin(keys, **other), Begun)


def test_another_request_under_the_same_key_is_refused_running_or_done(keys: IdempotencyKeys) -> None:
    one = begun(keys)
    with pytest.raises(InvalidInput, match="another request"):
        begin(keys, request=b"other")
    keys.finish(one, DONE, holds_secret=False)
    with pytest.raises(InvalidInput, match="another request"):
        begin(keys, request=b"other")


def test_a_call_that_still_runs_is_a_conflict(keys: IdempotencyKeys) -> None:
    begun(keys)
    with pytest.raises(Conflict, match="still running") as caught:
        begin(keys)
    assert caught.value.retry_after_seconds == 1.0


def test_of_many_at_once_one_is_carried_out(keys: IdempotencyKeys) -> None:
    together = threading.Barrier(16)

    def call(_: int) -> bool:
        together.wait()
        try:
            return isinstance(begin(keys), Begun)
        except Conflict:
            return False

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(call, range(16))) == 1


def test_a_lost_call_may_be_begun_again_and_the_late_one_changes_nothing(
    house: House, keys: IdempotencyKeys
) -> None:
    late = begun(keys)
    house.passes(seconds=61)
    again = begun(keys)
    keys.finish(late, Answered(500, None, b"late"), holds_secret=False)
    keys.finish(again, DONE, holds_secret=False)
    keys.forget(late)
    assert begin(keys) == DONE


def test_what_wasnt_carried_out_may_be_tried_again(keys: IdempotencyKeys) -> None:
    keys.forget(begun(keys))
    assert isinstance(begin(keys), Begun)


def test_a_secret_isnt_kept_and_neither_is_a_huge_answer(house: House, keys: IdempotencyKeys) -> None:
    keys.finish(begun(keys), Answered(201, None, b"hunter2"), holds_secret=True)
    keys.finish(begun(keys, key="k2"), Answered(200, None, b"x" * (MAX_ANSWER_BYTES + 1)), holds_secret=False)
    assert "hunter2" not in str(house.documents.query("idempotency").documents)
    for key in ("k1", "k2"):
        with pytest.raises(Conflict, match="shown once"):
            begin(keys, key=key)


def test_the_largest_answer_that_is_kept_fits_into_a_document(keys: IdempotencyKeys) -> None:
    largest = Answered(200, "application/json", b"x" * MAX_ANSWER_BYTES)
    keys.finish(begun(keys), largest, holds_secret=False)
    assert begin(keys) == largest


def test_a_day_later_the_key_is_free(house: House, keys: IdempotencyKeys) -> None:
    keys.finish(begun(keys), DONE, holds_secret=False)
    house.passes(hours=23, minutes=59)
    assert begin(keys) == DONE
    house.passes(minutes=1)
    assert isinstance(begin(keys, request=b"other"), Begun)


@pytest.mark.parametrize("key", ["", "a b", "ü", "x" * 201, "a\n"])
def test_what_isnt_a_key_is_refused(keys: IdempotencyKeys, key: str) -> None:
    with pytest.raises(InvalidInput, match="visible ASCII"):
        begin(keys, key=key)
