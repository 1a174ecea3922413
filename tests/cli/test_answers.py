"""The recorded answers are what the functions answer: each fits the model of its function."""

from __future__ import annotations

import functools
import importlib.util
from types import ModuleType

import pytest

from shared.cli.target import ROOT
from tests.cli.conftest import ANSWERS, answer

MODELS = {
    "predict": ("predict", "SymbolPrediction"),
    "batch": ("batch_predict", "BatchAnswer"),
    "predictions": ("monitoring", "PredictionList"),
    **dict.fromkeys(("prediction", "prediction_settled"), ("monitoring", "StoredPrediction")),
    "symbols": ("fetch", "SymbolList"),
    "fetch": ("fetch", "Fetched"),
    "features": ("features", "FeaturesAnswer"),
    "models": ("models", "ModelList"),
    "model": ("models", "ModelDetails"),
    "promotion": ("models", "PromotionEntry"),
    "promotions": ("models", "PromotionList"),
    "reload": ("models", "Reloaded"),
    "schedules": ("schedules", "ScheduleList"),
    "schedule": ("schedules", "ScheduleAnswer"),
    "alerts": ("alerts", "AlertList"),
    "alert": ("alerts", "AlertDetails"),
    **{f"alert_{done}": ("alerts", "AlertAnswer") for done in ("acknowledged", "resolved", "test")},
    "performance": ("monitoring", "LivePerformance"),
    "drift": ("monitoring", "DriftAnswer"),
    "drift_ok": ("drift", "DriftAnswer"),
    "drift_history": ("monitoring", "HistoryList"),
    "deadletters": ("deadletters", "DeadLetterList"),
    "deadletters_replayed": ("deadletters", "ReplayAnswer"),
    **{f"run_{state}": ("training", "RunAnswer") for state in ("queued", "running", "failed", "cancelled")},
    **{f"run_{state}": ("training", "RunAnswer") for state in ("rejected", "succeeded")},
    "scoring_queued": ("scoring", "ScoringState"),
    **{f"scoring_{state}": ("scoring", "ScoringAnswer") for state in ("running", "failed", "cancelled")},
    "scoring_succeeded": ("scoring", "ScoringAnswer"),
    **dict.fromkeys(("unauthenticated", "no_active_model", "invalid_input"), ("fetch", "Problem")),
    "gates_not_passed": ("fetch", "Problem"),
    "freshness": ("monitoring", "FreshnessAnswer"),
    "quality": ("monitoring", "QualityAnswer"),
    "watch": ("watch", "WatchAnswer"),
    "reports": ("reports", "ReportList"),
    **{
        f"report_{state}": ("reports", "ReportAnswer")
        for state in ("queued", "running", "succeeded", "failed")
    },
}
NOT_OF_A_FUNCTION = {"health", "ready"}


@functools.cache
def function_module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"recorded_{name}", ROOT / "functions" / name / "main.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_recorded_answer_is_checked() -> None:
    assert {file.stem for file in ANSWERS.iterdir()} == MODELS.keys() | NOT_OF_A_FUNCTION


@pytest.mark.parametrize("name", sorted(MODELS))
def test_a_recorded_answer_has_exactly_the_members_of_the_functions_model(name: str) -> None:
    function, model_name = MODELS[name]
    model = getattr(function_module(function), model_name)
    recorded = answer(name)
    again = model.model_validate(recorded).model_dump(mode="json")
    assert again.keys() == recorded.keys()


def test_a_recorded_manifest_is_one() -> None:
    from shared.registry.manifest import Manifest

    Manifest.model_validate(answer("model")["manifest"])
