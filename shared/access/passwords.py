"""Passwords, kept as argon2id hashes."""

from __future__ import annotations

import threading
from functools import cached_property
from typing import TYPE_CHECKING, Final

from shared.errors import FieldError, InvalidInput

if TYPE_CHECKING:
    from argon2 import PasswordHasher

MIN_CHARACTERS: Final = 12
MAX_CHARACTERS: Final = 200
"""Longer ones only cost the server."""

# OWASP's password storage cheat sheet: 19 MiB, two passes, one lane.
_MEMORY_KIB: Final = 19_456
_PASSES: Final = 2
_LANES: Final = 1
_MIN_DIFFERENT: Final = 5
_AT_ONCE: Final = 4
"""Hashes that run side by side: each holds its memory, and 200 logins come at once."""


class Passwords:
    """Hashes and verifies. Both take tens of milliseconds of processor time: call them off the event loop."""

    def __init__(self) -> None:
        self._turn = threading.BoundedSemaphore(_AT_ONCE)

    def hash(self, password: str) -> str:
        """The argon2id hash with its parameters and salt, in the PHC string format."""
        with self._turn:
            return self._hasher.hash(password)

    def verify(self, password: str, stored: str | None) -> bool:
        """Whether it is the password that was hashed. Without a stored hash it takes as long, and isn't."""
        from argon2.exceptions import InvalidHashError, VerificationError

        with self._turn:
            try:
                self._hasher.verify(stored or self._nobodys, password)
            except (VerificationError, InvalidHashError):
                return False
        return stored is not None

    def is_outdated(self, stored: str) -> bool:
        """Whether it was hashed with other parameters than today's."""
        return self._hasher.check_needs_rehash(stored)

    @cached_property
    def _hasher(self) -> PasswordHasher:
        from argon2 import PasswordHasher

        return PasswordHasher(time_cost=_PASSES, memory_cost=_MEMORY_KIB, parallelism=_LANES)

    @cached_property
    def _nobodys(self) -> str:
        return self._hasher.hash("nobody has this password")


def require_password(password: str, email: str, pointer: str = "/password") -> None:
    """What NIST SP 800-63B asks of a password: its length, and that it isn't the name of its owner.

    Raises:
        InvalidInput
    """
    wrong = None
    if not MIN_CHARACTERS <= len(password) <= MAX_CHARACTERS:
        wrong = f"must have {MIN_CHARACTERS} to {MAX_CHARACTERS} characters, found {len(password)}"
    elif password.casefold() in (email.casefold(), email.casefold().partition("@")[0]):
        wrong = "must not be the email address"
    elif len(set(password)) < _MIN_DIFFERENT:
        wrong = f"must have at least {_MIN_DIFFERENT} different characters"
    if wrong is not None:
        raise InvalidInput(f"The password {wrong}.", errors=[FieldError(pointer, wrong)])
