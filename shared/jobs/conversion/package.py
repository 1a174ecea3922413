"""From a converted model to a package: what is known of it, and honestly what isn't."""

from __future__ import annotations

import html
import platform
from importlib.metadata import version
from typing import Final

from shared.jobs.conversion.sandbox import Made
from shared.jobs.packaging import code_revision
from shared.registry.manifest import Manifest, Parity
from shared.registry.package import Package
from shared.registry.versions import UPLOADED
from shared.uploads.records import Upload
from shared.uploads.request import UploadRequest

PROBLEM: Final = "uploaded"
_LIBRARIES: Final = ("numpy", "lightgbm", "xgboost-cpu", "onnx", "onnxruntime")

_PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{name}</title>
<style>body {{ font: 1em sans-serif; max-width: 50em; margin: 2em auto; padding: 0 1em }}
td, th {{ text-align: left; padding: 0.2em 1em 0.2em 0; vertical-align: top }}</style></head>
<body><h1>{name}</h1>
<p>This model was trained elsewhere and uploaded by {by}. Nothing is known of the data that it was trained on,
and no gate has judged it: whoever activates it vouches for it.</p>
<p>{description}</p>
<h2>What was checked</h2><ul>{checks}</ul>
<h2>What it takes</h2><table><tr><th>Column</th><th>Value</th><th></th></tr>{columns}</table>
<h2>What it answers</h2><p>A probability for each of {classes}; threshold {threshold:g}.</p>
</body></html>
"""


def build_package(upload: Upload, request: UploadRequest, made: Made) -> Package:
    """The package of an uploaded model. Equal uploads give equal bytes.

    Raises:
        PackageRefused: a file of it is too large.
    """
    return Package.build(
        _manifest(upload, request, made),
        model=made.model,
        examples=made.outcome.examples.encode(),
        profile=made.outcome.profile.encode(),
        report=_report(upload, request, made).encode(),
    )


def _manifest(upload: Upload, request: UploadRequest, made: Made) -> Manifest:
    columns, outcome = request.schema_of_rows, made.outcome
    parity = Parity(max_abs_difference=outcome.max_abs_difference, rows_checked=outcome.rows_checked)
    return Manifest(
        name=request.name,
        problem=PROBLEM,
        kind="tabular",
        origin=UPLOADED,
        feature_set="columns",
        feature_set_hash=columns.hash,
        feature_names=columns.names,
        columns=columns.columns,
        classes=request.classes,
        threshold=request.threshold,
        algorithm=outcome.algorithm,
        hyper_parameters=outcome.parameters,
        metrics={},
        gates=(),
        gates_passed=False,
        suspected_leak=False,
        rows=0,
        dataset_fingerprint=f"sha256:{upload.sha256}",
        code_revision=code_revision(),
        libraries={"python": platform.python_version(), **{name: version(name) for name in _LIBRARIES}},
        parity=parity,
    )


def _report(upload: Upload, request: UploadRequest, made: Made) -> str:
    columns = "".join(
        f"<tr><td>{html.escape(column.name)}</td><td>{html.escape(column.expected)}</td>"
        f"<td>{html.escape(column.description)}</td></tr>"
        for column in request.columns
    )
    return _PAGE.format(
        name=html.escape(request.name),
        by=html.escape(upload.created_by),
        description=html.escape(request.description),
        checks="".join(f"<li>{html.escape(check)}</li>" for check in made.outcome.checks),
        columns=columns,
        classes=html.escape(", ".join(request.classes)),
        threshold=request.threshold,
    )
