from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.access.credentials import REFRESH, new_credential
from shared.access.sessions import SESSIONS, Session
from shared.errors import Unauthenticated
from tests.access.conftest import House


def test_each_refresh_gives_the_next_token_of_the_same_session(house: House) -> None:
    first = house.sessions.begin("u", house.now())
    second = house.sessions.refresh(first.refresh_token.text)
    third = house.sessions.refresh(second.refresh_token.text)
    assert first.id == second.id == third.id
    assert len({one.refresh_token.text for one in (first, second, third)}) == 3
    assert third.user_id == "u"


def test_a_token_that_comes_again_ends_the_session_for_whoever_holds_it(house: House) -> None:
    first = house.sessions.begin("u", house.now())
    second = house.sessions.refresh(first.refresh_token.text)
    with pytest.raises(Unauthenticated, match="used before"):
        house.sessions.refresh(first.refresh_token.text)
    with pytest.raises(Unauthenticated, match="log in again"):
        house.sessions.refresh(second.refresh_token.text)
    assert not house.sessions.is_live(first.id, "")


def test_other_sessions_of_the_user_go_on(house: House) -> None:
    stolen, other = house.sessions.begin("u", house.now()), house.sessions.begin("u", house.now())
    house.sessions.refresh(stolen.refresh_token.text)
    with pytest.raises(Unauthenticated):
        house.sessions.refresh(stolen.refresh_token.text)
    assert house.sessions.refresh(other.refresh_token.text).id == other.id


def test_used_by_many_in_the_same_instant_at_most_one_gets_in_and_the_session_ends(house: House) -> None:
    first = house.sessions.begin("u", house.now())
    together = threading.Barrier(16)

    def use(_: int) -> Session | None:
        together.wait()
        try:
            return house.sessions.refresh(first.refresh_token.text)
        except Unauthenticated:
            return None

    with ThreadPoolExecutor(16) as pool:
        got = [one for one in pool.map(use, range(16)) if one is not None]
    assert len(got) == 1
    assert not house.sessions.is_live(first.id, "")
    with pytest.raises(Unauthenticated):
        house.sessions.refresh(got[0].refresh_token.text)


def test_a_session_lives_for_seven_days_without_a_refresh(house: House) -> None:
    session = house.sessions.begin("u", house.now())
    house.passes(days=6, hours=23)
    session = house.sessions.refresh(session.refresh_token.text)
    house.passes(days=6, hours=23)
    session = house.sessions.refresh(session.refresh_token.text)
    house.passes(days=7)
    with pytest.raises(Unauthenticated):
        house.sessions.refresh(session.refresh_token.text)


def test_a_session_ends_after_ninety_days_however_often_it_is_refreshed(house: House) -> None:
    session = house.sessions.begin("u", house.now())
    for _ in range(17):
        house.passes(days=5)
        session = house.sessions.refresh(session.refresh_token.text)
    house.passes(days=4, hours=23)
    session = house.sessions.refresh(session.refresh_token.text)
    house.passes(hours=1)
    with pytest.raises(Unauthenticated):
        house.sessions.refresh(session.refresh_token.text)


@pytest.mark.parametrize(
    "text", ["", "x", "mlr_0000000000000000_" + "a" * 43, "mlk_0000000000000000_" + "a" * 43]
)
def test_unknown_tokens_are_refused(house: House, text: str) -> None:
    with pytest.raises(Unauthenticated):
        house.sessions.refresh(text)


def test_another_secret_of_a_known_session_counts_as_stolen(house: House) -> None:
    session = house.sessions.begin("u", house.now())
    with pytest.raises(Unauthenticated, match="used before"):
        house.sessions.refresh(new_credential(REFRESH, session.id).text)


def test_the_store_never_holds_the_token(house: House) -> None:
    session = house.sessions.begin("u", house.now())
    stored = str(house.documents.get(SESSIONS, session.id))
    assert session.refresh_token.secret not in stored
    assert session.refresh_token.secret not in repr(session)
