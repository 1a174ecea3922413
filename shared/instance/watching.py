"""What is watched: predictions and their outcomes, drift, freshness, latency, and the reports on them."""

from __future__ import annotations

import time
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from shared.instance.serving import ServingParts

if TYPE_CHECKING:
    from shared.monitoring.audit import Audit
    from shared.monitoring.deadletters import DeadLetters
    from shared.monitoring.drift.checks import DriftChecks
    from shared.monitoring.drift.desk import DriftDesk
    from shared.monitoring.failures import DeliveryFailures
    from shared.monitoring.freshness import Freshness
    from shared.monitoring.history import History
    from shared.monitoring.latency import Measurements
    from shared.monitoring.latency.latencies import Latencies
    from shared.monitoring.lineage import Lineage
    from shared.monitoring.metrics.gauges import Gauges
    from shared.monitoring.outcomes import Outcomes
    from shared.monitoring.performance import Performance
    from shared.monitoring.quality import Quality
    from shared.monitoring.reports import ReportDesk, Reports
    from shared.monitoring.usage import Usages
    from shared.monitoring.verification import Verifier
    from shared.monitoring.watching import Watcher


class WatchingParts(ServingParts):
    @cached_property
    def measurements(self) -> Measurements:
        from shared.monitoring.latency import Measurements

        return Measurements(self.platform.events, self.platform.new_id)

    @cached_property
    def latencies(self) -> Latencies:
        from shared.monitoring.latency.latencies import Latencies

        return Latencies(self.platform.documents, self.platform.wall)

    @cached_property
    def gauges(self) -> Gauges:
        from shared.monitoring.metrics import providers
        from shared.monitoring.metrics.gauges import Gauges

        p = self.platform
        return Gauges(
            {
                "candles": lambda: providers.candle_gauges(self.freshness, p.now),
                "models": lambda: providers.model_gauges(self.freshness, self.registry),
                "latency": lambda: providers.latency_gauges(self.latencies),
                "drift": lambda: providers.drift_gauges(self.drift_checks, self.registry),
                "performance": lambda: providers.performance_gauges(self.history),
                "alerts": lambda: providers.alert_gauges(p.documents),
                "dead_letters": lambda: providers.dead_letter_gauges(self.dead_letters),
            },
            time.monotonic,
        )

    @cached_property
    def audit(self) -> Audit:
        from shared.monitoring.audit import Audit

        return Audit(self.platform.documents, self.platform.now)

    @cached_property
    def usages(self) -> Usages:
        from shared.monitoring.usage import Usages

        return Usages(self.latencies, self.audit, self.platform.now)

    @cached_property
    def outcomes(self) -> Outcomes:
        from shared.monitoring.outcomes import Outcomes

        return Outcomes(self.platform.documents, self.candle_store, self.registry, self.platform.now)

    @cached_property
    def performance(self) -> Performance:
        from shared.monitoring.performance import Performance

        return Performance(self.outcomes, self.registry, self.platform.now)

    @cached_property
    def lineage(self) -> Lineage:
        from shared.monitoring.lineage import Lineage
        from shared.training.runs import Runs

        runs = Runs(self.platform.documents, self.platform.now)
        return Lineage(self.registry, lambda run_id: runs.get(run_id).json())

    @cached_property
    def verifier(self) -> Verifier:
        from shared.monitoring.verification import Verifier
        from shared.serving.prediction import signal_of

        return Verifier(self.audit, self.registry, signal_of)

    @cached_property
    def history(self) -> History:
        from shared.monitoring.history import History

        return History(self.platform.documents)

    @cached_property
    def drift_checks(self) -> DriftChecks:
        from shared.monitoring.drift.checks import DriftChecks

        return DriftChecks(self.platform.documents)

    @cached_property
    def freshness(self) -> Freshness:
        from shared.market.calendar import calendar_named
        from shared.monitoring.freshness import CandleAges, CandleLimits, Freshness

        chosen, now = self.settings, self.platform.now
        candles = CandleAges(
            self.platform.documents,
            timeframe=chosen.timeframe,
            calendar=calendar_named(chosen.market_calendar),
            limits=CandleLimits(missed=chosen.candles_max_missed, grace_seconds=chosen.candles_grace_seconds),
            now=now,
        )
        return Freshness(
            candles,
            self.registry,
            self.drift_checks,
            model_age=timedelta(days=chosen.model_max_age_days),
            drift_check_age=timedelta(hours=chosen.drift_max_age_hours),
            now=now,
        )

    @cached_property
    def quality(self) -> Quality:
        from shared.market.calendar import calendar_named
        from shared.market.tallies import Tallies
        from shared.monitoring.quality import Quality

        chosen, p = self.settings, self.platform
        calendar = calendar_named(chosen.market_calendar)
        return Quality(Tallies(p.documents), timeframe=chosen.timeframe, calendar=calendar, now=p.now)

    @cached_property
    def watcher(self) -> Watcher:
        from shared.monitoring.watching import Causes, Watcher
        from shared.monitoring.watching.ages import FreshnessMonitor
        from shared.monitoring.watching.requests import ErrorMonitor, LatencyMonitor
        from shared.monitoring.watching.worth import PerformanceMonitor, QualityMonitor

        chosen, now = self.settings, self.platform.now
        monitors = (
            FreshnessMonitor(self.freshness),
            LatencyMonitor(self.latencies, chosen.latency_objective_ms),
            ErrorMonitor(self.latencies, chosen.error_ratio_objective),
            PerformanceMonitor(self.performance, self.registry, self.history, now),
            QualityMonitor(self.quality),
        )
        causes = Causes(self.platform.documents, self.alert_bell("//mlengine/watch"))
        return Watcher(monitors, self.history, causes)

    @cached_property
    def drift_desk(self) -> DriftDesk:
        from shared.monitoring.drift.announcing import SOURCE, Announcer
        from shared.monitoring.drift.desk import DriftDesk, DriftRules

        p = self.platform
        bell = self.alert_bell(SOURCE)
        return DriftDesk(
            self.registry,
            self.candle_store,
            self.audit,
            self.drift_checks,
            Announcer(self.drift_checks, bell, p.events, p.now),
            p.now,
            p.new_id,
            DriftRules(self.settings.drift_level, self.settings.drift_min_effect),
        )

    @cached_property
    def delivery_failures(self) -> DeliveryFailures:
        from shared.monitoring.failures import DeliveryFailures

        return DeliveryFailures(self.platform.documents, self.platform.wall)

    @cached_property
    def dead_letters(self) -> DeadLetters:
        from shared.monitoring.deadletters import SOURCE, DeadLetters
        from shared.platform.topics import TOPICS, with_exports

        p = self.platform
        bell, topics = self.alert_bell(SOURCE), with_exports(TOPICS)
        return DeadLetters(p.documents, p.events, bell, topics, p.now, wall=p.wall)

    @cached_property
    def reports(self) -> Reports:
        from shared.monitoring.reports import Reports

        p = self.platform
        return Reports(p.documents, p.blobs, p.now, wall=p.wall)

    @cached_property
    def report_desk(self) -> ReportDesk:
        from shared.monitoring.reports import ReportDesk

        p = self.platform
        return ReportDesk(self.reports, p.events, p.jobs, p.now, p.new_id)
