from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest
from numpy.typing import NDArray

from shared.config import Settings
from shared.jobs.champion import beside_market
from shared.jobs.packaging import market_package
from shared.market.candles import rfc3339
from shared.market.store import CandleStore
from shared.platform.ports import Platform
from shared.problems.market_signal import PROBLEM
from shared.registry import Package, Registry, Window
from shared.registry.package import EXAMPLES, MODEL, PROFILE, REPORT
from shared.training.market.run import TrainingResult, train
from shared.training.market.series import load_series
from shared.training.options import TrainingRequest


@pytest.fixture
def registry(platform: Platform) -> Registry:
    return Registry(platform.documents, platform.blobs, platform.events, platform.now, platform.new_id)


@pytest.fixture
def result(settings: Settings, platform: Platform) -> TrainingResult:
    request = TrainingRequest(candidates=["logistic_regression"], test_size=0.3)
    options = request.market_options(settings, PROBLEM)
    store = CandleStore(platform.documents, platform.blobs)
    return train(PROBLEM, load_series(store, options, "1d", lambda done, of: None), options)


def champion(result: TrainingResult, registry: Registry, *, sessions_ago: int, **changes: object) -> str:
    """The result's model goes live, as if its training had ended so many sessions before the last one."""
    package = market_package(result)
    stamps = sorted(set(result.dataset.timestamp.tolist()))
    end = rfc3339(stamps[-1 - sessions_ago])
    start = (datetime.fromisoformat(end) - timedelta(days=100)).strftime("%Y-%m-%dT%H:%M:%SZ")
    manifest = package.manifest.model_copy(update={"window": Window(start=start, end=end), **changes})
    parts = (package.file(name) for name in (MODEL, EXAMPLES, PROFILE, REPORT))
    names = ("model", "examples", "profile", "report")
    older = Package.build(manifest, **dict(zip(names, parts, strict=True)))
    version = registry.register(older, created_by="test")
    registry.activate(version.id, by="test", allow_failed_gates=True)
    return version.id


def saying(result: TrainingResult, score: NDArray[np.float64]) -> TrainingResult:
    """The same result, but for its scores on the hold-out."""
    hold_out = result.findings.hold_out
    changed = replace(hold_out, model=replace(hold_out.model, score=score))
    return replace(result, findings=replace(result.findings, hold_out=changed))


def turned_around(result: TrainingResult) -> TrainingResult:
    return saying(result, 1.0 - result.findings.hold_out.model.score)


def test_the_first_model_has_nobody_to_beat(result: TrainingResult, registry: Registry) -> None:
    assert beside_market(result, registry).is_better


def test_a_challenger_that_is_worse_on_unseen_sessions_is_beaten(
    result: TrainingResult, registry: Registry
) -> None:
    live = champion(result, registry, sessions_ago=60)
    verdict = beside_market(turned_around(result), registry)
    assert not verdict.is_better
    assert verdict.champion == live
    assert "59 sessions" in verdict.why


def test_a_draw_leaves_the_champion(result: TrainingResult, registry: Registry) -> None:
    live = champion(result, registry, sessions_ago=60)
    rows = result.dataset.x[result.hold_out_rows]
    score = registry.open_package(live).verified_scorer().score(rows)[:, 1].astype(np.float64)
    assert not beside_market(saying(result, score), registry).is_better


def test_with_too_few_sessions_unseen_by_both_its_own_gates_decide(
    result: TrainingResult, registry: Registry
) -> None:
    champion(result, registry, sessions_ago=10)
    verdict = beside_market(turned_around(result), registry)
    assert verdict.is_better
    assert "9 sessions" in verdict.why


def test_models_of_other_features_are_left_to_a_human(result: TrainingResult, registry: Registry) -> None:
    champion(result, registry, sessions_ago=60, feature_set_hash="0" * 64)
    assert not beside_market(result, registry).is_better
