"""The training job on a tabular problem: real rows, the embedded platform, few repeats."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shared.config import Settings
from shared.drift import Profile
from shared.jobs.task import Exit, Task
from shared.jobs.train import TrainingJob
from shared.platform.connect import connect
from shared.platform.ports import Platform
from shared.problems.heart_disease import PROBLEM
from shared.registry import Package, Registry, Version
from shared.registry.package import EXAMPLES, MODEL, PROFILE, REPORT
from shared.tabular import Columns
from shared.training.run_records import Run, RunStatus
from shared.training.runs import Runs
from tests.homes import copied
from tests.packages import spoil
from tests.tabular_packages import active_tabular

QUICK: dict[str, Any] = {
    "problem": "heart_disease",
    "candidates": ["logistic_regression"],
    "cv_folds": 3,
    "cv_repeats": 2,
}
NAME = "heart-disease"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home where the problem was trained once, as asked for with `activate`."""
    home = tmp_path_factory.mktemp("trained")
    settings = Settings(mlengine_home=home)
    _work(settings, connect(settings), activate=True)
    return home


@pytest.fixture
def settings(trained: Path, tmp_path: Path) -> Settings:
    """A home of its own with that model live."""
    home = tmp_path / "home"
    copied(trained, home)
    return Settings(mlengine_home=home)


@pytest.fixture
def platform(settings: Settings) -> Platform:
    return connect(settings)


@pytest.fixture
def registry(platform: Platform) -> Registry:
    return Registry(platform.documents, platform.blobs, platform.events, platform.now, platform.new_id)


@pytest.fixture
def runs(platform: Platform) -> Runs:
    return Runs(platform.documents, platform.now)


def _work(settings: Settings, platform: Platform, run_id: str = "r1", **request: Any) -> Run:
    runs = Runs(platform.documents, platform.now)
    runs.create(run_id, {**QUICK, **request})
    TrainingJob(settings, platform, Task()).work_on(run_id)
    return runs.get(run_id)


def _result(run: Run) -> dict[str, Any]:
    assert run.result is not None, run.error
    return dict(run.result)


def test_heart_disease_is_trained_validated_registered_and_live(runs: Runs, registry: Registry) -> None:
    run = runs.get("r1")
    assert run.status is RunStatus.SUCCEEDED
    found = _result(run)
    assert (found["version_id"], found["activated"]) == ("heart-disease-v1", True)
    assert found["champion"]["why"] == "nothing is live yet"
    live = registry.active(NAME)
    assert live is not None
    assert live.version_id == "heart-disease-v1"
    stages = {"data", "validation", "cross_validation", "final_fit", "report", "export", "champion"}
    assert stages <= run.timings.keys()


def test_the_package_tells_what_it_takes_and_answers(registry: Registry) -> None:
    package = registry.open_package("heart-disease-v1")
    manifest = package.manifest
    assert (manifest.kind, manifest.problem, manifest.rows) == ("tabular", "heart_disease", 303)
    assert manifest.columns == PROBLEM.columns.columns
    assert manifest.feature_set_hash == PROBLEM.columns.hash
    assert (manifest.horizon, manifest.window, manifest.symbols) == (None, None, ())
    assert 0.3 < manifest.threshold < 0.7
    assert manifest.parity.max_abs_difference <= 1e-5
    assert manifest.parity.rows_checked > 303
    row = {"age": 63, "sex": 1, "cp": 1, "trestbps": 145, "chol": 233, "fbs": 1, "restecg": 2}
    rows = PROBLEM.columns.encode([row, {"age": 70, "sex": 1, "cp": 4}]).x
    answers = package.verified_scorer().score(rows)
    assert answers.shape == (2, 2)
    assert np.isfinite(answers).all()


def test_the_profile_tells_categories_from_numbers(registry: Registry) -> None:
    profile = Profile.from_json(registry.open_package("heart-disease-v1").file(PROFILE))
    kinds = {column.name: type(column).__name__ for column in profile.features}
    assert kinds["cp"] == "CategoricalColumn"
    assert kinds["chol"] == "NumericColumn"
    assert profile.time is None
    assert profile.class_shares == pytest.approx({"absent": 164 / 303, "present": 139 / 303})


def test_the_same_rows_and_recipe_give_the_same_package_and_leave_the_live_model(
    settings: Settings, platform: Platform, registry: Registry
) -> None:
    before = registry.active(NAME)
    found = _result(_work(settings, platform, "r2", activate=True))
    first, second = (registry.get(f"heart-disease-v{n}") for n in (1, 2))
    assert first.package_hash == second.package_hash
    assert found["gates_passed"]
    assert not found["champion"]["is_better"]
    assert not found["activated"]
    assert registry.active(NAME) == before


