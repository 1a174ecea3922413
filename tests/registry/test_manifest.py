from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from shared.errors import PackageRefused
from shared.registry.manifest import GateResult, Manifest, Parity, Window
from tests.packages import number_columns

GATE = GateResult(
    name="auc_above_chance", quantity="auc.low", value=0.507, bound=0.5, passed=True, why="Shown."
)
FAILED = GATE.model_copy(update={"name": "enough_blocks", "passed": False})


def manifest(**changes: Any) -> Manifest:
    fields: dict[str, Any] = {
        "name": "market-signal",
        "problem": "market_signal",
        "kind": "market",
        "feature_set": "technical",
        "feature_set_hash": "ab" * 32,
        "feature_names": ("return_1", "return_5"),
        "classes": ("down", "up"),
        "threshold": 0.5,
        "horizon": 1,
        "timeframe": "1d",
        "memory": 60,
        "algorithm": "lightgbm",
        "hyper_parameters": {"n_estimators": 150, "learning_rate": 0.03},
        "metrics": {"hold_out": {"auc": {"value": 0.518, "low": 0.507, "high": 0.528}}},
        "gates": (GATE,),
        "gates_passed": True,
        "suspected_leak": False,
        "window": Window(start="2013-02-08T00:00:00Z", end="2018-02-07T00:00:00Z"),
        "symbols": ("AAPL", "MSFT"),
        "rows": 2_000,
        "dataset_fingerprint": "cd" * 32,
        "code_revision": "0123456",
        "libraries": {"python": "3.11.7", "onnx": "1.23.2"},
        "parity": Parity(max_abs_difference=2e-7, rows_checked=24_000),
    }
    return Manifest(**{**fields, **changes})


def test_what_is_written_is_read() -> None:
    assert Manifest.from_json(manifest().to_json()) == manifest()


def test_equal_manifests_give_equal_bytes_whatever_the_order_of_their_parts() -> None:
    turned = manifest(hyper_parameters={"learning_rate": 0.03, "n_estimators": 150})
    assert turned.to_json() == manifest().to_json()


def test_a_read_manifest_is_written_alike() -> None:
    written = manifest(symbols=("AÉ", "B"), threshold=0.1 + 0.2).to_json()
    assert Manifest.from_json(written).to_json() == written


def test_it_cannot_be_changed() -> None:
    made = manifest()
    with pytest.raises(ValidationError, match="frozen"):
        made.rows = 1  # type: ignore[misc]  # that is the test


def test_problems_without_time_need_no_horizon() -> None:
    columns = number_columns(("return_1", "return_5"))
    made = manifest(
        kind="tabular", columns=columns, horizon=None, timeframe=None, memory=None, window=None, symbols=()
    )
    assert Manifest.from_json(made.to_json()) == made


@pytest.mark.parametrize(("gates", "said"), [((GATE, FAILED), True), ((GATE,), False)])
def test_gates_passed_must_agree_with_the_gates(gates: Any, said: bool) -> None:
    with pytest.raises(ValidationError, match="gates_passed must say"):
        manifest(gates=gates, gates_passed=said)


def test_failed_gates_are_told() -> None:
    assert not manifest(gates=(GATE, FAILED), gates_passed=False).gates_passed


def _changed(**fields: Any) -> bytes:
    return json.dumps({**json.loads(manifest().to_json()), **fields}).encode()


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "file: Invalid JSON"),
        (b"\xff", "Invalid JSON"),
        (b"[]", "isn't a manifest"),
        (b"{}", "name: Field required"),
        (_changed(name="../etc"), "name: String should match"),
        (_changed(threshold=2), "threshold"),
        (_changed(kind="image"), "kind"),
        (_changed(created_at="2026-01-01"), "created_at: Extra inputs"),
        (_changed(files={"a": {"sha256": "x", "size_bytes": 1}}), "files.a.sha256"),
        (_changed(files={"a": {"sha256": "0" * 64, "size_bytes": -1}}), "files.a.size_bytes"),
        (_changed(format_version=2, shape="other"), "format version 2; this one reads 1: update"),
    ],
)
def test_other_files_are_refused_with_the_reason(content: bytes, complaint: str) -> None:
    with pytest.raises(PackageRefused, match=complaint):
        Manifest.from_json(content)
