from __future__ import annotations

import asyncio
import io
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shared.access.identity import ADMIN, Caller
from shared.errors import AlreadyExists, Conflict, PlatformUnavailable
from shared.instance import Instance
from shared.jobs.score import ScoringJob
from shared.jobs.score_symbols import CHUNK_SYMBOLS
from shared.jobs.task import Exit, Task
from shared.market.candles import rfc3339
from shared.platform.ports import Blobs, JobState, JobStatus
from shared.serving.scoring_records import ScoringStatus, ScoringTask, SymbolError
from tests.jobs.conftest import store_candles
from tests.jobs.scored import COUNT, GOOD, MODEL, NEW, PassedOn, errors, part_names, requested, table, times
from tests.packages import FEATURES, market_package, registered
from tests.training.synthetic import random_candles

PLATFORM = Task(is_by_hand=False, retries=3)
LAST = replace(PLATFORM, attempt=3)


def work(instance: Instance, scoring_id: str = "s1", *, by: Task = PLATFORM) -> Exit:
    return ScoringJob(instance, by).work_on(scoring_id)


def tasks(instance: Instance, scoring_id: str = "s1") -> list[ScoringTask]:
    return list(instance.scorings.tasks(scoring_id))


def failed(task: ScoringTask) -> list[SymbolError]:
    return [error for error in task.errors if isinstance(error, SymbolError)]


def over(instance: Instance, blobs: Any) -> Instance:
    """The same instance over other blobs."""
    return Instance(instance.settings, replace(instance.platform, blobs=blobs))


