"""A model package: a manifest and the files it vouches for, each by its sha256."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from shared.errors import CorruptBlob, NotFound, PackageRefused
from shared.registry.golden import check_golden
from shared.registry.manifest import File, Manifest
from shared.registry.mlmodel import mlmodel
from shared.registry.scorer import Scorer

MANIFEST: Final = "manifest.json"
MODEL: Final = "model.onnx"
EXAMPLES: Final = "examples.json"
PROFILE: Final = "profile.json"
REPORT: Final = "report.html"
MLMODEL: Final = "MLmodel"

MAX_MANIFEST_BYTES: Final = 1_000_000
MAX_SIZE_BYTES: Final = {
    MODEL: 256_000_000,
    EXAMPLES: 4_000_000,
    PROFILE: 32_000_000,
    REPORT: 32_000_000,
    MLMODEL: 100_000,
}
"""The files of a package, beside its manifest, and how large each may be."""

Read: TypeAlias = Callable[[str], bytes]
"""Gives a file's content by its name within the package."""


@dataclass(frozen=True, slots=True)
class Package:
    """An opened package. `hash` is the sha256 of `manifest.json`, and through it of every byte.

    Files are read when they are asked for, so that serving fetches the model and its examples only.
    """

    manifest: Manifest
    manifest_bytes: bytes
    hash: str
    read: Read

    @staticmethod
    def build(manifest: Manifest, *, model: bytes, examples: bytes, profile: bytes, report: bytes) -> Package:
        """A package of these files; `manifest.files` is filled in, and `MLmodel` added.

        Raises:
            PackageRefused: a file is too large.
        """
        files = {
            MODEL: model,
            EXAMPLES: examples,
            PROFILE: profile,
            REPORT: report,
            MLMODEL: mlmodel(manifest, model_file=MODEL),
        }
        entries = {
            name: File(sha256=_sha256(content), size_bytes=len(content)) for name, content in files.items()
        }
        content = manifest.model_copy(update={"files": entries}).to_json()
        return Package.open(content, files.__getitem__, expected_hash=_sha256(content))

    @staticmethod
    def open(manifest_bytes: bytes, read: Read, *, expected_hash: str) -> Package:
        """Check the manifest; each file is checked when it is read.

        Raises:
            PackageRefused: not the package with `expected_hash`, an unknown format, or a list of files that
                isn't a package's.
        """
        found = _sha256(manifest_bytes)
        if found != expected_hash:
            raise PackageRefused(f"manifest.json has sha256 {found}; the package's hash is {expected_hash}.")
        if len(manifest_bytes) > MAX_MANIFEST_BYTES:
            raise PackageRefused(
                f"manifest.json has {len(manifest_bytes)} bytes; at most {MAX_MANIFEST_BYTES} are allowed."
            )
        manifest = Manifest.from_json(manifest_bytes)
        _check_listing(manifest)
        return Package(manifest, manifest_bytes, found, read)

    def file(self, name: str) -> bytes:
        """The content of one of the package's files.

        Raises:
            PackageRefused: no such file, or other bytes than the manifest vouches for.
        """
        if name not in self.manifest.files:
            raise PackageRefused(
                f"A package has no file {name!r}; it has {', '.join(sorted(self.manifest.files))}."
            )
        try:
            content = self.read(name)
        except (NotFound, CorruptBlob) as error:
            raise PackageRefused(f"{name} of package {self.hash} can't be read: {error}") from error
        self._check_content(name, content)
        return content

    def verified_scorer(self, *, threads: int = 1) -> Scorer:
        """The model, loaded, and its golden vectors re-checked. Reads the model and its examples only.

        Raises:
            PackageRefused: as `file`; or the model can't be loaded, or answers differently.
        """
        scorer = Scorer(self.file(MODEL), threads=threads)
        self._check_shape(scorer)
        check_golden(scorer, self.file(EXAMPLES))
        return scorer

    def files(self) -> dict[str, bytes]:
        """Every file with its name, the manifest included; each is read and checked.

        Raises:
            PackageRefused: as `file`.
        """
        return {MANIFEST: self.manifest_bytes, **{name: self.file(name) for name in self.manifest.files}}

    def _check_shape(self, scorer: Scorer) -> None:
        features, classes = len(self.manifest.feature_names), len(self.manifest.classes)
        if (scorer.features, scorer.classes) != (features, classes):
            raise PackageRefused(
                f"The model has {scorer.features} features and {scorer.classes} classes; "
                f"the manifest says {features} features and {classes} classes."
            )

    def _check_content(self, name: str, content: bytes) -> None:
        expected = self.manifest.files[name]
        found = File(sha256=_sha256(content), size_bytes=len(content))
        if found != expected:
            raise PackageRefused(
                f"{name}: the manifest says {expected.size_bytes} bytes with sha256 {expected.sha256}; "
                f"found {found.size_bytes} bytes with {found.sha256}."
            )


def _check_listing(manifest: Manifest) -> None:
    missing, extra = MAX_SIZE_BYTES.keys() - manifest.files, manifest.files.keys() - MAX_SIZE_BYTES
    if missing or extra:
        raise PackageRefused(
            f"A package holds exactly {', '.join(MAX_SIZE_BYTES)} beside its manifest; "
            f"missing: {', '.join(sorted(missing)) or 'none'}; "
            f"not allowed: {', '.join(sorted(extra)) or 'none'}."
        )
    for name, entry in manifest.files.items():
        if entry.size_bytes > MAX_SIZE_BYTES[name]:
            raise PackageRefused(
                f"{name} has {entry.size_bytes} bytes; at most {MAX_SIZE_BYTES[name]} are allowed."
            )


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
