"""The four sites of the UCI heart disease data: what the rule says of three of them against the first, and
what happens to a model of the first there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from shared.drift import CurrentWindow, build_profile, check_drift

SITES: Final = ("hungarian", "switzerland", "va")
NAMES: Final = (
    *("age", "sex", "cp", "trestbps", "chol", "fbs", "restecg"),
    *("thalach", "exang", "oldpeak", "slope", "ca", "thal"),
)
CATEGORICAL: Final = ("sex", "cp", "fbs", "restecg", "exang", "slope", "ca", "thal")
HALVES: Final = 100


def sites(folder: Path) -> dict[str, Any]:
    """By site: verdict, what moved most, accuracy and area under the curve of Cleveland's model.

    `cleveland` tells what cross-validation says at home, and how often one half of it, at random, alarms
    against the other.
    """
    from sklearn.model_selection import cross_val_predict

    x, y = _read(folder / "cleveland.csv")
    cross = cross_val_predict(_model(), x, y, cv=10, method="predict_proba")[:, 1]
    model = _model().fit(x, y)
    profile = build_profile(x, NAMES, cross, ("absent", "present"), y, categorical=CATEGORICAL)
    told: dict[str, Any] = {"cleveland": {**_quality(y, cross), "halves that alarm": _halves(x, y)}}
    for site in SITES:
        there, truth = _read(folder / f"{site}.csv")
        scores = model.predict_proba(there)[:, 1]
        window = CurrentWindow(there, scores, y=truth)
        usual, result = check_drift(profile, window), check_drift(profile, window, min_rows=50)
        told[site] = {
            **_quality(truth, scores),
            "verdict": usual.verdict.value,
            "verdict from 50 rows": result.verdict.value,
            "moved": [one.name for one in result.features if one.drifted],
            "score moved": bool(result.score and result.score.drifted),
        }
    return told


def _halves(x: NDArray[np.float32], y: NDArray[np.int64]) -> float:
    rng = np.random.default_rng(0)
    alarms = 0
    for _ in range(HALVES):
        order = rng.permutation(len(x))
        one, other = order[: len(x) // 2], order[len(x) // 2 :]
        profile = build_profile(
            x[one], NAMES, np.zeros(0), ("absent", "present"), y[one], categorical=CATEGORICAL
        )
        alarms += check_drift(profile, CurrentWindow(x[other]), min_rows=50).verdict == "drift"
    return alarms / HALVES


def _quality(y: NDArray[np.int64], scores: NDArray[np.float64]) -> dict[str, float]:
    from sklearn.metrics import brier_score_loss, roc_auc_score

    return {
        "rows": len(y),
        "positive": float(y.mean()),
        "accuracy": float(((scores >= 0.5) == y).mean()),
        "auc": float(roc_auc_score(y, scores)),
        "brier": float(brier_score_loss(y, scores)),
    }


def _model() -> Any:
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(SimpleImputer(strategy="median"), StandardScaler(), LogisticRegression(C=0.1))


def _read(file: Path) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    lines = [line.split(",") for line in file.read_text("utf-8").splitlines()[1:]]
    rows = np.array([[float("nan" if cell == "?" else cell) for cell in line] for line in lines])
    return rows[:, :-1].astype(np.float32), (rows[:, -1] > 0).astype(np.int64)
