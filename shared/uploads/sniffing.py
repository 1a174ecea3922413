"""What a file is, by its content: its name and its declared type are the sender's word.

A file is taken for the declared format only where it looks like that; all else is named as far as it can
be, so that the refusal says how to convert it. Nothing is unpacked beyond its first bytes, and nothing is
loaded.
"""

from __future__ import annotations

import bz2
import lzma
import pickletools
import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from shared.errors import FieldError, InvalidInput
from shared.uploads.formats import (
    HOW_ANY,
    HOW_CATBOOST,
    HOW_KERAS,
    HOW_PICKLE,
    HOW_PLAIN,
    HOW_TORCH,
    Format,
)
from shared.uploads.protobuf import looks_like_onnx, looks_like_saved_model
from shared.uploads.zips import PEEK_BYTES, UnreadableZip, read_members

POINTER: Final = "/file"

_PEEK_MEMORY_BYTES: Final = 100_000_000
"""What unpacking a file's first bytes may take: LZMA's headers ask for up to 4 GB."""

_SKOPS_MEMBER: Final = re.compile(r"schema\.json|[0-9]+\.npy")

_NEWEST_PROTOCOL: Final = 5
_FEWEST_OPCODES: Final = 3
_TELLING: Final = frozenset({"GLOBAL", "INST", "PUT", "BINPUT", "MEMOIZE", "REDUCE", "STOP"})


@dataclass(frozen=True, slots=True)
class Kind:
    """What a file is, and how to make something of it that may be uploaded."""

    words: str
    how: str


PICKLE: Final = Kind("a pickle", HOW_PICKLE)
NUMPY: Final = Kind("a NumPy array, as joblib writes it too", HOW_PICKLE)
TORCH: Final = Kind("a PyTorch file (a zip with a pickle inside)", HOW_TORCH)
TORCHSCRIPT: Final = Kind("a TorchScript file (a zip with code inside)", HOW_TORCH)
KERAS: Final = Kind("a Keras model", HOW_KERAS)
HDF5: Final = Kind("an HDF5 file, as Keras wrote models", HOW_KERAS)
SAVED_MODEL: Final = Kind("a TensorFlow SavedModel", HOW_KERAS)
NPZ: Final = Kind("a zip of NumPy arrays (npz)", HOW_ANY)
PICKLE_IN_ZIP: Final = Kind("a zip with a pickle inside", HOW_PICKLE)
STRAY_ZIP: Final = Kind("a zip with a member whose name leads out of it", HOW_PLAIN)
ZIP: Final = Kind("a zip", HOW_PLAIN)
SKOPS: Final = Kind("a skops file", "Its format is 'skops'.")

_MAGIC: Final[tuple[tuple[bytes, Kind], ...]] = (
    (b"\x93NUMPY", NUMPY),
    (b"\x89HDF\r\n\x1a\n", HDF5),
    (b"\x7fELF", Kind("a program (ELF)", HOW_ANY)),
    (b"MZ", Kind("a program (Windows)", HOW_ANY)),
    (b"\xcf\xfa\xed\xfe", Kind("a program (Mach-O)", HOW_ANY)),
    (b"#!", Kind("a script", HOW_ANY)),
    (b"%PDF", Kind("a PDF", HOW_ANY)),
    (b"\x89PNG", Kind("a picture", HOW_ANY)),
    (b"GIF8", Kind("a picture", HOW_ANY)),
    (b"\xff\xd8\xff", Kind("a picture", HOW_ANY)),
    (b"PAR1", Kind("a Parquet file: data, no model", HOW_ANY)),
    (b"7z\xbc\xaf\x27\x1c", Kind("a 7z archive", HOW_PLAIN)),
    (b"Rar!", Kind("a RAR archive", HOW_PLAIN)),
    (b"\x28\xb5\x2f\xfd", Kind("compressed with zstd", HOW_PLAIN)),
    (b"CBM1", Kind("a CatBoost model", HOW_CATBOOST)),
    (b"ZF0x", Kind("an old joblib file: a compressed pickle", HOW_PICKLE)),
    (b"\x04\x22\x4d\x18", Kind("compressed with LZ4, as joblib can", HOW_PICKLE)),
)


