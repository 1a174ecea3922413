"""What `predict` needs: ingested sample candles and a live model of 200 trees, made by the real code."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from lightgbm import LGBMClassifier
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline

from shared.config import load_settings
from shared.drift.profile import build_profile
from shared.features import feature_set
from shared.instance import Instance
from shared.platform.connect import connect
from shared.platform.local.events import SqliteEvents
from shared.problems.market_signal import PROBLEM as MARKET_SIGNAL
from shared.registry import Manifest, Package, build_examples
from shared.registry.scorer import Scorer
from shared.training.export import export
from shared.training.fitted import FittedModel
from shared.training.market.dataset import Dataset, build_dataset
from shared.training.market.series import load_series
from shared.training.options import MarketOptions

TREES = 200
LEAVES = 31
VALIDATION_ROWS = 2_000


@dataclass(frozen=True, slots=True)
class State:
    """The state folder, and a file of the rows that its model was fitted on (`x`, `y`), for the peers'."""

    home: Path
    rows: Path
    features: int

    def audited(self) -> int:
        """How many predictions are in the audit's queue: every one since `prepare`, as nothing takes them."""
        events = connect(load_settings(mlengine_home=self.home)).events
        assert isinstance(events, SqliteEvents)
        return events.depths()["audit"].pending


def prepare(work: Path, upstream_url: str, **settings: Any) -> State:
    """Ingest, fit, export, register, activate; on the twin's own parts, unless `settings` say otherwise."""
    home = work / "home"
    chosen = load_settings(mlengine_home=home, market_data_url=upstream_url, **settings)
    instance = Instance(chosen, connect(chosen))
    asyncio.run(_ingest(instance))
    dataset = _dataset(instance)
    rows = work / "rows.npz"
    np.savez(rows, x=dataset.x, y=dataset.y)
    version = instance.registry.register(package(dataset), created_by="benchmark")
    instance.registry.activate(version.id, by="benchmark", reason="to be measured")
    return State(home, rows, dataset.x.shape[1])


async def _ingest(instance: Instance) -> None:
    report = await instance.market_desk.ingest(())
    if report.failed or not report.added:
        raise SystemExit(f"the sample candles could not be ingested: {report}")
    await instance.upstream.aclose()


def _dataset(instance: Instance) -> Dataset:
    timeframe = instance.settings.timeframe
    series = load_series(instance.candle_store, MarketOptions(), timeframe, lambda done, of: None)
    return build_dataset(series, feature_set(MARKET_SIGNAL.feature_set), horizon=1)


def package(dataset: Dataset) -> Package:
    """A model of the size that is measured. It passes no judgement on markets: it has no gates."""
    parameters = {"n_estimators": TREES, "num_leaves": LEAVES}
    classifier = LGBMClassifier(n_estimators=TREES, num_leaves=LEAVES, n_jobs=1, random_state=0, verbose=-1)
    pipeline = Pipeline([("imputer", SimpleImputer(keep_empty_features=True)), ("classifier", classifier)])
    pipeline.fit(dataset.x, dataset.y)
    fitted = FittedModel("lightgbm", pipeline, None, dataset.feature_names, ("down", "up"), parameters)
    onnx, parity = export(fitted, dataset.x[-VALIDATION_ROWS:])
    scorer = Scorer(onnx)
    manifest = Manifest(
        name="market-signal",
        problem="market_signal",
        kind="market",
        feature_set=dataset.feature_set,
        feature_set_hash=dataset.feature_set_hash,
        feature_names=dataset.feature_names,
        classes=fitted.classes,
        threshold=0.5,
        horizon=dataset.horizon,
        timeframe=dataset.timeframe,
        memory=None,
        algorithm=fitted.algorithm,
        hyper_parameters=parameters,
        metrics={},
        gates=(),
        gates_passed=True,
        suspected_leak=False,
        rows=len(dataset),
        dataset_fingerprint=dataset.fingerprint,
        code_revision="benchmark",
        libraries={"python": "3", "onnx": "1"},
        parity=parity,
    )
    profile = build_profile(
        dataset.x, dataset.feature_names, scorer.score(dataset.x)[:, 1], fitted.classes, dataset.y
    )
    return Package.build(
        manifest,
        model=onnx,
        examples=build_examples(scorer, dataset.x),
        profile=profile.to_json(),
        report=b"<!doctype html><title>Benchmark</title>",
    )
