from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.errors import AlreadyExists, EngineError, InvalidInput, RevisionConflict
from shared.platform.ports import (
    Create,
    Delete,
    Document,
    Documents,
    Put,
    Replace,
    Write,
)
from tests.contracts.platforms import Place
from tests.contracts.racing import in_processes, kill_while_busy, race
from tests.contracts.workers import GENERATION_SIZE, count_up, count_up_5_times, wait_for, write_generations

ROUNDS = {"local": 40, "gcp": 8}
"""How often a process is killed: each takes about a second to start where it needs Google's client."""


def read(documents: Documents, collection: str, id: str) -> Document:
    found = documents.get(collection, id)
    assert found is not None
    return found


def test_what_was_written_is_read(documents: Documents) -> None:
    data = {"text": "é\u0000\n", "list": [1, 2.5, None, True], "map": {"a": {"b": "c"}}, "big": 2**53}
    (revision,) = documents.commit([Create("things", "a", data)])
    assert documents.get("things", "a") == Document("a", data, revision)


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
NAMES = TEXT | st.sampled_from(
    ["", "__a__", "_json", "_write", "__name__", "a.b", "a`b", "*", "/", "x" * 1501]
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4)
)


def with_types(value: Any) -> Any:
    """What tells 1 from 1.0 and True."""
    match value:
        case dict():
            return {name: with_types(member) for name, member in value.items()}
        case list():
            return [with_types(item) for item in value]
    return (type(value).__name__, value)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(NAMES, VALUES, max_size=4))
def test_any_json_is_read_as_it_was_written(documents: Documents, data: dict[str, Any]) -> None:
    documents.commit([Put("things", "a", data)])
    (queried,) = documents.query("things").documents
    for found in (read(documents, "things", "a"), queried):
        assert with_types(found.data) == with_types(data)


@pytest.mark.parametrize(
    "data",
    [
        {"x": [[], [1, [2, [3.0]]], {"y": [[None]]}]},
        {"x": {"_json": "[1]"}},
        {"x": [{"_json": "[1]"}]},
        {"_json": "{}", "_write": "mine", "__x__": {"": [[""]]}, "": None, "plain": 1},
        {"_write": {"_write": [1]}},
        {},
        {"x": {}, "y": []},
        {"x": [1, 1.0, True, -1, 2**63 - 1, -(2**63), 2.0**63, 1e300, 5e-324]},
    ],
)
def test_odd_documents_are_read_as_they_were_written(documents: Documents, data: dict[str, Any]) -> None:
    documents.commit([Put("things", "a", data)])
    assert with_types(read(documents, "things", "a").data) == with_types(data)


@pytest.mark.parametrize("around", [lambda inner: {"k": inner, "j": 1.5}, lambda inner: {"k": [inner, True]}])
def test_deep_documents_are_read_as_they_were_written(documents: Documents, around: Any) -> None:
    data: Any = {"k": 1}
    for _ in range(40):
        data = around(data)
        documents.commit([Put("things", "a", data)])
        assert with_types(read(documents, "things", "a").data) == with_types(data)


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 10**30])
def test_integers_have_at_most_64_bits(documents: Documents, number: int) -> None:
    with pytest.raises(InvalidInput, match=f"things/a.*{number}"):
        documents.commit([Put("things", "a", {"x": [{"y": number}]})])


def test_both_ways_of_reading_give_one_revision(documents: Documents) -> None:
    revisions = documents.commit([Put("things", f"{i}", {}) for i in range(3)])
    found = documents.query("things").documents
    assert [document.revision for document in found] == list(revisions)
    assert [read(documents, "things", f"{i}").revision for i in range(3)] == list(revisions)


def test_an_unknown_document_is_none(documents: Documents) -> None:
    documents.commit([Create("things", "a", {})])
    assert documents.get("things", "b") is None
    assert documents.get("others", "a") is None


