from __future__ import annotations

import json

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.access.tokens import ALGORITHM, ISSUER, AccessTokens, read_signing_keys
from shared.errors import ConfigurationError, Unauthenticated
from tests.access.conftest import House

OLD, NEW = f"one:{'o' * 43}", f"two:{'n' * 43}"


def key_of(text: str) -> bytes:
    return read_signing_keys(text)[0][1]


def signed(house: House, key: str | bytes, *, kid: str = "one", algorithm: str = ALGORITHM) -> str:
    at = int(house.time.timestamp())
    claims = {"iss": ISSUER, "aud": "mlengine:test", "sub": "u", "sid": "s", "iat": at, "exp": at + 60}
    return jwt.encode(claims, key, algorithm=algorithm, headers={"kid": kid})


def test_a_token_says_whose_it_is_and_how_long_it_is_good(house: House) -> None:
    token = house.tokens.sign("u1", "s1")
    claims = house.tokens.verify(token)
    assert (claims.user_id, claims.session_id, claims.seconds_left) == ("u1", "s1", 1800.0)


def test_it_is_good_until_its_half_hour_is_over_and_not_a_second_longer(house: House) -> None:
    token = house.tokens.sign("u1", "s1")
    house.passes(seconds=1799)
    assert house.tokens.verify(token).seconds_left == 1.0
    house.passes(seconds=1)
    with pytest.raises(Unauthenticated, match="expired"):
        house.tokens.verify(token)


def test_signed_as_we_do_it_is_good(house: House) -> None:
    house.rotate([OLD])
    assert house.tokens.verify(signed(house, key_of(OLD))).user_id == "u"


def forged(house: House, key: bytes, **changes: object) -> str:
    """Signed by hand: the library doesn't sign what isn't well formed."""
    at = int(house.time.timestamp())
    claims = {"iss": ISSUER, "aud": "mlengine:test", "sub": "u", "sid": "s", "iat": at, "exp": at + 60}
    kept = {name: value for name, value in {**claims, **changes}.items() if value is not None}
    return jwt.api_jws.encode(json.dumps(kept).encode(), key, algorithm=ALGORITHM, headers={"kid": "one"})


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "mlengine:other"}, {"aud": None}, {"iss": "somebody"}, {"iss": None}, {"sub": None},
        {"sid": None}, {"exp": None}, {"iat": None}, {"exp": 1}, {"iat": 4_000_000_000}, {"sub": ["u"]},
        {"sid": 3}, {"exp": "4000000000"}, {"iat": True},
    ],
)  # fmt: skip
def test_any_wrong_claim_refuses_it(house: House, changes: dict[str, object]) -> None:
    house.rotate([OLD])
    token = forged(house, key_of(OLD), **changes)
    with pytest.raises(Unauthenticated):
        house.tokens.verify(token)


def test_another_key_another_algorithm_and_none_at_all_are_refused(house: House) -> None:
    house.rotate([OLD])
    for forged in (
        signed(house, key_of(NEW)),
        signed(house, key_of(OLD), algorithm="HS384"),
        signed(house, "", algorithm="none"),
        signed(house, key_of(OLD), kid="two"),
        jwt.encode({"sub": "u"}, key_of(OLD), algorithm=ALGORITHM),
    ):
        with pytest.raises(Unauthenticated):
            house.tokens.verify(forged)


@given(st.text(max_size=200), st.integers(0, 400))
def test_whatever_isnt_a_token_is_refused_and_nothing_else_happens(garbage: str, cut: int) -> None:
    class OneKey:
        def get(self, name: str) -> str:
            return OLD

    from datetime import UTC, datetime

    tokens = AccessTokens(OneKey(), "mlengine:test", lambda: datetime(2024, 6, 1, tzinfo=UTC))
    good = tokens.sign("u", "s")
    for text in (garbage, f"{garbage}.{garbage}.{garbage}", good[: cut % len(good)], "." + good, "x" * 5_000):
        with pytest.raises(Unauthenticated):
            tokens.verify(text)


def test_rotation_keeps_the_old_tokens_good_while_its_key_stays(house: House) -> None:
    house.rotate([OLD])
    old = house.tokens.sign("u", "s")
    house.rotate([NEW, OLD])
    new = house.tokens.sign("u", "s")
    assert jwt.get_unverified_header(new)["kid"] == "two"
    assert house.tokens.verify(old) == house.tokens.verify(new)
    house.rotate([NEW])
    assert house.tokens.verify(new).user_id == "u"
    with pytest.raises(Unauthenticated):
        house.tokens.verify(old)


@pytest.mark.parametrize(
    "text",
    ["", "one", "one:", "one:short", f"{OLD},{NEW},{OLD}", f"{OLD},{OLD}", f"ONE:{OLD[4:]}", f"{OLD};{NEW}"],
)
def test_wrong_signing_keys_are_named_and_never_shown(text: str) -> None:
    with pytest.raises(ConfigurationError, match="token-signing-keys") as caught:
        read_signing_keys(text)
    assert OLD[4:] not in str(caught.value)
