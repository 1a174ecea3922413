"""What a month without a prediction uses up: schedules fire, and what is there is kept."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import Final

from infra.catalogue import Catalogue, Entry, Job, Schedule
from infra.cost.figures import Measurements
from infra.cost.instances import running, start_seconds
from infra.cost.parameters import HOURS, Assumptions, Design, Traffic
from infra.cost.prices import Use
from infra.cost.traffic import GIB, LEAST_MESSAGE_BYTES, PREDICT
from shared.monitoring.latency.measurements import TOPIC as MEASURED

CANDLES: Final = "candles.requested"
DRIFT: Final = "drift.requested"
WATCH: Final = "watch.requested"
TRAIN: Final = "train"

FOLLOWS: Final[Mapping[str, tuple[str, ...]]] = {CANDLES: ("candles.updated",)}
"""Topic -> the topics on which its takers always publish an event, besides what they have measured."""

_YEAR_BEGINS = datetime(2026, 1, 1, tzinfo=UTC)


def idle_uses(
    catalogue: Catalogue, measured: Measurements, traffic: Traffic, design: Design, assumed: Assumptions
) -> list[Use]:
    """Of `traffic` it takes the symbols and their candles only."""
    return list(_Idle(catalogue, measured, traffic, design, assumed).uses())


def firings(schedule: Schedule) -> float:
    """How often it fires a month, on the average of a year."""
    return _firings(schedule.cron)


@functools.cache
def _firings(cron: str) -> float:
    from cronsim import CronSim

    year_ends = _YEAR_BEGINS + timedelta(days=365)
    times = CronSim(cron, _YEAR_BEGINS - timedelta(seconds=1))
    return sum(1 for _ in takewhile(lambda time: time < year_ends, times)) / 12


@dataclass(frozen=True, slots=True)
class _Idle:
    catalogue: Catalogue
    measured: Measurements
    traffic: Traffic
    design: Design
    assumed: Assumptions

    def uses(self) -> Iterator[Use]:
        yield from self._images()
        yield from self._secrets()
        yield from self._state()
        yield from self._warm()
        for name, schedule in self.catalogue.schedules.items():
            yield from self._schedule(name, schedule)
        if self.design.front_door:
            yield from self._front_door()
        if self.design.alerts_charged:
            references = self.assumed.alert_references
            yield Use("alert_references", references, "alert policies")
            yield Use("alert_points", references * self.assumed.alert_points, "alert policies")

    def _images(self) -> Iterator[Use]:
        functions = len(self.catalogue.functions) * self.measured["function_image_bytes"]
        kept = self.assumed.base_image_bytes + functions * self.assumed.kept_function_images
        yield Use("artifacts", kept / GIB, "the functions' images")
        if self.catalogue.jobs:
            jobs = self.measured["jobs_image_bytes"] * self.assumed.kept_job_images
            yield Use("artifacts", (self.assumed.base_image_bytes + jobs) / GIB, "the jobs' images")

    def _secrets(self) -> Iterator[Use]:
        names = {name for workload in self.catalogue.workloads.values() for name in workload.secrets}
        yield Use("secret_versions", len(names), "secrets")

    def _state(self) -> Iterator[Use]:
        candles = self.traffic.symbols * self.traffic.candles * self.measured["candle_bytes"]
        yield Use("storage", candles / GIB, "candles")
        models = self.assumed.kept_models * self.measured["package_bytes"]
        yield Use("storage", models / GIB, "models")
        documents = self.traffic.symbols * (self.measured["tail_bytes"] + self.assumed.entry_bytes) / GIB
        yield Use("firestore_storage", documents, "documents of the symbols")
        if self.design.recovery:
            yield Use("firestore_recovery", documents, "documents of the symbols, as they were")
        kept = documents * self.design.backup_days
        yield Use("firestore_backups", kept, "documents of the symbols, backups")

    def _warm(self) -> Iterator[Use]:
        for name, entry in self.catalogue.functions.items():
            kept = max(entry.min_instances, self.design.warm_predicts if name == PREDICT else 0)
            seconds = kept * HOURS * 3_600
            yield Use("cloud_run_idle_cpu", seconds * entry.cpu, f"{name}, kept warm")
            yield Use("cloud_run_idle_memory", seconds * entry.memory_mb / 1_024, f"{name}, kept warm")

    def _schedule(self, name: str, schedule: Schedule) -> Iterator[Use]:
        what = f"schedule {name}"
        yield Use("scheduler_jobs", 1, what)
        yield from self._published(schedule.topic, firings(schedule), what)

    def _published(self, topic: str, times: float, what: str) -> Iterator[Use]:
        """Events on a topic, what their takers do, and what follows. Each taker starts, and each start ends
        in an event about what was measured: so instances that go on from one event to the next are counted
        twice rather than not at all.
        """
        takers = self.catalogue.subscriptions.get(topic, ())
        yield Use("pubsub_throughput", times * (1 + len(takers)) * LEAST_MESSAGE_BYTES / GIB, what)
        for taker in takers:
            entry = self.catalogue.functions[taker]
            yield Use("cloud_run_requests", times, what)
            yield Use("secret_reads", times * len(entry.secrets), what)
            lines = self.measured["audit_log_bytes"] + self.assumed.log_entry_bytes
            yield Use("logging", times * (lines + self.assumed.request_log_bytes) / GIB, what)
            yield from self._event(entry, topic, times, what)
            for job in entry.runs:
                yield from self._job(job, self.catalogue.jobs[job], times, f"{what}, job {job}")
            for follows in FOLLOWS.get(topic, ()):
                yield from self._published(follows, times, f"{what}, {follows}")
            if topic != MEASURED and MEASURED in entry.publishes:
                yield from self._published(MEASURED, times, f"{what}, measurements")

    def _event(self, entry: Entry, topic: str, times: float, what: str) -> Iterator[Use]:
        """A function that starts for one event."""
        reads = writes = self.assumed.event_operations
        blobs, seconds = 0.0, self.assumed.event_seconds
        symbols = self.traffic.symbols
        match topic:
            case _ if topic == CANDLES:
                reads += symbols * (1 + self.measured["ingest_reads"])  # the list of them is read first
                writes += symbols * self.measured["ingest_writes"]
                blobs += symbols * self.measured["ingest_blobs"]
                seconds += symbols * self._ingest_seconds() / self.assumed.ingest_at_once
            case _ if topic == WATCH:
                # at worst each symbol is stale, or has findings
                reads += self.measured["watch_reads"] + symbols
                writes += self.measured["watch_writes"]
                seconds += self.measured["watch_reads"] * self.assumed.read_seconds
            case _ if topic == DRIFT:
                reads += symbols * self.measured["drift_reads"]
                seconds += symbols * self.measured["drift_cpu_seconds"] * self.assumed.slower_processor
                seconds += symbols * self.measured["drift_reads"] * self.assumed.read_seconds
            case _ if topic == MEASURED:
                reads, writes = self.measured["measurement_reads"], self.measured["measurement_writes"]
                seconds = self.assumed.commit_seconds * writes + self.assumed.read_seconds * reads
        seconds += start_seconds(self.measured, self.assumed)
        yield from running(entry, times * seconds, what)
        yield Use("firestore_reads", times * reads, what)
        yield Use("firestore_writes", times * writes, what)
        yield Use("storage_writes", times * blobs, what)

    def _ingest_seconds(self) -> float:
        """Of one symbol."""
        reads = self.measured["ingest_reads"] * self.assumed.read_seconds
        blobs = self.measured["ingest_blobs"] * self.assumed.blob_seconds
        return reads + blobs + self.assumed.commit_seconds + self.assumed.upstream_seconds

    def _job(self, name: str, job: Job, times: float, what: str) -> Iterator[Use]:
        seconds = self.assumed.job_seconds
        if name == TRAIN:
            candles = self.traffic.symbols * self.traffic.candles
            processor = self.measured["train_cpu_seconds_per_million_candles"] * candles / 1e6
            seconds = max(seconds, processor * self.assumed.slower_processor)  # on one of its processors
            yield Use("firestore_reads", times * self.traffic.symbols, what)
            yield Use("storage_reads", times * self.traffic.symbols, what)
            yield Use("storage_writes", times * self.measured["package_blobs"], what)
        yield Use("cloud_run_job_cpu", times * seconds * job.cpu, what)
        yield Use("cloud_run_job_memory", times * seconds * job.memory_mb / 1_024, what)

    def _front_door(self) -> Iterator[Use]:
        yield Use("forwarding_rules", self.assumed.forwarding_rules_billed * HOURS, "front door")
        yield Use("armor_policies", 1, "front door")
        yield Use("armor_rules", self.assumed.armor_rules, "front door")
