"""The price table, and the bill of what was used."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

from infra.catalogue import ROOT
from shared.errors import InvalidInput

PRICES_FILE: Final = ROOT / "infra" / "prices.yaml"
DAYS: Final = 365 / 12
"""Of a month."""

Basis = Literal["vendor", "quoted", "unconfirmed"]


class Price(BaseModel):
    """What a service charges for one kind of use; see the head of `infra/prices.yaml`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    service: str
    unit: str
    dollars: float = Field(ge=0)
    per: float = Field(1, gt=0)
    free: float = Field(0, ge=0)
    free_each: Literal["month", "day"] = "month"
    basis: Basis
    source: str = Field(pattern=r"^https://")
    read: date
    note: str = ""

    @property
    def free_a_month(self) -> float:
        return self.free * (DAYS if self.free_each == "day" else 1)

    @property
    def each(self) -> float:
        """Dollars a unit."""
        return self.dollars / self.per


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    everywhere: Mapping[str, Price]
    regions: Mapping[str, Mapping[str, Price]]


Prices = Mapping[str, Price]


def read_prices(region: str, file: Path = PRICES_FILE) -> Prices:
    """The prices in `region` by name.

    Raises:
        InvalidInput: there are none for that region; says for which there are.
    """
    table = _read(file)
    if region not in table.regions:
        raise InvalidInput(
            f"The price table has {', '.join(sorted(table.regions))}, not {region[:80]!r}: add its prices to "
            f"{file.name}, or name one of these."
        )
    return {**table.everywhere, **table.regions[region]}


def regions(file: Path = PRICES_FILE) -> Sequence[str]:
    """Those that the price table has prices of, by name."""
    return sorted(_read(file).regions)


def _read(file: Path) -> _Table:
    return _Table.model_validate(yaml.safe_load(file.read_text()))


@dataclass(frozen=True, slots=True)
class Use:
    """So many units of one price in a month, and what for."""

    price: str
    quantity: float
    what: str


@dataclass(frozen=True, slots=True)
class Item:
    """A line of the bill. `list_dollars` is without what is free, `dollars` with it."""

    price: str
    what: str
    quantity: float
    list_dollars: float
    dollars: float


@dataclass(frozen=True, slots=True)
class Bill:
    items: Sequence[Item]

    @property
    def dollars(self) -> float:
        return sum(item.dollars for item in self.items)

    @property
    def list_dollars(self) -> float:
        return sum(item.list_dollars for item in self.items)


def bill(prices: Prices, uses: Iterable[Use], *, after: Iterable[Use] = ()) -> Bill:
    """The month's bill of `uses`. What is free goes to `after` first, and is then divided among `uses`."""
    wanted = _merged(uses)
    total, before = _totals(wanted), _totals(after)
    items = []
    for use in wanted:
        price = prices[use.price]
        left = max(price.free_a_month - before[use.price], 0.0)
        paid = max(total[use.price] - left, 0.0)
        share = paid / total[use.price] if total[use.price] else 0.0
        list_dollars = use.quantity * price.each
        items.append(Item(use.price, use.what, use.quantity, list_dollars, list_dollars * share))
    return Bill(items)


def _merged(uses: Iterable[Use]) -> list[Use]:
    """One for each price and purpose, without those of nothing."""
    quantities: dict[tuple[str, str], float] = defaultdict(float)
    for use in uses:
        quantities[use.price, use.what] += use.quantity
    return [Use(price, quantity, what) for (price, what), quantity in quantities.items() if quantity]


def _totals(uses: Iterable[Use]) -> Mapping[str, float]:
    totals: dict[str, float] = defaultdict(float)
    for use in uses:
        totals[use.price] += use.quantity
    return totals
