import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from subprocess import run
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import CorruptBlob, NotFound, UpstreamInvalid
from shared.market.candles import PRICES, Candles, RawCandles
from shared.market.checks import CONTEXT
from shared.market.entry import Entry
from shared.market.findings import Kind
from shared.market.packing import pack, unpack
from shared.market.parquet import decode, encode
from shared.market.store import TAIL_ROWS, TAILS, CandleStore, Ingested
from shared.platform.local.blobs import FolderBlobs
from shared.platform.local.documents import SqliteDocuments
from shared.platform.ports import MAX_DOCUMENT_BYTES
from tests.market.made import DAY, MONDAY, candles, checked, found, raw, same

KEY = ("ABC", "1d")


def ingest(store: CandleStore, source: RawCandles | Candles, **options: Any) -> Ingested:
    return store.ingest(*KEY, checked(source), **options)


def content(store: CandleStore) -> tuple[Any, ...]:
    """What is stored, whatever parts it is in."""
    entry, tail = store.entry(*KEY), store.tail(*KEY)
    assert entry is not None
    assert tail is not None
    whole = store.read(*KEY)
    assert same(tail.candles, whole.candles[-TAIL_ROWS:])
    assert tail.is_whole == (len(whole.candles) <= TAIL_ROWS)
    assert set(tail.breaks) == {b for b in whole.breaks if b >= tail.candles.timestamp[0]}
    columns = [whole.candles.timestamp, *(getattr(whole.candles, c) for c in (*PRICES, "volume"))]
    return ([column.tobytes() for column in columns], whole.breaks, dict(entry.findings), entry.since)


@contextmanager
def new_store() -> Iterator[CandleStore]:
    with tempfile.TemporaryDirectory() as folder:
        yield CandleStore(SqliteDocuments(Path(folder) / "d.sqlite"), FolderBlobs(Path(folder) / "b"))


