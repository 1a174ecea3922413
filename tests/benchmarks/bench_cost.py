"""What a prediction uses up: the figures that the cost model multiplies with prices.

    python -m tests.benchmarks.bench_cost [--write] [--rounds 5] [--cache DIR]

`predict` and `audit` run as they deploy, on the emulators of Firestore and Pub/Sub, asked one request at a
time: so a publication and a commit carry one event each, which is the most that they can cost. Sizes are
those of what went over the wire or into the emulators; operations are counted at the ports. Packages are
installed and compressed as a layer of an image is. `--write` keeps the figures in `infra/measurements.yaml`.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import json
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from infra.catalogue import ROOT, read_catalogue, source_of
from infra.cost.figures import MEASUREMENTS_FILE, Figure, Measurements, read_measurements, write_measurements
from infra.cost.firestore import field_bytes
from infra.local.sample import sample_upstream
from shared.config import Settings, load_settings
from shared.instance import Instance
from shared.market.store import TAILS
from shared.monitoring.latency.measured import Measured
from shared.monitoring.warehouse.rows import Row, row_of
from shared.platform.connect import connect
from shared.platform.gcp.project import Project
from shared.platform.ports import Event, Platform
from shared.serving.market import MARKET_MODEL
from tests.benchmarks.bench_platforms import emulators
from tests.benchmarks.contestants import delivery, deployed, ours
from tests.benchmarks.counting import Operations, counted
from tests.benchmarks.servers import Launch, Server, cores
from tests.benchmarks.state import prepare

COMMAND = "python -m tests.benchmarks.bench_cost --write"
SAMPLE_PORT = 18_083
WARM_UP = 300
SYMBOL = "AAPL"
JOBS_LOCK = ROOT / "infra" / "requirements" / "jobs.txt"
_INGESTED_UNTIL = int(datetime(2013, 1, 1, tzinfo=UTC).timestamp())


class Notebook:
    """Gathers the figures, each with how it was found."""

    def __init__(self) -> None:
        self.figures: dict[str, Figure] = {}
        self._today = datetime.now(UTC).date()

    def note(self, name: str, value: float, unit: str, how: str) -> None:
        self.figures[name] = Figure(
            value=round(value, 4), unit=unit, when=self._today, how=how, command=COMMAND
        )


def run(rounds: int, requests: int, cache: Path, on_step: Callable[[str], object]) -> Measurements:
    """Measure everything."""
    cache.mkdir(parents=True, exist_ok=True)
    book = Notebook()
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=cache, prefix="run-")))
        upstream = stack.enter_context(sample_upstream("127.0.0.1", SAMPLE_PORT))
        on_step("counting operations and bytes of the state")
        _count(work / "counted", upstream, book)
        on_step("starting the emulators, with candles and a model in them")
        settings = emulators(stack, work)
        prepare(work, upstream, **settings)
        environment = {name.upper(): value for name, value in settings.items()}
        project = Project.of(load_settings(**settings))
        predict = ours(cache, work, work, upstream, name="predict", settings=environment)
        on_step("predict")
        message = _predict(predict, project, work, rounds, requests, book)
        on_step("predict, every candle asked for")
        missing = replace(predict, environment={**predict.environment, "CANDLE_CACHE_SECONDS": "0"})
        cpu_ms, _ = _asked(missing, work / "missing.log", rounds, requests)
        how = "processor time of the deployed process (psutil) a request, one at a time; the candles"
        book.note(
            "predict_miss_cpu_ms", cpu_ms, "ms", f"{how} are asked for at each (CANDLE_CACHE_SECONDS=0)"
        )
        on_step("audit")
        body = {"message": message, "subscription": f"projects/{project.id}/subscriptions/audit"}
        audit = deployed(cache, work, "audit", delivery(body), environment, name="audit")
        fields = _audit(audit, project, message, work, rounds, requests, book)
        on_step("installing and compressing the packages of every function and of the jobs")
        _images(work, book)
    return Measurements(figures=book.figures, audit_fields=fields)


def _predict(
    launch: Launch, project: Project, work: Path, rounds: int, requests: int, book: Notebook
) -> dict[str, Any]:
    """Gives the Pub/Sub message of one prediction."""
    log = work / "predict.log"
    cpu_ms, start_seconds = _asked(launch, log, rounds, requests)
    how = "processor time of the deployed process (psutil) a request, one at a time; the candles"
    book.note("predict_cpu_ms", cpu_ms, "ms", f"{how} are in memory but for one in CANDLE_CACHE_SECONDS")
    with Server(launch, log) as server:
        server.first_answer_seconds()
        book.note(
            "answer_bytes", server.answer_bytes(), "bytes", "head and body of an answer of GET /predict"
        )
    book.note("start_seconds", start_seconds, "s", "from the start of predict's process to its first 200")
    book.note(
        "predict_log_bytes", _log_line_bytes(log, "/predict"), "bytes", "the line in predict's log, a request"
    )
    message = _pulled(project)
    data = json.loads(_decoded(message))
    book.note(
        "event_bytes", _message_bytes(message), "bytes", "the message as Pub/Sub bills it (see its docs)"
    )
    book.note("row_bytes", _row_bytes(row_of(data)), "bytes", "the row as BigQuery counts logical bytes")
    return message


def _audit(
    launch: Launch,
    project: Project,
    message: Mapping[str, Any],
    work: Path,
    rounds: int,
    requests: int,
    book: Notebook,
) -> dict[str, int]:
    """Gives the bytes of each field of the audit's document, as Firestore counts them."""
    log = work / "audit.log"
    cpu_ms, _ = _asked(launch, log, rounds, requests)
    book.note(
        "audit_cpu_ms",
        cpu_ms,
        "ms",
        "processor time of the deployed process (psutil) a delivery of one event",
    )
    book.note("audit_log_bytes", _log_line_bytes(log, "/"), "bytes", "the line in audit's log, a delivery")
    key = message["attributes"]["ce-id"]
    database = f"projects/{project.id}/databases/(default)/documents"
    answer = httpx.get(f"{project.firestore_url}/v1/{database}/predictions/{key}", timeout=10)
    stored = answer.raise_for_status().json()["fields"]
    return {name: field_bytes(name, value) for name, value in sorted(stored.items())}