def test_every_stored_symbol_is_scored_once_and_the_rest_fails_alone(scoring: Instance) -> None:
    requested(scoring)
    assert work(scoring) is Exit.DONE
    assert times(scoring.platform) == dict.fromkeys(GOOD, 1)
    assert errors(scoring.platform) == {NEW: 1}
    ended = scoring.scorings.get("s1")
    assert (ended.status, ended.error) == (ScoringStatus.SUCCEEDED, None)
    (task,) = tasks(scoring)
    assert (task.items, task.scored, task.failed, task.rows) == (COUNT + 1, COUNT, 1, COUNT)
    assert [(error.symbol, error.type) for error in failed(task)] == [(NEW, "not-enough-candles")]
    assert [part.name for part in task.parts] == part_names(scoring.platform)
    assert len(task.parts) == -(-(COUNT + 1) // CHUNK_SYMBOLS)
    for part in task.parts:
        scoring.platform.blobs.get(part.name, sha256=part.sha256)
    assert task.errors_file is not None
    (error,) = json.loads(scoring.platform.blobs.get(task.errors_file))
    assert "159 are needed" in error["detail"]


def test_the_newest_scores_are_the_predictors_bit_for_bit(scoring: Instance) -> None:
    requested(scoring)
    work(scoring)
    rows = {row["symbol"]: row for row in table(scoring.platform).to_pylist()}
    caller = Caller("test", "predict", "r1", "00-" + "1" * 32 + "-" + "2" * 16 + "-01")

    async def check() -> None:
        predicted = await scoring.market_predictor.predict_batch(GOOD, caller, MODEL)
        for one in predicted:
            answer: Any = one.outcome
            row = rows[one.symbol]
            assert row["probability"] == answer.probability
            assert rfc3339(int(row["as_of"].timestamp())) == answer.as_of
            assert (row["signal"], row["model_id"]) == (answer.signal, answer.model_id)
            assert (row["horizon"], row["feature_set_hash"]) == (answer.horizon, answer.feature_set_hash)

    asyncio.run(check())
    assert {row["signal"] for row in rows.values()} > {"up", "down"}


def test_scores_of_a_window_are_what_would_have_been_predicted_then(scoring: Instance) -> None:
    symbols = GOOD[:3]
    stored = {symbol: scoring.candle_store.read(symbol, "1d").candles for symbol in symbols}
    stamps = stored[symbols[0]].timestamp
    first, last = int(stamps[-40]), int(stamps[-11])
    requested(scoring, symbols=tuple(symbols), start=rfc3339(first), end=rfc3339(last))
    assert work(scoring) is Exit.DONE
    assert times(scoring.platform) == dict.fromkeys(symbols, 30)
    scorer = market_package().verified_scorer()
    for row in table(scoring.platform).to_pylist():
        candles = stored[row["symbol"]]
        until = candles[candles.timestamp <= int(row["as_of"].timestamp())]
        inputs = FEATURES.latest(until).astype(np.float32)[np.newaxis]
        assert row["probability"] == float(scorer.score(inputs)[0, -1])


@pytest.mark.parametrize(
    ("start", "end", "rows"), [(True, False, 10), (False, True, 220 - 158 - 9), (True, True, 1)]
)
def test_a_window_may_be_open(scoring: Instance, start: bool, end: bool, rows: int) -> None:
    stamp = rfc3339(int(scoring.candle_store.read(GOOD[0], "1d").candles.timestamp[-10]))
    requested(scoring, symbols=(GOOD[0],), start=stamp if start else None, end=stamp if end else None)
    work(scoring)
    assert times(scoring.platform) == {GOOD[0]: rows}


def store_split(scoring: Instance, *, at: int) -> None:
    """400 candles of SPLIT whose prices are halved from row `at` on."""
    series = random_candles("SPLIT", 400, seed=5)
    halved = np.where(np.arange(400) >= at, 0.5, 1.0)
    prices = {name: getattr(series, name) * halved for name in ("open", "high", "low", "close")}
    store_candles(scoring.platform, [replace(series, **prices)])
    assert scoring.candle_store.read("SPLIT", "1d").breaks == (int(series.timestamp[at]),)


def test_too_few_candles_since_a_break_are_too_few(scoring: Instance) -> None:
    store_split(scoring, at=300)
    requested(scoring, symbols=("SPLIT", GOOD[0]))
    work(scoring)
    assert times(scoring.platform) == {GOOD[0]: 1}
    (error,) = failed(tasks(scoring)[0])
    assert (error.type, "100 stored 1d candles since" in error.detail) == ("not-enough-candles", True)


def test_no_row_looks_across_a_break_in_prices(scoring: Instance) -> None:
    store_split(scoring, at=200)
    requested(scoring, symbols=("SPLIT",), start="1990-01-01T00:00:00Z")
    work(scoring)
    assert times(scoring.platform) == {"SPLIT": 2 * (200 - FEATURES.memory)}
    requested(scoring, "s2", symbols=("SPLIT",))
    work(scoring, "s2")
    (newest,) = table(scoring.platform, "s2")["probability"].to_pylist()
    assert newest == table(scoring.platform)["probability"].to_pylist()[-1]


def test_columns_are_typed_and_never_null(scoring: Instance) -> None:
    requested(scoring, symbols=tuple(GOOD[:2]))
    work(scoring)
    schema = pq.read_schema(io.BytesIO(scoring.platform.blobs.get(part_names(scoring.platform)[0])))
    assert {field.name: str(field.type) for field in schema} == {
        "symbol": "string",
        "as_of": "timestamp[ms, tz=UTC]",
        "probability": "double",
        "signal": "string",
        "model_id": "string",
        "feature_set_hash": "string",
        "horizon": "int32",
    }
    assert not any(field.nullable for field in schema)


def rows_of(found: pa.Table) -> list[dict[str, Any]]:
    return sorted(found.to_pylist(), key=lambda row: (row["symbol"], row["as_of"]))


def test_three_tasks_find_what_one_finds(scoring: Instance) -> None:
    requested(scoring, "one")
    work(scoring, "one")
    requested(scoring, "three", tasks=3)
    for index in range(3):
        assert scoring.scorings.get("three").status is not ScoringStatus.SUCCEEDED
        assert work(scoring, "three", by=replace(PLATFORM, index=index, count=3)) is Exit.DONE
    assert scoring.scorings.get("three").status is ScoringStatus.SUCCEEDED
    assert rows_of(table(scoring.platform, "three")) == rows_of(table(scoring.platform, "one"))
    assert errors(scoring.platform, "three") == errors(scoring.platform, "one")


def test_one_process_by_hand_works_on_all_tasks(scoring: Instance) -> None:
    requested(scoring, symbols=tuple(GOOD[:30]), tasks=3)
    assert work(scoring, by=Task()) is Exit.DONE
    assert [task.status for task in tasks(scoring)] == [ScoringStatus.SUCCEEDED] * 3
    assert times(scoring.platform) == dict.fromkeys(GOOD[:30], 1)


def test_a_process_for_which_no_task_is_left_has_nothing_to_do(scoring: Instance) -> None:
    requested(scoring, symbols=tuple(GOOD[:2]), tasks=2)
    assert work(scoring, by=replace(PLATFORM, index=3, count=5)) is Exit.DONE
    assert tasks(scoring) == []


def test_more_tasks_than_symbols_is_fine(scoring: Instance) -> None:
    requested(scoring, symbols=tuple(GOOD[:2]), tasks=5)
    assert work(scoring, by=Task()) is Exit.DONE
    assert scoring.scorings.get("s1").status is ScoringStatus.SUCCEEDED
    assert times(scoring.platform) == dict.fromkeys(GOOD[:2], 1)


def test_bad_symbols_fail_alone_and_are_told_apart(scoring: Instance) -> None:
    requested(scoring, symbols=("NOPE", "a b", GOOD[0], NEW, GOOD[1], GOOD[0]))
    assert work(scoring) is Exit.DONE
    assert times(scoring.platform) == {GOOD[0]: 1, GOOD[1]: 1}
    (task,) = tasks(scoring)
    found = {error.symbol: error.type for error in failed(task)}
    assert found == {"NOPE": "not-found", "a b": "invalid-input", NEW: "not-enough-candles"}
    assert errors(scoring.platform) == dict.fromkeys(found, 1)


def test_a_symbol_whose_candles_are_corrupt_fails_alone(scoring: Instance) -> None:
    class Rotten(PassedOn):
        def get(self, name: str, *, sha256: str | None = None) -> bytes:
            content = super().get(name)
            return self._blobs.get(name, sha256="0" * 64 if f"={GOOD[1]}/" in name else sha256) and content

    requested(scoring, symbols=tuple(GOOD[:3]), start="1990-01-01T00:00:00Z")
    assert work(over(scoring, Rotten(scoring.platform.blobs))) is Exit.DONE
    assert set(times(scoring.platform)) == {GOOD[0], GOOD[2]}
    assert failed(tasks(scoring)[0])[0].type == "corrupt-blob"


def test_when_all_fail_there_are_empty_parts_and_errors(scoring: Instance) -> None:
    requested(scoring, symbols=("NOPE", "NADA"))
    assert work(scoring) is Exit.DONE
    assert times(scoring.platform) == {}
    assert errors(scoring.platform) == {"NOPE": 1, "NADA": 1}
    assert scoring.scorings.get("s1").status is ScoringStatus.SUCCEEDED


class Away(PassedOn):
    """Goes away when the named blob is to be written."""

    def __init__(self, blobs: Blobs, name: str) -> None:
        super().__init__(blobs)
        self._name = name

    def put(self, name: str, content: bytes) -> str:
        if name.endswith(self._name):
            raise PlatformUnavailable("away")
        return super().put(name, content)


def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.jobs.task.PAUSES_SECONDS", (0.0,))


def test_a_dependency_that_is_away_is_left_to_the_next_attempt(
    scoring: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_pauses(monkeypatch)
    requested(scoring)
    away = over(scoring, Away(scoring.platform.blobs, "part-00002.parquet"))
    assert work(away) is Exit.TRY_AGAIN
    assert scoring.scorings.get("s1").status is ScoringStatus.RUNNING
    kept = part_names(scoring.platform)
    assert len(kept) == 2
    assert work(scoring, by=replace(PLATFORM, attempt=1)) is Exit.DONE
    assert times(scoring.platform) == dict.fromkeys(GOOD, 1)
    assert set(kept) < set(part_names(scoring.platform))
    assert errors(scoring.platform) == {NEW: 1}
    (task,) = tasks(scoring)
    assert (task.attempts, task.scored, task.failed) == (2, COUNT, 1)


def test_a_symbol_that_can_not_be_read_now_is_no_symbol_that_failed(
    scoring: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Unreadable(PassedOn):
        def get(self, name: str, *, sha256: str | None = None) -> bytes:
            if f"={GOOD[1]}/" in name:
                raise PlatformUnavailable("away")
            return super().get(name, sha256=sha256)

    without_pauses(monkeypatch)
    requested(scoring, symbols=tuple(GOOD[:3]), start="1990-01-01T00:00:00Z")
    assert work(over(scoring, Unreadable(scoring.platform.blobs))) is Exit.TRY_AGAIN
    assert part_names(scoring.platform) == []
    assert work(scoring) is Exit.DONE
    assert set(times(scoring.platform)) == set(GOOD[:3])


def test_the_last_attempt_records_that_it_failed(scoring: Instance) -> None:
    requested(scoring)
    away = over(scoring, Away(scoring.platform.blobs, "part-00002.parquet"))
    assert work(away, by=LAST) is Exit.DONE
    ended = scoring.scorings.get("s1")
    assert (ended.status, "away" in (ended.error or "")) == (ScoringStatus.FAILED, True)
    assert work(scoring) is Exit.DONE
    assert len(part_names(scoring.platform)) == 2


def test_by_hand_people_are_told_what_kind_of_failure_it_was(scoring: Instance) -> None:
    requested(scoring)
    away = over(scoring, Away(scoring.platform.blobs, "part-00002.parquet"))
    assert work(away, by=Task()) is Exit.TRY_AGAIN
    assert scoring.scorings.get("s1").status is ScoringStatus.FAILED
    assert work(scoring, "nope", by=Task()) is Exit.BAD_REQUEST


def test_there_is_nothing_to_retry_where_there_is_no_such_scoring(scoring: Instance) -> None:
    assert work(scoring, "nope") is Exit.DONE


def test_an_unexpected_error_is_recorded_and_not_tried_again(scoring: Instance) -> None:
    class Broken(PassedOn):
        def list(self, prefix: str) -> Any:
            raise ZeroDivisionError("a bug")

    requested(scoring)
    assert work(over(scoring, Broken(scoring.platform.blobs))) is Exit.DONE
    assert "ZeroDivisionError: a bug" in (scoring.scorings.get("s1").error or "")


def test_one_failed_task_does_not_stop_the_others(scoring: Instance) -> None:
    requested(scoring, tasks=2)
    away = over(scoring, Away(scoring.platform.blobs, "task=0/part-00001.parquet"))
    assert work(away, by=replace(LAST, index=0, count=2)) is Exit.DONE
    assert scoring.scorings.get("s1").status is ScoringStatus.RUNNING
    assert work(away, by=replace(LAST, index=1, count=2)) is Exit.DONE
    ended = scoring.scorings.get("s1")
    assert (ended.status, "1 of 2 tasks failed; task 0" in (ended.error or "")) == (
        ScoringStatus.FAILED,
        True,
    )
    assert [task.status for task in tasks(scoring)] == [ScoringStatus.FAILED, ScoringStatus.SUCCEEDED]


@pytest.mark.parametrize(
    ("changes", "told"), [({"kind": "tabular"}, "doesn't take symbols"), ({"timeframe": "1h"}, "1h candles")]
)
def test_a_model_that_does_not_fit_fails_the_scoring(
    scoring: Instance, changes: dict[str, Any], told: str
) -> None:
    version = registered(scoring.registry, **changes)
    requested(scoring, model=version.id)
    assert work(scoring) is Exit.DONE
    ended = scoring.scorings.get("s1")
    assert (ended.status, told in (ended.error or "")) == (ScoringStatus.FAILED, True)


def test_without_candles_it_fails_with_words(instance: Instance) -> None:
    version = registered(instance.registry)
    requested(instance, model=version.id)
    assert work(instance) is Exit.DONE
    assert "ingest" in (instance.scorings.get("s1").error or "")


def test_a_symbol_that_is_stored_meanwhile_changes_no_tasks_share(scoring: Instance) -> None:
    requested(scoring, tasks=2)
    work(scoring, by=replace(PLATFORM, index=0, count=2))
    store_candles(scoring.platform, [random_candles("AAAA", 220, seed=9)])
    work(scoring, by=replace(PLATFORM, index=1, count=2))
    assert times(scoring.platform) == dict.fromkeys(GOOD, 1)


def test_the_model_stays_the_same_though_another_goes_live(scoring: Instance) -> None:
    scoring.scoring_desk.request(replace(requested(scoring).request, model="market-signal"), ADMIN)
    (asked,) = [one for one in scoring.scorings.list(limit=9, cursor=None).scorings if one.scoring_id != "s1"]
    newer = registered(scoring.registry, 1)
    scoring.registry.activate(newer.id, by="test", allow_failed_gates=True)
    work(scoring, asked.scoring_id)
    assert set(table(scoring.platform, asked.scoring_id)["model_id"].to_pylist()) == {MODEL}


def test_a_scoring_that_is_cancelled_at_work_stops_after_its_chunk(scoring: Instance) -> None:
    class Cancelling(PassedOn):
        def put(self, name: str, content: bytes) -> str:
            sha256 = super().put(name, content)
            if name.endswith("part-00001.parquet"):
                scoring.scorings.request_cancel("s1")
            return sha256

    requested(scoring)
    assert work(over(scoring, Cancelling(scoring.platform.blobs))) is Exit.DONE
    assert scoring.scorings.get("s1").status is ScoringStatus.CANCELLED
    assert tasks(scoring)[0].status is ScoringStatus.CANCELLED
    assert len(part_names(scoring.platform)) == 2


def test_a_scoring_that_was_cancelled_before_is_left_alone(scoring: Instance) -> None:
    requested(scoring)
    cancelled = scoring.scorings.request_cancel("s1")
    assert work(scoring) is Exit.DONE
    assert scoring.scorings.get("s1") == cancelled
    assert part_names(scoring.platform) == []


def test_two_attempts_at_once_leave_each_symbol_once(scoring: Instance) -> None:
    """The older attempt lives on, and finds in the middle of its work that another has taken over."""

    class Overtaken(PassedOn):
        is_overtaken = False

        def put(self, name: str, content: bytes) -> str:
            if name.endswith("part-00002.parquet") and not self.is_overtaken:
                self.is_overtaken = True
                assert work(scoring, by=replace(PLATFORM, attempt=1)) is Exit.DONE
            return super().put(name, content)

    requested(scoring)
    assert work(over(scoring, Overtaken(scoring.platform.blobs))) is Exit.DONE
    assert times(scoring.platform) == dict.fromkeys(GOOD, 1)
    (task,) = tasks(scoring)
    assert (task.status, task.attempts, task.scored) == (ScoringStatus.SUCCEEDED, 2, COUNT)


class TestDocuments:
    """What the documents promise."""

    def test_the_same_request_is_recorded_once(self, scoring: Instance) -> None:
        assert requested(scoring) == requested(scoring)
        with pytest.raises(AlreadyExists):
            requested(scoring, tasks=2)

    def test_a_worker_that_lost_its_task_can_not_write(self, scoring: Instance) -> None:
        requested(scoring)
        older = scoring.scorings.claim("s1", 0, "w1")
        scoring.scorings.claim("s1", 0, "w2")
        with pytest.raises(Conflict):
            scoring.scorings.beat(older)
        with pytest.raises(Conflict):
            scoring.scorings.finish(older, ScoringStatus.SUCCEEDED)

    def test_a_scoring_ends_once_however_often_it_is_settled(self, scoring: Instance) -> None:
        requested(scoring, tasks=2)
        for index in (1, 0):
            assert not scoring.scorings.settle("s1").status.has_ended
            scoring.scorings.finish(scoring.scorings.claim("s1", index, "w"), ScoringStatus.SUCCEEDED)
        ended = scoring.scorings.settle("s1")
        assert ended.status is ScoringStatus.SUCCEEDED
        assert scoring.scorings.settle("s1") == scoring.scorings.cancel("s1") == ended

    def test_a_task_that_died_before_it_settled_is_settled_by_who_looks(self, scoring: Instance) -> None:
        requested(scoring)
        scoring.scorings.finish(scoring.scorings.claim("s1", 0, "w"), ScoringStatus.SUCCEEDED)
        seen = scoring.scorings.reconcile("s1", JobStatus(JobState.RUNNING))
        assert seen.status is ScoringStatus.SUCCEEDED

    def test_tasks_that_are_gone_end_the_scoring(self, scoring: Instance) -> None:
        requested(scoring)
        scoring.scorings.start("s1")
        scoring.scorings.claim("s1", 0, "w")
        assert scoring.scorings.reconcile("s1", JobStatus(JobState.RUNNING)).status is ScoringStatus.RUNNING
        assert scoring.scorings.reconcile("s1", JobStatus(JobState.UNKNOWN)).status is ScoringStatus.RUNNING
        gone = scoring.scorings.reconcile("s1", JobStatus(JobState.FAILED, "Task 0 was ended by SIGKILL."))
        assert (gone.status, "SIGKILL" in (gone.error or "")) == (ScoringStatus.FAILED, True)