def eventful(count: int, seed: int = 5) -> RawCandles:
    """Candles with impossible ones, a split, gaps, a crash and repeats among them."""
    source = raw(count, seed=seed)
    for name in PRICES:
        getattr(source, name)[count // 2 :] /= 2
        getattr(source, name)[count // 3 :] *= 0.8
        getattr(source, name)[count // 4] = getattr(source, name)[count // 4 - 2]
    source.volume[count // 2 :] *= 2
    source.volume[count // 4] = source.volume[count // 4 - 2]
    source.close[[7, count - 3]] = np.nan
    source.volume[11] = -1
    source.volume[13] = 0
    return source[np.delete(np.arange(count), [17, 18, count - 20])]


def test_candles_survive_a_document_and_a_file_bit_for_bit() -> None:
    whole = candles(100)
    through_json = json.loads(json.dumps(pack(whole)))
    assert same(unpack(through_json, symbol="ABC", timeframe="1d"), whole)
    assert same(decode(encode(whole), symbol="ABC", timeframe="1d"), whole)
    assert encode(whole) == encode(candles(100))


def test_what_went_in_comes_out(store: CandleStore) -> None:
    result = checked(eventful(700))
    done = store.ingest(*KEY, result)
    stored, tail = store.read(*KEY), store.tail(*KEY)
    assert tail is not None
    assert same(stored.candles, result.candles)
    assert same(tail.candles, result.candles[-TAIL_ROWS:])
    assert stored.breaks == tail.breaks == result.breaks == done.breaks
    assert len(result.breaks) == 1
    assert (done.added, done.rows) == (len(result.candles), len(result.candles))
    assert (done.first, done.last) == (MONDAY, MONDAY + 699 * DAY)
    entry = store.entry(*KEY)
    assert entry is not None
    assert {fault["name"]: fault["count"] for fault in entry.findings_summary()} == found(result)


def test_nothing_is_known_of_what_was_never_ingested(store: CandleStore) -> None:
    assert store.entry(*KEY) is None
    assert store.tail(*KEY) is None
    assert store.symbols("1d") == ()
    with pytest.raises(NotFound, match="ingest them first"):
        store.read(*KEY)


def test_symbols_are_listed_per_timeframe_in_order(store: CandleStore) -> None:
    for symbol, timeframe in (("B", "1d"), ("^A", "1d"), ("A", "1d"), ("C", "1h")):
        store.ingest(symbol, timeframe, checked(raw(3, symbol=symbol, timeframe=timeframe)))
    store.ingest("EMPTY", "1d", checked(raw(2, symbol="EMPTY", volume=[-1, -1])))
    assert store.symbols("1d") == ("A", "B", "^A")
    assert store.symbols("1h") == ("C",)


def test_ingesting_again_writes_nothing(
    store: CandleStore, documents: SqliteDocuments, blobs: FolderBlobs
) -> None:
    ingest(store, eventful(600), since=MONDAY)
    before = documents.get("candles", "1d:ABC"), documents.get(TAILS, "1d:ABC"), list(blobs.list(""))
    done = ingest(store, eventful(600), since=MONDAY)
    assert (
        documents.get("candles", "1d:ABC"),
        documents.get(TAILS, "1d:ABC"),
        list(blobs.list("")),
    ) == before
    assert (done.added, done.history_changed) == (0, False)


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_any_chunks_in_any_order_make_the_same_store(data: st.DataObject) -> None:
    whole = eventful(data.draw(st.sampled_from([60, 300, 620])))
    marks = data.draw(st.lists(st.integers(0, len(whole)), max_size=6))
    edges = sorted({0, len(whole), *marks})
    overlap = data.draw(st.integers(0, 30))
    chunks = [whole[slice(max(0, a - overlap), b)] for a, b in pairwise(edges)]
    order = data.draw(st.permutations(chunks))
    with new_store() as once, new_store() as often:
        ingest(once, whole)
        for chunk in order:
            ingest(often, chunk)
        assert content(often) == content(once)


def test_concurrent_ingests_lose_and_double_nothing(store: CandleStore) -> None:
    whole = eventful(400)
    chunks = [whole[slice(max(0, at - 10), at + 40)] for at in range(0, len(whole), 40)] * 2
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda chunk: ingest(store, chunk), chunks))
    with new_store() as once:
        ingest(once, whole)
        assert content(store) == content(once)
    assert sum(result.added for result in done) == len(checked(whole).candles)


def test_many_small_parts_become_one_and_leave_no_garbage(store: CandleStore, blobs: FolderBlobs) -> None:
    whole = candles(60)
    for day in range(60):
        ingest(store, whole[day : day + 1])
    entry = store.entry(*KEY)
    assert entry is not None
    assert len(entry.parts) <= 17
    assert {blob.name for blob in blobs.list("candles/1d/symbol=ABC/")} == {p.name for p in entry.parts}
    assert same(store.read(*KEY).candles, whole)


def test_readers_never_miss_a_candle_while_parts_are_compacted(store: CandleStore) -> None:
    whole = candles(90)
    ingest(store, whole[:20])

    def keep_ingesting() -> None:
        for day in range(20, 90):
            ingest(store, whole[day : day + 1])

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(keep_ingesting)
        seen = 20
        while not writing.done():
            got = store.read(*KEY).candles
            assert len(got) >= seen
            assert same(got, whole[: len(got)])
            seen = len(got)
        writing.result()


class MeddledBlobs(FolderBlobs):
    """Somebody else does something just before a part is read."""

    meanwhile: Callable[[], object] | None = None

    def get(self, name: str, *, sha256: str | None = None) -> bytes:
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        return super().get(name, sha256=sha256)


def test_a_reader_whose_parts_are_replaced_reads_again(documents: SqliteDocuments, tmp_path: Path) -> None:
    blobs = MeddledBlobs(tmp_path / "blobs")
    reading, other = CandleStore(documents, blobs), CandleStore(documents, FolderBlobs(tmp_path / "blobs"))
    ingest(other, candles(30))
    changed = candles(40, seed=9)
    blobs.meanwhile = lambda: other.replace(*KEY, checked(changed))
    assert same(reading.read(*KEY).candles, changed)


def test_a_writer_whose_parts_are_replaced_looks_again(documents: SqliteDocuments, tmp_path: Path) -> None:
    blobs = MeddledBlobs(tmp_path / "blobs")
    writing, other = CandleStore(documents, blobs), CandleStore(documents, FolderBlobs(tmp_path / "blobs"))
    changed = candles(40, seed=9)
    ingest(other, candles(30)[5:])
    blobs.meanwhile = lambda: other.replace(*KEY, checked(changed))
    assert ingest(writing, candles(30)).history_changed
    assert same(other.read(*KEY).candles, changed)


def test_a_changed_past_is_noticed_and_nothing_written(store: CandleStore) -> None:
    whole = candles(50)
    ingest(store, whole[:40])
    before = content(store)
    adjusted = replace(whole, **{name: getattr(whole, name) / 2 for name in PRICES})
    done = ingest(store, adjusted[39:])
    assert (done.history_changed, done.added) == (True, 0)
    assert content(store) == before


def test_rounding_of_the_upstream_is_no_change(store: CandleStore) -> None:
    whole = candles(50)
    ingest(store, whole[:40])
    done = ingest(store, replace(whole, close=whole.close * (1 + 1e-12)))
    assert (done.history_changed, done.added) == (False, 10)


def test_a_changed_history_replaces_the_stored_one(store: CandleStore, blobs: FolderBlobs) -> None:
    split = eventful(300)
    ingest(store, split, since=MONDAY)
    assert len(store.read(*KEY).breaks) == 1
    calm = candles(310, seed=8)
    done = store.replace(*KEY, checked(calm), since=MONDAY)
    entry = store.entry(*KEY)
    assert entry is not None
    assert (done.history_changed, done.added, done.rows) == (True, 310, 310)
    assert same(store.read(*KEY).candles, calm)
    assert store.read(*KEY).breaks == ()
    assert (entry.generation, entry.since) == (2, MONDAY)
    assert entry.findings == {Kind.HISTORY_CHANGED: (MONDAY + 299 * DAY,)}
    assert {blob.name for blob in blobs.list("candles/")} == {part.name for part in entry.parts}


def test_replacing_with_the_same_history_only_adds(store: CandleStore) -> None:
    whole = candles(50)
    ingest(store, whole[:40])
    done = store.replace(*KEY, checked(whole))
    assert (done.history_changed, done.added) == (False, 10)
    assert store.replace("NEW", "1d", checked(raw(5, symbol="NEW"))).added == 5


def test_older_candles_stay_where_the_new_history_agrees_with_them(store: CandleStore) -> None:
    whole = candles(100)
    ingest(store, whole[:80])
    window = whole[40:]
    window.close[-25] *= 1.001
    assert store.replace(*KEY, checked(window), since=int(window.timestamp[0])).history_changed
    stored = store.read(*KEY).candles
    assert stored.timestamp.tolist() == whole.timestamp.tolist()
    assert store.entry(*KEY).since is None  # type: ignore[union-attr]  # it was just replaced
    halved = replace(window, **{name: getattr(window, name) / 2 for name in PRICES})
    store.replace(*KEY, checked(halved), since=int(window.timestamp[0]))
    assert same(store.read(*KEY).candles, halved)
    assert store.entry(*KEY).since == window.timestamp[0]  # type: ignore[union-attr]  # as above


def test_a_history_that_ends_earlier_is_no_correction(store: CandleStore) -> None:
    ingest(store, candles(50))
    before = content(store)
    with pytest.raises(UpstreamInvalid, match="the stored one stays"):
        store.replace(*KEY, checked(candles(40, seed=9)))
    assert content(store) == before


def test_the_earliest_start_asked_for_is_remembered(store: CandleStore) -> None:
    ingest(store, candles(10, start=MONDAY + 20 * DAY), since=MONDAY + 20 * DAY)
    ingest(store, candles(5, start=MONDAY + 30 * DAY, seed=1), since=MONDAY + 29 * DAY)
    assert store.entry(*KEY).since == MONDAY + 20 * DAY  # type: ignore[union-attr]  # it was just ingested
    ingest(store, candles(5), since=MONDAY)
    assert store.entry(*KEY).since == MONDAY  # type: ignore[union-attr]  # as above


def test_a_missing_part_is_told(store: CandleStore, blobs: FolderBlobs) -> None:
    ingest(store, candles(10))
    for blob in list(blobs.list("candles/")):
        blobs.delete(blob.name)
    with pytest.raises(CorruptBlob, match="missing"):
        store.read(*KEY)


def test_the_worst_history_still_fits_into_documents(store: CandleStore, documents: SqliteDocuments) -> None:
    count = 6_000
    source = raw(count, volume=[float(i % 2) for i in range(count)])
    source.close[::5] *= 1.2
    source.high[1::5] = np.nan
    source.low[2::5] *= -1
    source.volume[3::5] *= -1
    for at in range(0, count, 300):
        ingest(store, source[slice(at, at + 300)])
    for collection in ("candles", TAILS):
        document = documents.get(collection, "1d:ABC")
        assert document is not None
        assert len(json.dumps(document.data)) < MAX_DOCUMENT_BYTES / 2
    assert all(len(stamps) <= 1_000 for stamps in store.entry(*KEY).findings.values())  # type: ignore[union-attr]  # it was just ingested


def test_an_entry_survives_its_document(store: CandleStore) -> None:
    ingest(store, eventful(100), since=MONDAY)
    entry = store.entry(*KEY)
    assert entry is not None
    assert Entry.from_data(json.loads(json.dumps(entry.to_data()))) == entry


def test_tails_hold_the_context_that_findings_need() -> None:
    assert TAIL_ROWS > CONTEXT


def test_reading_a_tail_imports_no_parquet(store: CandleStore, tmp_path: Path) -> None:
    ingest(store, candles(10))
    code = f"""
import sys
from pathlib import Path
from shared.market.store import CandleStore
from shared.platform.local.blobs import FolderBlobs
from shared.platform.local.documents import SqliteDocuments
store = CandleStore(SqliteDocuments(Path({str(tmp_path / "documents.sqlite")!r})), FolderBlobs(Path("x")))
assert len(store.tail("ABC", "1d").candles) == 10
heavy = {{"pyarrow", "pandas", "httpx", "stamina"}} & set(sys.modules)
assert not heavy, heavy
"""
    ran = run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
