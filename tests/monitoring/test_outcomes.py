from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.errors import Conflict, InvalidInput, NotFound
from shared.evaluation.labels import direction_labels
from shared.market.candles import Panel, rfc3339
from shared.monitoring.audit import Audit
from shared.monitoring.outcomes import LABEL_PATIENCE, PATIENCE, Label, Outcomes, Settled
from shared.platform.migration import every
from shared.platform.ports import Data, Delete, Document, Documents, Event, Filter, Order, Page, Write
from tests.market.made import checked
from tests.packages import active
from tests.predicted import FIRST, Market

ROWS = FIRST + 30
COLUMNS = ("open", "high", "low", "close")
START = datetime(2020, 1, 6, tzinfo=UTC)


def stored(market: Market, collection: str) -> dict[str, Data]:
    return {one.id: one.data for one in every(market.instance.platform.documents, collection)}


def outcomes(market: Market) -> dict[str, Data]:
    return stored(market, "outcomes")


def unsettled(market: Market) -> set[str]:
    return set(stored(market, "unsettled-predictions"))


def settle(market: Market) -> Settled:
    return market.instance.outcomes.settle("1d", list(market.series))


@pytest.fixture
def market(tmp_path: Path) -> Market:
    """Three symbols and a live model."""
    made = Market(tmp_path / "home", 3, ROWS)
    active(made.instance.registry)
    return made


@pytest.fixture
def asked(market: Market) -> list[Event]:
    """Three predictions in the audit, as of one candle."""
    market.close(FIRST)
    events = market.predict(FIRST)
    market.instance.audit.store(events)
    return events


def tabular(number: int, model_id: str = "market-signal-v1", **facts: Any) -> Event:
    """What a prediction of a tabular problem tells."""
    data = {"prediction_id": f"t{number}", "model_id": model_id, "probability": 0.7, **facts}
    return Event(f"t{number}", "//test", "predictions.made", START, data)


def test_a_prediction_waits_until_its_horizon_has_passed(market: Market, asked: list[Event]) -> None:
    assert settle(market) == Settled(waiting=3)
    assert unsettled(market) == {event.id for event in asked}
    market.close(FIRST + 1)
    assert settle(market) == Settled(settled=3)
    assert settle(market) == Settled()
    assert unsettled(market) == set()


def test_the_label_is_the_one_that_training_would_give(market: Market, asked: list[Event]) -> None:
    market.close(FIRST + 5)
    settle(market)
    for event in asked:
        series = market.series[event.data["symbol"]]
        labels = direction_labels(Panel.of([series]), 1)
        found = outcomes(market)[event.id]
        assert found["label"] == ("up" if labels.y[FIRST] == 1 else "down")
        assert found["forward_return"] == labels.forward_return[FIRST]
        assert found["past_return"] == labels.past_return[FIRST]
        assert (found["close"], found["settled_close"]) == (series.close[FIRST], series.close[FIRST + 1])
        assert found["ends_at"] == rfc3339(int(series.timestamp[FIRST + 1]))
        assert (found["state"], found["settled_by"], found["why"]) == ("settled", "candles", None)
        assert found["probability"] == event.data["probability"]


def test_a_longer_horizon_counts_candles(tmp_path: Path) -> None:
    market = Market(tmp_path / "home", 1, ROWS)
    active(market.instance.registry, horizon=3)
    market.instance.audit.store(market.predict(FIRST))
    for days in (1, 2):
        market.close(FIRST + days)
        assert settle(market) == Settled(waiting=1)
    market.close(FIRST + 3)
    assert settle(market) == Settled(settled=1)
    (found,) = outcomes(market).values()
    close = market.series["S0"].close
    assert found["forward_return"] == close[FIRST + 3] / close[FIRST] - 1
    assert found["past_return"] == close[FIRST] / close[FIRST - 3] - 1


def test_other_symbols_and_timeframes_settle_nothing(market: Market, asked: list[Event]) -> None:
    market.close(FIRST + 1)
    assert market.instance.outcomes.settle("1h", list(market.series)) == Settled()
    assert market.instance.outcomes.settle("1d", ["OTHER"]) == Settled()
    assert market.instance.outcomes.settle("1d", ["S1"]) == Settled(settled=1)