@pytest.mark.parametrize("id", ["", "a/b", "x" * 201, ".", "..", "__a__", "\ud800"])
def test_what_is_no_id_is_never_there(documents: Documents, id: str) -> None:
    assert documents.get("things", id) is None
    with pytest.raises(InvalidInput):
        documents.commit([Put("things", id, {})])


@pytest.mark.parametrize("id", ["x" * 200, "a b", "é", "a'b\"c", "%00", "...", "\n", "a\u0000b", "🙂"])
def test_odd_ids_work(documents: Documents, id: str) -> None:
    documents.commit([Create("things", id, {"n": 1})])
    assert read(documents, "things", id).data == {"n": 1}
    assert [d.id for d in documents.query("things").documents] == [id]


def test_a_create_finds_what_is_there(documents: Documents) -> None:
    documents.commit([Create("things", "a", {"n": 1})])
    with pytest.raises(AlreadyExists):
        documents.commit([Create("things", "a", {"n": 2})])
    assert read(documents, "things", "a").data == {"n": 1}


def test_one_of_32_racing_creators_wins(documents: Documents) -> None:
    results = race(32, lambda i: documents.commit([Create("things", "a", {"winner": i})]))
    winners = [i for i, result in enumerate(results) if not isinstance(result, Exception)]
    assert len(winners) == 1
    assert sum(isinstance(result, AlreadyExists) for result in results) == 31
    assert read(documents, "things", "a").data == {"winner": winners[0]}


def test_a_replace_needs_the_revision_that_is_there(documents: Documents) -> None:
    (first,) = documents.commit([Create("things", "a", {"n": 1})])
    (second,) = documents.commit([Replace("things", "a", {"n": 2}, first)])
    (others,) = documents.commit([Put("things", "b", {})])
    assert len({first, second, others}) == 3
    for revision in (first, others, "", "nonsense", "99999999999999999999", "²"):
        with pytest.raises(RevisionConflict):
            documents.commit([Replace("things", "a", {"n": 3}, revision)])
    assert read(documents, "things", "a") == Document("a", {"n": 2}, second)


def test_a_replace_of_nothing_conflicts(documents: Documents) -> None:
    with pytest.raises(RevisionConflict):
        documents.commit([Replace("things", "a", {}, "1")])
    assert documents.get("things", "a") is None


def test_a_write_of_the_same_data_changes_the_revision(documents: Documents) -> None:
    (first,) = documents.commit([Put("things", "a", {"n": 1})])
    (second,) = documents.commit([Put("things", "a", {"n": 1})])
    assert first != second


def test_a_revision_never_comes_again(documents: Documents) -> None:
    (first,) = documents.commit([Create("things", "a", {})])
    documents.commit([Delete("things", "a")])
    (second,) = documents.commit([Create("things", "a", {})])
    assert first != second
    with pytest.raises(RevisionConflict):
        documents.commit([Delete("things", "a", first)])


def test_a_put_writes_whatever_was_there(documents: Documents) -> None:
    documents.commit([Put("things", "a", {"n": 1})])
    documents.commit([Put("things", "a", {"m": 2})])
    assert read(documents, "things", "a").data == {"m": 2}


def test_a_deletion_of_nothing_is_fine_unless_a_revision_is_asked_for(documents: Documents) -> None:
    assert list(documents.commit([Delete("things", "a")])) == [""]
    with pytest.raises(RevisionConflict):
        documents.commit([Delete("things", "a", "1")])


@pytest.mark.parametrize(
    ("failing", "error"),
    [
        (Create("things", "there", {}), AlreadyExists),
        (Replace("things", "there", {}, "0"), RevisionConflict),
        (Delete("things", "there", "0"), RevisionConflict),
        (Put("things", "new", {}), InvalidInput),
        (Put("things", "a/b", {}), InvalidInput),
        (Put("things", "nan", {"n": float("nan")}), InvalidInput),
    ],
)
def test_a_batch_fails_whole(documents: Documents, failing: Write, error: type[EngineError]) -> None:
    documents.commit([Create("things", "there", {"n": 1}), Create("things", "gone", {})])
    with pytest.raises(error):
        documents.commit(
            [Put("things", "new", {}), Delete("things", "gone"), Put("others", "x", {}), failing]
        )
    assert [document.id for document in documents.query("things").documents] == ["gone", "there"]
    assert documents.get("others", "x") is None


