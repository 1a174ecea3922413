"""A model in memory."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.errors import InvalidInput, NotFound, PackageRefused
from shared.features import FeatureSet, feature_set
from shared.registry import Manifest, Package, Scorer
from shared.tabular import Columns


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A verified package, ready to score. A market model has `features`, a tabular one `columns`.

    `facts` are what the audit says of the model with each of its predictions. `size_bytes` is about what it
    takes in memory.
    """

    version_id: str
    package_hash: str
    manifest: Manifest = field(repr=False)
    scorer: Scorer = field(repr=False)
    inputs: FeatureSet | Columns = field(repr=False)
    gates_passed: bool
    facts: Mapping[str, Any] = field(repr=False)
    size_bytes: int

    @staticmethod
    def open(version_id: str, package: Package, size_bytes: int) -> LoadedModel:
        """Load a package's model, verified. Blocks.

        Raises:
            PackageRefused: its bytes or its golden vectors don't hold, or this build computes other features.
        """
        manifest = package.manifest
        inputs = Columns(manifest.columns) if manifest.columns else _features(version_id, manifest)
        return LoadedModel(
            version_id=version_id,
            package_hash=package.hash,
            manifest=manifest,
            scorer=package.verified_scorer(),
            inputs=inputs,
            gates_passed=manifest.gates_passed,
            facts={
                "kind": manifest.kind,
                "problem": manifest.problem,
                "model_id": version_id,
                "model_name": manifest.name,
                "gates_passed": manifest.gates_passed,
                "package_hash": package.hash,
                "feature_set_hash": manifest.feature_set_hash,
                "threshold": manifest.threshold,
            },
            size_bytes=size_bytes,
        )

    def score(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probabilities (n, classes) of rows (n, inputs).

        Raises:
            PackageRefused: the model gives something else than numbers: that is no prediction.
        """
        found = self.scorer.score(x)
        if not math.isfinite(found.sum(dtype=np.float64)):  # of float32 no sum of numbers is too large for it
            row = int(np.flatnonzero(~np.isfinite(found).all(axis=1))[0])
            raise PackageRefused(
                f"{self.version_id} gives {found[row].tolist()} for row {row} of those that are right: "
                "these are no probabilities. Train or convert it anew."
            )
        return found

    @property
    def features(self) -> FeatureSet:
        """
        Raises:
            InvalidInput: it is no market model.
        """
        if isinstance(self.inputs, Columns):
            raise InvalidInput(
                f"{self.version_id} doesn't take symbols: it is a tabular model. Give it rows "
                "(POST /predict with 'inputs')."
            )
        return self.inputs

    def require_market(self) -> None:
        """
        Raises:
            InvalidInput: as `features`.
        """
        _ = self.features

    @property
    def columns(self) -> Columns:
        """
        Raises:
            InvalidInput: it is no tabular model.
        """
        if not isinstance(self.inputs, Columns):
            raise InvalidInput(
                f"{self.version_id} doesn't take rows: it is a market model. Give it a symbol (GET /predict)."
            )
        return self.inputs


def _features(version_id: str, manifest: Manifest) -> FeatureSet:
    """The features that the model was trained on.

    Raises:
        PackageRefused: this build computes others.
    """
    try:
        features = feature_set(manifest.feature_set)
    except NotFound as error:
        raise PackageRefused(f"{version_id} needs another build: {error.detail}") from error
    if features.hash != manifest.feature_set_hash:
        raise PackageRefused(
            f"{version_id} was trained on {manifest.feature_set} {manifest.feature_set_hash[:12]}, "
            f"this build computes {features.hash[:12]}: train a new version."
        )
    return features