def test_a_prediction_older_than_the_stored_tail_is_settled_from_the_whole_history(tmp_path: Path) -> None:
    market = Market(tmp_path / "home", 1, FIRST + 700)
    active(market.instance.registry)
    market.instance.audit.store(market.predict(FIRST))
    market.close(FIRST + 699)
    assert settle(market) == Settled(settled=1)
    (found,) = outcomes(market).values()
    assert found["close"] == market.series["S0"].close[FIRST]


def test_what_was_settled_stays_when_the_upstream_corrects_its_candles(
    market: Market, asked: list[Event]
) -> None:
    market.close(FIRST + 1)
    settle(market)
    before = outcomes(market)
    halved = replace(market.series["S0"], **{c: getattr(market.series["S0"], c) / 2 for c in COLUMNS})
    market.instance.candle_store.replace("S0", "1d", checked(halved))
    market.instance.audit.store(asked)
    settle(market)
    assert outcomes(market) == before


def test_a_prediction_across_a_split_is_closed_with_that_reason(tmp_path: Path) -> None:
    """Prices on two bases have no return between them."""
    market = Market(tmp_path / "home", 1, ROWS)
    active(market.instance.registry)
    market.instance.audit.store(market.predict(FIRST))
    one = market.series["S0"]
    after = {c: getattr(one, c).copy() for c in COLUMNS}
    for values in after.values():
        values[FIRST + 1 :] /= 2
    market.series["S0"] = replace(one, **after)
    market.close(FIRST + 5)
    assert settle(market) == Settled(waiting=1)
    market.pass_by(days=40)
    assert settle(market) == Settled(given_up=1)
    (found,) = outcomes(market).values()
    assert (found["state"], found["label"]) == ("unsettleable", None)
    assert "changed their basis" in found["why"]


def test_a_delisted_symbol_is_waited_for_no_longer_than_that(market: Market, asked: list[Event]) -> None:
    market.close(FIRST + 1, ["S0", "S1"])
    assert settle(market) == Settled(settled=2, waiting=1)
    market.pass_by(days=PATIENCE.days)
    assert market.instance.outcomes.give_up_overdue() == Settled()  # its horizon is a day or two more
    market.pass_by(days=2)
    assert market.instance.outcomes.give_up_overdue() == Settled(given_up=1)
    assert "0 of the 1 candles of S2" in outcomes(market)[asked[2].id]["why"]
    assert unsettled(market) == set()


def test_what_is_overdue_is_settled_where_it_can_be(market: Market, asked: list[Event]) -> None:
    market.close(FIRST + 1)
    market.pass_by(days=60)
    assert market.instance.outcomes.give_up_overdue() == Settled(settled=3)


def test_candles_that_were_never_stored_are_said_to_be_missing(market: Market) -> None:
    market.instance.audit.store(market.predict(FIRST))
    assert settle(market) == Settled(waiting=3)
    market.instance.candle_store.ingest("S0", "1d", checked(market.series["S0"][FIRST + 1 :]))
    market.pass_by(days=90)
    settle(market)
    whys = sorted({found["why"] for found in outcomes(market).values()})
    assert whys[0].startswith("no 1d candles of S1 are stored")
    assert whys[-1].startswith("no candle of S0 is stored at")


def test_redelivery_after_settling_makes_nothing_wait_again(market: Market, asked: list[Event]) -> None:
    market.close(FIRST + 1)
    settle(market)
    before = outcomes(market)
    market.pass_by(days=1)
    market.instance.audit.store([*asked, *reversed(asked)])
    assert unsettled(market) == set()
    assert settle(market) == Settled()
    assert outcomes(market) == before


