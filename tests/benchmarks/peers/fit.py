"""`python fit.py <rows.npz> <estimator> <format> <target>`: a peer's model, fitted on the rows that ours was.

Runs in the peer's environment. Estimators: hist_gradient_boosting, lightgbm. Formats: joblib, mlflow.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

TREES = 200
LEAVES = 31


def main(rows: Path, estimator: str, form: str, target: Path) -> None:
    with np.load(rows) as file:
        x, y = file["x"], file["y"]
    model = _ESTIMATORS[estimator]().fit(x, y)
    _FORMATS[form](model, target, x)


def _hist_gradient_boosting() -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(
        max_iter=TREES, max_leaf_nodes=LEAVES, early_stopping=False, random_state=0
    )


def _lightgbm() -> Any:
    from lightgbm import LGBMClassifier

    return LGBMClassifier(n_estimators=TREES, num_leaves=LEAVES, n_jobs=1, random_state=0, verbose=-1)


def _joblib(model: Any, target: Path, _: NDArray[np.float64]) -> None:
    import joblib

    joblib.dump(model, target)


def _mlflow(model: Any, target: Path, x: NDArray[np.float64]) -> None:
    """With a tensor signature: the server then makes an array of the rows, which is its fastest way."""
    import mlflow.sklearn  # type: ignore[import-not-found]  # is in the peer's own environment only
    from mlflow.models import infer_signature  # type: ignore[import-not-found]  # the same

    signature = infer_signature(x[:5], model.predict_proba(x[:5]))
    mlflow.sklearn.save_model(
        model,
        target,
        signature=signature,
        pyfunc_predict_fn="predict_proba",
        serialization_format="cloudpickle",
        pip_requirements=[],
    )


_ESTIMATORS = {"hist_gradient_boosting": _hist_gradient_boosting, "lightgbm": _lightgbm}
_FORMATS = {"joblib": _joblib, "mlflow": _mlflow}

if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], Path(sys.argv[4]))
