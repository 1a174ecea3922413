"""What training gives, whatever the kind of the problem: a fitted model, and an account of its worth."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from shared.evaluation.bootstrap import Estimate
from shared.training.fitted import FittedModel
from shared.training.gates import GateResult

F_co = TypeVar("F_co", bound="Findings", covariant=True)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Findings(ABC):
    """Everything the report tells. `leak` says why a leak is suspected; empty when none is."""

    gates: tuple[GateResult, ...]
    leak: str
    warnings: tuple[str, ...]

    @property
    def gates_passed(self) -> bool:
        return all(gate.passed for gate in self.gates)

    @abstractmethod
    def metrics(self) -> dict[str, Any]:
        """Metrics with intervals, for the manifest."""

    @abstractmethod
    def conclusion(self) -> str:
        """What the run showed, in sentences that promise nothing beyond it."""

    def verdict(self, passed: str) -> str:
        """The conclusion's last sentence; `passed` where all gates have."""
        failed = [gate.name for gate in self.gates if not gate.passed]
        if self.leak:
            return "The result is too good to be true: look for a leak before believing it."
        return passed if not failed else f"Not shown: {', '.join(failed)}. That is no ground to act on it."


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Result(Generic[F_co]):
    """What a run gives. `unseen_scores` are the second class's served probabilities of rows, each by a model
    that hadn't seen the row: the reference for the drift of the score. `timings` are seconds per stage.
    """

    fitted: FittedModel
    findings: F_co
    unseen_scores: NDArray[np.float64]
    report_html: str
    timings: dict[str, float]

    @property
    def gates(self) -> tuple[GateResult, ...]:
        return self.findings.gates

    @property
    def gates_passed(self) -> bool:
        return self.findings.gates_passed

    @property
    def suspected_leak(self) -> bool:
        return bool(self.findings.leak)

    @property
    def may_activate(self) -> bool:
        """Whether it may go live without a human's word."""
        return self.gates_passed and not self.suspected_leak

    def metrics(self) -> dict[str, Any]:
        return self.findings.metrics()


class Told(Protocol):
    """What has a name and is told as JSON."""

    @property
    def name(self) -> str: ...
    def json(self) -> dict[str, Any]: ...


def by_name(evaluations: Iterable[Told]) -> dict[str, Any]:
    return {evaluation.name: evaluation.json() for evaluation in evaluations}


def in_words(estimate: Estimate) -> str:
    """`0.512 [0.503, 0.521]`"""
    return f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"


def leak_in(name: str, auc: float, bound: float) -> str:
    """Why a leak is suspected of what reached the AUC; nothing where it isn't above the bound."""
    if not auc > bound:
        return ""
    return (
        f"The AUC of {name} is {auc:.3f}, above {bound:g}: on data like these that is a leak until proven "
        "otherwise. The model will not be activated automatically."
    )
