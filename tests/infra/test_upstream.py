import asyncio
import hashlib
import os
import re
import select
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from infra.local.upstream import SAMPLE, create_app
from shared.market.calendar import calendar_named
from shared.market.checks import check
from shared.market.ingest import IngestReport, ingest
from shared.market.store import CandleStore
from shared.market.upstream import Upstream
from shared.platform.local.blobs import FolderBlobs
from shared.platform.local.documents import SqliteDocuments
from tests.asgi import AsgiClient

SYMBOLS = ["AAPL", "FB", "GOOG", "IBM", "MSFT"]


@pytest.fixture(scope="module")
def sample() -> Iterator[AsgiClient]:
    with AsgiClient(create_app()) as client:
        yield client


def test_the_shipped_file_is_the_one_its_note_describes() -> None:
    note = SAMPLE.with_name("README.md").read_text()
    assert hashlib.sha256(SAMPLE.read_bytes()).hexdigest() in note
    assert "ublic domain" in note


def test_symbols_and_health(sample: AsgiClient) -> None:
    assert sample.get("/symbols").json() == {"symbols": SYMBOLS}
    assert sample.get("/health").json() == {"status": "ok", "symbols": 5}


def test_candles_are_those_of_the_file(sample: AsgiClient) -> None:
    answer = sample.get("/candles", params={"symbol": "FB"}).json()
    assert (answer["symbol"], answer["timeframe"], len(answer["candles"])) == ("FB", "1d", 196)
    table = pq.read_table(SAMPLE, filters=[("symbol", "=", "FB")]).to_pylist()
    fields = ("timestamp", "open", "high", "low", "close", "volume")
    assert answer["candles"] == [{field: row[field] for field in fields} for row in table]


def test_start_and_end_are_included(sample: AsgiClient) -> None:
    bounds = {"symbol": "IBM", "start": "2013-02-26", "end": "2013-02-28"}
    rows = sample.get("/candles", params=bounds).json()["candles"]
    assert [row["timestamp"] for row in rows] == ["2013-02-26", "2013-02-27", "2013-02-28"]
    times = {"symbol": "IBM", "start": "2013-02-28T00:00:00Z", "end": "2013-02-28T19:00:00-05:00"}
    rows = sample.get("/candles", params=times).json()["candles"]
    assert [row["timestamp"] for row in rows] == ["2013-02-28", "2013-03-01"]


def test_the_latest_price_is_the_last_close(sample: AsgiClient) -> None:
    answer = sample.get("/price/latest", params={"symbol": "IBM"}).json()
    assert (answer["symbol"], answer["timestamp"]) == ("IBM", "2013-03-01")
    assert answer["price"] == sample.get("/candles?symbol=IBM&start=2013-03-01").json()["candles"][0]["close"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/candles?symbol=NOPE", 404),
        ("/price/latest?symbol=NOPE", 404),
        ("/candles", 400),
        ("/candles?symbol=IBM&start=yesterday", 400),
        ("/nothing", 404),
    ],
)
def test_what_is_not_there_is_refused(sample: AsgiClient, path: str, status: int) -> None:
    assert sample.get(path).status_code == status


def test_any_file_is_served_in_its_order_with_missing_values_as_null(tmp_path: Path) -> None:
    path = tmp_path / "odd.parquet"
    stamps = ["2020-01-01T02:00:00Z", "2020-01-01T01:00:00Z", "2020-01-01T03:00:00Z"]
    values = {field: [1.5, None, float("nan")] for field in ("open", "high", "low", "close")}
    pq.write_table(pa.table({"symbol": ["X"] * 3, "timestamp": stamps, "volume": [1, 2, 3]} | values), path)
    with AsgiClient(create_app(path)) as client:
        answer = client.get("/candles?symbol=X&end=2020-01-01").json()
    assert answer["timeframe"] == "2h"
    assert [row["timestamp"] for row in answer["candles"]] == stamps
    assert [row["close"] for row in answer["candles"]] == [1.5, None, None]
    assert [row["volume"] for row in answer["candles"]] == [1, 2, 3]


@pytest.fixture
def served() -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The sample upstream in a process of its own, and its address."""
    command = [sys.executable, "-m", "infra.local.upstream", "--port", "0", "--parent-pid", str(os.getpid())]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    url = re.search(r"http://\S+", process.stdout.readline())
    assert url is not None
    yield process, url.group()
    process.terminate()
    process.wait(10)
    process.stdout.close()


def test_the_sample_is_ingested_through_the_real_client(
    served: tuple[subprocess.Popen[str], str], tmp_path: Path
) -> None:
    store = CandleStore(SqliteDocuments(tmp_path / "d.sqlite"), FolderBlobs(tmp_path / "blobs"))

    async def run() -> IngestReport:
        upstream = Upstream(served[1], timeout_seconds=10, attempts=2, max_bytes=10**7, concurrency=4)
        symbols = await upstream.symbols()
        report = await ingest(
            upstream,
            store,
            symbols,
            timeframe="1d",
            calendar="XNYS",
            start=None,
            end=None,
            now=lambda: datetime.now(UTC),
            concurrency=4,
        )
        raw = await upstream.candles("AAPL")
        result = check(raw, timeframe="1d", now_seconds=4e9, calendar=calendar_named("XNYS"))
        assert store.read("AAPL", "1d").candles.close.tolist() == result.candles.close.tolist()
        await upstream.aclose()
        return report

    report = asyncio.run(run())
    assert (report.succeeded, report.failed, report.added) == (5, 0, 12_154)
    assert store.symbols("1d") == tuple(SYMBOLS)
    assert {symbol: len(store.read(symbol, "1d").breaks) for symbol in ("AAPL", "MSFT", "IBM")} == {
        "AAPL": 2,
        "MSFT": 1,
        "IBM": 0,
    }


def test_it_dies_with_its_parent() -> None:
    command = [sys.executable, "-m", "infra.local.upstream", "--port", "0", "--parent-pid"]
    parent = (
        "import os, subprocess, sys\n"
        f"child = subprocess.Popen([*{command!r}, str(os.getpid())], stdout=subprocess.PIPE, text=True)\n"
        "print(child.stdout.readline(), end='', flush=True)\n"
        "print(child.pid, flush=True)\n"
        "sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.readline()
    child = int(process.stdout.readline())
    process.kill()
    process.communicate(timeout=10)
    assert _ends(child, within_seconds=10)


def _ends(pid: int, *, within_seconds: float) -> bool:
    descriptor = os.pidfd_open(pid)
    try:
        ready, _, _ = select.select([descriptor], [], [], within_seconds)
        return bool(ready)
    finally:
        os.close(descriptor)


def test_a_start_that_fails_says_why_in_a_line() -> None:
    command = [sys.executable, "-m", "infra.local.upstream", "--port", "0", "--data", "/nowhere.parquet"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert ran.stderr.splitlines() == ["The sample upstream can't start: /nowhere.parquet"]
