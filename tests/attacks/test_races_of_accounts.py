"""What somebody gains who holds an old password in the very moment in which it is changed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from argon2 import PasswordHasher

from shared.access.accounts import Accounts
from shared.access.passwords import Passwords
from shared.access.users import User
from shared.config import Registration
from shared.errors import Conflict, TooManyRequests, Unauthenticated
from tests.access.conftest import PASSWORD, House

EMAIL = "ada@example.org"
NEW = "another fine phrase"
IP, THIEF = "192.0.2.1", "192.0.2.66"


class Interrupted(Passwords):
    """Lets something else happen between the proof of a password and what is done with it."""

    def __init__(self, meanwhile: Callable[[], object]) -> None:
        super().__init__()
        self._meanwhile = meanwhile

    def verify(self, password: str, stored: str | None) -> bool:
        is_right = super().verify(password, stored)
        self._meanwhile()
        return is_right


@pytest.fixture
def ada(house: House) -> House:
    house.accounts.register(EMAIL, PASSWORD, ip=IP)
    house.passes(minutes=1)
    return house


def user_of(house: House) -> User:
    user = house.users.by_email(EMAIL)
    assert user is not None
    return user


def with_meanwhile(house: House, meanwhile: Callable[[], object]) -> Accounts:
    """Accounts of a thief, whose proofs are slow: `meanwhile` comes between."""

    def later() -> None:
        house.passes(milliseconds=20)
        meanwhile()
        house.passes(milliseconds=20)

    parts = (house.users, house.sessions, house.invitations, house.tokens, Interrupted(later), house.backoff)
    return Accounts(*parts, house.secrets, Registration.OPEN, house.now)


def test_a_login_with_the_old_password_doesnt_outlive_its_change(ada: House) -> None:
    def change() -> None:
        ada.accounts.change_password(user_of(ada).id, PASSWORD, NEW, ip=IP)

    _, tokens = with_meanwhile(ada, change).login(EMAIL, PASSWORD, ip=THIEF)
    with pytest.raises(Unauthenticated):
        ada.authenticator.find(tokens.access_token)
    with pytest.raises(Unauthenticated):
        ada.accounts.refresh(tokens.refresh_token)


def test_a_login_doesnt_outlive_the_disabling_of_its_user(ada: House) -> None:
    def out_and_in() -> None:
        ada.users.set_disabled(user_of(ada).id, disabled=True)
        ada.users.set_disabled(user_of(ada).id, disabled=False)

    _, tokens = with_meanwhile(ada, out_and_in).login(EMAIL, PASSWORD, ip=THIEF)
    with pytest.raises(Unauthenticated):
        ada.authenticator.find(tokens.access_token)


def test_of_two_changes_of_one_password_the_later_one_is_refused(ada: House) -> None:
    def change() -> None:
        ada.accounts.change_password(user_of(ada).id, PASSWORD, NEW, ip=IP)

    with pytest.raises(Conflict):
        with_meanwhile(ada, change).change_password(user_of(ada).id, PASSWORD, "the thief's phrase", ip=THIEF)
    assert ada.accounts.login(EMAIL, NEW, ip=IP)


def test_the_renewal_of_a_hash_doesnt_bring_the_old_password_back(ada: House) -> None:
    cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    ada.users.set_password(user_of(ada), cheap, ends_sessions=False)

    def change() -> None:
        ada.accounts.change_password(user_of(ada).id, PASSWORD, NEW, ip=IP)

    with pytest.raises(Conflict):
        with_meanwhile(ada, change).login(EMAIL, PASSWORD, ip=THIEF)
    with pytest.raises(Unauthenticated):
        ada.accounts.login(EMAIL, PASSWORD, ip=IP)


def test_other_spellings_of_an_address_give_no_more_guesses(ada: House) -> None:
    """Each letter has a wide form that means the same: 2^n spellings of one account."""
    spellings = [
        "".join(chr(ord(c) + 0xFEE0) if n == at else c for n, c in enumerate(EMAIL)) for at in range(3)
    ]
    heard = []
    for number in range(24):
        try:
            ada.accounts.login(spellings[number % 3], f"wrong password {number}", ip=f"192.0.2.{number}")
        except (Unauthenticated, TooManyRequests) as error:
            heard.append(type(error))
    assert heard.count(Unauthenticated) <= 6


@pytest.mark.parametrize("odd", ["ada\u200b@example.org", "ada@exam\u202eple.org", "ada@exa\x07mple.org"])
def test_an_address_shows_all_that_it_has(house: House, odd: str) -> None:
    """What can't be seen would let one user pass for another in the audit."""
    with pytest.raises(Exception, match="must look like"):
        house.accounts.register(odd, PASSWORD, ip=IP)
