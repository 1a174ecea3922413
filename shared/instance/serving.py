"""From candles to predictions: the market, models, training and scoring."""

from __future__ import annotations

import time
from functools import cached_property
from typing import TYPE_CHECKING

from shared.instance.alerting import AlertingParts

if TYPE_CHECKING:
    from shared.market.desk import MarketDesk
    from shared.market.source import CandleSource
    from shared.market.store import CandleStore
    from shared.market.upstream import Upstream
    from shared.problems.declared import Problems
    from shared.problems.declared.desk import ProblemDesk
    from shared.registry import Registry
    from shared.registry.visibility import Owners
    from shared.serving import MarketPredictor, Models
    from shared.serving.publisher import Publisher
    from shared.serving.scoring_desk import ScoringDesk
    from shared.serving.scorings import Scorings
    from shared.serving.tabular import TabularPredictor
    from shared.training.desk import TrainingDesk
    from shared.uploads import UploadDesk
    from shared.uploads.uploads import Uploads


class ServingParts(AlertingParts):
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
    def model_owners(self) -> Owners:
        from shared.registry.visibility import Owners

        return Owners(self.platform.documents)

    @cached_property
    def models(self) -> Models:
        from shared.serving import Models

        return Models(
            self.registry,
            cache_seconds=self.settings.model_cache_seconds,
            budget_bytes=self.settings.model_memory_mb * 1_000_000,
            monotonic=time.monotonic,
            on_refused=self._alert_refused,
        )

    @cached_property
    def prediction_publisher(self) -> Publisher:
        from shared.serving.publisher import TOPIC, Publisher

        return Publisher(self.platform.events, TOPIC)

    @cached_property
    def market_predictor(self) -> MarketPredictor:
        from shared.serving import MarketPredictor

        return MarketPredictor(
            self.models,
            self.candles,
            self.prediction_publisher,
            no_trade_band=self.settings.no_trade_band,
            now=self.platform.now,
            new_id=self.platform.new_id,
        )

    @cached_property
    def tabular_predictor(self) -> TabularPredictor:
        from shared.serving.tabular import TabularPredictor

        return TabularPredictor(
            self.models,
            self.prediction_publisher,
            max_rows=self.settings.batch_max_rows,
            now=self.platform.now,
            new_id=self.platform.new_id,
        )

    @cached_property
    def problems(self) -> Problems:
        from shared.problems.declared import Problems

        return Problems(self.platform.documents)

    @cached_property
    def problem_desk(self) -> ProblemDesk:
        from shared.problems.declared.desk import ProblemDesk
        from shared.registry.versions import TRAINED

        p, registry = self.platform, self.registry
        return ProblemDesk(
            self.problems,
            p.blobs,
            p.schedules,
            is_live=lambda name: registry.active(name) is not None,
            require_free=lambda name: registry.require_free(name, origin=TRAINED, owner=None),
            now=p.now,
        )

    @cached_property
    def training_desk(self) -> TrainingDesk:
        from shared.training.desk import TrainingDesk
        from shared.training.runs import Runs
        from shared.training.search.records import SearchRecords

        p = self.platform
        runs, searches = Runs(p.documents, p.now, wall=p.wall), SearchRecords(p.documents)
        return TrainingDesk(runs, p.events, p.jobs, searches, p.now, p.new_id)

    @cached_property
    def scorings(self) -> Scorings:
        from shared.serving.scorings import Scorings

        return Scorings(self.platform.documents, self.platform.now, wall=self.platform.wall)

    @cached_property
    def scoring_desk(self) -> ScoringDesk:
        from shared.serving.scoring_desk import ScoringDesk

        p = self.platform
        return ScoringDesk(self.scorings, self.registry, p.blobs, p.events, p.jobs, p.now, p.new_id)

    @cached_property
    def uploads(self) -> Uploads:
        from shared.uploads.uploads import Uploads

        return Uploads(self.platform.documents, self.platform.now, wall=self.platform.wall)

    @cached_property
    def upload_desk(self) -> UploadDesk:
        from shared.uploads import UploadDesk

        p, problems = self.platform, self.problems
        return UploadDesk(
            self.uploads,
            self.registry,
            p.blobs,
            p.events,
            p.jobs,
            p.now,
            p.new_id,
            lambda name: problems.of_model(name) is not None,
        )

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
