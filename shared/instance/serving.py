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
    from shared.registry import Registry
    from shared.serving import MarketPredictor, Models
    from shared.serving.scoring_desk import ScoringDesk
    from shared.serving.scorings import Scorings
    from shared.training.desk import TrainingDesk


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
