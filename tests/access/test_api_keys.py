from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.access.api_keys import KEYS, ApiKeys
from shared.access.authenticator import Authenticator
from shared.access.credentials import API_KEY, INVITATION, REFRESH, new_credential, read_credential
from shared.access.roles import Role
from shared.errors import ConfigurationError, NotFound, Unauthenticated
from shared.platform.ports import Documents, Write
from tests.access.conftest import PASSWORD, House


def test_a_key_is_who_made_it_with_its_role_and_models(house: House) -> None:
    _, secret = house.keys.create("ci", Role.PREDICTOR, "admin", models=["market-signal", "b", "b"])
    identity = house.authenticator.find(secret.text)
    assert (identity.name, identity.role, identity.user_id) == (secret.prefix, Role.PREDICTOR, "admin")
    assert identity.may_use("b")
    assert not identity.may_use("heart-disease")


def test_the_secret_is_shown_once_and_never_kept(house: House) -> None:
    key, secret = house.keys.create("ci", Role.VIEWER, "admin")
    stored = str(house.documents.get(KEYS, key.id))
    for text in (stored, repr(key), repr(secret), str(key.shown())):
        assert secret.secret not in text
    assert key.hash not in str(key.shown())


def test_a_revoked_key_opens_doors_no_longer_than_it_is_remembered(house: House) -> None:
    key, secret = house.keys.create("ci", Role.VIEWER, "admin")
    house.authenticator.find(secret.text)
    house.keys.revoke(key.id)
    house.passes(seconds=4.9)
    assert house.authenticator.remembered(secret.text) is not None
    house.passes(seconds=0.1)
    assert house.authenticator.remembered(secret.text) is None
    with pytest.raises(Unauthenticated, match="revoked"):
        house.authenticator.find(secret.text)


def test_an_expired_key_is_forgotten_when_it_expires_and_not_seconds_later(house: House) -> None:
    _, secret = house.keys.create("ci", Role.VIEWER, "admin", lives=timedelta(seconds=10))
    house.passes(seconds=8)
    house.authenticator.find(secret.text)
    house.passes(seconds=2)
    assert house.authenticator.remembered(secret.text) is None
    with pytest.raises(Unauthenticated, match="expired"):
        house.authenticator.find(secret.text)


def test_a_key_can_do_no_more_than_its_owner(house: House) -> None:
    user = house.accounts.register("ada@example.org", PASSWORD, ip="192.0.2.1")
    house.users.set_role(user.id, Role.OPERATOR)
    _, secret = house.keys.create("ci", Role.OPERATOR, user.id)
    assert house.authenticator.find(secret.text).role is Role.OPERATOR
    house.users.set_role(user.id, Role.VIEWER)
    assert house.authenticator.find(secret.text).role is Role.VIEWER
    house.users.set_disabled(user.id, disabled=True)
    with pytest.raises(Unauthenticated, match="disabled"):
        house.authenticator.find(secret.text)


def test_its_last_use_is_noted_once_in_ten_minutes(house: House) -> None:
    key, secret = house.keys.create("ci", Role.VIEWER, "admin")
    house.authenticator.find(secret.text)
    first = house.documents.get(KEYS, key.id)
    house.passes(minutes=9)
    house.authenticator.find(secret.text)
    assert house.documents.get(KEYS, key.id) == first
    house.passes(minutes=2)
    house.authenticator.find(secret.text)
    noted = house.keys.find(key.id)
    assert noted is not None
    assert noted.last_used_at == "2024-06-01T00:11:00.000000Z"


class ReadOnly:
    """Documents as a function finds them that has no client to write with."""

    def __init__(self, documents: Documents) -> None:
        self.get = documents.get
        self.query = documents.query
        self.refused = 0

    def commit(self, writes: Sequence[Write]) -> Sequence[str]:
        self.refused += 1
        raise ConfigurationError("nothing is written here")


def test_a_key_is_good_where_nobody_can_note_its_use(house: House, caplog: pytest.LogCaptureFixture) -> None:
    _, secret = house.keys.create("ci", Role.VIEWER, "admin")
    documents = ReadOnly(house.documents)
    reader = Authenticator(
        ApiKeys(documents, house.now), house.users, house.sessions, house.tokens,
        cache_seconds=5.0, now=house.now, monotonic=lambda: house.ticks,
    )  # fmt: skip
    for _ in range(3):
        assert reader.find(secret.text).name == secret.prefix
    assert documents.refused == 1
    assert not caplog.records


def test_of_one_owner_the_newest_come_first(house: House) -> None:
    for number in range(3):
        house.keys.create(f"k{number}", Role.VIEWER, "admin" if number else "other")
        house.passes(seconds=1)
    assert [key.name for key in house.keys.list(owner_id="admin", limit=9, cursor=None).keys] == ["k2", "k1"]
    assert len(house.keys.list(owner_id=None, limit=9, cursor=None).keys) == 3


def test_revoking_what_isnt_there_says_so_and_twice_keeps_the_first_time(house: House) -> None:
    with pytest.raises(NotFound, match="GET /auth/keys"):
        house.keys.revoke("0" * 16)
    key, _ = house.keys.create("ci", Role.VIEWER, "admin")
    first = house.keys.revoke(key.id)
    house.passes(hours=1)
    assert house.keys.revoke(key.id) == first


def test_a_wrong_secret_of_a_known_key_opens_nothing(house: House) -> None:
    key, _ = house.keys.create("ci", Role.ADMIN, "admin")
    with pytest.raises(Unauthenticated):
        house.authenticator.find(new_credential(API_KEY, key.id).text)


@given(st.sampled_from([API_KEY, REFRESH, INVITATION]))
def test_a_credential_is_read_as_its_own_kind_only(kind: str) -> None:
    made = new_credential(kind)
    for other in (API_KEY, REFRESH, INVITATION):
        assert (read_credential(made.text, other) == made) is (other == kind)


@given(st.text(max_size=90))
def test_whatever_isnt_a_credential_isnt_read(text: str) -> None:
    assert read_credential(text, API_KEY) is None
    assert read_credential(f"mlk_{text}", API_KEY) is None
