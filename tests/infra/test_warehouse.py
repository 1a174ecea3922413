from __future__ import annotations

import json
import multiprocessing
import random
import sqlite3
import threading
import time
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from infra.local.warehouse import (
    MANY_FILES,
    STEP_SIZE,
    SUBSCRIPTION,
    BusSource,
    Taken,
    WarehouseWriter,
    _write_file,
)
from shared.monitoring.warehouse import FOLDER, TABLE, Warehouse
from shared.platform.local.events import RetryPolicy, SqliteEvents
from tests.contracts.workers import wait_for
from tests.warehouse import TOPIC, Given, event, keep, made

TOPICS = {TOPIC: ("audit", SUBSCRIPTION), "dead.letters": ("deadletters",)}
KILLS = 20
MOST_WAITING = 200


def files(home: Path) -> list[Path]:
    return sorted((home / FOLDER).rglob("*.parquet"))


def ids(warehouse: Warehouse, table: str = "predictions") -> list[str]:
    sql = "SELECT prediction_id FROM predictions ORDER BY prediction_id".replace("predictions", table)
    answer = warehouse.query(sql, limit=1_000_000)
    return [row[0] for row in answer.rows]


def now() -> datetime:
    return datetime.now(UTC)


class Bus:
    def __init__(self, home: Path) -> None:
        self.home = home
        retry = RetryPolicy(max_attempts=2 * KILLS)  # being killed with an event in hand is an attempt too
        self.events = SqliteEvents(home / "events.sqlite3", TOPICS, retry=retry)
        self.writer = WarehouseWriter(BusSource(self.events, now), home, flush_seconds=0.01)
        self.warehouse = Warehouse(home / FOLDER)

    def publish(self, *data: dict[str, Any]) -> None:
        self.events.publish(TOPIC, [event(one) for one in data])

    def pending(self, subscription: str = SUBSCRIPTION) -> int:
        return self.events.depths()[subscription].pending


@pytest.fixture
def bus(tmp_path: Path) -> Bus:
    return Bus(tmp_path)


def test_a_row_has_every_value_of_its_event(tmp_path: Path) -> None:
    [data] = made(1)
    names = [column.name for column in TABLE.columns]
    answer = keep(tmp_path, [data]).query("SELECT * FROM predictions")
    assert answer.columns == names
    [row] = answer.rows
    # columns that events of earlier releases lack, and those of rows
    later = dict.fromkeys(["threshold", "no_trade_band", "kind", "label", "probabilities"])
    expected = {**later, **data, "as_of": data["as_of"].replace("Z", "+00:00")}
    assert dict(zip(names, row, strict=True)) == expected


def test_rows_lie_in_the_folder_of_their_day_in_utc(tmp_path: Path) -> None:
    early, late = made(2)
    early["made_at"], late["made_at"] = "2024-01-02T00:30:00+02:00", "2024-01-01T23:59:59.999999-01:00"
    keep(tmp_path, [early, late])
    assert [file.parent.name for file in files(tmp_path)] == ["date=2024-01-01", "date=2024-01-02"]


def test_what_waits_is_kept_then_acknowledged_and_leaves_the_audit_alone(bus: Bus) -> None:
    data = made(20)
    bus.publish(*data)
    assert bus.writer.write_once() == 20
    assert (bus.pending(), bus.pending("audit")) == (0, 20)
    assert ids(bus.warehouse) == sorted(one["prediction_id"] for one in data)
    assert bus.writer.write_once() == 0


def test_the_same_batch_again_replaces_its_files(tmp_path: Path) -> None:
    data = made(20)
    keep(tmp_path, data)
    before = files(tmp_path)
    warehouse = keep(tmp_path, list(reversed(data)))
    assert files(tmp_path) == before
    assert len(ids(warehouse, "predictions_made")) == 20


def test_what_comes_again_in_another_batch_is_there_once(tmp_path: Path) -> None:
    data = made(30, until=datetime(2024, 1, 2, 23, tzinfo=UTC), days=0.5)  # of one day: three different files
    warehouse = keep(tmp_path, data[:20], data[10:], data[15:16])
    assert len(ids(warehouse, "predictions_made")) == 41
    assert ids(warehouse) == sorted(one["prediction_id"] for one in data)


def test_what_is_no_row_is_refused_alone_with_the_column(tmp_path: Path) -> None:
    good, bad, worse = made(3)
    bad["probability"], worse["model_id"] = "0.5", None
    source = Given([good, bad, worse])
    WarehouseWriter(source, tmp_path).write_once()
    assert source.acked == [good["prediction_id"]]
    assert "probability must be a number, found '0.5'" in source.refused[bad["prediction_id"]]
    assert "model_id must be a value, found none" in source.refused[worse["prediction_id"]]


def test_nothing_is_acknowledged_that_could_not_be_written(tmp_path: Path) -> None:
    (tmp_path / FOLDER).write_text("a file where the folder should be")
    source = Given(made(3))
    with pytest.raises(OSError, match=FOLDER):
        WarehouseWriter(source, tmp_path).write_once()
    assert source.acked == []
    assert len(source.refused) == 3


def test_many_small_files_become_one_with_each_row_once(tmp_path: Path) -> None:
    day = datetime(2024, 1, 2, 23, tzinfo=UTC)
    batches = [made(5, seed=seed, until=day, days=0.5) for seed in range(MANY_FILES)]
    warehouse = keep(tmp_path, *batches, batches[0][:2])
    before, found = ids(warehouse), files(tmp_path)
    assert len(found) == MANY_FILES + 1
    (found[0].parent / ".half.new").write_bytes(b"PAR1")
    writer = WarehouseWriter(Given(), tmp_path)
    writer.compact()
    assert len(list((tmp_path / FOLDER).rglob("*.*"))) == 1
    assert ids(warehouse) == ids(warehouse, "predictions_made") == before
    times = [row[0] for row in warehouse.query("SELECT made_at FROM predictions_made").rows]
    assert times == sorted(times)
    writer.compact()
    assert len(files(tmp_path)) == 1