def _asked(launch: Launch, log: Path, rounds: int, requests: int) -> tuple[float, float]:
    """Milliseconds of processor time a request, and seconds of a start: medians of the rounds, each in a
    process of its own."""
    server_core, load_core = cores()
    cpu_ms, start_seconds = [], []
    for _ in range(rounds):
        with Server(launch, log, core=server_core) as server:
            start_seconds.append(server.first_answer_seconds())
            server.load(connections=1, requests=WARM_UP, core=load_core)
            load = server.load(connections=1, requests=requests, core=load_core)
            cpu_ms.append(load.cpu_seconds / load.answered * 1_000)
    return statistics.median(cpu_ms), statistics.median(start_seconds)


def _log_line_bytes(log: Path, path: str) -> float:
    """The median of the lines about requests of `path`, each with its end."""
    lines = [line for line in log.read_bytes().splitlines() if line.startswith(b"{")]
    sizes = [len(line) + 1 for line in lines if json.loads(line).get("path") == path]
    return statistics.median(sizes)


def _pulled(project: Project) -> dict[str, Any]:
    """A message from the audit's subscription."""
    url = f"{project.pubsub_url}/v1/projects/{project.id}/subscriptions/audit:pull"
    answer = httpx.post(url, json={"maxMessages": 1}, timeout=10)
    message: dict[str, Any] = answer.raise_for_status().json()["receivedMessages"][0]["message"]
    return message


def _decoded(message: Mapping[str, Any]) -> bytes:
    return base64.b64decode(message["data"])


def _message_bytes(message: Mapping[str, Any]) -> int:
    """Data, attributes, the message's id and 20 bytes for its time.

    Source: https://cloud.google.com/pubsub/pricing
    """
    attributes = sum(len(name.encode()) + len(text.encode()) for name, text in message["attributes"].items())
    return len(_decoded(message)) + attributes + len(message["messageId"]) + 20


