"""Gates: what a model must show on unseen rows before it may be activated without a human."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from shared.errors import ConfigurationError
from shared.evaluation.bootstrap import Estimate
from shared.problems.spec import Gate


@dataclass(frozen=True, slots=True)
class GateResult:
    """Passed means `value > bound`. `why` says it in words. An undefined value doesn't pass."""

    name: str
    quantity: str
    value: float | None
    bound: float
    passed: bool
    why: str

    def json(self) -> dict[str, Any]:
        return asdict(self)


def quantities(estimates: Mapping[str, Estimate]) -> dict[str, float]:
    """What gates may name of estimates: each value, and as `<name>.low` the lower end of its interval."""
    values = {name: estimate.value for name, estimate in estimates.items()}
    return values | {f"{name}.low": estimate.low for name, estimate in estimates.items()}


def judge_gates(gates: Sequence[Gate], quantities: Mapping[str, float]) -> tuple[GateResult, ...]:
    """Each gate against its quantity.

    Raises:
        ConfigurationError: a gate names a quantity that doesn't exist.
    """
    return tuple(_judge(gate, quantities) for gate in gates)


def _judge(gate: Gate, quantities: Mapping[str, float]) -> GateResult:
    if gate.quantity not in quantities:
        raise ConfigurationError(
            f"Gate {gate.name!r} asks for {gate.quantity!r}; known: {', '.join(sorted(quantities))}."
        )
    value = quantities[gate.quantity]
    passed = value > gate.bound
    verdict = "Shown" if passed else "Not shown"
    measured = f"{value:.4g}" if math.isfinite(value) else "undefined"
    quantity = gate.quantity.replace(".low", " (lower end of its interval)")
    why = f"{verdict} that {gate.meaning}: {quantity} is {measured}, it must be above {gate.bound:g}."
    return GateResult(
        gate.name, gate.quantity, value if math.isfinite(value) else None, gate.bound, passed, why
    )
