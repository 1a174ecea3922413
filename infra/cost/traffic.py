"""What predictions use up."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Final

from infra.catalogue import Catalogue, Entry
from infra.cost.figures import Measurements
from infra.cost.firestore import Indexes, document_bytes, index_bytes, name_bytes, text_bytes
from infra.cost.instances import Work, active_seconds, instances, rounded_up, running, start_seconds, starts
from infra.cost.parameters import Assumptions, Design, Traffic
from infra.cost.prices import Use
from shared.monitoring.audit import COLLECTION
from shared.monitoring.latency.measurements import INTERVAL_SECONDS
from shared.monitoring.latency.measurements import TOPIC as MEASURED
from shared.serving.publisher import TOPIC

GIB: Final = 2**30
LEAST_MESSAGE_BYTES: Final = 1_000
"""What Pub/Sub bills at least for a request."""

PREDICT: Final = "predict"
AUDIT: Final = "audit"


def traffic_uses(
    catalogue: Catalogue, measured: Measurements, traffic: Traffic, design: Design, assumed: Assumptions
) -> list[Use]:
    """All that grows with the predictions. What is stored is counted for one month."""
    return list(_Month(catalogue, measured, traffic, design, assumed).uses())


@dataclass(frozen=True, slots=True)
class _Month:
    catalogue: Catalogue
    measured: Measurements
    traffic: Traffic
    design: Design
    assumed: Assumptions

    def uses(self) -> Iterator[Use]:
        yield from self._predict(self.catalogue.functions[PREDICT])
        yield from self._events()
        for name in self.catalogue.subscriptions.get(TOPIC, ()):
            if name != AUDIT or self.design.audit_documents:
                yield from self.delivery(name, self.catalogue.functions[name])
        yield from self._measurements()
        if self.design.audit_documents:
            yield from self._documents()
        if self.design.audit_rows:
            yield Use("bigquery_storage", self._gib("row_bytes"), "rows of the warehouse")
        if self.design.front_door:
            yield from self._front_door()

    def _predict(self, entry: Entry) -> Iterator[Use]:
        count = instances(entry, self.traffic, self._prediction(1, 1), self.assumed)
        candles = self._missed(self.traffic.candle_cache_seconds, count * self.traffic.symbols)
        pointer = self._missed(self.traffic.model_cache_seconds, count)
        work = self._prediction(candles, pointer)
        predictions = self.traffic.predictions
        yield from self._served(PREDICT, entry, work, count, warm=self.design.warm_predicts)
        yield from self._logged(PREDICT, "predict_log_bytes")
        yield Use("firestore_reads", predictions * candles * self.measured["candles_reads"], "candles")
        yield Use(
            "firestore_reads", predictions * pointer * self.measured["pointer_reads"], "which model is live"
        )
        begun = starts(self.traffic, count, self.assumed)
        yield Use("firestore_reads", begun * self.measured["model_reads"], "the model, at starts")
        yield Use("storage_reads", begun * self.measured["model_blobs"], "the model, at starts")
        yield Use("internet", self._gib("answer_bytes"), "answers")
        asked = predictions * candles * self.assumed.upstream_request_bytes / GIB
        yield Use("internet", asked, "questions to the upstream")

    def _prediction(self, candles: float, pointer: float) -> Work:
        """The mean, where such shares of the requests miss the caches of candles and of the live model."""
        hit, miss = self.measured["predict_cpu_ms"], self.measured["predict_miss_cpu_ms"]
        processor = {False: self._processor(hit), True: self._processor(miss)}
        clock = billed = 0.0
        for asks, looks in product((False, True), repeat=2):
            share = (candles if asks else 1 - candles) * (pointer if looks else 1 - pointer)
            seconds = processor[asks] + self.assumed.publish_seconds
            seconds += (self.assumed.read_seconds + self.assumed.upstream_seconds) * asks
            seconds += self.assumed.read_seconds * looks
            clock += share * seconds
            billed += share * rounded_up(seconds, self.assumed.billed_step_seconds)
        return Work(candles * processor[True] + (1 - candles) * processor[False], clock, billed)

    def _missed(self, cache_seconds: float, caches: int) -> float:
        """The share of requests that find their cache too old, where they are divided among so many."""
        return 1 / (1 + self.traffic.each_second * cache_seconds / caches)

    def _events(self) -> Iterator[Use]:
        sent = max(self.measured["event_bytes"], LEAST_MESSAGE_BYTES) * self.traffic.predictions / GIB
        yield Use("pubsub_throughput", sent, "events published")
        for name in self.catalogue.subscriptions.get(TOPIC, ()):
            if name != AUDIT or self.design.audit_documents:
                yield Use("pubsub_throughput", sent, f"events delivered to {name}")
        if self.design.audit_rows:
            yield Use("pubsub_bigquery", sent, "events delivered to the warehouse")

    def delivery(self, name: str, entry: Entry) -> Iterator[Use]:
        """One event each, as Pub/Sub pushes them. Who isn't the audit is taken to do as much as it."""
        work = self._handling()
        count = instances(entry, self.traffic, work, self.assumed)
        yield from self._served(name, entry, work, count)
        yield from self._logged(name, "audit_log_bytes")

    def _handling(self) -> Work:
        processor = self._processor(self.measured["audit_cpu_ms"])
        clock = processor + self.assumed.commit_seconds
        return Work(processor, clock, rounded_up(clock, self.assumed.billed_step_seconds))

    def _measurements(self) -> Iterator[Use]:
        """What instances tell of their requests: one event a minute in which they had some."""
        told = 0.0
        for name in (PREDICT, *self.catalogue.subscriptions.get(TOPIC, ())):
            entry = self.catalogue.functions[name]
            if MEASURED in entry.publishes and (name != AUDIT or self.design.audit_documents):
                told += self._minutes(entry, name)
        if not told:
            return
        takers = self.catalogue.subscriptions.get(MEASURED, ())
        sent = max(self.measured["measurement_bytes"], LEAST_MESSAGE_BYTES) * told / GIB
        yield Use("pubsub_throughput", sent * (1 + len(takers)), "measurements")
        events = replace(self, traffic=self.traffic.model_copy(update={"predictions": told}))
        for name in takers:
            yield from events.delivery(name, self.catalogue.functions[name])
            reads, writes = self.measured["measurement_reads"], self.measured["measurement_writes"]
            yield Use("firestore_reads", told * reads, f"{name}, measurements")
            yield Use("firestore_writes", told * writes, f"{name}, measurements")

    def _minutes(self, entry: Entry, name: str) -> float:
        """Minutes of instances in which requests came."""
        work = self._prediction(1, 1) if name == PREDICT else self._handling()
        count = instances(entry, self.traffic, work, self.assumed)
        each = self.traffic.each_second * INTERVAL_SECONDS / count
        return count * self.traffic.seconds / INTERVAL_SECONDS * -math.expm1(-each)

    def _served(self, name: str, entry: Entry, work: Work, count: int, *, warm: int = 0) -> Iterator[Use]:
        yield Use("cloud_run_requests", self.traffic.predictions, name)
        yield from running(entry, active_seconds(self.traffic, work, count), name)
        if not max(warm, entry.min_instances):
            begun = starts(self.traffic, count, self.assumed)
            yield from running(entry, begun * start_seconds(self.measured, self.assumed), f"{name}, starts")
            yield Use("secret_reads", begun * len(entry.secrets), f"{name}, starts")

    def _logged(self, name: str, line: str) -> Iterator[Use]:
        line_bytes = self.measured[line] + self.assumed.log_entry_bytes
        predictions = self.traffic.predictions
        yield Use("logging", predictions * self.design.logged_share * line_bytes / GIB, f"{name}, its lines")
        if self.design.request_logs:
            own = predictions * self.assumed.request_log_bytes / GIB
            yield Use("logging", own, f"{name}, Cloud Run's lines")

    def _documents(self) -> Iterator[Use]:
        predictions = self.traffic.predictions
        yield Use("firestore_writes", predictions, "the audit's documents")
        documents, entries = audit_bytes(self.measured, every_field=self.design.every_field_indexed)
        for size, what in ((documents, "the audit's documents"), (entries, "the audit's index entries")):
            stored = predictions * size / GIB
            yield Use("firestore_storage", stored, what)
            if self.design.recovery:
                yield Use("firestore_recovery", stored, f"{what}, as they were")
            yield Use("firestore_backups", stored * self.design.backup_days, f"{what}, backups")

    def _front_door(self) -> Iterator[Use]:
        predictions = self.traffic.predictions
        yield Use("armor_requests", predictions, "requests")
        yield Use("balanced_data", predictions * self.assumed.request_bytes / GIB, "requests")
        yield Use("balanced_data", self._gib("answer_bytes"), "answers")
        logged = predictions * self.assumed.balanced_log_share * self.assumed.request_log_bytes / GIB
        yield Use("logging", logged, "the load balancer's lines")

    def _gib(self, name: str) -> float:
        """So many bytes a prediction."""
        return self.traffic.predictions * self.measured[name] / GIB

    def _processor(self, milliseconds: float) -> float:
        return milliseconds / 1_000 * self.assumed.slower_processor


def audit_bytes(measured: Measurements, *, every_field: bool) -> tuple[int, int]:
    """Of a document of the audit, and of its index entries."""
    fields = measured.audit_fields
    id_bytes = fields["prediction_id"] - text_bytes("prediction_id")
    name = name_bytes(COLLECTION, "") - text_bytes("") + id_bytes
    indexes = Indexes(COLLECTION)
    single = list(fields) if every_field else indexes.single(fields)
    return document_bytes(name, fields), index_bytes(name, fields, single, indexes.composite)
