"""The preprocessing steps of a pipeline: each as nodes of a graph, and as what must be tried of its input."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from shared.errors import ExportRefused
from shared.training.export.graph import Graph

Step: TypeAlias = tuple[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """Values at which a model's answer may jump: `value` (k,) of the columns `column` (k,)."""

    column: NDArray[np.int64]
    value: NDArray[np.float32]

    @staticmethod
    def none() -> Points:
        return Points(np.empty(0, np.int64), np.empty(0, np.float32))

    @staticmethod
    def joined(parts: Sequence[Points]) -> Points:
        every = [Points.none(), *parts]
        return Points(np.concatenate([p.column for p in every]), np.concatenate([p.value for p in every]))


def add_steps(graph: Graph, x: str, steps: Sequence[Step]) -> str:
    """Append the steps; gives the name of what the last one makes, (rows, outputs) float32.

    Raises:
        ExportRefused: a step, or an option of one, without an export.
    """
    for name, step in steps:
        if not _is_identity(name, step):
            x = _exported(name, step).add(graph, x, step)
    return x


def points_before(steps: Sequence[Step], points: Points) -> Points:
    """Points of what the steps make, as points of what they take; with those of the steps themselves."""
    for name, step in reversed(steps):
        if not _is_identity(name, step):
            points = _exported(name, step).before(step, points)
    return points


def _is_identity(name: str, step: Any) -> bool:
    """What a pipeline or a part of columns passes through."""
    if type(step).__name__ != "FunctionTransformer":
        return bool(step == "passthrough")
    if step.func is not None:
        raise ExportRefused(f"Step {name!r} is a function, which has no export.")
    return True


@dataclass(frozen=True, slots=True)
class _Export:
    add: Callable[[Graph, str, Any], str]
    before: Callable[[Any, Points], Points]


def _exported(name: str, step: Any) -> _Export:
    found = _STEPS.get(type(step).__name__)
    if found is None:
        raise ExportRefused(
            f"Step {name!r} is a {type(step).__name__}, which has no export; known: {', '.join(_STEPS)}."
        )
    return found


def _add_imputer(graph: Graph, x: str, imputer: Any) -> str:
    fill = np.asarray(imputer.statistics_, np.float32)
    if imputer.add_indicator or np.isnan(fill).any() or not np.isnan(imputer.missing_values):
        raise ExportRefused(
            "SimpleImputer can be exported when it replaces NaN only, adds no indicators, and saw at least "
            "one value of each feature (or has keep_empty_features=True)."
        )
    return graph.add("Where", graph.add("IsNaN", x), fill, x)


def _add_scaler(graph: Graph, x: str, scaler: Any) -> str:
    scale, mean = _scale_and_mean(scaler)
    return graph.add("Div", graph.add("Sub", x, mean), scale)


def _unscaled(scaler: Any, points: Points) -> Points:
    scale, mean = _scale_and_mean(scaler)
    return Points(points.column, points.value * scale[points.column] + mean[points.column])


def _scale_and_mean(scaler: Any) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    features = scaler.n_features_in_
    scale = scaler.scale_ if scaler.with_std else np.ones(features)
    mean = scaler.mean_ if scaler.with_mean else np.zeros(features)
    return scale.astype(np.float32), mean.astype(np.float32)


def _add_one_hot(graph: Graph, x: str, encoder: Any) -> str:
    """One column per category, 1 where the value is that one; all 0 for a value that is none of them."""
    codes = _codes(encoder)
    repeated = np.repeat(np.arange(len(codes)), [len(each) for each in codes])
    column = graph.add("Gather", x, repeated.astype(np.int64), axis=1)
    return graph.to_float32(graph.add("Equal", column, np.concatenate(codes)))


def _every_code(encoder: Any) -> Points:
    """Its categories, whatever splits on their indicators: between two codes all is unknown."""
    codes = _codes(encoder)
    column = np.repeat(np.arange(len(codes)), [len(each) for each in codes])
    return Points(column.astype(np.int64), np.concatenate(codes))


def _codes(encoder: Any) -> list[NDArray[np.float32]]:
    plain = encoder.drop_idx_ is None and encoder.min_frequency is None and encoder.max_categories is None
    if not plain or encoder.sparse_output or encoder.handle_unknown != "ignore":
        raise ExportRefused(
            "OneHotEncoder can be exported with handle_unknown='ignore' and sparse_output=False, when it "
            "drops no category and pools no rare ones."
        )
    codes = [np.asarray(each) for each in encoder.categories_]
    if any(each.dtype.kind not in "iuf" or np.isnan(each).any() for each in codes):
        raise ExportRefused("OneHotEncoder can be exported when its categories are numbers, none missing.")
    return [each.astype(np.float32) for each in codes]


def _add_columns(graph: Graph, x: str, transformer: Any) -> str:
    parts = [
        add_steps(graph, graph.add("Gather", x, columns, axis=1), [(name, step)])
        for name, step, columns, _ in _parts(transformer)
    ]
    return graph.add("Concat", *parts, axis=1)


def _of_columns(transformer: Any, points: Points) -> Points:
    found = []
    for name, step, columns, outputs in _parts(transformer):
        mine = (points.column >= outputs.start) & (points.column < outputs.stop)
        inside = points_before(
            [(name, step)], Points(points.column[mine] - outputs.start, points.value[mine])
        )
        found.append(Points(columns[inside.column], inside.value))
    return Points.joined(found)


def _parts(transformer: Any) -> list[tuple[str, Any, NDArray[np.int64], slice]]:
    """(name, fitted step, columns it takes, outputs it makes) of each part that makes anything."""
    found = []
    for name, step, columns in transformer.transformers_:
        outputs = transformer.output_indices_[name]
        if outputs.start == outputs.stop:
            continue
        if isinstance(step, str) or step is None or not all(isinstance(c, int | np.integer) for c in columns):
            raise ExportRefused(
                "ColumnTransformer can be exported when each part is a transformer, with a list of the "
                f"places of its columns; {name!r} isn't such a part."
            )
        found.append((name, step, np.asarray(columns, np.int64), outputs))
    return found


_STEPS: Final[dict[str, _Export]] = {
    "SimpleImputer": _Export(_add_imputer, lambda _, points: points),
    "StandardScaler": _Export(_add_scaler, _unscaled),
    "OneHotEncoder": _Export(_add_one_hot, lambda encoder, _: _every_code(encoder)),
    "ColumnTransformer": _Export(_add_columns, _of_columns),
    "Pipeline": _Export(
        lambda graph, x, pipeline: add_steps(graph, x, pipeline.steps),
        lambda pipeline, points: points_before(pipeline.steps, points),
    ),
}
