"""What is searched, and how the next trial is chosen."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from shared.problems.spec import Algorithm, Candidate, Space
from shared.training.candidates import MIN_LEAF_SHARE
from shared.training.search.records import Trial

STARTUP_TRIALS: Final = 10
"""So many are drawn at random before the estimator says where to look."""

_LEAVES: Final = frozenset({"min_samples_leaf", "min_child_samples", "min_child_weight"})


def _int(low: int, high: int) -> Space:
    return Space("int", low, high, log=True)


def _float(low: float, high: float, *, log: bool = False) -> Space:
    return Space("float", low, high, log=log)


_RATE: Final = _float(0.01, 0.3, log=True)
_TREES: Final = _int(50, 400)
_SHARE: Final = _float(0.3, 1.0)
_PENALTY: Final = _float(1e-3, 10.0, log=True)

SPACES: Final[Mapping[Algorithm, Mapping[str, Space]]] = MappingProxyType(
    {
        Algorithm.LOGISTIC_REGRESSION: {"C": _float(1e-3, 1e2, log=True)},
        Algorithm.RANDOM_FOREST: {
            "max_depth": _int(2, 16),
            "min_samples_leaf": _int(1, 32),
            "max_features": _float(0.1, 1.0),
        },
        Algorithm.HIST_GRADIENT_BOOSTING: {
            "max_iter": _TREES,
            "learning_rate": _RATE,
            "max_leaf_nodes": _int(4, 64),
            "min_samples_leaf": _int(5, 100),
            "l2_regularization": _PENALTY,
        },
        Algorithm.LIGHTGBM: {
            "n_estimators": _TREES,
            "learning_rate": _RATE,
            "num_leaves": _int(4, 64),
            "min_child_samples": _int(5, 100),
            "colsample_bytree": _SHARE,
            "reg_lambda": _PENALTY,
        },
        Algorithm.XGBOOST: {
            "n_estimators": _TREES,
            "learning_rate": _RATE,
            "max_depth": _int(2, 8),
            "min_child_weight": _float(0.5, 20.0, log=True),
            "colsample_bytree": _SHARE,
            "subsample": _float(0.5, 1.0),
            "reg_lambda": _PENALTY,
        },
    }
)
"""Where a candidate says nothing itself: wide enough for small tables, and no value that takes minutes."""


def space_of(candidate: Candidate) -> Mapping[str, Space]:
    """What is searched of a candidate: its own spaces, else those that are usual."""
    if candidate.search:
        return candidate.search
    usual = SPACES[candidate.algorithm]
    if MIN_LEAF_SHARE not in candidate.parameters:
        return usual
    return {name: space for name, space in usual.items() if name not in _LEAVES}


def propose(
    candidates: Sequence[Candidate], before: Sequence[Trial], *, seed: int
) -> tuple[Candidate, dict[str, Any]]:
    """The next candidate, and the values of what is searched of it.

    It depends on the arguments alone: the sampler is made anew for each trial and told what was found before.
    Source: Bergstra and others, Algorithms for hyper-parameter optimization (2011), as Optuna has it.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    by_name = {str(candidate.algorithm): candidate for candidate in candidates}
    sampler = optuna.samplers.TPESampler(
        n_startup_trials=STARTUP_TRIALS, seed=zlib.crc32(f"{seed} {len(before)}".encode())
    )
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.add_trials([found for trial in before if (found := _told(trial, by_name)) is not None])
    trial = study.ask()
    chosen = by_name[trial.suggest_categorical("algorithm", sorted(by_name))]
    values = {name: _suggest(trial, chosen, name, space) for name, space in space_of(chosen).items()}
    return chosen, values


def _suggest(trial: Any, candidate: Candidate, name: str, space: Space) -> Any:
    key = f"{candidate.algorithm}.{name}"
    if space.type == "choice":
        return trial.suggest_categorical(key, space.choices)
    if space.type == "int":
        return trial.suggest_int(key, int(space.low), int(space.high), log=space.log)
    return trial.suggest_float(key, space.low, space.high, log=space.log)


def _told(trial: Trial, by_name: Mapping[str, Candidate]) -> Any:
    """A trial as Optuna takes it; None for one that it didn't propose, or that failed."""
    import optuna

    if trial.proposed is None or trial.value is None:
        return None
    spaces = space_of(by_name[trial.algorithm])
    names = sorted(by_name)
    return optuna.trial.create_trial(
        params={"algorithm": trial.algorithm}
        | {f"{trial.algorithm}.{name}": trial.proposed[name] for name in spaces},
        distributions={"algorithm": optuna.distributions.CategoricalDistribution(names)}
        | {f"{trial.algorithm}.{name}": _distribution(space) for name, space in spaces.items()},
        value=trial.value,
    )


def _distribution(space: Space) -> Any:
    from optuna import distributions

    if space.type == "choice":
        return distributions.CategoricalDistribution(space.choices)
    if space.type == "int":
        return distributions.IntDistribution(int(space.low), int(space.high), log=space.log)
    return distributions.FloatDistribution(space.low, space.high, log=space.log)
