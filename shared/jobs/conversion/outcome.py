"""What the conversion's process tells: plain data, checked by who reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, JsonValue

from shared.training.export import Answering, Points

MODEL_FILE: Final = "model"
REQUEST_FILE: Final = "request.json"
OUTCOME_FILE: Final = "outcome.json"
ONNX_FILE: Final = "model.onnx"
ERRORS_FILE: Final = "errors"

MAX_OUTCOME_BYTES: Final = 40_000_000
MAX_ONNX_BYTES: Final = 256_000_000


class Refused(Exception):
    """The file can't be a model here. `str(error)` says why, and what to do, to who has sent it."""


@dataclass(frozen=True, slots=True, eq=False)
class Converted:
    """A graph as the platform serves it, and what it must agree with.

    `original` is the model in its own library, None where the graph itself came; `points` are values at which
    the answer may jump.
    """

    onnx: bytes
    algorithm: str
    parameters: Mapping[str, JsonValue]
    original: Answering | None
    points: Points


class Outcome(BaseModel):
    """A model with its golden rows and its profile, or the reasons why there is none.

    `max_abs_difference` is of probabilities, over the `rows_checked` rows that were compared.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    reasons: tuple[str, ...] = ()
    algorithm: str = ""
    parameters: Mapping[str, JsonValue] = {}
    max_abs_difference: FiniteFloat = Field(0.0, ge=0)
    rows_checked: int = Field(0, ge=0)
    examples: str = ""
    profile: str = ""
    checks: tuple[str, ...] = ()


Rows = NDArray[np.float32]
