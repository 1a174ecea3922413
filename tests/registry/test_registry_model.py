"""The registry against a model of it: lists in memory, and any sequence of orders."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from shared.errors import Conflict, GatesNotPassed, NoActiveModel
from tests.registry.packages import package
from tests.registry.workers import open_registry

NAME = "market-signal"
PACKAGES = {passes: package(passes=passes) for passes in (False, True)}


class RegistryModel(RuleBasedStateMachine):
    """`stack` are the versions to roll back to, with the live one last."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.registry = open_registry(Path(self.folder.name))
        self.passes: list[bool] = []
        self.stack: list[str] = []
        self.log: list[tuple[str, str]] = []

    def teardown(self) -> None:
        self.folder.cleanup()

    @rule(passes=st.booleans())
    def register(self, passes: bool) -> None:
        version = self.registry.register(PACKAGES[passes], created_by="tester")
        self.passes.append(passes)
        assert version.version == len(self.passes)

    @rule(data=st.data(), bootstrap=st.booleans())
    def activate(self, data: st.DataObject, bootstrap: bool) -> None:
        if not self.passes:
            return
        number = data.draw(st.integers(1, len(self.passes)))
        version_id = f"{NAME}-v{number}"
        is_live = self.stack[-1:] == [version_id]
        if not (is_live or self.passes[number - 1] or (bootstrap and not self.stack)):
            with pytest.raises(GatesNotPassed):
                self.registry.activate(version_id, by="tester", allow_failed_gates=bootstrap)
            return
        self.registry.activate(version_id, by="tester", allow_failed_gates=bootstrap)
        if not is_live:
            self.stack.append(version_id)
            self.log.append(("activated", version_id))

    @rule()
    def roll_back(self) -> None:
        if len(self.stack) < 2:
            with pytest.raises(Conflict if self.stack else NoActiveModel):
                self.registry.rollback(NAME, by="tester")
            return
        self.registry.rollback(NAME, by="tester")
        self.stack.pop()
        self.log.append(("rolled_back", self.stack[-1]))

    @rule()
    def touch(self) -> None:
        self.registry.touch_all(by="tester")
        if self.stack:
            self.log.append(("reloaded", self.stack[-1]))

    @rule()
    def open_again(self) -> None:
        self.registry = open_registry(Path(self.folder.name))

    @invariant()
    def says_what_the_model_says(self) -> None:
        active = self.registry.active(NAME)
        assert ([] if active is None else [*active.history, active.version_id]) == self.stack
        entries = self.registry.promotions(NAME).promotions
        assert [(entry.action, entry.version_id) for entry in reversed(entries)] == self.log
        found = {version.id: version.status for version in self.registry.list(NAME).versions}
        assert found == {f"{NAME}-v{n}": self.status(f"{NAME}-v{n}", p) for n, p in enumerate(self.passes, 1)}

    def status(self, version_id: str, passes: bool) -> Any:
        if self.stack[-1:] == [version_id]:
            return "production"
        if any(version_id == entry for _, entry in self.log):
            return "archived"
        return "candidate" if passes else "rejected"


TestRegistryModel = RegistryModel.TestCase
TestRegistryModel.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