def test_a_batch_gives_a_revision_for_each_write(documents: Documents) -> None:
    documents.commit([Create("things", "c", {})])
    revisions = documents.commit([Put("things", "a", {}), Delete("things", "c"), Put("things", "b", {})])
    assert list(revisions) == [
        read(documents, "things", "a").revision,
        "",
        read(documents, "things", "b").revision,
    ]


def test_an_empty_batch_does_nothing(documents: Documents) -> None:
    assert list(documents.commit([])) == []


def test_a_batch_holds_500_writes(documents: Documents) -> None:
    writes = [Put("things", f"{i:03}", {"i": i}) for i in range(501)]
    with pytest.raises(InvalidInput, match=r"500.*501"):
        documents.commit(writes)
    documents.commit(writes[:500])
    found = documents.query("things", limit=501).documents
    assert [document.id for document in found] == [f"{i:03}" for i in range(500)]


def test_a_document_holds_a_million_bytes(documents: Documents) -> None:
    documents.commit([Put("things", "a", {"x": "é" * 499_996})])
    with pytest.raises(InvalidInput, match="1,000,000"):
        documents.commit([Put("things", "a", {"x": "é" * 499_997})])
    assert read(documents, "things", "a").data == {"x": "é" * 499_996}


@pytest.mark.parametrize("data", [{"x": [1] * 126_000}, {"x": [{}] * 32_000}, {"x": {"k": [1.5] * 126_000}}])
def test_many_small_values_count_for_more_than_their_json(documents: Documents, data: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="1,000,000"):
        documents.commit([Put("things", "a", data)])
    small = {"x": [1] * 124_000}
    documents.commit([Put("things", "a", small)])
    assert read(documents, "things", "a").data == small


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1}, b"x", object(), "\ud800", NotImplemented])
def test_what_isnt_json_is_refused(documents: Documents, value: object) -> None:
    with pytest.raises(InvalidInput, match="things/a"):
        documents.commit([Put("things", "a", {"x": [value]})])


@pytest.mark.parametrize("collection", ["", "a/b", "1", "a b", "a'b", "x" * 101])
def test_a_collection_is_a_plain_name(documents: Documents, collection: str) -> None:
    with pytest.raises(InvalidInput):
        documents.commit([Put(collection, "a", {})])
    with pytest.raises(InvalidInput):
        documents.query(collection)


def test_50_writers_in_threads_lose_no_update(documents: Documents) -> None:
    results = race(50, lambda _: count_up(documents))
    assert [result for result in results if result is not None] == []
    assert read(documents, "counters", "c").data == {"n": 50}


def test_10_processes_lose_no_update(place: Place) -> None:
    in_processes(10, count_up_5_times, place.name, place.state)
    assert read(place.documents, "counters", "c").data == {"n": 50}


def generations(place: Place) -> list[int]:
    return [document.data["n"] for document in place.documents.query("killed").documents]


def test_a_killed_process_leaves_whole_batches_and_all_it_was_told_are_there(place: Place) -> None:
    generation, rng = 0, random.Random(1)
    for _ in range(ROUNDS[place.name]):
        reports = kill_while_busy(
            write_generations, place.name, place.state, generation + 1, after_seconds=rng.random() / 50
        )
        found = generations(place)
        if place.name == "gcp":  # the emulator answers queries from the middle of a batch that is under way
            wait_for(lambda: len(set(generations(place))) == 1)
            found = generations(place)
        generation = found[0]
        assert found == [generation] * GENERATION_SIZE
        assert generation in (reports[-1], reports[-1] + 1)