def test_a_replay_after_the_audit_has_forgotten_is_settled_no_second_time(
    market: Market, asked: list[Event]
) -> None:
    """A dead letter that comes back when the prediction has expired and is deleted."""
    market.close(FIRST + 1)
    settle(market)
    before = outcomes(market)
    documents = market.instance.platform.documents
    documents.commit([Delete("predictions", event.id) for event in asked])
    market.instance.audit.store(asked)
    assert len(unsettled(market)) == 3
    settle(market)
    assert unsettled(market) == set()
    assert outcomes(market) == before


class Killed(BaseException):
    """The process is gone."""


class Mortal:
    """Documents of a process that is killed around its nth commit: before it, or right after."""

    def __init__(self, documents: Documents, at: int, *, is_after: bool) -> None:
        self._documents, self._left, self._is_after = documents, at, is_after

    def get(self, collection: str, id: str) -> Document | None:
        return self._documents.get(collection, id)

    def query(
        self,
        collection: str,
        *,
        where: Sequence[Filter] = (),
        order_by: Sequence[Order] = (),
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page:
        return self._documents.query(collection, where=where, order_by=order_by, limit=limit, cursor=cursor)

    def commit(self, writes: Sequence[Write]) -> Sequence[str]:
        self._left -= 1
        if self._left == 0 and not self._is_after:
            raise Killed
        done = self._documents.commit(writes)
        if self._left == 0:
            raise Killed
        return done


def lives(step: Callable[[Documents], object], documents: Documents, random_: random.Random) -> None:
    """Do a step as often as it takes, killed at random places."""
    for _ in range(4):
        mortal = Mortal(documents, random_.randint(1, 3), is_after=random_.random() < 0.5)
        try:
            step(mortal)
        except Killed:
            continue
    step(documents)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10_000))
