"""What the sample upstream serves in a replay: nothing that hadn't closed yet, whatever is asked."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.local.replay import ClockHand
from infra.local.upstream import SAMPLE, create_app
from tests.asgi import AsgiClient

DAY = timedelta(days=1)
moments = st.timedeltas(timedelta(0), timedelta(days=4_800)).map(
    lambda passed: datetime(2000, 2, 1, tzinfo=UTC) + passed
)
bounds = st.none() | st.dates(date(1999, 1, 1), date(2014, 1, 1)).map(str)


@pytest.fixture(scope="module")
def file() -> dict[str, list[dict[str, Any]]]:
    """The sample's rows by symbol."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in pq.read_table(SAMPLE).to_pylist():
        found.setdefault(row["symbol"], []).append(row)
    return found


class Player:
    """The upstream's API at any time."""

    def __init__(self, home: Path) -> None:
        self.hand = ClockHand(home)
        self.client = AsgiClient(create_app(SAMPLE, self.hand.clock))

    def at(self, moment: datetime) -> AsgiClient:
        self.hand.clock.file.unlink(missing_ok=True)  # so that the clock may go back between two examples
        self.hand.begin(moment)
        return self.client


@pytest.fixture(scope="module")
def player(tmp_path_factory: pytest.TempPathFactory) -> Player:
    return Player(tmp_path_factory.mktemp("played"))


def closed(rows: list[dict[str, Any]], moment: datetime) -> list[dict[str, Any]]:
    return [
        row for row in rows if datetime.fromisoformat(row["timestamp"]).replace(tzinfo=UTC) + DAY <= moment
    ]


@settings(max_examples=50, deadline=None)
@given(moments, st.sampled_from(["AAPL", "FB", "GOOG", "IBM", "MSFT"]), bounds, bounds)
def test_no_candle_comes_before_it_has_closed(
    player: Player,
    file: dict[str, list[dict[str, Any]]],
    moment: datetime,
    symbol: str,
    start: str | None,
    end: str | None,
) -> None:
    client = player.at(moment)
    known = closed(file[symbol], moment)
    asked = {name: text for name, text in (("start", start), ("end", end)) if text is not None}
    answer = client.get("/candles", params={"symbol": symbol, **asked})
    if not known:
        assert answer.status_code == 404
        return
    expected = [row["timestamp"] for row in known if (start or "") <= row["timestamp"] <= (end or "9")]
    assert [row["timestamp"] for row in answer.json()["candles"]] == expected
    price = client.get("/price/latest", params={"symbol": symbol}).json()
    assert (price["timestamp"], price["price"]) == (known[-1]["timestamp"], known[-1]["close"])


@settings(max_examples=20, deadline=None)
@given(moments)
def test_no_symbol_is_listed_before_its_first_candle_has_closed(
    player: Player, file: dict[str, list[dict[str, Any]]], moment: datetime
) -> None:
    known = sorted(symbol for symbol, rows in file.items() if closed(rows, moment))
    assert player.at(moment).get("/symbols").json() == {"symbols": known}


def test_a_candle_comes_the_moment_it_closes(player: Player) -> None:
    def last(moment: datetime) -> str:
        rows = player.at(moment).get("/candles?symbol=IBM").json()["candles"]
        stamp: str = rows[-1]["timestamp"]
        return stamp

    midnight = datetime(2008, 9, 16, tzinfo=UTC)
    assert last(midnight - timedelta(microseconds=1)) == "2008-09-12"
    assert last(midnight) == "2008-09-15"
