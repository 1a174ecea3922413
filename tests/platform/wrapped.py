"""Documents over others: for tests that let something happen around a call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shared.platform.ports import Document, Documents, Page, Write


class WrappedDocuments:
    def __init__(self, real: Documents) -> None:
        self.real = real

    def get(self, collection: str, id: str) -> Document | None:
        return self.real.get(collection, id)

    def query(self, collection: str, **asked: Any) -> Page:
        return self.real.query(collection, **asked)

    def commit(self, writes: Sequence[Write]) -> Sequence[str]:
        return self.real.commit(writes)
