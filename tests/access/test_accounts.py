from __future__ import annotations

import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from shared.access.accounts import Tokens
from shared.access.backoff import account
from shared.access.roles import Role
from shared.access.users import normalised
from shared.config import Registration
from shared.errors import Conflict, EngineError, Forbidden, InvalidInput, TooManyRequests, Unauthenticated
from tests.access.conftest import BOOTSTRAP, PASSWORD, House

EMAIL = "ada@example.org"
IP = "192.0.2.1"


@pytest.fixture
def ada(house: House) -> House:
    house.accounts.register(EMAIL, PASSWORD, ip=IP)
    return house


def login(house: House, password: str = PASSWORD, email: str = EMAIL, ip: str = IP) -> Tokens:
    return house.accounts.login(email, password, ip=ip)[1]


def test_who_registered_logs_in_and_is_a_predictor(ada: House) -> None:
    tokens = login(ada)
    identity = ada.authenticator.find(tokens.access_token)
    assert (identity.name, identity.role) == (EMAIL, Role.PREDICTOR)
    assert tokens.expires_in == 1800
    assert tokens.access_token not in repr(tokens)


@pytest.mark.parametrize("same", ["ADA@Example.org", " ada@example.org ", "\uff41da@example.org"])
def test_an_address_has_one_user_however_it_is_written(ada: House, same: str) -> None:
    with pytest.raises(Conflict, match="already"):
        ada.accounts.register(same, PASSWORD, ip=IP)
    assert login(ada, email=same).access_token


def test_of_many_who_register_one_address_at_once_one_does(house: House) -> None:
    together = threading.Barrier(8)

    def register(_: int) -> bool:
        together.wait()
        try:
            house.accounts.register(EMAIL, PASSWORD, ip=IP)
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(register, range(8))) == 1
    assert len(house.users.list(limit=10, cursor=None).users) == 1


@pytest.mark.parametrize(
    "email",
    [
        "", "ada", "ada@", "@example.org", "a@b", "a b@example.org", "a@exa\nmple.org", "<a>@example.org",
        "x" * 65 + "@example.org", "a@" + "b." * 130 + "org",
    ],
)  # fmt: skip
def test_what_isnt_an_address_is_refused(house: House, email: str) -> None:
    with pytest.raises(InvalidInput, match=r"name@example\.org"):
        normalised(email)
    with pytest.raises(Unauthenticated):
        login(house, email=email)


def test_registration_follows_its_setting(tmp_path: Path) -> None:
    house = House(tmp_path)
    for registration, told in ((Registration.CLOSED, "closed"), (Registration.INVITED, "invitation")):
        with pytest.raises(Forbidden, match=told):
            house.with_registration(registration).register(EMAIL, PASSWORD, ip=IP)
    with pytest.raises(Forbidden, match="closed"):
        house.with_registration(Registration.CLOSED).invite(EMAIL, Role.VIEWER, "root")


def test_an_invitation_is_good_once_for_one_address_and_gives_its_role(tmp_path: Path) -> None:
    house = House(tmp_path, Registration.INVITED)
    invitation, token = house.accounts.invite(EMAIL, Role.OPERATOR, "root@example.org")
    assert invitation.email == EMAIL
    with pytest.raises(Forbidden, match="this address"):
        house.accounts.register("eve@example.org", PASSWORD, ip=IP, invitation=token.text)
    user = house.accounts.register(EMAIL, PASSWORD, ip=IP, invitation=token.text)
    assert (user.role, user.created_by) == (Role.OPERATOR, "root@example.org")
    with pytest.raises(Forbidden):
        house.accounts.register(EMAIL, PASSWORD, ip=IP, invitation=token.text)


def test_who_has_registered_needs_no_other_invitation(tmp_path: Path) -> None:
    house = House(tmp_path, Registration.INVITED)
    _, token = house.accounts.invite(EMAIL, Role.OPERATOR, "root")
    house.accounts.invite(EMAIL.upper(), Role.ADMIN, "root")
    other, _ = house.accounts.invite("eve@example.org", Role.VIEWER, "root")
    house.accounts.register(EMAIL, PASSWORD, ip=IP, invitation=token.text)
    assert house.invitations.list(limit=10, cursor=None).invitations == [other]
    with pytest.raises(Conflict, match="has a user already"):
        house.accounts.invite(EMAIL.upper(), Role.ADMIN, "root")


def test_an_invitation_ends_after_seven_days(tmp_path: Path) -> None:
    house = House(tmp_path, Registration.INVITED)
    _, token = house.accounts.invite(EMAIL, Role.OPERATOR, "root")
    house.passes(days=7)
    with pytest.raises(Forbidden):
        house.accounts.register(EMAIL, PASSWORD, ip=IP, invitation=token.text)


def test_an_invitation_that_has_ended_is_listed_no_more(tmp_path: Path) -> None:
    house = House(tmp_path, Registration.INVITED)
    ended, _ = house.accounts.invite(EMAIL, Role.OPERATOR, "root")
    house.passes(days=1)
    good, _ = house.accounts.invite("eve@example.org", Role.VIEWER, "root")
    assert house.invitations.list(limit=10, cursor=None).invitations == [ended, good]  # by address
    house.passes(days=6)
    assert house.invitations.list(limit=10, cursor=None).invitations == [good]


def test_the_bootstrap_secret_makes_one_admin_and_never_another(tmp_path: Path) -> None:
    house = House(tmp_path, Registration.CLOSED)
    with pytest.raises(Forbidden, match="wrong"):
        house.accounts.register(EMAIL, PASSWORD, ip=IP, bootstrap="guess")
    assert house.accounts.register(EMAIL, PASSWORD, ip=IP, bootstrap=BOOTSTRAP).role is Role.ADMIN
    with pytest.raises(Conflict, match="first admin"):
        house.accounts.register("eve@example.org", PASSWORD, ip=IP, bootstrap=BOOTSTRAP)


