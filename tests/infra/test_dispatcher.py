from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from infra.local.dispatcher import BATCH_SIZE, LEASE_SECONDS, Dispatcher
from shared.platform.local.events import RetryPolicy, SqliteEvents
from shared.platform.ports import Event
from shared.platform.topics import DEAD_LETTER_ATTEMPTS, DEAD_LETTER_REASON, DEAD_LETTERS

NOW = datetime(2024, 1, 1, tzinfo=UTC)
TOPICS = {"made": ("audit",), "asked": ("train",), DEAD_LETTERS: ("deadletters",)}
HEADERS = [(b"content-type", b"application/cloudevents-batch+json"), (b"x-api-key", b"the key")]


class Function:
    """Takes events, but for those it was told to refuse; remembers each delivery."""

    def __init__(self) -> None:
        self.refused: set[str] = set()
        self.crashes: set[str] = set()
        self.held = threading.Event()
        self.held.set()
        self.asked: list[tuple[str, list[str]]] = []

    def __call__(
        self, function: str, body: bytes, headers: Sequence[tuple[bytes, bytes]]
    ) -> tuple[int, bytes]:
        assert list(headers) == HEADERS
        ids = [event["id"] for event in json.loads(body)]
        self.asked.append((function, ids))
        assert self.held.wait(10)
        if self.crashes & set(ids):
            raise RuntimeError("out of memory")
        if self.refused & set(ids):
            return 500, b'{"detail": "no"}'
        return 204, b""

    def taken(self, id_: str) -> int:
        return sum(ids.count(id_) for _, ids in self.asked)


class Setting:
    def __init__(self, home: Path) -> None:
        self.now = NOW
        self.events = SqliteEvents(
            home / "events.sqlite3", TOPICS, retry=RetryPolicy(max_attempts=3, first_seconds=1.0)
        )
        self.function = Function()
        self.dispatcher = Dispatcher(self.events, self.function, "the key", lambda: self.now)

    def publish(self, *ids: str, topic: str = "made") -> None:
        self.events.publish(topic, [event(id_) for id_ in ids])

    def later(self) -> None:
        self.now += timedelta(seconds=LEASE_SECONDS)

    @property
    def depth(self) -> tuple[int, int]:
        """Of the audit, and of the dead letters."""
        found = self.events.depths()
        return found["audit"].pending, found["deadletters"].pending

    def letter(self) -> Event:
        (delivery,) = self.events.claim("deadletters", 10, LEASE_SECONDS, self.now)
        return delivery.event


def event(id_: str) -> Event:
    return Event(id_, "//test", "made", NOW, {"n": 1}, {"traceparent": "00-1-2-01"})


