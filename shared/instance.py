"""What one process holds: the settings, the platform, and each capability, made on first use.

The composition root of the capabilities. Imports stand inside the properties, so that a function
loads only what it uses.
"""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from shared.config import Settings, settings
from shared.logs import configure_logs
from shared.platform.clock import told
from shared.platform.connect import connect
from shared.platform.ports import Platform

if TYPE_CHECKING:
    from shared.access.accounts import Accounts
    from shared.access.admin_audit import AdminAudit
    from shared.access.api_keys import ApiKeys
    from shared.access.authenticator import Authenticator
    from shared.access.idempotency import IdempotencyKeys
    from shared.access.limits import Limits
    from shared.access.sessions import Sessions
    from shared.access.tokens import AccessTokens
    from shared.access.users import Users
    from shared.alerts.desk import AlertDesk
    from shared.alerts.ledger import AlertLedger
    from shared.alerts.notifier import Notifier
    from shared.alerts.raising import AlertBell
    from shared.alerts.routes import Routes
    from shared.market.desk import MarketDesk
    from shared.market.source import CandleSource
    from shared.market.store import CandleStore
    from shared.market.upstream import Upstream
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
    from shared.monitoring.verification import Verifier
    from shared.monitoring.watching import Watcher
    from shared.registry import Registry
    from shared.serving import MarketPredictor, Models
    from shared.serving.scoring_desk import ScoringDesk
    from shared.serving.scorings import Scorings
    from shared.training.desk import TrainingDesk