def _row_bytes(row: Row) -> int:
    """Source: https://cloud.google.com/bigquery/pricing#data"""
    return sum(_column_bytes(value) for value in row.values())


def _column_bytes(value: object) -> int:
    if value is None:
        return 0
    if isinstance(value, bool):
        return 1
    return 2 + len(value.encode()) if isinstance(value, str) else 8


def _count(folder: Path, upstream: str, book: Notebook) -> None:
    """What the state of one symbol and one model takes, and how many operations change and read it."""
    folder.mkdir()
    home = prepare(folder, upstream).home
    settings = load_settings(mlengine_home=home, market_data_url=upstream)
    platform = connect(settings)
    rows = sum(entry.rows for entry in Instance(settings, platform).candle_store.entries(settings.timeframe))
    parts = sum(blob.size_bytes for blob in platform.blobs.list("candles/"))
    packages = [blob for blob in platform.blobs.list("") if not blob.name.startswith("candles/")]
    tail = platform.documents.get(TAILS, f"{settings.timeframe}:{SYMBOL}")
    assert tail is not None
    note = book.note
    note("candle_bytes", parts / rows, "bytes", "Parquet of the sample candles, a candle")
    note(
        "tail_bytes", len(json.dumps(tail.data)), "bytes", "the document of a symbol's last candles, as JSON"
    )
    note("package_bytes", sum(b.size_bytes for b in packages), "bytes", "the package of a model of 200 trees")
    note("package_blobs", len(packages), "objects", "the package of a model")

    _watch(settings, platform, book)
    platform, seen = counted(platform)
    always_asked = load_settings(mlengine_home=home, market_data_url=upstream, model_cache_seconds=0)
    asyncio.run(_serve(Instance(always_asked, platform), seen, book))
    _daily(load_settings(mlengine_home=folder / "daily", market_data_url=upstream), book)


def _watch(settings: Settings, platform: Platform, book: Notebook) -> None:
    """What the schedules that watch read and write, where nobody has predicted."""
    symbols = len(Instance(settings, platform).candle_store.symbols(settings.timeframe))
    counting, seen = counted(platform)
    instance = Instance(settings, counting)
    instance.watcher.run("measured", platform.now())
    book.note("watch_reads", seen.reads, "reads", f"documents read by a watch of {symbols} symbols")
    book.note("watch_writes", seen.writes, "writes", f"documents written by a watch of {symbols} symbols")
    counting, seen = counted(platform)
    event = Event("measured", "//mlengine/benchmark", "drift.requested", platform.now(), {})
    started = time.process_time()
    checks = Instance(settings, counting).drift_desk.handle(event, None)
    processor = time.process_time() - started
    assert checks
    what = "by a check of one model for drift, a symbol"
    book.note("drift_reads", seen.reads / symbols, "reads", f"documents read {what}")
    book.note("drift_blobs", seen.blobs_read / symbols, "reads", f"blobs read {what}")
    book.note("drift_cpu_seconds", processor / symbols, "s", f"processor time {what}")
    _measure(settings, platform, book)


def _measure(settings: Settings, platform: Platform, book: Notebook) -> None:
    """What becomes of what an instance has measured: one event, merged into its intervals' documents."""
    teller = Instance(settings, replace(platform, events=(told := _Told())))
    teller.measurements.record("predict", "GET /predict", 200, "market-signal-v1", 1.0)
    teller.measurements.record_cold_start("predict", 1_000.0)
    teller.measurements.publish()
    (event,) = told.events
    counting, seen = counted(platform)
    Instance(settings, counting).latencies.merge([(event, Measured.model_validate_json(_json(event)))])
    book.note("measurement_reads", seen.reads, "reads", "documents read to merge what an instance measured")
    book.note("measurement_writes", seen.writes, "writes", "documents written to merge it")
    book.note("measurement_bytes", len(_json(event)), "bytes", "what an instance tells of one route, as JSON")