def wait_until(condition: Callable[[], Any]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "waited 20 s in vain"
        time.sleep(0.005)


@pytest.fixture
def setting(tmp_path: Path) -> Iterator[Setting]:
    made = Setting(tmp_path)
    yield made
    made.function.held.set()
    made.dispatcher.stop()


def test_what_waits_is_delivered_in_one_call(setting: Setting) -> None:
    setting.publish("a", "b", "c")
    assert setting.dispatcher.deliver_once("audit") == 3
    assert setting.function.asked == [("audit", ["a", "b", "c"])]
    assert setting.depth == (0, 0)
    assert setting.dispatcher.deliver_once("audit") == 0


def test_an_event_arrives_as_it_was_published(setting: Setting) -> None:
    bodies: list[bytes] = []

    def push(function: str, body: bytes, headers: Sequence[tuple[bytes, bytes]]) -> tuple[int, bytes]:
        bodies.append(body)
        return 204, b""

    setting.publish("a")
    Dispatcher(setting.events, push, "the key", lambda: NOW).deliver_once("audit")
    assert json.loads(bodies[0]) == [
        {
            "specversion": "1.0",
            "id": "a",
            "source": "//test",
            "type": "made",
            "time": "2024-01-01T00:00:00+00:00",
            "datacontenttype": "application/json",
            "traceparent": "00-1-2-01",
            "data": {"n": 1},
        }
    ]


def test_a_call_takes_no_more_than_one_batch(setting: Setting) -> None:
    setting.publish(*map(str, range(BATCH_SIZE + 5)))
    assert setting.dispatcher.deliver_once("audit") == BATCH_SIZE
    assert setting.dispatcher.deliver_once("audit") == 5


def test_one_bad_event_does_not_hold_up_its_neighbours(setting: Setting) -> None:
    setting.function.refused = {"b"}
    setting.publish("a", "b", "c")
    setting.dispatcher.deliver_once("audit")
    assert setting.depth == (1, 0)
    setting.later()
    setting.function.refused = set()
    assert setting.dispatcher.deliver_once("audit") == 1
    assert setting.function.asked[-1] == ("audit", ["b"])
    assert setting.depth == (0, 0)


def test_after_the_last_attempt_an_event_is_a_dead_letter_with_the_reason(setting: Setting) -> None:
    setting.function.refused = {"b"}
    setting.publish("b")
    for _ in range(5):
        setting.dispatcher.deliver_once("audit")
        setting.later()
    assert setting.function.taken("b") == 3
    assert setting.depth == (0, 1)
    letter = setting.letter()
    assert letter.id == "b"
    assert letter.attributes[DEAD_LETTER_ATTEMPTS] == "3"
    assert letter.attributes[DEAD_LETTER_REASON] == "500: no"


def test_a_retry_waits_for_its_time(setting: Setting) -> None:
    setting.function.refused = {"b"}
    setting.publish("b")
    setting.dispatcher.deliver_once("audit")
    assert setting.dispatcher.deliver_once("audit") == 0
    setting.now += timedelta(seconds=1)
    assert setting.dispatcher.deliver_once("audit") == 1


def test_a_delivery_that_breaks_counts_as_an_attempt(setting: Setting) -> None:
    setting.function.crashes = {"b"}
    setting.publish("a", "b")
    for _ in range(3):
        setting.dispatcher.deliver_once("audit")
        setting.later()
    assert setting.depth == (0, 1)
    assert "out of memory" in setting.letter().attributes[DEAD_LETTER_REASON]


def test_a_dead_letter_is_delivered_to_its_taker_while_it_runs(setting: Setting) -> None:
    setting.function.refused = {"b"}
    setting.publish("b")
    for _ in range(2):
        setting.dispatcher.deliver_once("audit")
        setting.later()
    setting.dispatcher.start(["deadletters"])
    wait_until(lambda: setting.depth == (1, 0))
    setting.dispatcher.deliver_once("audit")
    wait_until(lambda: setting.function.asked[-1] == ("deadletters", ["b"]))


def test_a_dead_letter_that_cannot_be_taken_comes_again_for_ever(setting: Setting) -> None:
    setting.function.refused = {"b"}
    setting.events.publish(DEAD_LETTERS, [event("b")])
    for _ in range(10):
        assert setting.dispatcher.deliver_once("deadletters") == 1
        setting.later()
    setting.function.refused = set()
    assert setting.dispatcher.deliver_once("deadletters") == 1
    assert setting.depth == (0, 0)


def test_each_subscription_is_served_while_it_runs(setting: Setting) -> None:
    setting.dispatcher.start(["audit", "train"])
    setting.publish("a")
    setting.publish("t", topic="asked")
    wait_until(lambda: len(setting.function.asked) == 2)
    setting.publish("b")
    wait_until(lambda: setting.function.taken("b"))
    assert sorted(setting.function.asked) == [("audit", ["a"]), ("audit", ["b"]), ("train", ["t"])]


def test_a_broken_delivery_does_not_end_its_subscription(setting: Setting) -> None:
    setting.function.crashes = {"a"}
    setting.dispatcher.start(["audit"])
    setting.publish("a")
    wait_until(lambda: setting.function.taken("a"))
    setting.publish("b")
    wait_until(lambda: setting.function.taken("b"))


def test_a_slow_subscription_does_not_hold_up_another(setting: Setting) -> None:
    setting.function.held.clear()
    setting.dispatcher.start(["audit", "train"])
    setting.publish("a")
    wait_until(lambda: setting.function.taken("a"))
    setting.publish("t", topic="asked")
    wait_until(lambda: setting.function.taken("t"))


def test_what_a_killed_twin_had_claimed_is_delivered_at_the_next_start(setting: Setting) -> None:
    setting.publish("a", "b")
    setting.events.claim("audit", 10, LEASE_SECONDS, NOW)
    assert setting.dispatcher.deliver_once("audit") == 0
    setting.dispatcher.start(["audit"])
    wait_until(lambda: setting.depth == (0, 0))
    assert setting.function.asked == [("audit", ["a", "b"])]


def test_stopping_ends_the_threads_and_delivers_nothing_more(setting: Setting) -> None:
    setting.dispatcher.start(["audit", "train"])
    setting.dispatcher.stop()
    setting.publish("a")
    assert setting.depth == (1, 0)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("deliver-")]


def test_stopping_waits_for_the_delivery_under_way(setting: Setting) -> None:
    setting.function.held.clear()
    setting.dispatcher.start(["audit"])
    setting.publish("a")
    wait_until(lambda: setting.function.taken("a"))
    stopping = threading.Thread(target=setting.dispatcher.stop)
    stopping.start()
    stopping.join(0.05)
    assert stopping.is_alive()
    setting.function.held.set()
    stopping.join(10)
    assert not stopping.is_alive()
    assert setting.depth == (0, 0)
