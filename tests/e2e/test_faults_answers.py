"""Answers of Firestore that are lost after it has written: each call succeeds, and is carried out once."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import pytest

from shared.instance import Instance
from shared.platform.connect import connect
from shared.registry import Promotion, Registry, Version
from tests.contracts.racing import race
from tests.e2e.faults import lines_to, through
from tests.emulators import Emulators
from tests.proxy import Proxy
from tests.registry.consistency import check_consistent, registered, versions_of
from tests.registry.packages import package

TIMES = 10
CALLERS, TURNS = 4, 6
LOSSES_APART_SECONDS = 0.2


@dataclass(frozen=True)
class Shaky:
    """A registry on a line to Firestore that loses answers, and the same one on a good line."""

    registry: Registry
    steady: Registry
    line: Proxy

    @contextmanager
    def losing(self) -> Iterator[None]:
        """An answer is lost again and again, and with it the connection of all calls under way."""
        ended = threading.Event()

        def disturb() -> None:
            while not ended.wait(LOSSES_APART_SECONDS):
                lost = self.line.lost
                self.line.lose(1)
                while self.line.lost == lost and not ended.wait(0.01):
                    pass

        disturber = threading.Thread(target=disturb)
        disturber.start()
        try:
            yield
        finally:
            ended.set()
            disturber.join()


@pytest.fixture
def shaky(emulators: Emulators) -> Iterator[Shaky]:
    chosen = emulators.ready()
    with ExitStack() as stack:
        lines = lines_to(chosen, stack)
        shaken = through(chosen, lines)
        registry = Instance(shaken, connect(shaken)).registry
        yield Shaky(registry, Instance(chosen, connect(chosen)).registry, lines["firestore"])


def test_each_registration_and_activation_whose_answer_is_lost_is_carried_out_once(
    shaky: Shaky, tell: Callable[[str], None]
) -> None:
    registered(shaky.registry, 1)
    entries: list[Promotion] = []
    for number in range(1, TIMES + 1):
        shaky.line.lose(1)
        version = shaky.registry.register(package(number), created_by="tester")
        shaky.line.lose(1)
        entries.append(shaky.registry.activate(version.id, by="tester"))
        shaky.line.lose(1)
        entries.append(shaky.registry.touch(version.name, by="tester"))
    assert shaky.line.lost == 3 * TIMES
    assert [version.version for version in versions_of(shaky.steady)] == list(range(1, TIMES + 2))
    assert check_consistent(shaky.steady) == entries
    tell(
        f"{shaky.line.lost} answers lost after the write: {TIMES} registrations and {len(entries)} changes "
        "of what is live, each carried out once"
    )


def test_calls_at_once_whose_answers_are_lost_are_carried_out_once(
    shaky: Shaky, tell: Callable[[str], None]
) -> None:
    registered(shaky.registry, 1)
    made = [package(number) for number in range(1, CALLERS * TURNS + 1)]

    def call(caller: int) -> list[tuple[Version, Promotion]]:
        done = []
        for one in made[caller::CALLERS]:
            version = shaky.registry.register(one, created_by="tester")
            done.append((version, shaky.registry.activate(version.id, by="tester")))
        return done

    with shaky.losing():
        answers = race(CALLERS, call)
    failures = [answer for answer in answers if isinstance(answer, Exception)]
    assert failures == []
    done = [each for answer in answers if not isinstance(answer, Exception) for each in answer]
    versions, log = versions_of(shaky.steady)[1:], check_consistent(shaky.steady)
    assert Counter(version.package_hash for version in versions) == Counter(one.hash for one in made)
    assert {version.id for version, _ in done} == {version.id for version in versions}
    assert sorted(entry.id for _, entry in done) == sorted(entry.id for entry in log)
    assert shaky.line.lost > 0
    tell(
        f"{shaky.line.lost} answers lost among {len(made)} registrations and as many activations by "
        f"{CALLERS} callers at once: {len(versions)} versions, {len(log)} log entries"
    )
