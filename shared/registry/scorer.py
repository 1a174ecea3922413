"""Scores rows with an exported model: onnxruntime set up for one small answer at a time."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from shared.errors import InvalidInput, PackageRefused

INPUT: Final = "input"
OUTPUT: Final = "probabilities"

_QUIET: Final = 4  # onnxruntime's own log lines: fatal only; what it says comes back as an exception


class Scorer:
    """A loaded model: float32 rows in, class probabilities out. Safe from many threads.

    The graph must have one input `input`, float32 (rows, features), and one output `probabilities`,
    float32 (rows, classes). Only data is loaded: no custom operators, and no file beside the graph.
    """

    def __init__(self, onnx: bytes, *, threads: int = 1) -> None:
        """Load the graph. With several threads, trees are summed in another order: the last bits differ.

        Raises:
            PackageRefused: not a model, not of the form above, or one that points outside itself.
        """
        _refuse_external_data(onnx)
        self._session = _session(onnx, threads)
        self.features = _width(self._session.get_inputs(), INPUT)
        self.classes = _width(self._session.get_outputs(), OUTPUT)

    def score(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probabilities (n, classes) of rows (n, features). NaN stands for a missing value.

        A row's answer doesn't depend on the rows beside it.

        Raises:
            InvalidInput: another type or shape.
        """
        if rows.dtype != np.float32 or rows.ndim != 2 or rows.shape[1] != self.features:
            raise InvalidInput(
                f"The model takes float32 rows of shape (n, {self.features}); "
                f"found {rows.dtype} of shape {rows.shape}."
            )
        scores: NDArray[np.float32] = self._session.run([OUTPUT], {INPUT: rows})[0]
        return scores


def _refuse_external_data(onnx: bytes) -> None:
    """Tensors may name a file to be read from; onnxruntime follows relative names even for bytes.

    Such a reference needs the key "location", and strings lie unbroken in a protobuf message.
    """
    if b"location" in onnx:
        raise PackageRefused(
            'The model holds the word "location", by which tensors refer to files outside the model. '
            "Save it with its tensors inside, and without that word in any name."
        )


def _session(onnx: bytes, threads: int) -> Any:
    """A session for low latency and a fast start.

    One thread scores a row fastest and needs no pool. Of the optimisation levels the basic one is
    taken: trees and linear models run equally fast at every level, the higher ones start later and
    depend on the processor, and with none at all onnxruntime follows tensors into files.
    """
    import onnxruntime

    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.log_severity_level = _QUIET
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors have no base of their own
        raise PackageRefused(f"onnxruntime can't load the model: {error}") from error


def _width(ports: list[Any], name: str) -> int:
    """The number of columns of the only input or output."""
    found = [(port.name, port.type, port.shape) for port in ports]
    if len(found) == 1 and found[0][:2] == (name, "tensor(float)") and len(found[0][2]) == 2:
        columns = found[0][2][1]
        if isinstance(columns, int):
            return columns
    raise PackageRefused(
        f"The model needs exactly one `{name}`, tensor(float), with two axes and a fixed number of columns; "
        f"found {found}."
    )
