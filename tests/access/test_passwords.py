from __future__ import annotations

import pytest

from shared.access.passwords import MAX_CHARACTERS, Passwords, require_password
from shared.errors import InvalidInput


def test_a_hash_is_argon2id_with_the_parameters_owasp_asks_for_and_never_the_same_twice() -> None:
    passwords = Passwords()
    first, second = passwords.hash("correct horse"), passwords.hash("correct horse")
    assert first.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert first != second
    assert passwords.verify("correct horse", first)
    assert passwords.verify("correct horse", second)


@pytest.mark.parametrize(
    "wrong", ["", "correct hors", "Correct horse", "correct horse ", "nobody has this password"]
)
def test_another_password_isnt_it(wrong: str) -> None:
    passwords = Passwords()
    assert not passwords.verify(wrong, passwords.hash("correct horse"))


@pytest.mark.parametrize("stored", ["", "$argon2id$", "$argon2id$v=19$m=19456,t=2,p=1$AAAA$AAAA", "plain"])
def test_what_isnt_a_hash_verifies_nothing(stored: str) -> None:
    assert not Passwords().verify("correct horse", stored)


def test_without_a_hash_even_the_right_word_for_nobody_isnt_it() -> None:
    assert not Passwords().verify("nobody has this password", None)


def test_a_hash_with_other_parameters_is_outdated() -> None:
    from argon2 import PasswordHasher

    passwords = Passwords()
    cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash("correct horse")
    assert passwords.is_outdated(cheap)
    assert passwords.verify("correct horse", cheap)
    assert not passwords.is_outdated(passwords.hash("correct horse"))


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("short", "12 to 200"),
        ("x" * (MAX_CHARACTERS + 1), "12 to 200"),
        ("Somebody.Longer@Example.org", "email"),
        ("somebody.longer", "email"),
        ("abababababab", "5 different"),
    ],
)
def test_weak_passwords_are_refused_with_the_reason_and_never_the_password(password: str, why: str) -> None:
    with pytest.raises(InvalidInput, match=why) as caught:
        require_password(password, "somebody.longer@example.org")
    assert password not in str(caught.value)
    assert caught.value.errors[0].pointer == "/password"