def refuse_unlike(content: bytes, format: Format) -> None:
    """
    Raises:
        InvalidInput: it isn't a file of this format; says what it is, and how to convert it.
    """
    if not content:
        raise _refused("The file is empty.")
    if _LOOKS_LIKE[format](content):
        return
    found = identify(content)
    if found is None:
        raise _refused(
            f"The file must be {format.words}; its content is nothing that is known here. {HOW_ANY}"
        )
    raise _refused(f"The file must be {format.words}, and it is {found.words}. {found.how}")


def check_file_name(name: str) -> None:
    """Names of files are used for nothing; one that tries to lead elsewhere tells that something is wrong.

    Raises:
        InvalidInput
    """
    if name in (".", "..") or not name.isprintable() or any(character in name for character in "/\\"):
        raise _refused("The file must be named plainly, without '/', '\\' or control characters.")


def identify(content: bytes) -> Kind | None:
    """What it is, or None."""
    for look in (_magic, _packed, _zip, _pickle, _structured, _text):
        kind = look(content)
        if kind is not None:
            return kind
    return None


def _magic(content: bytes) -> Kind | None:
    for magic, kind in _MAGIC:
        if content.startswith(magic):
            return kind
    if content[257:262] == b"ustar":
        return Kind("a tar archive", HOW_PLAIN)
    return Kind("a TensorFlow Lite model", HOW_KERAS) if content[4:8] == b"TFL3" else None


def _packed(content: bytes) -> Kind | None:
    """What is compressed, with what its first bytes tell of the inside."""
    packed = _unpacked(content)
    if packed is None:
        return None
    name, inside = packed
    kind = identify(inside) if inside else None
    if kind is None:
        return Kind(f"compressed ({name})", HOW_PLAIN)
    return Kind(f"compressed ({name}), with {kind.words} inside", kind.how)


def _structured(content: bytes) -> Kind | None:
    if looks_like_onnx(content):
        return Kind("an ONNX model", "Its format is 'onnx'.")
    if looks_like_saved_model(content):
        return SAVED_MODEL
    if _looks_like_ubj(content):
        return Kind("an XGBoost model in UBJ", "Its format is 'xgboost-ubj'.")
    if content[8:9] == b"{" and int.from_bytes(content[:8], "little") < len(content):
        return Kind("a safetensors file: weights without a model", HOW_TORCH)
    return None


def _refused(detail: str) -> InvalidInput:
    return InvalidInput(detail, errors=[FieldError(POINTER, detail)])


def _unpacked(content: bytes) -> tuple[str, bytes] | None:
    """The name of the compression and the first bytes inside; None where there is none."""
    packers: tuple[tuple[bytes, str, Callable[[], Any]], ...] = (
        (b"\x1f\x8b", "gzip", lambda: zlib.decompressobj(31)),
        (b"BZh", "bzip2", bz2.BZ2Decompressor),
        (b"\xfd7zXZ\x00", "xz", lambda: lzma.LZMADecompressor(memlimit=_PEEK_MEMORY_BYTES)),
        (b"\x5d\x00\x00", "lzma", lambda: lzma.LZMADecompressor(memlimit=_PEEK_MEMORY_BYTES)),
        (b"\x78\x01", "zlib", zlib.decompressobj),
        (b"\x78\x5e", "zlib", zlib.decompressobj),
        (b"\x78\x9c", "zlib", zlib.decompressobj),
        (b"\x78\xda", "zlib", zlib.decompressobj),
    )
    for magic, name, make in packers:
        if content.startswith(magic):
            try:
                return name, make().decompress(content[:PEEK_BYTES], PEEK_BYTES)
            except (zlib.error, OSError, EOFError, lzma.LZMAError):
                return name, b""
    return None


def _zip(content: bytes) -> Kind | None:
    """By the names of its members, and their first bytes. Wherever in the file the zip begins."""
    try:
        members = read_members(content)
    except UnreadableZip as error:
        return Kind(f"a zip that {error}", HOW_PLAIN)
    return None if members is None else _of_members(members.names, members.starts)