def test_few_files_are_left_as_they_are(tmp_path: Path) -> None:
    day = datetime(2024, 1, 2, 23, tzinfo=UTC)
    keep(tmp_path, *(made(5, seed=seed, until=day, days=0.5) for seed in range(MANY_FILES - 1)))
    before = files(tmp_path)
    WarehouseWriter(Given(), tmp_path).compact()
    assert files(tmp_path) == before


def test_a_compaction_that_is_cut_off_before_it_removes_loses_and_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = datetime(2024, 1, 2, 23, tzinfo=UTC)
    warehouse = keep(tmp_path, *(made(5, seed=n, until=day, days=0.5) for n in range(MANY_FILES)))
    before = ids(warehouse)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", _cut_off)
        with pytest.raises(InterruptedError):
            WarehouseWriter(Given(), tmp_path).compact()
    assert len(files(tmp_path)) == MANY_FILES + 1
    assert ids(warehouse) == before
    WarehouseWriter(Given(), tmp_path).compact()
    assert len(files(tmp_path)) == 1
    assert ids(warehouse) == ids(warehouse, "predictions_made") == before


def _cut_off(*_: object, **__: object) -> None:
    raise InterruptedError


def test_it_writes_while_it_runs_and_what_waits_when_it_stops(bus: Bus) -> None:
    first, *rest = made(4)
    bus.writer.start()
    bus.publish(first)
    wait_for(lambda: bus.warehouse.is_there and ids(bus.warehouse) == [first["prediction_id"]])
    bus.publish(*rest)
    bus.writer.stop()
    assert len(ids(bus.warehouse)) == 4
    assert not [thread for thread in threading.enumerate() if thread.name == "warehouse"]


def test_a_source_that_fails_does_not_end_the_thread(tmp_path: Path) -> None:
    data = made(2)

    class Failing(Given):
        failures = 2

        def claim(self, limit: int) -> list[Taken]:
            if self.failures:
                self.failures -= 1
                raise RuntimeError("the bus is away")
            return list(super().claim(limit))

    source = Failing(data)
    writer = WarehouseWriter(source, tmp_path, flush_seconds=0.01)
    writer.start()
    wait_for(lambda: len(source.acked) == 2)
    writer.stop()


def test_what_a_killed_writer_had_claimed_is_taken_over_at_once(bus: Bus) -> None:
    bus.publish(*made(3))
    assert len(BusSource(bus.events, now).claim(10)) == 3
    assert bus.events.claim(SUBSCRIPTION, 10, 60, now()) == []
    assert WarehouseWriter(BusSource(bus.events, now), bus.home).write_once() == 3


def test_a_large_takeover_hands_each_event_out_once(bus: Bus) -> None:
    bus.publish(*made(3 * STEP_SIZE))
    bus.events.claim(SUBSCRIPTION, 3 * STEP_SIZE, 60, now())
    source = BusSource(bus.events, now)
    found = [taken.event.id for _ in range(5) for taken in source.claim(STEP_SIZE)]
    assert len(found) == len(set(found)) == 3 * STEP_SIZE


def _write_until_killed(home: Path) -> None:
    """What a twin does, in a process of its own."""
    bus = Bus(home)
    bus.writer._flush_seconds = 0.002
    bus.writer.start()
    time.sleep(600)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_every_acknowledged_event_is_there_once_after_any_number_of_kills(bus: Bus) -> None:
    rng = random.Random(7)
    day = datetime(2024, 1, 2, 12, tzinfo=UTC)
    published: set[str] = set()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.infra.test_warehouse", "pyarrow.parquet"])
    for life in range(KILLS):
        process = context.Process(target=_write_until_killed, args=(bus.home,))
        process.start()
        expected, end, n = bus.pending(), None, 0
        while end is None or time.monotonic() < end:
            if expected - bus.pending() > 0 and end is None:  # it is at work
                end = time.monotonic() + rng.random() * 0.3
            if bus.pending() > MOST_WAITING:
                time.sleep(0.001)
                continue
            batch = made(rng.randint(1, 20), seed=life * 100_000 + n, until=day, days=0.4)
            bus.publish(*batch)
            published |= {one["prediction_id"] for one in batch}
            expected, n = expected + len(batch), n + 1
        process.kill()
        process.join()
        pending = waiting(bus.home)
        kept = Counter(ids(bus.warehouse))
        assert set(kept.values()) <= {1}
        assert published - pending <= set(kept)
    bus.writer = WarehouseWriter(BusSource(bus.events, now), bus.home)
    while bus.writer.write_once():
        pass
    assert Counter(ids(bus.warehouse)) == Counter(published)
    assert bus.pending("deadletters") == 0
    bus.writer.compact()
    assert Counter(ids(bus.warehouse)) == Counter(published)


def waiting(home: Path) -> set[str]:
    """The ids of the events that aren't acknowledged."""
    with closing(sqlite3.connect(home / "events.sqlite3")) as connection:
        sql = "SELECT event FROM deliveries WHERE subscription = ?"
        return {json.loads(text)["id"] for (text,) in connection.execute(sql, (SUBSCRIPTION,))}


def test_a_file_is_whole_or_not_there(tmp_path: Path) -> None:
    class Broken:
        """Fails in the middle of being written."""

    with pytest.raises(AttributeError):
        _write_file(tmp_path / "date=2024-01-01", "x", Broken())
    assert files(tmp_path) == []
