"""The functions as they deploy, in this process, on one state folder."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import httpx

from infra.catalogue import ROOT
from infra.local.dispatcher import Dispatcher
from shared.config import load_settings
from shared.instance import Instance, use_instance
from shared.platform.connect import connect
from shared.platform.local.events import RetryPolicy, SqliteEvents
from shared.platform.local.jobs import SubprocessJobs
from shared.platform.ports import Event
from shared.platform.topics import DEAD_LETTER_SUBSCRIPTION, DEAD_LETTERS, TOPICS
from tests.asgi import AsgiClient, deployed
from tests.conftest import ADMIN_KEY
from tests.functions.payloads import CheckedEvents

KEY = {"x-api-key": ADMIN_KEY}
PROBE = "probe-"
"""A subscription that tests have on each topic, beside who takes it: this and the topic's name."""
BURIED = "buried"
"""A subscription that tests have on the dead letters, beside who takes them."""


class Engine:
    """An instance, and a client for each function that is asked for."""

    def __init__(self, home: Path, **settings: Any) -> None:
        self.home = home
        self.settings = load_settings(
            **{
                "mlengine_home": home,
                "admin_api_key": ADMIN_KEY,
                "market_calendar": "24/7",
                "upstream_attempts": 1,
                "model_cache_seconds": 0,
                "rate_limit_requests": 0,
                **settings,
            }
        )
        topics = {topic: (*takers, PROBE + topic) for topic, takers in TOPICS.items()}
        topics[DEAD_LETTERS] += (BURIED,)
        self.events = SqliteEvents(
            home / "events.sqlite3", topics, retry=RetryPolicy(max_attempts=2, first_seconds=0.0)
        )
        self.jobs = SubprocessJobs(
            home / "jobs",
            root=ROOT,
            package="tests.functions.jobs",
            environment={"MLENGINE_HOME": str(home)},
            grace_seconds=1.0,
        )
        platform = replace(connect(self.settings), events=CheckedEvents(self.events), jobs=self.jobs)
        self.instance = Instance(self.settings, platform)
        self._clients: dict[str, AsgiClient] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        use_instance(self.instance)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
        self.jobs.close()

    def __getitem__(self, function: str) -> AsgiClient:
        """The client of a function."""
        if function not in self._clients:
            self._clients[function] = self._stack.enter_context(deployed(function))
        return self._clients[function]

    def deliver(self, subscription: str) -> int:
        """Deliver what waits for a function, once; gives how many events that were."""

        def push(function: str, body: bytes, headers: Sequence[tuple[bytes, bytes]]) -> tuple[int, bytes]:
            response = self[function].post("/", content=body, headers=list(headers))
            return response.status_code, response.content

        dispatcher = Dispatcher(self.events, push, ADMIN_KEY, self.instance.platform.now)
        return dispatcher.deliver_once(subscription)

    def heard(self, topic: str) -> list[Event]:
        """The events of a topic, whoever takes them, since it was asked last."""
        claimed = self.events.claim(PROBE + topic, 1_000, 600, self.instance.platform.now())
        return [delivery.event for delivery in claimed]

    def dead_letters(self, subscription: str) -> list[Event]:
        """The events that a subscription has given up, oldest first."""
        claimed = self.events.claim(BURIED, 1_000, 0, self.instance.platform.now())
        events = [delivery.event for delivery in claimed]
        return [event for event in events if event.attributes[DEAD_LETTER_SUBSCRIPTION] == subscription]


def problem(response: httpx.Response, status: int, kind: str) -> dict[str, Any]:
    """The problem document of a refusal, after checking its form."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = response.json()
    assert document["type"] == f"urn:mlengine:problem:{kind}"
    assert document["status"] == status
    assert document["detail"] == document["error"] != ""
    assert document["request_id"] == response.headers["x-request-id"]
    return document


def pointers(document: dict[str, Any]) -> list[str]:
    return [error["pointer"] for error in document["errors"]]


def ok(response: httpx.Response, status: int = 200) -> Any:
    """The answer of a call that succeeded."""
    assert response.status_code == status, response.text
    return response.json()
