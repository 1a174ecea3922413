"""Credentials of nobody, for tests of what else a caller may present."""

from __future__ import annotations

from typing import NoReturn

from shared.errors import Unauthenticated


class Strangers:
    def remembered(self, presented: str) -> None:
        return None

    def find(self, presented: str) -> NoReturn:
        raise Unauthenticated("nobody is known here")
