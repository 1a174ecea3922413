from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from shared.errors import CorruptBlob, NotFound, PackageRefused, PlatformUnavailable
from shared.registry.golden import build_examples
from shared.registry.manifest import Manifest, Parity
from shared.registry.package import EXAMPLES, MANIFEST, MLMODEL, MODEL, PROFILE, REPORT, Package
from shared.registry.scorer import Scorer
from tests.packages import number_columns

ROWS = np.random.default_rng(0).normal(size=(100, 2)).astype(np.float32)


def onnx_model(weight: float = 1.0, columns: int = 2) -> bytes:
    weights = numpy_helper.from_array(np.full((columns, 2), weight, np.float32), "w")
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["input", "w"], ["sum"]),
            helper.make_node("Sigmoid", ["sum"], ["probabilities"]),
        ],
        "test",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["rows", columns])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["rows", 2])],
        [weights],
    )
    opsets = [helper.make_opsetid("", 17)]
    made: bytes = helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()
    return made


def manifest(**changes: Any) -> Manifest:
    fields: dict[str, Any] = {
        "name": "heart-disease",
        "problem": "heart_disease",
        "kind": "tabular",
        "feature_set": "columns",
        "feature_set_hash": "ab",
        "feature_names": ("age", "chol"),
        "columns": number_columns(("age", "chol")),
        "classes": ("no", "yes"),
        "threshold": 0.5,
        "algorithm": "logistic_regression",
        "hyper_parameters": {},
        "metrics": {},
        "gates": (),
        "gates_passed": True,
        "suspected_leak": False,
        "rows": 100,
        "dataset_fingerprint": "cd",
        "code_revision": "ef",
        "libraries": {"python": "3.11.7", "onnx": "1.23.2"},
        "parity": Parity(max_abs_difference=0.0, rows_checked=100),
    }
    return Manifest(**{**fields, **changes})


def build(**changes: Any) -> Package:
    model = onnx_model()
    parts = {
        "model": model,
        "examples": build_examples(Scorer(model), ROWS),
        "profile": b"{}",
        "report": b"<html>",
    }
    return Package.build(manifest(), **{**parts, **changes})


def reader(package: Package, **replaced: bytes | Exception) -> Callable[[str], bytes]:
    """Reads the package's files, but for those replaced (their dots as underscores)."""
    files = package.files()

    def read(name: str) -> bytes:
        found = replaced.get(name.replace(".", "_"), files[name])
        if isinstance(found, Exception):
            raise found
        return found

    return read


def reopened(package: Package, **replaced: bytes | Exception) -> Package:
    return Package.open(package.manifest_bytes, reader(package, **replaced), expected_hash=package.hash)


def sealed(fields: dict[str, Any]) -> tuple[bytes, str]:
    """A manifest of these fields, with its own hash."""
    content = json.dumps(fields).encode()
    return content, hashlib.sha256(content).hexdigest()


def test_a_package_holds_its_files_and_vouches_for_each() -> None:
    package = build()
    files = package.files()
    assert set(files) == {MANIFEST, MODEL, EXAMPLES, PROFILE, REPORT, MLMODEL}
    assert package.hash == hashlib.sha256(files[MANIFEST]).hexdigest()
    for name, entry in package.manifest.files.items():
        assert entry.sha256 == hashlib.sha256(files[name]).hexdigest()
        assert entry.size_bytes == len(files[name])


def test_equal_contents_give_an_equal_hash() -> None:
    assert build().hash == build().hash
    assert build(report=b"<html lang=en>").hash != build().hash


def test_a_package_that_is_opened_again_is_the_same() -> None:
    assert reopened(build()).files() == build().files()


def test_opening_reads_no_file_and_scoring_two() -> None:
    package, asked = build(), list[str]()
    read = reader(package)

    def recorded(name: str) -> bytes:
        asked.append(name)
        return read(name)

    opened = Package.open(package.manifest_bytes, recorded, expected_hash=package.hash)
    assert asked == []
    scorer = opened.verified_scorer()
    assert sorted(asked) == [EXAMPLES, MODEL]
    assert scorer.score(ROWS[:1]).shape == (1, 2)


