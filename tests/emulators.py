"""The emulators that tests share: started once per session, when the first test asks.

Each test works in a project of its own, so nothing is wiped. Where a part is missing, its tests are
skipped, saying what is missing and how to get it; with REQUIRE_EMULATORS=1 they fail instead.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path

import pytest

from infra.emulators.google import firestore_emulator, pubsub_emulator
from infra.emulators.processes import Emulator, running
from infra.emulators.sdk import missing
from shared.config import PlatformName, Settings, load_settings
from shared.platform.gcp.project import Project

REQUIRED = os.environ.get("REQUIRE_EMULATORS") == "1"
DESCRIPTION = "emulators.json"


def need_sdk() -> None:
    """Skip the test, or fail it in CI, where the SDK's emulators can't start."""
    lacking = missing()
    if lacking:
        words = "; ".join(f"{one.part} is missing: {one.how}" for one in lacking)
        (pytest.fail if REQUIRED else pytest.skip)(f"not run on emulators: {words}")


def fresh_project() -> str:
    return f"test-{secrets.token_hex(6)}"


class Emulators:
    """The session's emulators, each started when it is first asked for, all ended with `stack`."""

    def __init__(self, stack: ExitStack, logs: Path) -> None:
        self._stack = stack
        self._logs = logs

    def _start(self, make: Callable[[Path], Emulator]) -> str:
        need_sdk()
        return self._stack.enter_context(running(make(self._logs))).host

    @cached_property
    def firestore(self) -> str:
        """host:port"""
        return self._start(firestore_emulator)

    @cached_property
    def pubsub(self) -> str:
        """host:port"""
        return self._start(pubsub_emulator)

    def settings(self, **more: str) -> Settings:
        """Of a fresh project on the emulators."""
        return load_settings(
            platform=PlatformName.EMULATORS,
            google_cloud_project=fresh_project(),
            firestore_emulator_host=self.firestore,
            pubsub_emulator_host=self.pubsub,
            **more,
        )

    def describe(self, state: Path, name: str) -> None:
        """Write down for the adapters called `name` where they find a fresh project: see `project_in`."""
        chosen = self.settings()
        (state / DESCRIPTION).write_text(chosen.model_dump_json(exclude_unset=True))


def settings_in(state: Path) -> Settings:
    """What `describe` wrote down, in any process."""
    return load_settings(**json.loads((state / DESCRIPTION).read_text()))


def project_in(state: Path) -> Project:
    return Project.of(settings_in(state))