class _Told:
    """Keeps what is published."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def publish(self, topic: str, events: Sequence[Event]) -> None:
        self.events += events


def _json(event: Event) -> str:
    return json.dumps(dict(event.data))


async def _serve(instance: Instance, seen: Operations, book: Notebook) -> None:
    """What a new process reads before its first prediction, and what later ones read."""
    await instance.models.get(MARKET_MODEL)
    book.note("model_reads", seen.reads, "reads", "documents read until the model is loaded")
    book.note("model_blobs", seen.blobs_read, "reads", "blobs read until the model is loaded")
    before = seen.reads
    await instance.models.get(MARKET_MODEL)
    book.note("pointer_reads", seen.reads - before, "reads", "documents read to see which model is live")
    before = seen.reads
    await instance.candles.latest(SYMBOL, 1)
    book.note("candles_reads", seen.reads - before, "reads", "documents read where candles aren't in memory")
    await instance.upstream.aclose()


def _daily(settings: Settings, book: Notebook) -> None:
    """A day's ingest: what is added to a symbol that has candles already."""
    platform = connect(settings)

    async def ingest(platform: Platform, end: int | None) -> None:
        instance = Instance(settings, platform)
        report = await instance.market_desk.ingest((SYMBOL,), end=end)
        assert report.added, report
        await instance.upstream.aclose()

    asyncio.run(ingest(platform, _INGESTED_UNTIL))
    platform, seen = counted(platform)
    asyncio.run(ingest(platform, None))
    how = "for new candles of a symbol that has some"
    book.note("ingest_reads", seen.reads, "reads", f"documents read {how}")
    book.note("ingest_writes", seen.writes, "writes", f"documents written {how}")
    book.note("ingest_blobs", seen.blobs_written, "writes", f"blobs written {how}")


def _images(work: Path, book: Notebook) -> None:
    """Each function's packages; those with the same lock share a layer's size, not the layer."""
    sizes: dict[str, int] = {}
    total = 0
    names = list(read_catalogue().functions)
    for name in names:
        lock = source_of(name).with_name("requirements.txt")
        key = hashlib.sha256(lock.read_bytes()).hexdigest()
        if key not in sizes:
            sizes[key] = _layer_bytes(lock, work)
        total += sizes[key]
    book.note(
        "function_image_bytes", total / len(names), "bytes", "a function's packages, compressed: the mean"
    )
    book.note(
        "jobs_image_bytes",
        _layer_bytes(JOBS_LOCK, work),
        "bytes",
        f"the packages of {JOBS_LOCK.name}, compressed",
    )


def _layer_bytes(lock: Path, work: Path) -> int:
    with tempfile.TemporaryDirectory(dir=work) as folder:
        target = Path(folder) / "packages"
        command = [str(Path(sys.executable).with_name("uv")), "pip", "install", "--quiet"]
        command += ["--target", str(target), "--python", sys.executable, "--require-hashes", "-r", str(lock)]
        subprocess.run(command, check=True)
        layer = Path(folder) / "layer.tar.gz"
        with tarfile.open(layer, "w:gz", compresslevel=6) as archive:
            archive.add(target, arcname="packages")
        return layer.stat().st_size


def report(measurements: Measurements) -> str:
    lines = [
        f"{name:<24}{figure.value:>16,.3f} {figure.unit:<8} {figure.how}"
        for name, figure in measurements.figures.items()
    ]
    sizes = ", ".join(f"{name} {size}" for name, size in measurements.audit_fields.items())
    return "\n".join([*lines, "", f"audit document, bytes of each field: {sizes}"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--write", action="store_true", help=f"keep the figures in {MEASUREMENTS_FILE.name}")
    parser.add_argument("--cache", type=Path, help="folder of environments; kept, and used again")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=2_000, help="a round")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mlengine-bench-") as temporary:
        cache = arguments.cache or Path(temporary)
        found = run(arguments.rounds, arguments.requests, cache, lambda step: sys.stderr.write(f"{step}\n"))
    if arguments.write:
        known = read_measurements().figures
        write_measurements(found.model_copy(update={"figures": {**known, **found.figures}}))
    sys.stdout.write(report(found) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