def _live(registry: Registry, version: str, **changes: Any) -> Version:
    """A copy of that version, changed, goes live."""
    package = registry.open_package(version)
    manifest = package.manifest.model_copy(update=changes)
    parts = zip(("model", "examples", "profile", "report"), (MODEL, EXAMPLES, PROFILE, REPORT), strict=True)
    copy = Package.build(manifest, **{part: package.file(file) for part, file in parts})
    registered = registry.register(copy, created_by="test", run_id="r0")
    registry.activate(registered.id, by="test", allow_failed_gates=True)
    return registered


def test_the_live_recipe_is_fitted_again_and_one_that_is_far_worse_loses_its_place(
    settings: Settings, platform: Platform, registry: Registry
) -> None:
    live = _live(
        registry,
        "heart-disease-v1",
        algorithm="random_forest",
        hyper_parameters={"n_estimators": 2, "max_depth": 1, "max_features": 1},
    )
    found = _result(_work(settings, platform, "r2", activate=True, cv_repeats=5))
    assert found["champion"]["champion"] == live.id
    assert found["champion"]["is_better"]
    assert "the rows that it learnt from" in found["champion"]["why"]
    assert found["champion"]["metrics"]["accuracy"]["value"] < 0.8
    assert found["activated"]


def test_the_best_of_several_must_be_better_than_the_luckiest_of_them(
    settings: Settings, platform: Platform, registry: Registry
) -> None:
    """The best of four must show more than one that stood alone."""
    _live(registry, "heart-disease-v1", algorithm="lightgbm", hyper_parameters={"n_estimators": 8})
    alone = _result(_work(settings, platform, "r2"))["champion"]
    several = _result(_work(settings, platform, "r3", candidates=None))["champion"]
    assert "as the best of 1" in alone["why"]
    assert "as the best of 4" in several["why"]
    assert _p(several["why"]) > _p(alone["why"])


def _p(why: str) -> float:
    return float(why.partition("p = ")[2].split()[0])


def test_on_other_rows_an_equal_recipe_takes_the_place_and_a_better_one_keeps_it(
    settings: Settings, platform: Platform, registry: Registry
) -> None:
    _live(registry, "heart-disease-v1", dataset_fingerprint="0" * 64)
    found = _result(_work(settings, platform, "r2", activate=True))
    assert "on other rows than it learnt from" in found["champion"]["why"]
    assert found["activated"]
    _live(registry, "heart-disease-v1", dataset_fingerprint="1" * 64)
    worse = _result(_work(settings, platform, "r3", activate=True, candidates=["lightgbm"]))
    assert not worse["champion"]["is_better"]
    assert not worse["activated"]


@pytest.mark.parametrize(
    ("columns", "words"), [(PROBLEM.columns, "wasn't trained here"), (None, "other columns")]
)
def test_a_live_model_that_can_not_be_compared_is_left_to_a_human(
    settings: Settings, platform: Platform, registry: Registry, columns: Columns | None, words: str
) -> None:
    live = active_tabular(registry, columns=columns)
    found = _result(_work(settings, platform, "r2", activate=True))
    assert words in found["champion"]["why"]
    assert not found["activated"]
    after = registry.active(NAME)
    assert after is not None
    assert after.version_id == live.id


def test_a_live_package_that_is_damaged_is_left_to_a_human(
    settings: Settings, platform: Platform, registry: Registry
) -> None:
    spoil(settings.mlengine_home, registry.open_package("heart-disease-v1"), MODEL)
    found = _result(_work(settings, platform, "r2", activate=True, cv_repeats=3))
    assert "doesn't verify" in found["champion"]["why"]
    assert found["version_id"] == "heart-disease-v2"
    assert not found["activated"]


def test_gates_that_fail_reject_the_model(settings: Settings, platform: Platform, registry: Registry) -> None:
    """Half of the rows are too few for this one to show an F1 above 0.75."""
    before = registry.active(NAME)
    run = _work(settings, platform, "r2", activate=True, candidates=["lightgbm"], cv_folds=2, cv_repeats=1)
    assert run.status is RunStatus.REJECTED
    found = _result(run)
    assert [gate["name"] for gate in found["gates"] if not gate["passed"]] == ["f1_above_three_quarters"]
    assert registry.get(found["version_id"]).status == "rejected"
    assert registry.active(NAME) == before


def test_options_of_another_kind_and_unknown_problems_fail_the_run_in_words(
    settings: Settings, platform: Platform, runs: Runs
) -> None:
    for run_id, request, words in (
        ("r3", {"problem": "heart_disease", "symbols": ["A"]}, "/symbols belongs to problems of kind market"),
        ("r2", {"problem": "hart_disease"}, "/problem must be one of"),
    ):
        runs.create(run_id, request)
        assert TrainingJob(settings, platform, Task()).work_on(run_id) == Exit.BAD_REQUEST
        assert words in (runs.get(run_id).error or "")
