"""Lineage: from a prediction to the package, the training, the data and the change that made it live."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeAlias

from shared.errors import NotFound, PackageRefused
from shared.monitoring.audit import DIGEST, EXPIRES, is_intact
from shared.platform.ports import Data
from shared.registry import Manifest, Registry, Version
from shared.registry.promotions import Promotion

FindRun: TypeAlias = Callable[[str], Mapping[str, Any]]
"""Gives a training run by its id, for its readers; raises `NotFound`."""


class Lineage:
    """Follows predictions back. What can't be followed is told in words, and is no error."""

    def __init__(self, registry: Registry, find_run: FindRun) -> None:
        self._registry = registry
        self._find_run = find_run

    def of(self, record: Data) -> dict[str, Any]:
        """The lineage of a prediction, from its record in the audit.

        `notes` says what is missing, and what doesn't agree: where it is empty, everything does.
        `was_live` says whether the version was the live one when it predicted.
        """
        notes: list[str] = []
        model_id = str(record.get("model_id", ""))
        version = self._version(model_id, notes)
        manifest = None if version is None else self._manifest(version, notes)
        promotion = self._promotion(record, version)
        run_id = None if version is None else version.run_id
        was_live = None if promotion is None else promotion.version_id == model_id
        notes += _disagreements(record, version, manifest)
        if version is not None and not was_live:
            notes.append(_why_not_live(model_id, promotion))
        return {
            "model": None if version is None else _model(version),
            "training": None if manifest is None else _training(manifest),
            "run": None if run_id is None else self._run(run_id, notes),
            "promotion": None if promotion is None else dict(promotion.to_data()),
            "was_live": was_live,
            "record": {name: record.get(name) for name in (DIGEST, EXPIRES)},
            "notes": notes,
        }

    def _version(self, model_id: str, notes: list[str]) -> Version | None:
        try:
            return self._registry.get(model_id)
        except NotFound as error:
            notes.append(error.detail)
            return None

    def _manifest(self, version: Version, notes: list[str]) -> Manifest | None:
        try:
            return self._registry.open_package(version.id).manifest
        except PackageRefused as error:
            notes.append(f"The package of {version.id} isn't what was registered: {error.detail}")
            return None

    def _promotion(self, record: Data, version: Version | None) -> Promotion | None:
        if version is None or not isinstance(record.get("made_at"), str):
            return None
        return self._registry.live_at(version.name, datetime.fromisoformat(record["made_at"]))

    def _run(self, run_id: str, notes: list[str]) -> dict[str, Any] | None:
        try:
            run = self._find_run(run_id)
        except NotFound:
            notes.append(f"The training run {run_id} isn't recorded here.")
            return None
        return {name: run[name] for name in _OF_RUN}


_OF_RUN = ("run_id", "status", "created_at", "started_at", "finished_at", "request")


def _model(version: Version) -> dict[str, Any]:
    shown = ("id", "status", "package_hash", "algorithm", "created_by", "run_id")
    return {**{name: getattr(version, name) for name in shown}, "created_at": version.created_at.isoformat()}


def _training(manifest: Manifest) -> dict[str, Any]:
    shown = ("problem", "dataset_fingerprint", "rows", "feature_set", "feature_set_hash", "code_revision")
    window = None if manifest.window is None else manifest.window.model_dump()
    return {**{name: getattr(manifest, name) for name in shown}, "window": window}


def _disagreements(record: Data, version: Version | None, manifest: Manifest | None) -> list[str]:
    found = []
    if is_intact(record) is False:
        found.append("The stored prediction isn't what was written: its sha256 differs.")
    if version is not None and record.get("package_hash") != version.package_hash:
        found.append(f"It was made by another package than the one that is registered as {version.id}.")
    if manifest is not None and record.get("feature_set_hash") != manifest.feature_set_hash:
        found.append("Its features aren't those that the model was trained on.")
    return found


def _why_not_live(model_id: str, promotion: Promotion | None) -> str:
    if promotion is None:
        return f"No version was live when {model_id} predicted: it was asked for by its id."
    return (
        f"{promotion.version_id} was live then: {model_id} was asked for by its id, stood in for a package "
        "that was refused, or was still in an instance's memory for a moment."
    )
