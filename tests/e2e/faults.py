"""Twins whose services can go away, functions in processes of their own, and those who use them meanwhile."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import httpx

from infra.catalogue import source_of
from infra.emulators.processes import Emulator, free_port, running
from infra.emulators.storage import create_bucket, storage_emulator
from shared.config import Settings
from shared.errors import PlatformUnavailable
from shared.instance import Instance
from shared.monitoring.audit import COLLECTION
from shared.platform.connect import connect
from shared.platform.gcp.project import Project
from tests.e2e.twin import KEY, MODEL, ROOT, Twin, running_twin, wait_until
from tests.emulators import Emulators
from tests.packages import market_package
from tests.proxy import Proxy, proxy_to
from tests.registry.packages import package

FAULTS = int(os.environ.get("FAULTS", "4"))
"""How often a service goes away."""
SHORTEST_SECONDS, LONGEST_SECONDS = 0.5, 3.0
"""How long it is away."""
MAY_ANSWER = frozenset({200, 409, 503})
"""What a request may be answered while a service is away: done, or to be asked again."""

_REGISTRATIONS_APART_SECONDS = 0.2


class Service(Protocol):
    """Something that the engine depends on."""

    def away(self) -> AbstractContextManager[None]: ...


@dataclass(frozen=True)
class LockedFile:
    """A SQLite file. While it is away, another process holds its lock: nobody else can write."""

    file: Path

    @contextmanager
    def away(self) -> Iterator[None]:
        with contextlib.closing(sqlite3.connect(self.file, timeout=20, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield


@dataclass(frozen=True)
class Killed:
    """An emulator that keeps its state in a folder. While it is away, it was killed (-9)."""

    emulator: Emulator

    @contextmanager
    def away(self) -> Iterator[None]:
        self.emulator.kill()
        try:
            yield
        finally:
            self.emulator.start()


@dataclass(frozen=True)
class Site:
    """A twin at work. `passed` are versions that may go live; one of them is."""

    twin: Twin
    state: Instance
    """What it works on, as another process of the engine sees it, also while services are away."""
    through: Instance
    """The same, by the lines that the twin uses."""
    services: Mapping[str, Service]
    passed: Sequence[str]
    symbols: Sequence[str]


@contextmanager
def site_on_emulators(
    emulators: Emulators, home: Path, upstream_url: str, symbols: Sequence[str]
) -> Iterator[Site]:
    """On a fresh project of the session's emulators, and on one of Cloud Storage that keeps its objects in a
    folder; each is behind a line of its own. Candles are stored.
    """
    with ExitStack() as stack:
        storage = stack.enter_context(running(storage_emulator(home.parent, folder=home.parent / "objects")))
        direct = emulators.ready().model_copy(update={"storage_emulator_host": f"http://{storage.host}"})
        create_bucket(direct.storage_emulator_host, Project.of(direct).bucket)
        lines = lines_to(direct, stack)
        state, lined = Instance(direct, connect(direct)), through(direct, lines)
        passed = register(state, 3)
        state.registry.activate(passed[0], by="test")
        twin = stack.enter_context(
            running_twin(home, MODEL_CACHE_SECONDS="0", MARKET_DATA_URL=upstream_url, **environment_of(lined))
        )
        twin.wait_for("/health")
        assert twin.post("/fetch", {"symbols": symbols})["failed"] == 0
        services: dict[str, Service] = {**lines, "killed storage": Killed(storage)}
        yield Site(twin, state, Instance(lined, connect(lined)), services, passed, symbols)


def lines_to(chosen: Settings, stack: ExitStack) -> dict[str, Proxy]:
    """A line to each service that keeps state."""
    hosts = {
        "firestore": chosen.firestore_emulator_host,
        "pubsub": chosen.pubsub_emulator_host,
        "storage": chosen.storage_emulator_host.partition("://")[2],
    }
    return {name: stack.enter_context(proxy_to(host)) for name, host in hosts.items()}


def through(chosen: Settings, lines: Mapping[str, Proxy]) -> Settings:
    """The settings of who uses these lines."""
    hosts = {f"{name}_emulator_host": line.host for name, line in lines.items()}
    hosts["storage_emulator_host"] = f"http://{hosts['storage_emulator_host']}"
    return chosen.model_copy(update=hosts)


def environment_of(chosen: Settings) -> dict[str, str]:
    """The environment of a process with these settings."""
    return {name.upper(): str(getattr(chosen, name)) for name in chosen.model_fields_set}


def register(instance: Instance, count: int) -> list[str]:
    """Versions that can predict and may go live."""
    made = (market_package(metrics={"auc": 0.52 + number / 1e6}) for number in range(count))
    return [instance.registry.register(one, created_by="test").id for one in made]


class Deployed:
    """A function in a process of its own, as it is deployed. It starts again where it was."""

    def __init__(self, function: str, log: Path, environment: Mapping[str, str]) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = log
        self._environment = {
            "PATH": os.environ["PATH"],
            "ADMIN_API_KEY": KEY["x-api-key"],
            **environment,
            "FUNCTION_SOURCE": str(source_of(function)),
            "PORT": str(self.port),
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it listens."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "shared.serve"],
                cwd=ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        wait_until(self._listens, f"the function listens at {self.url}", poll_seconds=0.005)

    def kill(self) -> None:
        """kill -9"""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _listens(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self._log.read_text()
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"{self.url}/health", trust_env=False).status_code == 200
        return False


@contextmanager
def deployed(function: str, log: Path, environment: Mapping[str, str]) -> Iterator[Deployed]:
    process = Deployed(function, log, environment)
    process.start()
    try:
        yield process
    finally:
        process.kill()


Ask = Callable[[httpx.Client, random.Random], None]


@dataclass
class Traffic:
    """Clients that predict, promote and register until they are stopped; what they were answered."""

    site: Site
    seed: int
    statuses: Counter[str] = field(default_factory=Counter)
    prediction_ids: list[str] = field(default_factory=list)
    promotions: list[dict[str, Any]] = field(default_factory=list)
    registered: dict[str, str] = field(default_factory=dict)
    """Package hashes, by version."""
    refused: set[str] = field(default_factory=set)
    """Hashes of packages whose registration failed: perhaps after it was carried out."""
    troubles: list[str] = field(default_factory=list)
    """What nobody should have been answered."""

    @contextmanager
    def flowing(self) -> Iterator[None]:
        """Clients are at work inside the context; after it every request has been answered."""
        ended = threading.Event()
        asks: list[Ask] = [self._predict, self._predict, self._predict_batch, self._promote, self._register]
        threads = [
            threading.Thread(target=self._serve, args=(ask, self.seed + number, ended), daemon=True)
            for number, ask in enumerate(asks)
        ]
        self._numbers = itertools.count(1_000 * self.seed)
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            ended.set()
            for thread in threads:
                thread.join()

    def _serve(self, ask: Ask, seed: int, ended: threading.Event) -> None:
        rng = random.Random(seed)
        with httpx.Client(base_url=self.site.twin.url, headers=KEY, timeout=60) as client:
            while not ended.is_set():
                try:
                    ask(client, rng)
                except Exception as error:  # noqa: BLE001 - the test says so
                    self.troubles.append(repr(error))

    def _predict(self, client: httpx.Client, rng: random.Random) -> None:
        answer = client.get("/predict", params={"symbol": rng.choice(self.site.symbols)})
        if self._is_done("predict", answer):
            self.prediction_ids.append(answer.json()["prediction_id"])

    def _predict_batch(self, client: httpx.Client, rng: random.Random) -> None:
        answer = client.post("/predict/batch", json={"symbols": rng.sample(list(self.site.symbols), 3)})
        if self._is_done("batch", answer):
            made = [entry["prediction"] for entry in answer.json()["results"]]
            self.prediction_ids += [prediction["prediction_id"] for prediction in made if prediction]

    def _promote(self, client: httpx.Client, rng: random.Random) -> None:
        path = rng.choice([f"{MODEL}/rollback", *(f"activate/{version}" for version in self.site.passed)])
        answer = client.post(f"/models/{path}", json={})
        if self._is_done("promote", answer):
            self.promotions.append(answer.json())

    def _register(self, client: httpx.Client, rng: random.Random) -> None:
        """As a job does: it has no route."""
        made = package(next(self._numbers))
        try:
            version = self.site.through.registry.register(made, created_by="traffic")
        except PlatformUnavailable:
            self.statuses["register 503"] += 1
            self.refused.add(made.hash)
        else:
            self.statuses["register 200"] += 1
            self.registered[version.id] = made.hash
        time.sleep(_REGISTRATIONS_APART_SECONDS)

    def _is_done(self, act: str, answer: httpx.Response) -> bool:
        self.statuses[f"{act} {answer.status_code}"] += 1
        is_expected = answer.status_code in MAY_ANSWER
        if answer.status_code == 503:
            is_expected = answer.json()["retryable"]
        if not is_expected:
            self.troubles.append(f"{act}: {answer.status_code} {answer.text}")
        return answer.status_code == 200


def lost(state: Instance, prediction_ids: Collection[str], within_seconds: float = 60.0) -> set[str]:
    """Those that aren't in the audit, and don't come within that time."""
    left, end = set(prediction_ids), time.monotonic() + within_seconds
    while left and time.monotonic() < end:
        left = {one for one in left if state.platform.documents.get(COLLECTION, one) is None}
        time.sleep(0.1 if left else 0.0)
    return left
