"""Files that must never be loaded: the format they claim, their bytes, and words of the refusal."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import pickle
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cloudpickle
import joblib
import numpy as np
from onnx import ModelProto

from shared.uploads import Format
from tests.uploads.graphs import logistic
from tests.uploads.made import lightgbm_model, xgboost_model

ONNX, LGB, XGB, UBJ, SKOPS = (
    Format.ONNX,
    Format.LIGHTGBM,
    Format.XGBOOST_JSON,
    Format.XGBOOST_UBJ,
    Format.SKOPS,
)


@dataclass(frozen=True)
class Hostile:
    """`words` must be in the refusal."""

    name: str
    format: Format
    make: Callable[[], bytes]
    words: str


class Trap:
    """Says so in a file when it is unpickled."""

    def __reduce__(self) -> Any:
        return (open, ("/tmp/mlengine-was-unpickled", "w"))  # noqa: S108 - that it isn't there is the test


def at_a_glance() -> Iterator[Hostile]:
    """What is refused in the request itself."""
    for protocol in range(6):
        yield Hostile(f"pickle-{protocol}", ONNX, lambda p=protocol: pickle.dumps(Trap(), p), "a pickle")  # type: ignore[misc]
    yield Hostile("pickle-of-a-dict-0", LGB, lambda: pickle.dumps({"a": [1, 2]}, 0), "a pickle")
    yield Hostile("joblib", ONNX, lambda: _joblib(0), "a pickle")
    yield Hostile("joblib-zlib", ONNX, lambda: _joblib(("zlib", 3)), "zlib), with a pickle inside")
    yield Hostile("joblib-gzip", ONNX, lambda: _joblib(("gzip", 3)), "gzip), with a pickle inside")
    yield Hostile("joblib-lzma", ONNX, lambda: _joblib(("lzma", 3)), "lzma), with a pickle inside")
    yield Hostile("joblib-xz", ONNX, lambda: _joblib(("xz", 3)), "xz), with a pickle inside")
    yield Hostile("joblib-bz2", ONNX, lambda: _joblib(("bz2", 3)), "bzip2), with a pickle inside")
    yield Hostile("cloudpickle", XGB, lambda: cloudpickle.dumps(lambda: Trap()), "a pickle")
    yield Hostile("npy-of-objects", ONNX, lambda: _npy(np.array([Trap()], object)), "a NumPy array")
    yield Hostile("npz-of-objects", ONNX, lambda: _npz(a=np.array([Trap()], object)), "zip of NumPy arrays")
    yield Hostile("npz", SKOPS, lambda: _npz(a=np.zeros(3)), "zip of NumPy arrays")
    yield Hostile("zip-with-a-pickle", ONNX, lambda: _zip({"m.pkl": pickle.dumps(Trap())}), "pickle inside")
    yield Hostile("zip-with-a-disguise", ONNX, lambda: _zip({"m.txt": pickle.dumps(Trap())}), "pickle inside")
    yield Hostile("zip-that-leads-out", ONNX, lambda: _zip({"../../etc/cron.d/x": b"x"}), "leads out of it")
    yield Hostile("zip-with-an-absolute-path", SKOPS, lambda: _zip({"/etc/passwd": b"x"}), "leads out of it")
    yield Hostile("zip-with-nul", ONNX, lambda: _zip({"a\0/../b": b"x"}), "leads out of it")
    yield Hostile("zip-bomb", ONNX, lambda: _zip({"model.onnx": b"\0" * 50_000_000}), "it is a zip")
    yield Hostile("zip-of-bzip2-bombs", ONNX, _bzip2_bombs, "it is a zip")
    yield Hostile("zip-of-many", SKOPS, lambda: _directory(500_000), "a zip that has more than 50000 members")
    yield Hostile("zip-of-many-disks", ONNX, _many_disks, "a zip that isn't sound")
    yield Hostile("many-fields", ONNX, lambda: b"\x08\x01" * 10_000_000, "nothing that is known")
    yield Hostile("lzma-with-a-huge-dictionary", LGB, _huge_dictionary, "compressed (lzma)")
    yield Hostile("torch", ONNX, lambda: _zip({"archive/data.pkl": b"\x80\x02."}), "PyTorch file")
    yield Hostile(
        "torchscript", ONNX, lambda: _zip({"m/code/a.py": b"", "m/constants.pkl": b""}), "TorchScript"
    )
    yield Hostile(
        "keras", ONNX, lambda: _zip({"config.json": b"{}", "model.weights.h5": b""}), "a Keras model"
    )
    yield Hostile("saved-model-in-zip", ONNX, lambda: _zip({"m/saved_model.pb": b""}), "SavedModel")
    yield Hostile("saved-model", ONNX, lambda: b"\x08\x01\x12\x03abc", "SavedModel")
    yield Hostile("hdf5", ONNX, lambda: b"\x89HDF\r\n\x1a\n" + bytes(100), "HDF5")
    yield Hostile("skops-as-onnx", ONNX, lambda: _zip({"schema.json": b"{}"}), "format is 'skops'")
    yield Hostile(
        "skops-with-a-pickle", SKOPS, lambda: _zip({"schema.json": b"{}", "1.pkl": b""}), "pickle inside"
    )
    yield Hostile("tar", ONNX, lambda: _tar(pickle.dumps(Trap())), "tar archive")
    yield Hostile("tar-gz", ONNX, lambda: gzip.compress(_tar(b"x")), "compressed (gzip)")
    yield Hostile("gzip-of-gzip", LGB, lambda: gzip.compress(gzip.compress(pickle.dumps(Trap()))), "pickle")
    yield Hostile("gzip-bomb", ONNX, lambda: gzip.compress(bytes(100_000_000)), "compressed (gzip)")
    yield Hostile("broken-zlib", ONNX, lambda: b"\x78\x9cnonsense", "compressed (zlib)")
    yield Hostile("bz2", LGB, lambda: bz2.compress(lightgbm_model()[0]), "compressed (bzip2)")
    yield Hostile("lzma", LGB, lambda: lzma.compress(lightgbm_model()[0]), "compressed (xz)")
    yield Hostile("zlib-of-text", LGB, lambda: zlib.compress(lightgbm_model()[0]), "compressed (zlib)")
    yield Hostile("html", ONNX, lambda: b"\n<!DOCTYPE html><html><script>alert(1)</script>", "an HTML page")
    yield Hostile(
        "pmml", ONNX, lambda: b'<?xml version="1.0"?><PMML version="4.4"></PMML>', "a PMML document"
    )
    yield Hostile(
        "xml-entities", ONNX, lambda: b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "aa">]>', "XML"
    )
    yield Hostile("yaml", LGB, lambda: b"a: !!python/object/apply:os.system ['id']\n", "it is YAML")
    yield Hostile("yaml-with-a-mark", LGB, lambda: b"---\n- !!python/name:os.system\n", "it is YAML")
    yield Hostile("pdf", ONNX, lambda: b"%PDF-1.7\n", "a PDF")
    yield Hostile("elf", ONNX, lambda: b"\x7fELF\x02\x01\x01" + bytes(60), "a program (ELF)")
    yield Hostile("windows-program", ONNX, lambda: b"MZ" + bytes(60), "a program")
    yield Hostile("script", LGB, lambda: b"#!/bin/sh\nid\n", "a script")
    yield Hostile("catboost", ONNX, lambda: b"CBM1" + bytes(60), "a CatBoost model")
    yield Hostile("safetensors", ONNX, lambda: struct.pack("<Q", 2) + b"{}" + bytes(9), "safetensors")
    yield Hostile("tflite", ONNX, lambda: b"\x1c\0\0\0TFL3" + bytes(60), "TensorFlow Lite")
    yield Hostile("empty", ONNX, lambda: b"", "is empty")
    yield Hostile("noise", ONNX, lambda: np.random.default_rng(3).bytes(4096), "nothing that is known")
    yield Hostile("other-json", XGB, lambda: b'{"learner_of": 1}', "no XGBoost model")
    yield Hostile("onnx-as-lightgbm", LGB, lambda: _onnx(logistic()), "an ONNX model")
    yield Hostile("lightgbm-as-onnx", ONNX, lambda: lightgbm_model()[0], "a LightGBM model")
    yield Hostile("json-as-ubj", UBJ, lambda: xgboost_model()[0], "an XGBoost model in JSON")
    yield Hostile("truncated-onnx", ONNX, lambda: _onnx(logistic())[:-7], "nothing that is known")
    yield Hostile(
        "polyglot-onnx-zip", ONNX, lambda: _onnx(logistic()) + _zip({"a.pkl": b"\x80\x04."}), "pickle"
    )
    yield Hostile(
        "polyglot-text-zip", LGB, lambda: lightgbm_model()[0] + _zip({"a": bytes(range(256))}), "zip"
    )
    yield Hostile("lightgbm-with-nul", LGB, lambda: lightgbm_model()[0] + b"\0", "nothing that is known")


def _joblib(compress: Any) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.joblib"
        joblib.dump({"model": [1, 2, 3], "trap": Trap()}, file, compress=compress)
        return file.read_bytes()


def _npy(array: Any) -> bytes:
    out = io.BytesIO()
    np.save(out, array, allow_pickle=True)
    return out.getvalue()


def _npz(**arrays: Any) -> bytes:
    out = io.BytesIO()
    np.savez(out, **arrays)
    return out.getvalue()


def _zip(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name.replace("\0", "@"))
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, content)
    content = out.getvalue()
    for name in members:
        content = content.replace(name.replace("\0", "@").encode(), name.encode())
    return content


def _bzip2_bombs() -> bytes:
    """A kilobyte that is 600 MB: all of a member is unpacked to read its first bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_BZIP2) as archive:
        for number in range(3):
            archive.writestr(f"{number}", bytes(200_000_000))
    return out.getvalue()


def _directory(members: int) -> bytes:
    """A zip of members without a name or content: its directory alone."""
    entries = (b"PK\x01\x02" + bytes(42)) * members
    many = min(members, 0xFFFF)
    return b"PK\x03\x04" + entries + struct.pack("<4s4HLLH", b"PK\5\6", 0, 0, many, many, len(entries), 4, 0)


def _many_disks() -> bytes:
    """Its last record says that it is the second of three disks, in the form for large archives."""
    locator = struct.pack("<4sLQL", b"PK\6\7", 1, 0, 3)
    return bytes(100) + locator + struct.pack("<4s4HLLH", b"PK\5\6", 0, 0, 0, 0, 0, 0, 0)


def _huge_dictionary() -> bytes:
    """Its header asks for 2 GB of memory."""
    return b"\x5d\x00\x00\x00\x80" + b"\xff" * 8 + bytes(100)


def _tar(content: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        info = tarfile.TarInfo("../model.pkl")
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def _onnx(made: ModelProto) -> bytes:
    return bytes(made.SerializeToString())
