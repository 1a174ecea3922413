"""From a training result to a model package: export with its proof, profile, examples, manifest."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from shared.drift.profile import build_profile
from shared.market.candles import rfc3339
from shared.problems import Problem
from shared.registry.golden import build_examples
from shared.registry.manifest import GateResult, Manifest, Parity, Window
from shared.registry.package import Package
from shared.registry.scorer import Scorer
from shared.training.export import export
from shared.training.market import run as market
from shared.training.tabular import run as tabular

_SOURCES: Final = Path(__file__).resolve().parents[1]
_LIBRARIES: Final = ("numpy", "scikit-learn", "lightgbm", "xgboost-cpu", "onnx", "onnxruntime")


def market_package(result: market.TrainingResult) -> Package:
    """The package of a market's training result; equal results give equal bytes.

    Raises:
        ExportRefused: the exported model disagrees with the fitted one.
    """
    dataset, fitted = result.dataset, result.fitted
    validation = dataset.x[result.hold_out_rows]
    model, parity = export(fitted, validation)
    profile = build_profile(
        dataset.x,
        dataset.feature_names,
        result.unseen_scores,
        fitted.classes,
        dataset.y,
        sessions=dataset.timestamp,
        score_sessions=dataset.timestamp[result.unseen_rows],
    )
    return Package.build(
        _market_manifest(result, parity),
        model=model,
        examples=build_examples(Scorer(model), validation),
        profile=profile.to_json(),
        report=result.report_html.encode(),
    )


def tabular_package(result: tabular.TrainingResult) -> Package:
    """The package of a tabular problem's training result; equal results give equal bytes.

    Raises:
        ExportRefused: the exported model disagrees with the fitted one.
    """
    dataset, fitted = result.dataset, result.fitted
    model, parity = export(fitted, dataset.x)
    profile = build_profile(
        dataset.x,
        dataset.columns.names,
        result.unseen_scores,
        fitted.classes,
        dataset.y,
        categorical=[c.name for c in dataset.columns.columns if c.type in ("category", "boolean")],
    )
    return Package.build(
        _tabular_manifest(result, parity),
        model=model,
        examples=build_examples(Scorer(model), dataset.x),
        profile=profile.to_json(),
        report=result.report_html.encode(),
    )


def _market_manifest(result: market.TrainingResult, parity: Parity) -> Manifest:
    dataset, problem = result.dataset, result.findings.task.problem
    return Manifest(
        feature_set=dataset.feature_set,
        feature_set_hash=dataset.feature_set_hash,
        threshold=problem.threshold,
        horizon=dataset.horizon,
        timeframe=dataset.timeframe,
        memory=dataset.feature_memory,
        window=Window(start=rfc3339(int(dataset.timestamp[0])), end=rfc3339(int(dataset.timestamp[-1]))),
        symbols=dataset.symbols,
        **_facts(problem, result, parity),
    )


def _tabular_manifest(result: tabular.TrainingResult, parity: Parity) -> Manifest:
    columns = result.dataset.columns
    return Manifest(
        feature_set="columns",
        feature_set_hash=columns.hash,
        columns=columns.columns,
        threshold=result.threshold,
        **_facts(result.findings.task.problem, result, parity),
    )


def _facts(
    problem: Problem, result: market.TrainingResult | tabular.TrainingResult, parity: Parity
) -> dict[str, Any]:
    """What the manifests of every kind say."""
    fitted = result.fitted
    return {
        "name": problem.model_name,
        "problem": problem.name,
        "problem_version": problem.version,
        "kind": problem.kind.value,
        "feature_names": fitted.feature_names,
        "classes": fitted.classes,
        "algorithm": fitted.algorithm,
        "hyper_parameters": fitted.parameters,
        "metrics": result.metrics(),
        "gates": tuple(GateResult(**gate.json()) for gate in result.gates),
        "gates_passed": result.gates_passed,
        "suspected_leak": result.suspected_leak,
        "rows": len(result.dataset),
        "dataset_fingerprint": result.dataset.fingerprint,
        "code_revision": code_revision(),
        "libraries": dict(_libraries()),
        "parity": parity,
    }


def code_revision(sources: Path = _SOURCES) -> str:
    """`sha256:` and the hash of the library's Python sources: says what ran, also between commits."""
    digest = hashlib.sha256()
    for file in sorted(sources.rglob("*.py")):
        digest.update(f"{file.relative_to(sources)}\n".encode() + file.read_bytes())
    return f"sha256:{digest.hexdigest()}"


def _libraries() -> Iterator[tuple[str, str]]:
    yield "python", platform.python_version()
    for name in _LIBRARIES:
        yield name, version(name)