class Instance:
    """One process's parts. Everything in it is safe to share between requests."""

    def __init__(self, settings: Settings, platform: Platform) -> None:
        self.settings = settings
        self.platform = platform

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
    def trace_prefix(self) -> str:
        """What Cloud Logging wants in front of a trace's id; nothing where the project isn't known."""
        project = self.settings.google_cloud_project
        return f"projects/{project}/traces/" if project else ""

    @cached_property
    def upstream(self) -> Upstream:
        from shared.market.upstream import Upstream

        return Upstream(
            self.settings.market_data_url,
            timeout_seconds=self.settings.upstream_timeout_seconds,
            attempts=self.settings.upstream_attempts,
            max_bytes=self.settings.upstream_max_bytes,
            concurrency=self.settings.upstream_concurrency,
        )

    @cached_property
    def authenticator(self) -> Authenticator:
        from shared.access.authenticator import Authenticator

        parts = (self.api_keys, self.users, self.sessions, self.access_tokens)
        cache_seconds = self.settings.access_cache_seconds
        return Authenticator(
            *parts, cache_seconds=cache_seconds, now=self.platform.wall, monotonic=time.monotonic
        )

    @cached_property
    def api_keys(self) -> ApiKeys:
        from shared.access.api_keys import ApiKeys

        return ApiKeys(self.platform.documents, self.platform.wall)

    @cached_property
    def users(self) -> Users:
        from shared.access.users import Users

        return Users(self.platform.documents, self.platform.wall, self.platform.new_id)

    @cached_property
    def sessions(self) -> Sessions:
        from shared.access.sessions import Sessions

        return Sessions(self.platform.documents, self.platform.wall)

    @cached_property
    def access_tokens(self) -> AccessTokens:
        from shared.access.tokens import AccessTokens

        audience = f"mlengine:{self.settings.google_cloud_project or 'local'}"
        return AccessTokens(self.platform.secrets, audience, self.platform.wall)

    @cached_property
    def limits(self) -> Limits:
        from shared.access.limits import Limits

        settings, url = self.settings, self.settings.redis_url
        return Limits(
            requests=settings.rate_limit_requests,
            window_seconds=settings.rate_limit_window_seconds,
            redis_url=None if url is None else url.get_secret_value(),
        )

    @cached_property
    def idempotency_keys(self) -> IdempotencyKeys:
        from shared.access.idempotency import IdempotencyKeys

        return IdempotencyKeys(self.platform.documents, self.platform.wall)

    @cached_property
    def admin_audit(self) -> AdminAudit:
        from shared.access.admin_audit import AdminAudit

        return AdminAudit(self.platform.documents, self.platform.wall, self.platform.new_id)

    @cached_property
    def accounts(self) -> Accounts:
        from shared.access.accounts import Accounts
        from shared.access.backoff import LoginBackoff
        from shared.access.invitations import Invitations
        from shared.access.passwords import Passwords

        p = self.platform
        return Accounts(
            self.users,
            self.sessions,
            Invitations(p.documents, p.wall),
            self.access_tokens,
            Passwords(),
            LoginBackoff(p.documents, p.wall),
            p.secrets,
            self.settings.registration,
            p.wall,
        )

    @cached_property
    def candle_store(self) -> CandleStore:
        from shared.market.store import CandleStore

        return CandleStore(self.platform.documents, self.platform.blobs)

    @cached_property
    def candles(self) -> CandleSource:
        from shared.market.source import CandleSource

        return CandleSource(
            self.upstream,
            self.candle_store,
            timeframe=self.settings.timeframe,
            cache_seconds=self.settings.candle_cache_seconds,
            calendar=self.settings.market_calendar,
            now=self.platform.now,
            monotonic=time.monotonic,
        )

    @cached_property
    def market_desk(self) -> MarketDesk:
        from shared.market.desk import MarketDesk

        return MarketDesk(
            self.upstream,
            self.candle_store,
            self.candles,
            self.platform.events,
            self.settings.timeframe,
            self.settings.market_calendar,
            self.settings.upstream_concurrency,
            self.platform.now,
            self.platform.new_id,
        )

    @cached_property
    def registry(self) -> Registry:
        from shared.registry import Registry

        p = self.platform
        return Registry(p.documents, p.blobs, p.events, p.now, p.new_id)

    @cached_property
    def models(self) -> Models:
        from shared.serving import Models

        return Models(
            self.registry,
            cache_seconds=self.settings.model_cache_seconds,
            monotonic=time.monotonic,
            on_refused=self._alert_refused,
        )

    @cached_property
    def market_predictor(self) -> MarketPredictor:
        from shared.serving import MarketPredictor, Publisher
        from shared.serving.market import TOPIC

        return MarketPredictor(
            self.models,
            self.candles,
            Publisher(self.platform.events, TOPIC),
            no_trade_band=self.settings.no_trade_band,
            now=self.platform.now,
            new_id=self.platform.new_id,
        )

    @cached_property
    def audit(self) -> Audit:
        from shared.monitoring.audit import Audit

        return Audit(self.platform.documents, self.platform.now)

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

    def alert_bell(self, source: str) -> AlertBell:
        """For who raises alerts: `source` says who."""
        from shared.alerts.raising import AlertBell

        p = self.platform
        return AlertBell(p.events, p.now, p.new_id, source)

    @cached_property
    def alert_routes(self) -> Routes:
        """
        Raises:
            ConfigurationError: ALERT_ROUTES names what there isn't.
        """
        from shared.alerts.channels.table import CHANNELS
        from shared.alerts.routes import parse_routes
        from shared.alerts.types import TYPES

        return parse_routes(self.settings.alert_routes, types=TYPES, channels=CHANNELS)

    @cached_property
    def alert_ledger(self) -> AlertLedger:
        from shared.alerts.changes import Rules
        from shared.alerts.channels.table import HOLDING_INCIDENTS
        from shared.alerts.ledger import AlertLedger

        p, hours = self.platform, self.settings.alert_remind_hours
        remind_after = timedelta(hours=hours) if hours else None
        rules = Rules(self.alert_routes, HOLDING_INCIDENTS, remind_after)
        return AlertLedger(p.documents, p.events, rules, p.now)

    @cached_property
    def alert_desk(self) -> AlertDesk:
        from shared.alerts.desk import AlertDesk

        p = self.platform
        return AlertDesk(p.documents, p.events, self.alert_ledger, p.now, p.new_id)

    @cached_property
    def notifier(self) -> Notifier:
        from shared.alerts.channels.table import open_channels
        from shared.alerts.notifier import Notifier

        p, channels = self.platform, open_channels(self.settings, self.platform.secrets)
        return Notifier(p.documents, channels, p.now, mark="Replay: " if p.is_replay else "")

    @cached_property
    def training_desk(self) -> TrainingDesk:
        from shared.training.desk import TrainingDesk
        from shared.training.runs import Runs

        p = self.platform
        return TrainingDesk(Runs(p.documents, p.now, wall=p.wall), p.events, p.jobs, p.now, p.new_id)

    @cached_property
    def scorings(self) -> Scorings:
        from shared.serving.scorings import Scorings

        return Scorings(self.platform.documents, self.platform.now, wall=self.platform.wall)

    @cached_property
    def scoring_desk(self) -> ScoringDesk:
        from shared.serving.scoring_desk import ScoringDesk

        p = self.platform
        return ScoringDesk(self.scorings, self.registry, p.events, p.jobs, p.now, p.new_id)

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

    @property
    def replay_clock(self) -> str | None:
        """What answers say of the clock in a replay; None where it is the machine's."""
        replay_now = self.platform.replay_now
        return None if replay_now is None else told(replay_now)

    async def require_model(self) -> None:
        """
        Raises:
            NoActiveModel: no market model is active.
            PackageRefused: one is, but it doesn't verify, and no other may stand in.
        """
        from shared.serving.market import MARKET_MODEL

        await self.models.get(MARKET_MODEL)

    def _alert_refused(self, version_id: str, why: str) -> None:
        from shared.alerts.raising import Alert, Severity

        alert = Alert(
            type="package_refused",
            severity=Severity.CRITICAL,
            cause=version_id,
            title=f"The package of {version_id} was refused",
            body=why,
            facts={"model_id": version_id},
        )
        self.alert_bell("//mlengine/serving").ring(alert)


_lock = threading.Lock()
_current: Instance | None = None


def current_instance() -> Instance:
    """This process's instance, made from the environment on first use."""
    global _current
    if _current is None:
        with _lock:
            if _current is None:
                read = settings()
                platform = connect(read)
                configure_logs(read.log_level, replay_now=platform.replay_now)
                _current = Instance(read, platform)
    return _current


def use_instance(instance: Instance | None) -> None:
    """Let this process use `instance`: for a host that serves several functions. None forgets it."""
    global _current
    _current = instance