def test_of_many_with_the_bootstrap_secret_at_once_one_is_admin(tmp_path: Path) -> None:
    house = House(tmp_path, Registration.CLOSED)
    together = threading.Barrier(6)

    def register(number: int) -> bool:
        together.wait()
        try:
            house.accounts.register(f"a{number}@example.org", PASSWORD, ip=IP, bootstrap=BOOTSTRAP)
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(register, range(6))) == 1
    assert len(house.users.list(limit=10, cursor=None).users) == 1


def waiting_seconds(house: House) -> float:
    try:
        house.backoff.require_free([account(EMAIL)])
    except TooManyRequests as error:
        return error.retry_after_seconds or 0.0
    return 0.0


def test_wrong_guesses_make_the_account_wait_longer_each_time(ada: House) -> None:
    waits = []
    for _ in range(12):
        with pytest.raises(Unauthenticated):
            login(ada, "wrong password 1")
        waits.append(waiting_seconds(ada))
        ada.passes(seconds=waits[-1])
    assert waits == [0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64]


def test_who_waits_isnt_let_in_by_the_right_password_either_and_is_afterwards(ada: House) -> None:
    for _ in range(6):
        with pytest.raises(Unauthenticated):
            login(ada, "wrong password 1", ip="198.51.100.7")
    with pytest.raises(TooManyRequests):
        login(ada)
    ada.passes(minutes=16)
    assert login(ada).access_token
    with pytest.raises(Unauthenticated):
        login(ada, "wrong password 1")
    assert login(ada).access_token  # the count began anew


def test_an_address_that_tries_many_accounts_waits_too(house: House) -> None:
    for number in range(26):
        with pytest.raises(Unauthenticated):
            login(house, "wrong password 1", email=f"u{number}@example.org")
    with pytest.raises(TooManyRequests):
        login(house, email="another@example.org")
    with pytest.raises(Unauthenticated):
        login(house, email="another@example.org", ip="203.0.113.9")


def test_many_guesses_at_once_learn_no_more_than_as_many_in_a_row(ada: House) -> None:
    """The right one among fifty is told only if fewer than the free ones were counted before it."""
    together = threading.Barrier(25)

    def guess(number: int) -> str:
        together.wait()
        try:
            login(ada, PASSWORD if number == 24 else f"wrong password {number}", ip=f"192.0.2.{number}")
        except EngineError as error:
            return type(error).__name__
        return "in"

    with ThreadPoolExecutor(25) as pool:
        heard = list(pool.map(guess, range(25)))
    assert heard.count("Unauthenticated") + heard.count("TooManyRequests") >= 24
    if "in" not in heard:  # else it came first, and forgot the failures before it
        with pytest.raises(TooManyRequests):
            login(ada)


def test_an_unknown_address_takes_as_long_as_a_wrong_password(ada: House) -> None:
    """Both hash once: the ratio is near one, where skipping the hash would make it a hundredth."""

    def median(email: str) -> float:
        spent = []
        for number in range(9):
            started = time.thread_time()
            with pytest.raises(Unauthenticated):
                login(ada, "wrong password 1", email=email, ip=f"2001:db8::{number}")
            spent.append(time.thread_time() - started)
            ada.passes(hours=2)
        return statistics.median(spent)

    assert 0.5 < median("nobody@example.org") / median(EMAIL) < 2.0


def test_a_new_password_ends_all_sessions_but_the_one_it_begins(ada: House) -> None:
    old = login(ada)
    identity = ada.authenticator.find(old.access_token)
    assert identity.user_id is not None
    ada.passes(seconds=1)
    with pytest.raises(Unauthenticated):
        ada.accounts.change_password(identity.user_id, "wrong password 1", "another fine phrase", ip=IP)
    _, new = ada.accounts.change_password(identity.user_id, PASSWORD, "another fine phrase", ip=IP)
    for refused in (
        lambda: ada.accounts.refresh(old.refresh_token),
        lambda: ada.authenticator.find(old.access_token),
        lambda: login(ada),
    ):
        with pytest.raises(Unauthenticated):
            refused()
    assert ada.authenticator.find(new.access_token).name == EMAIL
    assert login(ada, "another fine phrase").access_token


def test_a_disabled_user_is_out_at_once(ada: House) -> None:
    tokens = login(ada)
    user = ada.users.by_email(EMAIL)
    assert user is not None
    ada.users.set_disabled(user.id, disabled=True)
    for refused in (
        lambda: ada.accounts.refresh(tokens.refresh_token),
        lambda: ada.authenticator.find(tokens.access_token),
        lambda: login(ada),
    ):
        with pytest.raises(Unauthenticated):
            refused()
    ada.users.set_disabled(user.id, disabled=False)
    assert login(ada).access_token


def test_logging_out_ends_the_session(ada: House) -> None:
    tokens = login(ada)
    identity = ada.authenticator.find(tokens.access_token)
    assert identity.session_id is not None
    ada.accounts.logout(identity.session_id)
    with pytest.raises(Unauthenticated):
        ada.accounts.refresh(tokens.refresh_token)
    with pytest.raises(Unauthenticated):
        ada.authenticator.find(tokens.access_token)


def test_a_hash_of_old_parameters_is_renewed_at_login_and_no_session_ends(ada: House) -> None:
    from argon2 import PasswordHasher

    user = ada.users.by_email(EMAIL)
    assert user is not None
    before = login(ada)
    cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    ada.users.set_password(user, cheap, ends_sessions=False)
    login(ada)
    assert not ada.passwords.is_outdated(ada.users.get(user.id).password_hash)
    assert ada.accounts.refresh(before.refresh_token).access_token
