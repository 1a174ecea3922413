"""Plays history forward: moves the clock, and at each of its stops waits until what is due there is done.

So the clock never runs away from the work. Where the machine can't hold the speed that was asked for, the
clock waits, and the replay says how fast it is.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from datetime import datetime
from typing import Final, TypeVar

import httpx
from rich.console import Console
from rich.panel import Panel

from infra.catalogue import Catalogue
from infra.local.first_model import command_line
from infra.local.replay import Pace, Replay
from shared.errors import ConfigurationError, EngineError
from shared.instance import Instance
from shared.logs import LOGGER
from shared.platform.local.events import SqliteEvents
from shared.platform.local.jobs import SubprocessJobs
from shared.platform.local.schedules import LEASE, DocumentSchedules
from shared.serving.market import MARKET_MODEL

T = TypeVar("T")

LOOK_SECONDS: Final = 0.005
PATIENCE_SECONDS: Final = 20.0
"""How long the clock stands for events that nobody takes: what waits then is retried while it goes on."""

TOLD_SESSIONS: Final = 60
TOLD_SECONDS: Final = 60.0
"""After so many sessions, or so long, the replay says where it is, and how fast."""

HELD: Final = 0.9
"""What part of the speed counts as the speed."""

WORTH_WATCHING: Final = {
    "predictions": "what was predicted: those of the replay are of requests named 'replay-...'",
    "schedules": "ingest, drift and the rest, as their times pass",
    "performance": "how predictions fare, once their outcomes are known",
    "drift": "how far features are from those that were learned from",
    "freshness": "how old candles and models are",
    "alerts": "what is wrong, from when to when",
}
"""Commands of the command line, and what they show in a replay."""


class Player:
    """One thread. What it does at a stop it may do again after a kill: schedules fire once all the same, as
    the same events; predictions may be asked for twice, under the same request id.
    """

    def __init__(
        self,
        instance: Instance,
        catalogue: Catalogue,
        replay: Replay,
        *,
        url: str,
        api_key: str,
        console: Console,
    ) -> None:
        """`url` is where the twin answers.

        Raises:
            ConfigurationError: the instance isn't a twin's of embedded parts.
        """
        self._instance = instance
        self._catalogue = catalogue
        self._hand = replay.hand
        self._tape = replay.tape
        self._asked_speed = replay.sessions_a_minute
        self._url = url
        self._api_key = api_key
        self._console = console
        self._schedules = _own(instance.platform.schedules, DocumentSchedules)
        self._events = _own(instance.platform.events, SqliteEvents)
        self._jobs = _own(instance.platform.jobs, SubprocessJobs)
        self._subscriptions = {name for names in catalogue.subscriptions.values() for name in names}
        self._begun = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._play, name="replay", daemon=True)
        self._left_behind = 0
        self._told_at = time.monotonic()
        self._mornings: deque[float] = deque(maxlen=TOLD_SESSIONS + 1)

    def start(self) -> None:
        """Set the schedules up, and let the thread wait for `begin`."""
        self._schedules.set_up(self._catalogue.schedules)
        self._thread.start()

    def begin(self) -> None:
        """Let the clock go, as soon as there is a model to predict with."""
        self._begun.set()

    def stop(self) -> None:
        """Returns when the thread has ended."""
        self._stopping.set()
        self._begun.set()
        self._thread.join()

    def _play(self) -> None:
        self._begun.wait()
        self._wait_for_model()
        if self._stopping.is_set():
            return
        self._welcome()
        pace = Pace(self._asked_speed)
        with httpx.Client(base_url=self._url, timeout=60, trust_env=False) as engine:
            while not self._stopping.is_set():
                try:
                    if not self._step(engine, pace):
                        return
                except (EngineError, httpx.HTTPError) as error:
                    if self._stopping.wait(LEASE.total_seconds()):  # the twin answers no more: it is stopping
                        return
                    why = str(error) or type(error).__name__  # what was begun can be begun again now
                    LOGGER.error("the replay was held up", extra={"facts": {"why": why}})

    def _step(self, engine: httpx.Client, pace: Pace) -> bool:
        """Do what is due where the clock stands, and go on to the next stop; False where this is the end.

        Raises:
            EngineError, httpx.HTTPError: and the clock stands still where it stood.
        """
        here = self._hand.clock.leg().stop
        if not self._work(here, engine):
            return False
        stop = self._tape.next_stop(here, self._schedules.list())
        if stop is None:
            self._tell(f"The sample has ended: the clock stands at {here:%Y-%m-%d %H:%M} UTC, for good.")
            return False
        seconds = pace.seconds(self._tape.position(stop) - self._tape.position(here))
        self._hand.advance(stop, seconds)
        self._stopping.wait(seconds)
        return True

    def _work(self, moment: datetime, engine: httpx.Client) -> bool:
        """Whether it is done; where it isn't, the next start does it."""
        self._fire()
        self._drain()
        if self._stopping.is_set():
            return False
        if self._tape.begins_session(moment):
            self._ask(moment, engine)
            self._drain()
            self._count(moment)
        return True

    def _fire(self) -> None:
        """Fire what is due, in order. A time whose job is still at work from an earlier one is passed over:
        so training that takes longer than a week of the replay doesn't pile up.
        """
        topics = {schedule.name: schedule.topic for schedule in self._schedules.list()}
        for name, at in self._schedules.due():
            if self._jobs_of(topics[name]) & self._jobs.running():
                self._schedules.pass_over(name, at)
                facts = {"schedule": name, "at": at.isoformat()}
                LOGGER.info("passed over: its job is still at work", extra={"facts": facts})
            else:
                self._schedules.fire_due(name, at)

    def _jobs_of(self, topic: str) -> frozenset[str]:
        functions = self._catalogue.functions.values()
        return frozenset(job for function in functions if function.topic == topic for job in function.runs)

    def _drain(self) -> None:
        """Wait until every event is handled, but for those that nobody took at an earlier stop either."""
        gives_up_at = time.monotonic() + PATIENCE_SECONDS
        while (waiting := self._waiting()) > self._left_behind and time.monotonic() < gives_up_at:
            if self._stopping.wait(LOOK_SECONDS):
                return
        if waiting > self._left_behind:
            LOGGER.warning("the replay goes on without them", extra={"facts": {"events": waiting}})
        self._left_behind = waiting

    def _waiting(self) -> int:
        return sum(
            depth.pending for name, depth in self._events.depths().items() if name in self._subscriptions
        )

    def _ask(self, moment: datetime, engine: httpx.Client) -> None:
        """Ask for the predictions of all symbols, as an app would each morning."""
        headers = {"x-api-key": self._api_key, "x-request-id": f"replay-{moment:%Y%m%d}"}
        symbols = engine.get("/symbols", headers=headers).raise_for_status().json()["symbols"]
        size = self._instance.settings.batch_max_symbols
        for first in range(0, len(symbols), size):
            body = {"symbols": symbols[first : first + size]}
            answer = engine.post("/predict/batch", headers=headers, json=body)
            if answer.is_error:
                facts = {"session": f"{moment:%Y-%m-%d}", "status": answer.status_code}
                LOGGER.warning("the replay got no predictions", extra={"facts": facts})

    def _count(self, moment: datetime) -> None:
        now, done = time.monotonic(), round(self._tape.position(moment))
        self._mornings.append(now)
        is_long = now - self._told_at >= TOLD_SECONDS or done % TOLD_SESSIONS == 0
        if is_long and len(self._mornings) > 1:
            self._told_at = now
            speed = self.speed
            waits = "" if speed >= HELD * self._asked_speed else "; the clock waits for the work"
            self._tell(
                f"{moment:%Y-%m-%d}: {done} of {self._tape.sessions} sessions, "
                f"{speed:.0f} a minute of {self._asked_speed:g}{waits}."
            )

    @property
    def speed(self) -> float:
        """Sessions a minute, over the last of them."""
        return 60 * (len(self._mornings) - 1) / (self._mornings[-1] - self._mornings[0])

    def _wait_for_model(self) -> None:
        registry = self._instance.registry
        is_told = False
        while not self._stopping.is_set():
            try:
                if registry.active(MARKET_MODEL) is not None:
                    return
            except EngineError as error:
                LOGGER.error("the replay is held up", extra={"facts": {"why": error.detail}})
            if not is_told:
                self._tell("The clock stands until a model is active.")
                is_told = True
            self._stopping.wait(1.0)

    def _welcome(self) -> None:
        where = f"{self._hand.clock.leg().stop:%Y-%m-%d} to {self._tape.end:%Y-%m-%d}"
        command = command_line(self._instance.settings)
        lines = [f"{command} {name:<12} {what}" for name, what in WORTH_WATCHING.items()]
        title = f"Replay: {where}, {self._asked_speed:g} sessions a minute"
        self._console.print(Panel("\n".join(lines), title=title, expand=False))

    def _tell(self, words: str) -> None:
        self._console.print(f"[bold]Replay:[/bold] {words}", highlight=False)


def _own(part: object, kind: type[T]) -> T:
    """The twin's own part, which a replay needs.

    Raises:
        ConfigurationError
    """
    if not isinstance(part, kind):
        raise ConfigurationError(f"a replay needs {kind.__name__}, found {type(part).__name__}")
    return part