def test_killed_anywhere_each_prediction_is_settled_once(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    """Whatever order the deliveries of predictions and candles come in, and wherever they are killed."""
    chance = random.Random(seed)
    market = Market(tmp_path_factory.mktemp("killed") / "home", 2, ROWS)
    active(market.instance.registry)
    market.close(FIRST + 4)
    events = [event for day in range(4) for event in market.predict(FIRST + day)]
    documents = market.instance.platform.documents
    rest = market.instance.candle_store, market.instance.registry, market.clock

    def audit(through: Documents) -> None:
        Audit(through, market.clock).store(chance.sample(events, 5))

    def settled(through: Documents) -> None:
        Outcomes(through, *rest).settle("1d", list(market.series))

    for step in chance.choices([audit, settled], k=8):
        lives(step, documents, chance)
    market.instance.audit.store(events)
    settle(market)
    assert set(outcomes(market)) == {event.id for event in events}
    assert unsettled(market) == set()


def test_a_thousand_predictions_are_settled_each_once_under_redelivery(tmp_path: Path) -> None:
    """Audited and settled by several workers at once, and everything delivered three times in disorder."""
    market = Market(tmp_path / "home", 50, ROWS)
    active(market.instance.registry)
    market.close(FIRST)
    events = [event for day in range(20) for event in market.predict(FIRST + day)]
    assert len(events) == 1_000
    chance = random.Random(0)

    def deliveries() -> list[list[Event]]:
        thrice = events * 3
        chance.shuffle(thrice)
        return [thrice[first : first + 600] for first in range(0, len(thrice), 600)]

    def work(batch: Sequence[Event]) -> None:
        market.instance.audit.store(batch)
        settle(market)

    for closed in (FIRST + 10, FIRST + 25):
        market.close(closed)
        with ThreadPoolExecutor(4) as workers:
            list(workers.map(work, deliveries()))
    settle(market)
    found = outcomes(market)
    assert set(found) == {event.id for event in events}
    assert unsettled(market) == set()
    for event in events:
        series = market.series[event.data["symbol"]]
        row = int(event.id[1:]) // 50 + FIRST
        assert found[event.id]["label"] == ("up" if series.close[row + 1] > series.close[row] else "down")


def test_labels_are_told_for_tabular_predictions(market: Market) -> None:
    market.instance.audit.store([tabular(1), tabular(2, probabilities=[0.4, 0.6])])
    labels = [Label("t1", "up"), Label("t2", "down"), Label("t1", "up")]
    done = market.instance.outcomes.label(labels, by="tester")
    assert [one.result["label"] for one in done if isinstance(one.result, dict)] == ["up", "down", "up"]
    found = outcomes(market)
    assert (found["t1"]["settled_by"], found["t1"]["probability"]) == ("tester", 0.7)
    assert found["t2"]["probabilities"] == [0.4, 0.6]
    assert unsettled(market) == set()


def test_a_label_that_cannot_be_taken_fails_alone_and_says_why(market: Market, asked: list[Event]) -> None:
    market.instance.audit.store([tabular(1), tabular(2), tabular(3, "gone-v1")])
    market.instance.outcomes.label([Label("t1", "up")], by="tester")
    wrong = [Label("t1", "down"), Label("t2", "sideways"), Label("t3", "up"), Label("no", "up")]
    done = market.instance.outcomes.label([*wrong, Label(asked[0].id, "up"), Label("t2", "up")], by="tester")
    kinds = [type(one.result) for one in done]
    assert kinds == [Conflict, InvalidInput, NotFound, NotFound, Conflict, dict]
    texts = [str(one.result) for one in done]
    assert "the label 'up'" in texts[0]
    assert "down, up; found 'sideways'" in texts[1]
    assert "gone-v1" in texts[2]
    assert "settled by candles" in texts[4].replace("\n", " ")


def test_two_labels_at_once_leave_one_outcome(market: Market) -> None:
    """The one that comes second finds the first, also in the middle of its own work."""
    market.instance.audit.store([tabular(n) for n in range(40)])

    def tell(label: str) -> list[Any]:
        labels = [Label(f"t{n}", label) for n in range(40)]
        return [one.result for one in market.instance.outcomes.label(labels, by=label)]

    with ThreadPoolExecutor(2) as workers:
        ups, downs = workers.map(tell, ["up", "down"])
    for number, (up, down) in enumerate(zip(ups, downs, strict=True)):
        won = outcomes(market)[f"t{number}"]["label"]
        assert isinstance(down if won == "up" else up, Conflict)
        assert (up if won == "up" else down)["label"] == won


def test_a_tabular_prediction_waits_a_year(market: Market) -> None:
    market.instance.audit.store([tabular(1)])
    market.clock.time = START + LABEL_PATIENCE - timedelta(days=1)
    assert market.instance.outcomes.give_up_overdue() == Settled()
    market.pass_by(days=1)
    assert market.instance.outcomes.give_up_overdue() == Settled(given_up=1)
    (late,) = market.instance.outcomes.label([Label("t1", "up")], by="tester")
    assert "nobody told its label" in str(late.result)


@pytest.mark.parametrize(
    "facts",
    [
        {"symbol": "ABC"},
        {"symbol": "ABC", "timeframe": "1d", "as_of": "yesterday", "horizon": 1},
        {"symbol": "ABC", "timeframe": "daily", "as_of": "2020-01-06T00:00:00Z", "horizon": 1},
        {"symbol": "ABC", "timeframe": "1d", "as_of": "2020-01-06T00:00:00Z", "horizon": 0},
        {"symbol": "ABC", "timeframe": "1d", "as_of": "2020-01-06T00:00:00", "horizon": 1},
        {"model_id": None},
        {"probability": 1.5},
        {"probability": True},
    ],
)
def test_the_audit_keeps_what_cannot_be_settled(market: Market, facts: dict[str, Any]) -> None:
    market.instance.audit.store([tabular(1, **facts)])
    assert set(stored(market, "predictions")) == {"t1"}
    assert unsettled(market) == set()


def test_outcomes_outlive_the_prediction(market: Market, asked: list[Event]) -> None:
    market.close(FIRST + 1)
    settle(market)
    market.pass_by(days=31)
    page = market.instance.audit.recent(symbol=None, model_id=None, limit=10, cursor=None)
    assert page.documents == []
    assert page.cursor is None
    found = list(market.instance.outcomes.of_model("market-signal-v1", since=None, limit=10))
    assert {one["prediction_id"] for one in found} == {event.id for event in asked}
