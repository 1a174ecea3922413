"""What a model package says of itself: `manifest.json`, whose sha256 is the package's hash.

It holds no time stamp, run id or version: equal data, seed and library versions give an equal hash.
When, by whom and under which version a package came in is in the registry's documents.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, JsonValue, ValidationError, model_validator

from shared.errors import PackageRefused
from shared.tabular import Column

FORMAT_VERSION: Final = 1

Name: TypeAlias = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")]
Sha256: TypeAlias = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Count: TypeAlias = Annotated[int, Field(ge=0)]


class Part(BaseModel):
    """Base of the manifest and its parts: frozen, and without unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class GateResult(Part):
    """One condition for going live: passed means `value > bound`, and `why` says it in words."""

    name: str
    quantity: str
    value: FiniteFloat | None
    bound: FiniteFloat
    passed: bool
    why: str


class Window(Part):
    """First and last time that was trained on, as RFC 3339 text in UTC."""

    start: str
    end: str


class Parity(Part):
    """How far the exported graph was from the fitted model, as the largest difference of a probability."""

    max_abs_difference: FiniteFloat = Field(ge=0)
    rows_checked: Count


class File(Part):
    sha256: Sha256
    size_bytes: Count


class Manifest(Part):
    """A model package's facts.

    `threshold` is the probability of the second class from which on it is predicted. `metrics` holds
    estimates with their intervals, of the hold-out and of the walk-forward. `memory` is how many candles
    before a row its features look back on; it, `horizon`, `timeframe` and `window` are None for
    problems without time. `columns` are what a tabular model takes, one per input of the graph; its
    `feature_set` is "columns", with the hash of them. `origin` says who made the model: the engine's own
    training, or somebody elsewhere, who has uploaded it. No gate has judged the latter. `problem_version`
    says which declaration a declared problem had; a built-in one is told by `code_revision`.
    """

    format_version: Literal[1] = FORMAT_VERSION
    name: Name
    problem: str
    problem_version: int | None = Field(None, ge=1)
    kind: Literal["market", "tabular"]
    origin: Literal["trained", "uploaded"] = "trained"
    feature_set: str
    feature_set_hash: str
    feature_names: tuple[str, ...] = Field(min_length=1)
    columns: tuple[Column, ...] = ()
    classes: tuple[str, ...] = Field(min_length=2)
    threshold: float = Field(ge=0, le=1)
    horizon: int | None = Field(None, ge=1)
    timeframe: str | None = None
    memory: int | None = Field(None, ge=0)
    algorithm: str
    hyper_parameters: Mapping[str, JsonValue]
    metrics: Mapping[str, JsonValue]
    gates: tuple[GateResult, ...]
    gates_passed: bool
    suspected_leak: bool
    window: Window | None = None
    symbols: tuple[str, ...] = ()
    rows: Count
    dataset_fingerprint: str
    code_revision: str
    libraries: Mapping[str, str]
    parity: Parity
    files: Mapping[str, File] = {}

    @model_validator(mode="after")
    def _gates_agree(self) -> Self:
        if self.origin == "uploaded":
            if self.gates or self.gates_passed:
                raise ValueError("an uploaded model has met no gate, and so has passed none")
        elif self.gates_passed != all(gate.passed for gate in self.gates):
            raise ValueError("gates_passed must say whether every one of `gates` passed")
        return self

    @model_validator(mode="after")
    def _columns_are_the_features(self) -> Self:
        names = tuple(column.name for column in self.columns)
        if (self.kind == "tabular") != bool(names):
            raise ValueError("a tabular model has columns, others have none")
        if names and names != self.feature_names:
            raise ValueError("feature_names must be the names of the columns, in their order")
        return self

    def to_json(self) -> bytes:
        """The canonical bytes: equal manifests give equal ones."""
        fields = self.model_dump(mode="json")
        return json.dumps(fields, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False).encode()

    @staticmethod
    def from_json(content: bytes) -> Manifest:
        """Read a manifest.

        Raises:
            PackageRefused: not a manifest, or one of a format that this version doesn't know.
        """
        try:
            return Manifest.model_validate_json(content)
        except ValidationError as error:
            raise PackageRefused(_complaint(content, error)) from error


def _complaint(content: bytes, error: ValidationError) -> str:
    found = _format_version(content)
    if found not in (None, FORMAT_VERSION):
        return (
            f"The package has format version {found!r}; this one reads {FORMAT_VERSION}: update the engine."
        )
    wrong = "; ".join(
        f"{'.'.join(map(str, item['loc'])) or 'file'}: {item['msg']}" for item in error.errors()
    )
    return f"manifest.json isn't a manifest: {wrong}"


def _format_version(content: bytes) -> Any:
    try:
        fields = json.loads(content)
    except ValueError:
        return None
    return fields.get("format_version") if isinstance(fields, dict) else None
