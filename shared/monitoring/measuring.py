"""From settled outcomes to metrics: the same metrics, intervals and naive rules that training judges by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from shared.errors import InvalidInput
from shared.evaluation.baselines import BASELINES, BaselineRows
from shared.evaluation.bootstrap import Estimate, block_codes, block_seconds, resampling_weights
from shared.evaluation.classes import ClassEvaluator
from shared.evaluation.metrics import METRICS, WITHOUT_RETURNS, Evaluator, Rows
from shared.evaluation.reliability import Reliability
from shared.market.candles import rfc3339
from shared.platform.ports import Data
from shared.registry import Manifest

RESAMPLES: Final = 1_000
SEED: Final = 0
MAX_BLOCKS_OF_ROWS: Final = 200
_GAINS: Final = ("log_loss", "brier")

Scores = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Measured:
    """Metrics with their 95 % intervals. Without a base rate there are no gains over it.

    Of more than two classes there are accuracy, macro F1 and log-loss, and nothing to compare them with.
    """

    rows: int
    sessions: int
    blocks: int
    first: int
    last: int
    rank_ic_within: str | None
    metrics: Mapping[str, Estimate]
    baselines: Mapping[str, Mapping[str, Estimate]]
    gains: Mapping[str, Estimate]
    calibration: Reliability | None

    def json(self) -> dict[str, Any]:
        return {
            "rows": self.rows,
            "sessions": self.sessions,
            "blocks": self.blocks,
            "first": rfc3339(self.first),
            "last": rfc3339(self.last),
            "rank_ic_within": self.rank_ic_within,
            "metrics": _json(self.metrics),
            "baselines": {name: _json(found) for name, found in self.baselines.items()},
            "gains": _json(self.gains),
            "calibration": None if self.calibration is None else self.calibration.json(),
        }


def measure(settled: Sequence[Data], manifest: Manifest, base_rate: float | None) -> Measured:
    """The metrics of settled outcomes of one version, at least one.

    `base_rate` is the share of the last class among the rows it was trained on.

    Raises:
        InvalidInput: of more than two classes, without a probability for each.
    """
    ordered = _distinct(settled)
    at = np.array([one["at"] for one in ordered], np.int64)
    if manifest.kind == "market":
        block = block_codes(at, block_seconds(manifest.timeframe or "1d", manifest.horizon or 1))
    else:
        size = -(-len(ordered) // MAX_BLOCKS_OF_ROWS)
        block = (np.arange(len(ordered)) // size).astype(np.intp)
    if len(manifest.classes) > 2:
        return _of_classes(ordered, manifest, at, block)
    return _of_two_classes(ordered, manifest, at, block, base_rate)


def _distinct(settled: Sequence[Data]) -> list[Data]:
    """In order of time. Of market predictions about the same candle of the same symbol the first one: asked
    for a thousand times, it was still one prediction."""
    ordered = sorted(settled, key=lambda one: (one["at"], one["series"] or "", one["made_at"]))
    chosen: dict[tuple[Any, ...], Data] = {}
    for one in ordered:
        key = (one["prediction_id"],) if one["series"] is None else (one["at"], one["series"])
        chosen.setdefault(key, one)
    return list(chosen.values())


def _of_two_classes(
    ordered: Sequence[Data],
    manifest: Manifest,
    at: NDArray[np.int64],
    block: NDArray[np.intp],
    base_rate: float | None,
) -> Measured:
    y = np.array([one["label"] == manifest.classes[-1] for one in ordered], np.int8)
    score = np.array([one["probability"] for one in ordered], np.float64)
    is_market = manifest.kind == "market"
    session = np.unique(at, return_inverse=True)[1]
    returns = _returns(ordered, "forward_return") if is_market else None
    evaluator = Evaluator(
        Rows(y, returns, session, block),
        threshold=manifest.threshold,
        resamples=RESAMPLES,
        rng=np.random.default_rng(SEED),
    )
    names = METRICS if is_market else WITHOUT_RETURNS
    rates = None if base_rate is None else np.full(len(y), base_rate)
    return Measured(
        rows=len(y),
        sessions=int(session.max()) + 1,
        blocks=evaluator.blocks,
        first=int(at[0]),
        last=int(at[-1]),
        rank_ic_within=evaluator.rank_ic_unit,
        metrics=evaluator.estimate(score, names),
        baselines=_baselines(evaluator, _returns(ordered, "past_return"), rates, is_market=is_market),
        gains={} if rates is None else {name: evaluator.gain(name, score, rates) for name in _GAINS},
        calibration=evaluator.reliability(score),
    )


def _baselines(
    evaluator: Evaluator, past_return: Scores, rates: Scores | None, *, is_market: bool
) -> dict[str, Mapping[str, Estimate]]:
    """Those of the naive rules whose knowledge is there."""
    can_follow = {"base_rate": rates is not None, "always_up": is_market}
    knows_past = is_market and bool(np.isfinite(past_return).all())
    given = BaselineRows(past_return, past_return if rates is None else rates)
    return {
        rule.name: evaluator.estimate(rule.score(given), rule.metrics)
        for rule in BASELINES
        if can_follow.get(rule.name, knows_past)
    }


def _of_classes(
    ordered: Sequence[Data], manifest: Manifest, at: NDArray[np.int64], block: NDArray[np.intp]
) -> Measured:
    if any(one["probabilities"] is None for one in ordered):
        raise InvalidInput(
            f"Predictions of {len(manifest.classes)} classes are measured by the probability of each; some "
            "of these tell only one."
        )
    y = np.array([manifest.classes.index(one["label"]) for one in ordered], np.intp)
    probabilities = np.array([one["probabilities"] for one in ordered], np.float64)
    blocks = int(block.max()) + 1
    weights = resampling_weights(blocks, RESAMPLES, np.random.default_rng(SEED))
    return Measured(
        rows=len(y),
        sessions=len(np.unique(at)),
        blocks=blocks,
        first=int(at[0]),
        last=int(at[-1]),
        rank_ic_within=None,
        metrics=ClassEvaluator(y, len(manifest.classes), block, weights).estimate(probabilities),
        baselines={},
        gains={},
        calibration=None,
    )


def _returns(ordered: Sequence[Data], name: str) -> Scores:
    """NaN where there is none."""
    return np.array([np.nan if one[name] is None else one[name] for one in ordered], np.float64)


def _json(estimates: Mapping[str, Estimate]) -> dict[str, Any]:
    return {name: found.json() for name, found in estimates.items()}