def _of_members(names: Sequence[str], starts: Sequence[bytes]) -> Kind:
    if any(_leads_out(name) for name in names):
        return STRAY_ZIP
    if any(name.endswith("constants.pkl") or "/code/" in name for name in names):
        return TORCHSCRIPT
    if any(name.endswith("data.pkl") for name in names):
        return TORCH
    if "config.json" in names and any(name.endswith(".h5") for name in names):
        return KERAS
    if any(name.endswith((".pkl", ".pickle", ".joblib")) for name in names) or any(map(_is_pickle, starts)):
        return PICKLE_IN_ZIP
    if any(name.endswith("saved_model.pb") for name in names):
        return SAVED_MODEL
    if names and all(name.endswith(".npy") for name in names):
        return NPZ
    return SKOPS if "schema.json" in names else ZIP


def _leads_out(name: str) -> bool:
    parts = re.split(r"[/\\]", name)
    return name.startswith(("/", "\\")) or ".." in parts or "\0" in name or ":" in parts[0]


def _pickle(content: bytes) -> Kind | None:
    return PICKLE if _is_pickle(content) else None


def _is_pickle(content: bytes) -> bool:
    """Whether it reads as a pickle of any protocol, as far as can be seen: opcodes are looked at, never run.

    Protocols 2 to 5 begin with their number. 0 and 1 begin with any opcode, and so may text: there what only
    pickles do counts, to name a class, to keep a value for later, or to stop.
    """
    if content[:1] == b"\x80" and len(content) > 1 and content[1] <= _NEWEST_PROTOCOL:
        return True
    seen = 0
    try:
        for opcode, _, _ in pickletools.genops(content[:PEEK_BYTES]):
            seen += 1
            if seen >= _FEWEST_OPCODES and opcode.name in _TELLING:
                return True
    except (ValueError, UnicodeError, KeyError):
        return False
    return False


def _text(content: bytes) -> Kind | None:
    start = content[:PEEK_BYTES].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype html", b"<html", b"<head", b"<script")):
        return Kind("an HTML page", "Check what was downloaded: a page about the model, maybe. " + HOW_ANY)
    if b"<pmml" in start:
        return Kind("a PMML document", HOW_ANY)
    if start.startswith(b"<"):
        return Kind("an XML document", HOW_ANY)
    if _looks_like_lightgbm(content):
        return Kind("a LightGBM model", "Its format is 'lightgbm'.")
    if start.startswith((b"{", b"[")):
        if _looks_like_xgboost_json(content):
            return Kind("an XGBoost model in JSON", "Its format is 'xgboost-json'.")
        return Kind("JSON, and no XGBoost model", HOW_ANY)
    if start.startswith((b"---", b"%yaml")) or re.match(rb"[\w!\"'-]+:(\s|$)", start):
        return Kind("YAML", HOW_ANY)
    return None


def _looks_like_lightgbm(content: bytes) -> bool:
    is_begun = content.startswith((b"tree\n", b"tree\r\n")) and b"version=" in content[:PEEK_BYTES]
    return is_begun and b"end of trees" in content and _is_text(content)


def _looks_like_xgboost_json(content: bytes) -> bool:
    is_object = content.lstrip()[:1] == b"{" and content.rstrip()[-1:] == b"}"
    return is_object and b'"learner"' in content and _is_text(content)


def _looks_like_ubj(content: bytes) -> bool:
    return (
        content[:1] == b"{" and content[1:2] in (b"L", b"l", b"I", b"i", b"U") and b"learner" in content[:64]
    )


def _looks_like_skops(content: bytes) -> bool:
    """Its members' names alone: the schema, and arrays by number. The conversion looks closer."""
    if not content.startswith(b"PK\x03\x04"):
        return False
    try:
        members = read_members(content)
    except UnreadableZip:
        return False
    names = () if members is None else members.names
    return "schema.json" in names and all(_SKOPS_MEMBER.fullmatch(name) for name in names)


def _is_text(content: bytes) -> bool:
    try:
        return "\0" not in content.decode()
    except UnicodeDecodeError:
        return False


_LOOKS_LIKE: Final[dict[Format, Callable[[bytes], bool]]] = {
    Format.ONNX: looks_like_onnx,
    Format.LIGHTGBM: _looks_like_lightgbm,
    Format.XGBOOST_JSON: _looks_like_xgboost_json,
    Format.XGBOOST_UBJ: _looks_like_ubj,
    Format.SKOPS: _looks_like_skops,
}
