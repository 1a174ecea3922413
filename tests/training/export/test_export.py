"""Every algorithm's export answers as the fitted model does, and nothing else gets through."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from shared.errors import ExportRefused
from shared.registry.scorer import Scorer
from shared.training.export import export, export_onnx, verify_parity
from shared.training.export.convert import split_points
from shared.training.export.extremes import extreme_rows

ALGORITHMS = ("logistic_regression", "random_forest", "hist_gradient_boosting", "lightgbm", "xgboost")
TREES = ALGORITHMS[1:]


@pytest.mark.parametrize("calibrated", [True, False], ids=["calibrated", "raw"])
@pytest.mark.parametrize("missing", [True, False], ids=["missing", "complete"])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_export_agrees_on_unseen_rows_and_extremes(
    fit: Any, algorithm: str, missing: bool, calibrated: bool, unseen_rows: Any, complete_rows: Any
) -> None:
    rows = unseen_rows if missing else complete_rows
    _, parity = export(fit(algorithm, missing=missing, calibrated=calibrated), rows)
    assert parity.max_abs_difference < 1e-6
    assert parity.rows_checked > 20_000


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_export_agrees_on_three_classes(fit: Any, algorithm: str, unseen_rows: Any) -> None:
    onnx_bytes, parity = export(fit(algorithm, calibrated=False, classes=3), unseen_rows[:5_000])
    assert parity.max_abs_difference < 1e-6
    assert Scorer(onnx_bytes).score(unseen_rows[:5]).shape == (5, 3)


@pytest.mark.parametrize("algorithm", TREES)
def test_export_agrees_behind_imputer_and_scaler(
    make: Any, algorithm: str, training_data: Any, unseen_rows: Any, fit: Any
) -> None:
    bare = fit(algorithm).estimator[-1]
    steps = SimpleImputer(strategy="mean"), StandardScaler(), type(bare)(**bare.get_params())
    _, parity = export(make(algorithm, *steps, data=training_data), unseen_rows)
    assert parity.max_abs_difference < 1e-6


def test_split_points_behind_a_scaler_are_told_in_units_of_the_input(make: Any) -> None:
    x = np.random.default_rng(0).normal(300, 20, (3_000, 1)).astype(np.float32)
    y = (x[:, 0] > 310 + 20 * np.random.default_rng(1).normal(size=3_000)).astype(np.int64)
    fitted = make("lightgbm", StandardScaler(), _lightgbm(), data=(x, y))
    threshold = split_points(fitted).value
    below, above = (fitted.predict_proba((threshold * side)[:, None]) for side in (0.99999, 1.00001))
    assert len(threshold) > 3
    assert (below != above).any(axis=1).all()


@pytest.mark.parametrize("algorithm", TREES)
def test_export_agrees_on_trees_without_a_split(make: Any, algorithm: str, training_data: Any) -> None:
    from lightgbm import LGBMClassifier
    from xgboost import XGBClassifier

    unsplittable = {
        "random_forest": RandomForestClassifier(3, min_samples_leaf=2_000),
        "hist_gradient_boosting": HistGradientBoostingClassifier(max_iter=3, min_samples_leaf=2_000),
        "lightgbm": LGBMClassifier(n_estimators=3, min_child_samples=2_000, verbosity=-1),
        "xgboost": XGBClassifier(n_estimators=3, min_child_weight=1e9),
    }
    _, parity = export(make(algorithm, unsplittable[algorithm], data=training_data), training_data[0])
    assert parity.max_abs_difference < 1e-6


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_equal_models_give_equal_bytes(fit: Any, make: Any, algorithm: str, training_data: Any) -> None:
    def fresh() -> bytes:
        known = fit(algorithm).estimator[-1]
        model = type(known)(**known.get_params())
        return export_onnx(make(algorithm, SimpleImputer(), model, data=training_data))

    assert fresh() == fresh()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_graph_is_valid_and_says_nothing_of_its_making(fit: Any, algorithm: str) -> None:
    model = onnx.load_model_from_string(export_onnx(fit(algorithm)))
    onnx.checker.check_model(model, full_check=True)
    assert (model.producer_version, model.doc_string, list(model.metadata_props)) == ("", "", [])


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_row_alone_scores_as_in_a_batch_to_the_last_bit(fit: Any, algorithm: str, unseen_rows: Any) -> None:
    scorer = Scorer(export_onnx(fit(algorithm)))
    batch = scorer.score(unseen_rows[:700])
    alone = np.concatenate([scorer.score(unseen_rows[i : i + 1]) for i in range(700)])
    assert np.array_equal(batch, alone)


@pytest.mark.parametrize("algorithm", TREES)
def test_thresholds_one_step_too_high_are_refused(fit: Any, algorithm: str, unseen_rows: Any) -> None:
    """Such a graph agrees on nearly every ordinary row: the rows around the thresholds find it."""
    fitted = fit(algorithm)
    tampered = _tampered(
        export_onnx(fitted), "nodes_values", lambda v: np.nextafter(v.astype(np.float32), np.float32(np.inf))
    )
    with pytest.raises(ExportRefused, match="Worst is row"):
        _verify_with_extremes(fitted, tampered, unseen_rows)


@pytest.mark.parametrize("algorithm", TREES)
def test_missing_values_sent_the_other_way_are_refused(fit: Any, algorithm: str, unseen_rows: Any) -> None:
    fitted = fit(algorithm)
    tampered = _tampered(export_onnx(fitted), "nodes_missing_value_tracks_true", lambda v: 1 - v)
    with pytest.raises(ExportRefused, match="=nan"):
        verify_parity(fitted, tampered, unseen_rows)


def test_one_changed_leaf_is_refused_with_the_row_and_both_answers(fit: Any, unseen_rows: Any) -> None:
    fitted = fit("lightgbm", calibrated=False)

    def change(weights: NDArray[Any]) -> NDArray[Any]:
        weights[17] += 0.01
        return weights

    tampered = _tampered(export_onnx(fitted), "target_weights", change)
    with pytest.raises(ExportRefused) as refusal:
        verify_parity(fitted, tampered, unseen_rows)
    assert "Worst is row" in refusal.value.detail
    assert "expected [0." in refusal.value.detail
    assert "f0=" in refusal.value.detail


def test_answers_that_are_no_numbers_are_refused(fit: Any, unseen_rows: Any) -> None:
    fitted = fit("xgboost", calibrated=False)
    tampered = _tampered(export_onnx(fitted), "target_weights", lambda v: v * np.nan)
    with pytest.raises(ExportRefused, match="nan"):
        verify_parity(fitted, tampered, unseen_rows)


def test_lightgbm_takes_tiny_values_for_zero(make: Any) -> None:
    x = np.where(np.arange(3_000) % 2, 0.0, -np.arange(3_000)).astype(np.float32)[:, None]
    fitted = make("lightgbm", _lightgbm(), data=(x, (x[:, 0] == 0).astype(np.int64)))
    tiny = np.array([[-1e-35], [1e-35], [-2e-35], [2e-35], [0.0]], np.float32)
    assert verify_parity(fitted, export_onnx(fitted), tiny).max_abs_difference < 1e-6


def test_lightgbm_takes_missing_values_for_zero_where_training_saw_none(make: Any) -> None:
    x = np.random.default_rng(0).normal(size=(3_000, 2)).astype(np.float32)
    fitted = make("lightgbm", _lightgbm(), data=(x, (x[:, 0] > -0.5).astype(np.int64)))
    _, parity = export(fitted, x)
    assert parity.max_abs_difference < 1e-6


def test_xgboost_that_stopped_early_is_exported_up_to_its_best_round(
    make: Any, training_data: Any, unseen_rows: Any
) -> None:
    from xgboost import XGBClassifier

    x, y = training_data
    fitted = make("xgboost", XGBClassifier(n_estimators=2), data=training_data)
    model = XGBClassifier(n_estimators=200, max_depth=8, early_stopping_rounds=3, random_state=0)
    model.fit(x[:2_000], y[:2_000], eval_set=[(x[2_000:], y[2_000:])], verbose=False)
    fitted.estimator.steps[-1] = ("classifier", model)
    _, parity = export(fitted, unseen_rows)
    assert model.best_iteration < model.get_booster().num_boosted_rounds() - 1
    assert parity.max_abs_difference < 1e-6


@pytest.mark.parametrize(
    "rows",
    [np.zeros((5, 8)), np.zeros((5, 7), np.float32), np.zeros((0, 8), np.float32)],
    ids=["float64", "narrow", "empty"],
)
def test_rows_of_another_kind_are_refused(fit: Any, rows: Any) -> None:
    with pytest.raises(ExportRefused, match="float32 of shape"):
        export(fit("lightgbm"), rows)


def test_features_too_large_for_float32_are_refused_by_name(fit: Any, unseen_rows: Any) -> None:
    """Unix times within a day: float32 holds one value per 128 s."""
    rows = unseen_rows.copy()
    rows[:, 2] = np.random.default_rng(0).integers(1_700_000_000, 1_700_086_400, len(rows))
    with pytest.raises(ExportRefused, match="'f2' is too large for float32"):
        export(fit("lightgbm"), rows)


def test_large_features_that_float32_resolves_are_exported(make: Any) -> None:
    x = np.random.default_rng(0).normal(1e6, 1e5, (3_000, 3)).astype(np.float32)
    fitted = make("lightgbm", _lightgbm(), data=(x, (x[:, 0] > 1e6).astype(np.int64)))
    _, parity = export(fitted, x)
    assert parity.max_abs_difference < 1e-6


def test_models_that_take_no_missing_values_are_refused(make: Any, complete_rows: Any) -> None:
    y = (complete_rows[:, 0] > 0).astype(np.int64)
    fitted = make("logistic_regression", StandardScaler(), LogisticRegression(), data=(complete_rows, y))
    with pytest.raises(ExportRefused, match="put a SimpleImputer"):
        export(fitted, complete_rows)


def test_unknown_steps_are_refused_by_name(make: Any, training_data: Any) -> None:
    fitted = make("lightgbm", MinMaxScaler(), _lightgbm(), data=training_data)
    with pytest.raises(ExportRefused, match="'MinMaxScaler' is a MinMaxScaler"):
        export(fitted, training_data[0])


def test_imputers_that_add_columns_are_refused(make: Any, training_data: Any) -> None:
    fitted = make("lightgbm", SimpleImputer(add_indicator=True), _lightgbm(), data=training_data)
    with pytest.raises(ExportRefused, match="adds no indicators"):
        export(fitted, training_data[0])


def test_unknown_algorithms_are_refused(make: Any, training_data: Any) -> None:
    with pytest.raises(ExportRefused, match="'perceptron' has no export"):
        export(make("perceptron", _lightgbm(), data=training_data), training_data[0])


def test_calibration_of_three_classes_is_refused(fit: Any) -> None:
    with pytest.raises(ExportRefused, match="for two classes"):
        export_onnx(fit("lightgbm", calibrated=True, classes=3))


def test_hist_gradient_boosting_on_categories_is_refused(fit: Any, make: Any) -> None:
    algorithm = "hist_gradient_boosting"
    x = np.tile(np.arange(6, dtype=np.float32), 500)[:, None] * np.eye(8, dtype=np.float32)[3]
    model = fit(algorithm).estimator[-1]
    fresh = type(model)(**{**model.get_params(), "categorical_features": [3]})
    y = np.isin(x[:, 3], (1, 4)).astype(np.int64)
    with pytest.raises(ExportRefused, match="categorical feature"):
        export(make(algorithm, fresh, data=(x, y)), x)


@pytest.mark.parametrize(
    ("algorithm", "options"),
    [
        ("lightgbm", {"zero_as_missing": True}),
        ("lightgbm", {"objective": "cross_entropy"}),
        ("xgboost", {"booster": "dart"}),
        ("xgboost", {"objective": "binary:logitraw"}),
    ],
)
def test_options_without_an_export_are_refused(
    fit: Any, make: Any, algorithm: str, options: Any, training_data: Any
) -> None:
    model = fit(algorithm).estimator[-1]
    fresh = type(model)(**{**model.get_params(), **options})
    with pytest.raises(ExportRefused, match="export"):
        export(make(algorithm, fresh, data=training_data), training_data[0])


def _lightgbm() -> Any:
    from lightgbm import LGBMClassifier

    return LGBMClassifier(n_estimators=5, verbosity=-1, n_jobs=1)


def _verify_with_extremes(fitted: Any, tampered: bytes, rows: Any) -> None:
    points = split_points(fitted)
    verify_parity(fitted, tampered, extreme_rows(rows, points.column, points.value))


def _tampered(onnx_bytes: bytes, attribute: str, change: Any) -> bytes:
    """The graph with one attribute of its trees changed."""
    model = onnx.load_model_from_string(onnx_bytes)
    trees = next(node for node in model.graph.node if node.op_type == "TreeEnsembleRegressor")
    found = next(each for each in trees.attribute if each.name == attribute)
    values = found.floats or found.ints
    values[:] = change(np.array(values)).tolist()
    return bytes(model.SerializeToString())
