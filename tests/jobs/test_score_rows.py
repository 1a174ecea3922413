from __future__ import annotations

import io
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shared.errors import PlatformUnavailable
from shared.instance import Instance
from shared.jobs import score_csv, score_plan, score_rows
from shared.jobs.score_csv import CsvReader, pieces, read_header
from shared.jobs.task import Exit, Task
from shared.platform.collections import upgrade
from shared.platform.connect import connect
from shared.platform.ports import Delete
from shared.serving.scoring_records import RowError, ScoringStatus, ScoringTask, task_of
from shared.tabular import Column, Columns
from tests.jobs.conftest import settings_of
from tests.jobs.scored import PassedOn, part_names
from tests.jobs.scored_rows import (
    MODEL,
    PLATFORM,
    as_csv,
    as_parquet,
    asked,
    bad_rows,
    probabilities,
    rows_table,
    scores,
    spoilt,
    work,
)
from tests.packages import registered
from tests.tabular_packages import COLUMNS, active_tabular, registered_tabular

FILE = "inputs/a.parquet"


@pytest.fixture
def rows(tmp_path: Path) -> Instance:
    """An instance with a live tabular model."""
    settings = settings_of(tmp_path / "home")
    instance = Instance(settings, connect(settings))
    active_tabular(instance.registry)
    return instance


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shards and batches of few rows."""
    monkeypatch.setattr(score_plan, "SHARD_ROWS", 40)
    monkeypatch.setattr(score_plan, "SHARD_BYTES", 1_000)
    monkeypatch.setattr(score_plan, "BATCH_ROWS", 16)
    monkeypatch.setattr(score_csv, "BLOCK_BYTES", 700)


def put(instance: Instance, name: str, content: bytes) -> None:
    instance.platform.blobs.put(name, content)


def the_task(instance: Instance) -> ScoringTask:
    (task,) = instance.scorings.tasks("s1")
    return task


def over(instance: Instance, blobs: Any) -> Instance:
    return Instance(instance.settings, replace(instance.platform, blobs=blobs))


def error_of(instance: Instance, scoring_id: str = "s1") -> str:
    ended = instance.scorings.get(scoring_id)
    assert ended.status is ScoringStatus.FAILED
    return ended.error or ""


@pytest.mark.parametrize("name", ["inputs/a.parquet", "inputs/b.csv"])
@pytest.mark.usefixtures("small")
def test_every_row_is_scored_as_the_predictor_would(rows: Instance, name: str) -> None:
    table = rows_table(150)
    put(rows, name, as_csv(table) if name.endswith("csv") else as_parquet(table, 15))
    asked(rows, name)
    assert work(rows) is Exit.DONE
    assert rows.scorings.get("s1").status is ScoringStatus.SUCCEEDED
    found = scores(rows.platform)
    expected = probabilities(rows, table)
    assert [row["row"] for row in found] == list(range(150))
    assert [row["patient"] for row in found] == table["patient"].to_pylist()
    assert {row["file"] for row in found} == {name}
    classes = np.array([[row["probability_absent"], row["probability_present"]] for row in found], np.float32)
    assert classes.tobytes() == expected.tobytes()
    for row, (absent, present) in zip(found, expected.tolist(), strict=True):
        label = "present" if present >= 0.4 else "absent"
        assert (row["label"], row["probability"]) == (label, present if label == "present" else absent)
    task = the_task(rows)
    assert (task.items, task.scored, task.failed, task.rows) == (150, 150, 0, 150)
    assert len(task.parts) > 2
    assert [part.name for part in task.parts] == part_names(rows.platform)
    for part in task.parts:
        rows.platform.blobs.get(part.name, sha256=part.sha256)
    assert (task.errors, task.errors_file) == ((), None)


@pytest.mark.parametrize("name", ["inputs/a.parquet", "inputs/b.csv"])
@pytest.mark.usefixtures("small")
def test_bad_rows_are_told_with_their_reasons_and_the_rest_is_scored(rows: Instance, name: str) -> None:
    table = spoilt(rows_table(100), "age", {3: 300, 50: None, 99: -1})
    table = spoilt(table, "pain", {3: "odd"})
    put(rows, name, as_csv(table) if name.endswith("csv") else as_parquet(table, 15))
    asked(rows, name)
    assert work(rows) is Exit.DONE
    bad = {3, 50, 99}
    assert [row["row"] for row in scores(rows.platform)] == [row for row in range(100) if row not in bad]
    told = {error["row"]: error["errors"] for error in bad_rows(rows.platform)}
    assert set(told) == bad
    assert [error["pointer"] for error in told[3]] == ["/age", "/pain"]
    assert "an integer from 0 to 120, found 300" in told[3][0]["detail"]
    assert told[50] == [{"pointer": "/age", "detail": "must be an integer from 0 to 120, found nothing"}]
    task = the_task(rows)
    assert (task.items, task.scored, task.failed) == (100, 97, 3)
    first = task.errors[0]
    assert isinstance(first, RowError)
    assert (first.file, first.row) == (name, 3)
    assert task.errors_file == "scores/s1/errors/task=0/"


def test_records_with_other_numbers_of_cells_are_bad_rows(rows: Instance) -> None:
    lines = as_csv(rows_table(6)).splitlines()
    lines[2] += b",more"
    lines[5] = b"p5,1"
    put(rows, "inputs/b.csv", b"\n".join([*lines[:4], b"", *lines[4:]]))
    asked(rows, "inputs/b.csv")
    work(rows)
    assert [row["row"] for row in scores(rows.platform)] == [0, 2, 3, 5]
    told = {error["row"]: error["errors"][0]["detail"] for error in bad_rows(rows.platform)}
    assert told == {1: "must have 6 cells, found 7", 4: "must have 6 cells, found 2"}


def test_text_that_is_not_utf8_spoils_its_own_row_alone(rows: Instance) -> None:
    lines = as_csv(rows_table(4)).splitlines()
    lines[2] = b'"p","63","1.5","t\xe9","true","x"'
    lines[3] = b'"p\xe9","63","1.5","typical","true","x"'
    put(rows, "inputs/b.csv", b"\n".join(lines))
    asked(rows, "inputs/b.csv")
    work(rows)
    assert [row["row"] for row in scores(rows.platform)] == [0, 2, 3]
    assert scores(rows.platform)[1]["patient"] == "p\ufffd"
    assert [error["row"] for error in bad_rows(rows.platform)] == [1]


@pytest.mark.parametrize("beside", ["5", "oops"])
def test_text_that_parsers_take_for_no_number_is_none_whatever_is_beside_it(
    rows: Instance, beside: str
) -> None:
    put(rows, "inputs/b.csv", f"age,pressure\n1,NAN\n2,inf\n3,nan\n4,{beside}\n".encode())
    asked(rows, "inputs/b.csv", id_columns=())
    work(rows)
    wrong = [0, 1] + [3] * (beside == "oops")
    assert [error["row"] for error in bad_rows(rows.platform)] == wrong


@pytest.mark.usefixtures("small")
def test_files_of_a_folder_are_scored_together_each_with_rows_of_its_own(rows: Instance) -> None:
    tables = {f"inputs/x/{seed}.parquet": rows_table(30 + seed, seed) for seed in range(3)}
    for name, table in tables.items():
        put(rows, name, as_parquet(table, 20))
    put(rows, "inputs/x/_SUCCESS", b"")
    put(rows, "inputs/y.parquet", as_parquet(rows_table(5)))
    asked(rows, "inputs/x/", tasks=2)
    assert work(rows, by=Task()) is Exit.DONE
    found = scores(rows.platform)
    assert [(row["file"], row["row"]) for row in found] == [
        (name, row) for name, table in tables.items() for row in range(len(table))
    ]
    assert [row["patient"] for row in found] == [
        one for table in tables.values() for one in table["patient"].to_pylist()
    ]


@pytest.mark.usefixtures("small")
def test_three_tasks_find_what_one_finds_and_what_comes_later_changes_nothing(rows: Instance) -> None:
    for seed in range(2):
        put(rows, f"inputs/x/{seed}.csv", as_csv(spoilt(rows_table(90, seed), "age", {7: 500})))
    asked(rows, "inputs/x/", "one")
    work(rows, "one")
    asked(rows, "inputs/x/", "three", tasks=3)
    for index in range(3):
        assert work(rows, "three", by=replace(PLATFORM, index=index, count=3)) is Exit.DONE
        put(rows, f"inputs/x/later-{index}.csv", as_csv(rows_table(5)))
    assert rows.scorings.get("three").status is ScoringStatus.SUCCEEDED
    assert scores(rows.platform, "three") == scores(rows.platform, "one")
    assert bad_rows(rows.platform, "three") == bad_rows(rows.platform, "one")
    assert all(part_names(rows.platform, "three", index) for index in range(3))


@pytest.mark.usefixtures("small")
def test_a_model_of_three_classes_has_a_column_for_each(rows: Instance) -> None:
    version = registered_tabular(rows.registry, classes=("low", "mid", "high"))
    table = rows_table(50)
    put(rows, FILE, as_parquet(table))
    asked(rows, FILE, model=version.id, id_columns=())
    work(rows)
    package = rows.registry.open_package(version.id)
    expected = package.verified_scorer().score(COLUMNS.encode(table.select(COLUMNS.names).to_pylist()).x)
    for row, values in zip(scores(rows.platform), expected.tolist(), strict=True):
        assert list(row) == [
            *("file", "row", "label", "probability"),
            *("probability_low", "probability_mid", "probability_high"),
        ]
        assert [row[f"probability_{name}"] for name in ("low", "mid", "high")] == values
        assert row["label"] == ("low", "mid", "high")[int(np.argmax(values))]
        assert row["probability"] == max(values)


def test_parts_are_typed_and_say_what_made_them(rows: Instance) -> None:
    put(rows, FILE, as_parquet(rows_table(20)))
    asked(rows, FILE, id_columns=("patient", "age"))
    work(rows)
    (name,) = part_names(rows.platform)
    found = pq.read_metadata(io.BytesIO(rows.platform.blobs.get(name)))
    schema = found.schema.to_arrow_schema()
    assert {field.name: str(field.type) for field in schema} == {
        "file": "dictionary<values=string, indices=int32, ordered=0>",
        "row": "int64",
        "patient": "string",
        "age": "int64",
        "label": "dictionary<values=string, indices=int32, ordered=0>",
        "probability": "float",
        "probability_absent": "float",
        "probability_present": "float",
    }
    assert f'"model_id": "{MODEL}"'.encode() in found.metadata[b"mlengine"]


def test_a_nullable_column_that_the_file_lacks_is_missing_in_every_row(rows: Instance) -> None:
    table = rows_table(20)
    put(rows, FILE, as_parquet(table.drop_columns(["pressure"])))
    asked(rows, FILE)
    work(rows)
    empty = table.set_column(2, "pressure", pa.nulls(20, pa.float64()))
    expected = probabilities(rows, empty)[:, 1].tolist()
    assert [row["probability_present"] for row in scores(rows.platform)] == expected


def test_rows_are_counted_where_the_model_looks_at_none_of_the_columns(rows: Instance) -> None:
    columns = Columns((Column(name="n", type="number"),))
    version = registered_tabular(rows.registry, columns=columns)
    put(rows, FILE, as_parquet(pa.table({"other": [1, 2, 3]})))
    asked(rows, FILE, model=version.id, id_columns=())
    work(rows)
    assert [row["row"] for row in scores(rows.platform)] == [0, 1, 2]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        (FILE, b"no parquet", "can't be read as Parquet"),
        (FILE, as_parquet(rows_table(3).drop_columns(["age"])), "lacks columns: age. It has patient,"),
        (FILE, as_parquet(rows_table(3).drop_columns(["patient"])), "lacks columns: patient"),
        ("inputs/b.csv", b"", "has no header line"),
        ("inputs/b.csv", b"\nage,patient\n1,2\n", "begins with an empty line"),
        ("inputs/b.csv", "age,patient\n1,2\n".encode("utf-16"), "isn't UTF-8"),
        ("inputs/b.csv", b"age,age\n1,2\n", "two columns of one name: age"),
        ("inputs/b.csv", b"pain\nx\n", "lacks columns: age, patient. It has pain."),
    ],
)
def test_a_file_that_does_not_fit_fails_the_scoring_with_words(
    rows: Instance, name: str, content: bytes, told: str
) -> None:
    put(rows, name, content)
    asked(rows, name)
    assert work(rows) is Exit.DONE
    assert told in error_of(rows)
    assert part_names(rows.platform) == []


def test_an_id_column_may_not_be_called_as_a_column_of_the_scores(rows: Instance) -> None:
    put(rows, FILE, as_parquet(rows_table(3).append_column("label", pa.array([1, 2, 3]))))
    asked(rows, FILE, id_columns=("label",))
    work(rows)
    assert "the name of an id column: label" in error_of(rows)


def test_id_columns_of_several_types_are_refused(rows: Instance) -> None:
    put(rows, "inputs/x/1.parquet", as_parquet(rows_table(3)))
    other = rows_table(3).set_column(0, "patient", pa.array([1, 2, 3]))
    put(rows, "inputs/x/2.parquet", as_parquet(other))
    asked(rows, "inputs/x/")
    work(rows)
    assert "2.parquet have other types than those of inputs/x/1.parquet" in error_of(rows)


def test_a_market_model_takes_no_rows(rows: Instance) -> None:
    version = registered(rows.registry)
    put(rows, FILE, as_parquet(rows_table(3)))
    asked(rows, FILE, model=version.id)
    work(rows)
    assert "doesn't take rows" in error_of(rows)


def test_a_row_group_that_is_too_large_is_refused_with_what_to_do(
    rows: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.jobs.score_parquet.MAX_GROUP_ROWS", 19)
    put(rows, FILE, as_parquet(rows_table(20)))
    asked(rows, FILE)
    work(rows)
    assert "write the file with smaller ones (row_group_size" in error_of(rows)


@pytest.mark.usefixtures("small")
def test_more_shards_than_a_tasks_document_can_name_are_refused(
    rows: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(score_plan, "MAX_SHARDS", 2)
    put(rows, FILE, as_parquet(rows_table(100), 20))
    asked(rows, FILE)
    work(rows)
    assert "3 shards are too many for 1 tasks: at most 2 each" in error_of(rows)
    asked(rows, FILE, "s2", tasks=2)
    work(rows, "s2", by=Task())
    assert len(scores(rows.platform, "s2")) == 100


@pytest.mark.parametrize(
    "content", [b"patient,age\n", b"patient,age", b"\xef\xbb\xbfpatient,age\r\n", b"patient,age\n\n\n"]
)
def test_no_rows_are_no_failure(rows: Instance, content: bytes) -> None:
    put(rows, "inputs/b.csv", content)
    asked(rows, "inputs/b.csv")
    work(rows)
    assert rows.scorings.get("s1").status is ScoringStatus.SUCCEEDED
    assert the_task(rows).items == 0


@pytest.mark.usefixtures("small")
def test_large_row_groups_are_read_a_little_at_a_time(
    rows: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Counting(PassedOn):
        def part(self, name: str, *, start: int, size_bytes: int) -> Any:
            sizes.append(size_bytes)
            return super().part(name, start=start, size_bytes=size_bytes)

    monkeypatch.setattr("shared.jobs.score_parquet.READ_AHEAD_BYTES", 1_000)
    sizes: list[int] = []
    table = rows_table(40_000)
    put(rows, FILE, as_parquet(table))
    asked(rows, FILE)
    assert work(over(rows, Counting(rows.platform.blobs))) is Exit.DONE
    assert max(sizes) <= 3 * 65_536
    assert len(scores(rows.platform)) == 40_000


def test_written_parts_are_kept_and_the_rest_is_done_by_the_next_attempt(
    rows: Instance, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Away(PassedOn):
        def put(self, name: str, content: bytes) -> str:
            if name.endswith("part-00002.parquet"):
                raise PlatformUnavailable("away")
            return super().put(name, content)

    monkeypatch.setattr("shared.jobs.task.PAUSES_SECONDS", (0.0,))
    table = spoilt(rows_table(200), "age", dict.fromkeys(range(0, 200, 9), 500))
    put(rows, FILE, as_parquet(table, 20))
    asked(rows, FILE)
    assert work(over(rows, Away(rows.platform.blobs))) is Exit.TRY_AGAIN
    kept = {blob.name: blob.sha256 for blob in rows.platform.blobs.list("scores/s1/task=0/")}
    assert len(kept) >= 2
    assert rows.scorings.get("s1").status is ScoringStatus.RUNNING
    assert work(rows, by=replace(PLATFORM, attempt=1)) is Exit.DONE
    now = {blob.name: blob.sha256 for blob in rows.platform.blobs.list("scores/s1/task=0/")}
    assert kept.items() < now.items()
    bad = set(range(0, 200, 9))
    assert [row["row"] for row in scores(rows.platform)] == [row for row in range(200) if row not in bad]
    assert {error["row"] for error in bad_rows(rows.platform)} == bad
    task = the_task(rows)
    assert (task.attempts, task.scored, task.failed) == (2, 200 - len(bad), len(bad))
    assert len(task.errors) == 20


def test_what_is_written_is_not_scored_again(rows: Instance, small: None) -> None:
    class Noting(PassedOn):
        def put(self, name: str, content: bytes) -> str:
            written.append(name)
            return super().put(name, content)

    written: list[str] = []
    put(rows, FILE, as_parquet(rows_table(100), 20))
    asked(rows, FILE, "s1", tasks=2)
    work(rows, by=replace(PLATFORM, index=0, count=2))
    rows.platform.documents.commit([Delete("scoring-tasks", "s1.0")])
    work(over(rows, Noting(rows.platform.blobs)), by=Task())
    assert [row["row"] for row in scores(rows.platform)] == list(range(100))
    assert written == ["scores/s1/task=1/part-00000.parquet"]


def test_of_two_plans_the_one_that_was_written_first_counts(rows: Instance, small: None) -> None:
    class Overtaken(PassedOn):
        def put(self, name: str, content: bytes) -> str:
            if name.endswith("plan.json"):
                work(rows, by=replace(PLATFORM, index=1, count=2))
            return super().put(name, content)

        def list(self, prefix: str) -> Any:
            found = super().list(prefix)
            return [blob for blob in found if blob.name != "inputs/x/1.parquet"]

    for number in range(2):
        put(rows, f"inputs/x/{number}.parquet", as_parquet(rows_table(100, number), 20))
    asked(rows, "inputs/x/", tasks=2)
    assert (
        work(over(rows, Overtaken(rows.platform.blobs)), by=replace(PLATFORM, index=0, count=2)) is Exit.DONE
    )
    assert [row["row"] for row in scores(rows.platform)] == [*range(100), *range(100)]


def test_it_is_cancelled_between_shards_and_what_is_written_stays(rows: Instance, small: None) -> None:
    class Cancelling(PassedOn):
        def put(self, name: str, content: bytes) -> str:
            if name.endswith("part-00001.parquet"):
                rows.scorings.request_cancel("s1")
            return super().put(name, content)

    put(rows, FILE, as_parquet(rows_table(2_000), 20))
    asked(rows, FILE)
    assert work(over(rows, Cancelling(rows.platform.blobs))) is Exit.DONE
    assert rows.scorings.get("s1").status is ScoringStatus.CANCELLED
    assert 0 < len(part_names(rows.platform)) < 50


def test_long_shards_beat_meanwhile(rows: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(PassedOn):
        def put(self, name: str, content: bytes) -> str:
            if name.endswith(".parquet"):
                first = the_task(rows).heard_at
                assert waited(lambda: the_task(rows).heard_at != first)
            return super().put(name, content)

    monkeypatch.setattr(score_rows, "BEAT_SECONDS", 0.01)
    put(rows, FILE, as_parquet(rows_table(20)))
    asked(rows, FILE)
    assert work(over(rows, Slow(rows.platform.blobs))) is Exit.DONE
    assert rows.scorings.get("s1").status is ScoringStatus.SUCCEEDED


def waited(condition: Any) -> bool:
    from tests.contracts.workers import wait_for

    wait_for(condition)
    return True


CELLS = ("a", "1", "", '"x"', '"a\nb"', '"q""w"', '5" p', '"c,d"', " ", '"\r\n"', '""', "é", '"u\n"z')


def test_a_record_that_is_too_long_is_told_though_it_ends(
    rows: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(score_csv, "MAX_RECORD_BYTES", 1_000)
    lines = as_csv(rows_table(20)).splitlines()
    start = sum(len(line) + 1 for line in lines[:7])
    lines[7] = lines[7].replace(b"a, b", b"a" * 1_000)
    put(rows, "inputs/b.csv", b"\n".join(lines))
    asked(rows, "inputs/b.csv")
    work(rows)
    assert f"a record of more than 1,000 bytes, from byte {start:,} on" in error_of(rows)


@pytest.mark.parametrize("name", ["inputs/a.parquet", "inputs/b.csv"])
def test_a_file_that_is_replaced_meanwhile_is_told_of(rows: Instance, small: None, name: str) -> None:
    class Replacing(PassedOn):
        def put(self, name: str, content: bytes) -> str:
            sha256 = super().put(name, content)
            if name.endswith("plan.json"):
                self.delete(file)
                super().put(file, write(rows_table(200, 1)) + b"\n")
            return sha256

    file, write = name, as_csv if name.endswith("csv") else as_parquet
    put(rows, name, write(rows_table(200)))
    asked(rows, name)
    assert work(over(rows, Replacing(rows.platform.blobs))) is Exit.DONE
    assert f"{name} was replaced while it was scored" in error_of(rows)


def test_a_version_that_is_deleted_meanwhile_ends_the_scoring_with_words(rows: Instance) -> None:
    version = registered_tabular(rows.registry, seed=1)
    put(rows, FILE, as_parquet(rows_table(3)))
    asked(rows, FILE, model=version.id)
    rows.registry.delete(version.id, by="test")
    assert work(rows) is Exit.DONE
    assert version.id in error_of(rows)


def test_views_of_text_are_text(rows: Instance) -> None:
    table = rows_table(20)
    for name in ("patient", "pain"):
        place = table.column_names.index(name)
        table = table.set_column(place, name, table[name].cast(pa.string_view()))
    cells = [*table["pain"].to_pylist()[:-1], "odd"]
    table = table.set_column(table.column_names.index("pain"), "pain", pa.array(cells, pa.string_view()))
    put(rows, FILE, as_parquet(table))
    asked(rows, FILE)
    work(rows)
    assert [row["patient"] for row in scores(rows.platform)] == table["patient"].to_pylist()[:-1]
    assert "'odd'" in bad_rows(rows.platform)[0]["errors"][0]["detail"]


@pytest.mark.parametrize("seed", range(60))
def test_pieces_of_csv_are_the_whole_whatever_is_quoted(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(seed)
    end = rng.choice(["\n", "\r\n", "\r"])
    cells = CELLS if seed % 2 else [cell for cell in CELLS if '"' not in cell]
    records = [
        ",".join(rng.choice(cells) for _ in range(rng.choice([0, 1, 2, 2, 2, 2, 3]))) for _ in range(30)
    ]
    data = ("n,s" + end + end.join(records) + rng.choice([end, ""])).encode()
    monkeypatch.setattr(score_csv, "BLOCK_BYTES", rng.choice([40, 64, 100, 1_000]))

    def read(start: int, size_bytes: int) -> bytes:
        return data[start : start + size_bytes]

    header = read_header("f", read)
    columns = Columns((Column(name="n", type="category", categories=("1", "a")),))
    reader = CsvReader(header, columns, ["s"])
    parts = list(pieces("f", read, header, rng.choice([1, 20, 50, 200])))
    assert [part.start for part in parts] + [len(data)] == [header.end] + [part.end for part in parts]
    (whole,) = pieces("f", read, header, len(data))
    monkeypatch.setattr(score_csv, "MAX_RECORD_BYTES", rng.choice([60, 1_000]))
    expected = reader.read(data[whole.start : whole.end], whole.rows)
    table: list[Any] = []
    wrong: dict[int, str] = {}
    first = 0
    for part in parts:
        found = reader.read(data[part.start : part.end], part.rows)
        table += [
            (first + place, row)
            for place, row in zip(found.places.tolist(), found.table.to_pylist(), strict=True)
        ]
        wrong |= {first + place: told for place, told in found.wrong.items()}
        first += part.rows
    assert wrong == expected.wrong
    assert table == list(zip(expected.places.tolist(), expected.table.to_pylist(), strict=True))


def test_a_quote_that_is_not_closed_is_told(rows: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(score_csv, "MAX_RECORD_BYTES", 2_000)
    monkeypatch.setattr(score_csv, "BLOCK_BYTES", 1_000)
    lines = as_csv(rows_table(200)).splitlines()
    lines[5] = b'"open' + lines[5].replace(b'"', b"")
    put(
        rows,
        "inputs/b.csv",
        b"\n".join(line.replace(b'"', b"") if n != 5 else line for n, line in enumerate(lines)),
    )
    asked(rows, "inputs/b.csv")
    work(rows)
    assert "is a quote not closed?" in error_of(rows)


def test_tasks_from_before_files_were_scored_are_still_read() -> None:
    part = {"name": "scores/s/task=0/part-00000.parquet", "sha256": "0", "rows": 3, "symbols": 2}
    old = {
        "scoring_id": "s",
        "index": 0,
        "status": "succeeded",
        "worker": "w",
        "attempts": 1,
        "started_at": "t",
        "heartbeat_at": "t",
        "symbols": 2,
        "scored": 2,
        "parts": [part],
        "errors": [],
    }
    task = task_of(upgrade("scoring-tasks", old))
    assert (task.items, task.parts[0].items, task.parts[0].rows) == (2, 2, 3)
