"""What the engine costs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from rich.console import RenderableType
from rich.text import Text

from shared.cli.views.listing import Column, Listing
from shared.cli.views.parts import dim, facts, heading, passed

_MARKS: Final[Mapping[str, str]] = {"vendor": "", "quoted": "~", "unconfirmed": "?"}
_SHOWN_SHARE = 0.005
_RIGHT: Final = "right"


def summary(document: Mapping[str, Any]) -> Iterable[RenderableType]:
    traffic = document["traffic"]
    yield Text.assemble(
        (f"{traffic['predictions']:,.0f} predictions a month in {document['region']}", "bold"),
        f": at random in {traffic['hours']:g} of 730 hours, of {traffic['symbols']:,} symbols equally often",
    )
    yield heading("Idle, a month")
    yield from _bill(document["idle"])
    yield heading("A million such predictions, kept for a month")
    yield from _bill(document["million"])
    stored = document["stored"]
    yield dim(
        f"Kept on, they cost ${stored['list_dollars']:.2f} in each later month: a document of the audit has "
        f"{stored['document_bytes']:,} bytes, and {stored['index_bytes']:,} of index entries."
    )
    yield heading("Goals")
    yield _goals(document["goals"])
    yield heading("What choices change")
    yield _choices(document["choices"])
    yield heading("What the amount changes")
    yield _scale(document["scale"])
    yield from _grounds(document)


def everything(document: Mapping[str, Any]) -> Iterable[RenderableType]:
    yield from summary(document)
    yield heading("Prices")
    yield _prices(document["prices"])
    yield heading("Measured")
    yield facts(
        (name, f"{_number(one['value'])} {one['unit']}: {one['how']}")
        for name, one in document["measured"].items()
    )
    yield heading("Assumed")
    yield facts((one["name"], f"{_number(one['value'])} {one['what']}") for one in document["assumed"])
    yield heading("Not included")
    for text in document["not_included"]:
        yield dim(text)


def _bill(bill: Mapping[str, Any]) -> Iterable[RenderableType]:
    columns = [
        Column("service"),
        Column("for", least=12),
        Column("quantity", rank=2, justify=_RIGHT),
        Column("list $", justify=_RIGHT),
        Column("share", rank=1, justify=_RIGHT),
        Column("$ to pay", justify=_RIGHT),
        Column("", rank=1),
    ]
    large = [item for item in bill["items"] if item["share"] >= _SHOWN_SHARE]
    rows = [
        (
            item["service"],
            item["what"],
            f"{item['quantity']:,.2f} {item['unit']}",
            _dollars(item["list_dollars"]),
            f"{item['share']:.0%}",
            _dollars(item["dollars"]),
            _MARKS[item["basis"]],
        )
        for item in large
    ]
    small = [item for item in bill["items"] if item["share"] < _SHOWN_SHARE]
    if small:
        rest, paid = (sum(item[name] for item in small) for name in ("list_dollars", "dollars"))
        share = f"{rest / bill['list_dollars']:.0%}"
        rows.append((f"{len(small)} more", "", "", _dollars(rest), share, _dollars(paid), ""))
    rows.append(("in all", "", "", _dollars(bill["list_dollars"]), "", _dollars(bill["dollars"]), ""))
    yield Listing(columns, rows)


def _goals(goals: Iterable[Mapping[str, Any]]) -> RenderableType:
    columns = [Column(""), Column("what"), Column("wanted", justify=_RIGHT), Column("found", justify=_RIGHT)]
    rows = [
        (passed(goal["is_met"]), goal["what"], f"< {goal['below_dollars']:.2f}", _dollars(goal["dollars"]))
        for goal in goals
    ]
    return Listing(columns, rows)


def _choices(choices: Iterable[Mapping[str, Any]]) -> RenderableType:
    columns = [Column("choice", least=20), *_amounts()]
    return Listing(columns, [(choice["name"], *_line(choice)) for choice in choices])


def _scale(scale: Iterable[Mapping[str, Any]]) -> RenderableType:
    columns = [
        Column("predictions a month", justify=_RIGHT),
        Column("$ a month", justify=_RIGHT),
        *_amounts(),
    ]
    rows = [(f"{one['predictions']:,}", _dollars(one["month_dollars"]), *_line(one)) for one in scale]
    return Listing(columns, rows)


def _amounts() -> list[Column]:
    return [
        Column("idle $", rank=1, justify=_RIGHT),
        Column("$ a million", justify=_RIGHT),
        Column("at list prices", justify=_RIGHT),
    ]


def _line(one: Mapping[str, float]) -> tuple[str, str, str]:
    return (
        _dollars(one["idle_dollars"]),
        _dollars(one["million_dollars"]),
        _dollars(one["million_list_dollars"]),
    )


def _prices(prices: Mapping[str, Mapping[str, Any]]) -> RenderableType:
    columns = [
        Column("price"),
        Column("$", justify=_RIGHT),
        Column("for", justify=_RIGHT),
        Column("free", rank=1, justify=_RIGHT),
        Column("basis"),
        Column("read", rank=2),
        Column("source", least=20),
    ]
    rows = [
        (
            name,
            _number(price["dollars"]),
            f"{_number(price['per'])} {price['unit']}",
            f"{_number(price['free'])} a {price['free_each']}" if price["free"] else "",
            price["basis"],
            price["read"],
            f"{price['source']} {price['note']}".strip(),
        )
        for name, price in prices.items()
    ]
    return Listing(columns, rows)


def _grounds(document: Mapping[str, Any]) -> Iterable[RenderableType]:
    read = min(price["read"] for price in document["prices"].values())
    yield Text("")
    yield dim(
        f"The oldest price was read on {read}. ~ quoted by others, ? unconfirmed in this region. 'To pay' is "
        "after what Google gives for nothing, which all projects of a billing account share."
    )
    if document["unconfirmed"]:
        yield Text(f"Unconfirmed: {', '.join(document['unconfirmed'])}", style="yellow")


def _number(value: float) -> str:
    return f"{value:,.10f}".rstrip("0").rstrip(".")


def _dollars(amount: float) -> str:
    return f"{amount:,.2f}"
