"""Views of replayed predictions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from rich.console import RenderableType
from rich.text import Text

from shared.cli.views.listing import Column, Listing
from shared.cli.views.parts import dim, passed
from shared.cli.views.text import NOTHING

MOST_SHOWN: Final = 20


def verification(document: Mapping[str, Any]) -> Iterable[RenderableType]:
    """Each version's package, the predictions that differ, and the sum of it."""
    if not document["checked"]:
        yield Text("There are no such predictions.")
        return
    yield Listing(_PACKAGES, map(_package, document["packages"]))
    differing = document["differences"]
    if differing:
        yield Listing(_DIFFERENCES, map(_difference, differing[:MOST_SHOWN]))
    if len(differing) > MOST_SHOWN:
        yield dim(f"and {len(differing) - MOST_SHOWN:,} more: --json lists all.")
    if document["unsealed"]:
        yield dim(f"{document['unsealed']:,} were stored by an earlier release, unsealed: replayed only.")
    yield _sum(document)


_PACKAGES: Final = (
    Column("", least=1),
    Column("Model", style="bold"),
    Column("Predictions", justify="right"),
    Column("Package", least=16),
)
_DIFFERENCES: Final = (Column("Prediction", style="bold"), Column("Model", rank=1), Column("Why", least=30))


def _package(package: Mapping[str, Any]) -> tuple[str | Text, ...]:
    found = package["why"] or (package["package_hash"] or NOTHING)[:16]
    return passed(package["why"] is None), package["model_id"], f"{package['predictions']:,}", found


def _difference(difference: Mapping[str, Any]) -> tuple[str | Text, ...]:
    return difference["prediction_id"], difference["model_id"], "; ".join(difference["why"])


def _sum(document: Mapping[str, Any]) -> Text:
    verified, checked = document["verified"], document["checked"]
    if document["passed"]:
        return Text(f"✓ {verified:,} predictions replayed bit for bit.", style="green")
    return Text(f"✗ {checked - verified:,} of {checked:,} predictions differ.", style="red")
