import asyncio

import pytest

from shared.errors import UpstreamInvalid, UpstreamUnavailable
from shared.market.breaker import Breaker


class Clock:
    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker("The upstream", failures=3, open_seconds=10, monotonic=clock)


def fail(breaker: Breaker, error: BaseException | None = None) -> None:
    raised = error or UpstreamUnavailable("down")
    with pytest.raises(type(raised)), breaker.attempt():
        raise raised


def succeed(breaker: Breaker) -> None:
    with breaker.attempt():
        pass


def is_refusing(breaker: Breaker) -> bool:
    """Whether the call isn't even made."""
    cancelled = asyncio.CancelledError()  # says nothing, so this question changes nothing
    with pytest.raises((UpstreamUnavailable, asyncio.CancelledError)) as ended, breaker.attempt():
        raise cancelled
    return ended.value is not cancelled


def test_opens_after_failures_in_a_row(breaker: Breaker) -> None:
    fail(breaker)
    fail(breaker)
    succeed(breaker)
    fail(breaker)
    fail(breaker)
    assert not is_refusing(breaker)
    fail(breaker)
    assert is_refusing(breaker)


def test_says_when_to_come_back(breaker: Breaker, clock: Clock) -> None:
    for _ in range(3):
        fail(breaker)
    clock.seconds += 4
    with pytest.raises(UpstreamUnavailable) as refused, breaker.attempt():
        pass
    assert refused.value.retry_after_seconds == pytest.approx(6)
    assert "failed 3 times in a row" in refused.value.detail


def test_one_call_probes_and_the_others_wait_for_its_verdict(breaker: Breaker, clock: Clock) -> None:
    for _ in range(3):
        fail(breaker)
    clock.seconds += 11
    assert not breaker.is_open
    with breaker.attempt():
        assert breaker.is_open
        assert is_refusing(breaker)
    assert not is_refusing(breaker)


def test_a_failed_probe_opens_again_at_once(breaker: Breaker, clock: Clock) -> None:
    for _ in range(3):
        fail(breaker)
    clock.seconds += 11
    fail(breaker)
    assert is_refusing(breaker)
    clock.seconds += 11
    succeed(breaker)
    fail(breaker)
    assert not is_refusing(breaker)


def test_a_cancelled_probe_leaves_the_question_open(breaker: Breaker, clock: Clock) -> None:
    for _ in range(3):
        fail(breaker)
    clock.seconds += 11
    fail(breaker, asyncio.CancelledError())
    assert not is_refusing(breaker)
    fail(breaker)
    assert is_refusing(breaker)


def test_an_answer_that_is_refused_is_an_answer(breaker: Breaker) -> None:
    for _ in range(9):
        fail(breaker, UpstreamInvalid("not candles"))
    assert not is_refusing(breaker)


def test_a_call_from_before_does_not_decide(breaker: Breaker, clock: Clock) -> None:
    with breaker.attempt():
        for _ in range(3):
            fail(breaker)
    assert is_refusing(breaker)