def test_another_manifest_is_refused() -> None:
    package = build()
    changed = package.manifest_bytes.replace(b'"rows": 100', b'"rows": 101')
    with pytest.raises(PackageRefused, match="the package's hash is"):
        Package.open(changed, reader(package), expected_hash=package.hash)


@pytest.mark.parametrize("name", [MODEL, EXAMPLES, PROFILE, REPORT, MLMODEL])
def test_other_bytes_in_a_file_are_refused_by_name(name: str) -> None:
    package = build()
    content = package.files()[name]
    for other in (content[:-1], bytes([content[0] ^ 1]) + content[1:], content + b" ", b""):
        opened = reopened(package, **{name.replace(".", "_"): other})
        with pytest.raises(PackageRefused, match=f"^{name}: the manifest says"):
            opened.file(name)


@pytest.mark.parametrize("error", [NotFound("gone"), CorruptBlob("rotten")])
def test_a_file_that_is_gone_or_rotten_is_refused(error: Exception) -> None:
    with pytest.raises(PackageRefused, match=r"model\.onnx of package .* can't be read"):
        reopened(build(), model_onnx=error).verified_scorer()


def test_a_platform_that_is_down_says_so() -> None:
    with pytest.raises(PlatformUnavailable):
        reopened(build(), model_onnx=PlatformUnavailable("down")).verified_scorer()


@pytest.mark.parametrize("name", ["../secret", "pickle.pkl", MANIFEST, ""])
def test_files_that_are_not_listed_cannot_be_asked_for(name: str) -> None:
    with pytest.raises(PackageRefused, match="has no file"):
        build().file(name)


@pytest.mark.parametrize(
    ("drop", "add", "complaint"),
    [
        ((MODEL,), (), r"missing: model\.onnx;"),
        ((), ("model.pkl",), r"not allowed: model\.pkl\."),
        ((), ("../model.onnx",), r"not allowed: \.\./model\.onnx"),
        ((EXAMPLES, REPORT), ("x",), r"missing: examples\.json, report\.html; not allowed: x"),
    ],
)
def test_manifests_that_list_other_files_are_refused(drop: Any, add: Any, complaint: str) -> None:
    fields = json.loads(build().manifest_bytes)
    for name in drop:
        del fields["files"][name]
    for name in add:
        fields["files"][name] = {"sha256": "0" * 64, "size_bytes": 1}
    content, sha256 = sealed(fields)
    with pytest.raises(PackageRefused, match=complaint):
        Package.open(content, reader(build()), expected_hash=sha256)


def test_files_that_are_too_large_are_refused_before_they_are_read() -> None:
    fields = json.loads(build().manifest_bytes)
    fields["files"][MODEL]["size_bytes"] = 10**12
    content, sha256 = sealed(fields)
    with pytest.raises(PackageRefused, match="at most 256000000"):
        Package.open(content, reader(build()), expected_hash=sha256)


def test_manifests_that_are_too_large_are_refused() -> None:
    content = b" " * 1_000_001
    with pytest.raises(PackageRefused, match="at most 1000000"):
        Package.open(content, reader(build()), expected_hash=hashlib.sha256(content).hexdigest())


def test_unknown_formats_are_refused() -> None:
    content, sha256 = sealed({**json.loads(build().manifest_bytes), "format_version": 9})
    with pytest.raises(PackageRefused, match="format version 9"):
        Package.open(content, reader(build()), expected_hash=sha256)


def test_a_model_that_answers_otherwise_than_its_examples_is_refused() -> None:
    with pytest.raises(PackageRefused, match="Golden row"):
        build(model=onnx_model(weight=1.01)).verified_scorer()


def test_a_model_of_another_shape_is_refused() -> None:
    with pytest.raises(PackageRefused, match="the manifest says 2 features and 2 classes"):
        build(model=onnx_model(columns=3)).verified_scorer()


def test_mlflow_finds_the_model_and_its_signature() -> None:
    yaml = pytest.importorskip("yaml")
    found = yaml.safe_load(build().file(MLMODEL))
    assert found["flavors"]["onnx"]["data"] == MODEL
    assert found["flavors"]["python_function"]["loader_module"] == "mlflow.onnx"
    spec = {"name": "input", "type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 2]}}
    assert json.loads(found["signature"]["inputs"]) == [spec]
