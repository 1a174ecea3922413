"""Replay: the stored features through the stored package give the stored score, bit for bit.

Each prediction is replayed alone, one row at a time, as it was made: how the rows of a batch are summed is
the runtime's own, and needn't be relied on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from shared.errors import NotFound, PackageRefused
from shared.monitoring.audit import Audit, is_intact
from shared.platform.ports import Data
from shared.registry import Manifest, Registry, Scorer
from shared.tabular.deciding import decided

PAGE: Final = 500

Decide: TypeAlias = Callable[[float, float, float], str]
"""The signal of a probability, by a threshold and a no-trade band."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A prediction that isn't what its package makes of its features, and why, for people."""

    prediction_id: str
    model_id: str
    why: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PackageCheck:
    """A version's package: all of its files were read. `why` says what is wrong with it; None is nothing."""

    model_id: str
    package_hash: str | None
    predictions: int
    why: str | None


@dataclass(frozen=True, slots=True)
class Verification:
    """What was found. `unsealed` were stored by an earlier release, without a hash of all that was told: of
    those only the replay can tell a difference."""

    checked: int
    unsealed: int
    packages: tuple[PackageCheck, ...]
    differences: tuple[Difference, ...]

    @property
    def has_passed(self) -> bool:
        return not self.differences and all(package.why is None for package in self.packages)

    def json(self) -> dict[str, Any]:
        return {**asdict(self), "verified": self.checked - len(self.differences), "passed": self.has_passed}


@dataclass(slots=True)
class _Opened:
    """A package ready to replay, or what is wrong with it."""

    hash: str | None
    manifest: Manifest | None
    scorer: Scorer | None
    why: str | None
    predictions: int = 0


class Verifier:
    """Replays the audit. Every call blocks."""

    def __init__(self, audit: Audit, registry: Registry, decide: Decide) -> None:
        self._audit = audit
        self._registry = registry
        self._decide = decide

    def verify(
        self,
        *,
        model_id: str | None = None,
        since: datetime | None = None,
        limit: int | None = None,
        on_checked: Callable[[int], object] = lambda _: None,
    ) -> Verification:
        """Replay the newest predictions, at most `limit`, or all. `on_checked` hears how many are done."""
        opened: dict[str, _Opened] = {}
        differences: list[Difference] = []
        checked = unsealed = 0
        for prediction_id, record in self._records(model_id, since, limit):
            of_model = str(record.get("model_id", ""))
            if of_model not in opened:
                opened[of_model] = self._open(of_model)
            package = opened[of_model]
            package.predictions += 1
            why = self._differences(record, package)
            if why:
                differences.append(Difference(prediction_id, of_model, tuple(why)))
            checked += 1
            unsealed += is_intact(record) is None
            on_checked(checked)
        packages = tuple(
            PackageCheck(name, one.hash, one.predictions, one.why) for name, one in sorted(opened.items())
        )
        return Verification(checked, unsealed, packages, tuple(differences))

    def _records(
        self, model_id: str | None, since: datetime | None, limit: int | None
    ) -> Iterator[tuple[str, Data]]:
        cursor: str | None = None
        left = limit
        while left is None or left > 0:
            size = PAGE if left is None else min(PAGE, left)
            page = self._audit.records(symbol=None, model_id=model_id, since=since, limit=size, cursor=cursor)
            yield from ((document.id, document.data) for document in page.documents)
            left = None if left is None else left - len(page.documents)
            if (cursor := page.cursor) is None:
                return

    def _open(self, model_id: str) -> _Opened:
        try:
            package = self._registry.open_package(model_id)
        except (NotFound, PackageRefused) as error:
            return _Opened(None, None, None, error.detail)
        try:
            package.files()
            return _Opened(package.hash, package.manifest, package.verified_scorer(), None)
        except PackageRefused as error:
            return _Opened(package.hash, package.manifest, None, error.detail)

    def _differences(self, record: Data, package: _Opened) -> list[str]:
        found = []
        if is_intact(record) is False:
            found.append("record: its sha256 isn't the one it was stored with")
        if package.manifest is None or package.scorer is None:
            return [*found, f"package: {package.why}"]
        if record.get("package_hash") != package.hash:
            found.append(f"package: it names {record.get('package_hash')}, registered is {package.hash}")
        found += _of_score(record, package.scorer)
        if "label" in record:
            found += _of_label(record, package.manifest, package.scorer)
        elif "threshold" in record:
            found += _of_signal(record, package.manifest, self._decide)
        return found


def _of_score(record: Data, scorer: Scorer) -> list[str]:
    row = _row(record.get("features"), scorer.features)
    if row is None:
        return [f"features: they aren't {scorer.features} numbers"]
    replayed = scorer.score(row)[0].tolist()
    stored = record.get("probabilities") or [record.get("probability")]
    if _bits(stored) == _bits(replayed[-len(stored) :]):
        return []
    return [f"score: stored {stored[-1]!r}, replayed {replayed[-1]!r}"]


def _row(features: Any, count: int) -> NDArray[np.float32] | None:
    """The row as the model was asked: float64 as JSON holds it, then float32; null is no number."""
    if not isinstance(features, list) or len(features) != count:
        return None
    try:
        values = np.array([np.nan if value is None else value for value in features], np.float64)
    except (TypeError, ValueError):
        return None
    return values.astype(np.float32)[np.newaxis]


def _bits(values: list[Any]) -> list[str] | None:
    """Text that tells every two floats apart; None where one is no number."""
    if not all(isinstance(value, (int, float)) for value in values):
        return None
    return [float(value).hex() for value in values]


def _of_label(record: Data, manifest: Manifest, scorer: Scorer) -> list[str]:
    """Of a tabular prediction: the label, and its probability, follow from the probabilities."""
    row = _row(record.get("features"), scorer.features)
    if row is None:
        return []  # told already
    found = _of_threshold(record, manifest)
    probabilities = scorer.score(row)
    place = int(decided(probabilities, manifest.threshold)[0])
    label, probability = manifest.classes[place], float(probabilities[0, place])
    if record["label"] != label:
        found.append(f"label: stored {record['label']!r}, replayed {label!r}")
    elif _bits([record.get("probability")]) != _bits([probability]):
        found.append(f"probability: stored {record.get('probability')!r}, replayed {probability!r}")
    return found


def _of_threshold(record: Data, manifest: Manifest) -> list[str]:
    if record.get("threshold") == manifest.threshold:
        return []
    return [f"threshold: stored {record.get('threshold')!r}, the package's is {manifest.threshold!r}"]


def _of_signal(record: Data, manifest: Manifest, decide: Decide) -> list[str]:
    found = _of_threshold(record, manifest)
    probability, band = (record.get(name) for name in ("probability", "no_trade_band"))
    if not isinstance(probability, (int, float)) or not isinstance(band, (int, float)):
        return [*found, "signal: what it was decided by is no number"]
    signal = decide(probability, manifest.threshold, band)
    if record.get("signal") != signal:
        found.append(f"signal: stored {record.get('signal')!r}, replayed {signal!r}")
    return found
