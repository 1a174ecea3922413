"""Views of ingests and features."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.text import Text

from shared.cli.views.listing import Column, Listing
from shared.cli.views.parts import facts, failures
from shared.cli.views.text import number, sparkline, when

_VALUE_WIDTH: Final = 12
_SPARKLINE_WIDTH: Final = 24
_BETWEEN: Final = 2
_STYLES: Final = {"reject": "red", "flag": "yellow"}


def ingested(document: Mapping[str, Any]) -> Iterable[RenderableType]:
    """What an ingest did, per symbol, the failures below."""
    good = [entry for entry in document["results"] if not entry["error"]]
    if good:
        yield Listing(_INGEST_COLUMNS, map(_ingest_row, good))
    yield from failures(entry for entry in document["results"] if entry["error"])
    added = sum(entry["added"] for entry in good)
    yield Text(f"{document['succeeded']} ingested ({added:,} new candles), {document['failed']} failed.")


_INGEST_COLUMNS: Final = (
    Column("Symbol", style="bold"),
    Column("New", justify="right"),
    Column("Candles", justify="right"),
    Column("First", rank=1),
    Column("Last"),
    Column("Findings", least=24),
)


def _ingest_row(entry: Mapping[str, Any]) -> tuple[str | Text, ...]:
    counts = (f"{entry['added']:,}", f"{entry['rows']:,}")
    return entry["symbol"], *counts, when(entry["first"]), when(entry["last"]), _findings(entry)


def _findings(entry: Mapping[str, Any]) -> Text:
    """`gap 1, missing_value 2`: red what was rejected, yellow what was flagged."""
    words = [
        Text(f"{found['name']} {found['count']:,}", _STYLES.get(found["policy"], "dim"))
        for found in entry["findings"]
    ]
    if entry["history_changed"]:
        words.insert(0, Text("history replaced", "bold yellow"))
    return Text(", ").join(words)


class FeatureTable:
    """Features below each other, and as many of the last candles side by side as fit."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        names, rows = self._document["features"], self._document["rows"]
        spark = min(len(rows), _SPARKLINE_WIDTH)
        taken = max(map(len, names), default=0) + max(spark, len("Last 24")) + 2 * _BETWEEN
        last = rows[-max(1, (options.max_width - taken) // (_VALUE_WIDTH + _BETWEEN)) :]
        is_daily = self._document["timeframe"].endswith("d")
        stamps = [_stamp(row["timestamp"], is_daily=is_daily) for row in last]
        columns = [Column("Feature", style="bold"), Column(f"Last {spark}", style="cyan")]
        columns += [Column(stamp, justify="right") for stamp in stamps]
        lines = []
        for place, name in enumerate(names):
            course = sparkline([row["values"][place] for row in rows[-spark:]])
            lines.append((name, course, *(number(row["values"][place]) for row in last)))
        yield Listing(columns, lines)


def _stamp(stamp: str, *, is_daily: bool) -> str:
    time = datetime.fromisoformat(stamp).astimezone(UTC)
    return f"{time:%Y-%m-%d}" if is_daily else f"{time:%m-%d %H:%M}"


def features(document: Mapping[str, Any]) -> Iterable[RenderableType]:
    """The feature rows of a symbol."""
    size = f"{len(document['features'])} features of {document['timeframe']} candles"
    yield Text.assemble((document["symbol"], "bold"), f"  {document['feature_set']}: {size}")
    yield FeatureTable(document)
    if document["stale"]:
        yield Text("The upstream couldn't be asked: these are the last known candles.", style="yellow")
    yield facts(
        (("a row needs", f"{document['window']} candles"), ("set's hash", document["feature_set_hash"]))
    )
