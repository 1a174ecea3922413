"""What training ends with: a fitted estimator, its calibration, and the names that make sense of both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.training.calibration import Calibration


@dataclass(frozen=True, slots=True, eq=False)
class FittedModel:
    """A classifier ready for export.

    `estimator` is a scikit-learn Pipeline with its preprocessing inside; its `predict_proba` is raw.
    Columns of its input are `feature_names`, in order; columns of its output are `classes`, in order.
    `parameters` are the algorithm's hyper-parameters, as JSON values. Only two classes can be calibrated:
    the probabilities of more are the algorithm's own.
    """

    algorithm: str
    estimator: Any
    calibration: Calibration | None
    feature_names: tuple[str, ...]
    classes: tuple[str, ...]
    parameters: dict[str, Any]

    def predict_proba(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """Calibrated probabilities, (n, classes). `x` is (n, features) float32."""
        raw = np.asarray(self.estimator.predict_proba(x), np.float64)
        if self.calibration is None:
            return raw
        up = self.calibration.apply(raw[:, 1])
        return np.column_stack([1.0 - up, up])
