"""Keeps predictions as Parquet for SQL: the twin's stand-in for the BigQuery subscription of the cloud.

`<home>/warehouse/predictions_made/date=<day of made_at>/<name>.parquet`. A file is whole or not there, and an
event is acknowledged once its file is. What is delivered again, after a kill, may so be in two files: the
view that questions are asked of drops it.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from shared.errors import EngineError, InvalidInput
from shared.logs import LOGGER
from shared.monitoring.warehouse import FOLDER, TABLE, row_of
from shared.monitoring.warehouse.rows import Row, arrow_schema, arrow_table
from shared.platform.local.events import SqliteEvents
from shared.platform.local.files import make_folders, sync_folder
from shared.platform.ports import Event, Now

if TYPE_CHECKING:
    import pyarrow as pa

SUBSCRIPTION: Final = "warehouse"
BATCH_SIZE: Final = 5_000
FLUSH_SECONDS: Final = 2.0
"""How long rows gather before they become a file."""

STEP_SIZE: Final = 100
PAUSE_SECONDS: Final = 0.002
"""Of each batch so many at once, and a pause: who predicts waits for neither the bus nor the interpreter."""

LEASE_SECONDS: Final = 60.0
MANY_FILES: Final = 16
SMALL_ROWS: Final = 100_000
_COMPRESSION_LEVEL: Final = 3
_A_MOMENT_SECONDS: Final = 0.00001


@dataclass(frozen=True, slots=True)
class Taken:
    """An event to keep; `handle` is what `ack` and `refuse` take."""

    handle: str
    event: Event


class Source(Protocol):
    """Hands out the events of one subscription. What isn't acknowledged comes again."""

    def claim(self, limit: int) -> Sequence[Taken]:
        """At most so many of those that wait, perhaps none; they aren't handed out again for a minute."""
        ...

    def ack(self, handles: Sequence[str]) -> None:
        """These are kept."""
        ...

    def refuse(self, handle: str, reason: str) -> None:
        """This one can't be kept: it comes again later, or becomes a dead letter."""
        ...


class BusSource:
    """A subscription of the twin's own bus.

    Its first claims take over what the twin before had claimed when it was killed, without waiting for
    its leases: only one twin keeps the rows of a state folder.
    """

    def __init__(self, events: SqliteEvents, now: Now, subscription: str = SUBSCRIPTION) -> None:
        self._events = events
        self._now = now
        self._subscription = subscription
        self._leases_end: datetime | None = now() + timedelta(seconds=LEASE_SECONDS)

    def claim(self, limit: int) -> Sequence[Taken]:
        if self._leases_end is None:
            deliveries = self._events.claim(self._subscription, limit, LEASE_SECONDS, self._now())
        else:  # as if all leases had ended; the new ones end right after, so that none is claimed twice
            deliveries = self._events.claim(self._subscription, limit, _A_MOMENT_SECONDS, self._leases_end)
            if len(deliveries) < limit:
                self._leases_end = None
        return [Taken(str(delivery.id), delivery.event) for delivery in deliveries]

    def ack(self, handles: Sequence[str]) -> None:
        self._events.ack([int(handle) for handle in handles])

    def refuse(self, handle: str, reason: str) -> None:
        self._events.fail(int(handle), reason, self._now())


class WarehouseWriter:
    """One thread that turns events into files, and small files into larger ones."""

    def __init__(self, source: Source, home: Path, *, flush_seconds: float = FLUSH_SECONDS) -> None:
        self._source = source
        self._folder = home / FOLDER / TABLE.name
        self._flush_seconds = flush_seconds
        self._grown: set[Path] | None = None  # the days with new files since the last look; at first, all
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="warehouse", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Keep what waits, and end. What comes later waits for the next start."""
        self._stopping.set()
        self._thread.join()

    def write_once(self) -> int:
        """Keep at most one batch of what waits; gives how many events were handed out.

        Raises:
            EngineError: the source can't be asked; or the files can't be written, and the events come again.
        """
        taken, rows = 0, _Rows()
        while taken < BATCH_SIZE:
            step = self._source.claim(STEP_SIZE)
            taken += len(step)
            self._add(rows, step)
            if len(step) < STEP_SIZE:
                break
            time.sleep(PAUSE_SECONDS)
        if rows.handles:
            try:
                self._write(rows)
            except OSError as error:
                for handle in rows.handles:
                    self._source.refuse(handle, f"{self._folder} can't be written: {error}")
                raise
            for first in range(0, len(rows.handles), STEP_SIZE):
                self._source.ack(rows.handles[first : first + STEP_SIZE])
        return taken

    def compact(self) -> None:
        """Make one file of a day's small files, where there are many. Stopped half way, nothing is lost:
        the rows are in both files then, and the next time in one.
        """
        grown, self._grown = self._grown, set()
        for folder in sorted(self._folder.glob("date=*") if grown is None else grown):
            _clear(folder)
            small = [file for file in sorted(folder.glob("*.parquet")) if _row_count(file) < SMALL_ROWS]
            if len(small) >= MANY_FILES:
                _merge(folder, small)

    def _serve(self) -> None:
        is_last = False
        while not is_last:
            is_last = self._stopping.wait(self._flush_seconds)
            try:
                while self.write_once() >= BATCH_SIZE:
                    pass
                if not is_last:
                    self.compact()
            except (EngineError, OSError) as error:
                LOGGER.error("the warehouse isn't written", extra={"facts": {"why": str(error)}})
            except Exception:  # noqa: BLE001 - the thread lives on; the events come again
                LOGGER.exception("writing the warehouse broke")

    def _add(self, rows: _Rows, step: Sequence[Taken]) -> None:
        """What isn't a row is refused, alone."""
        days: dict[str, list[Row]] = {}
        for one in step:
            try:
                row = row_of(one.event.data)
            except InvalidInput as error:
                self._source.refuse(one.handle, error.detail)
            else:
                rows.handles.append(one.handle)
                days.setdefault(f"{row['made_at']:%Y-%m-%d}", []).append(row)
        for day, those in days.items():
            rows.days.setdefault(day, []).append(arrow_table(those))

    def _write(self, rows: _Rows) -> None:
        import pyarrow as pa

        for day, tables in rows.days.items():
            table = pa.concat_tables(tables)
            folder = self._folder / f"date={day}"
            _write_file(folder, _name(sorted(table.column("prediction_id").to_pylist())), table)
            if self._grown is not None:
                self._grown.add(folder)


@dataclass(frozen=True, slots=True)
class _Rows:
    """A batch: what to acknowledge, and the rows by day."""

    handles: list[str] = field(default_factory=list)
    days: dict[str, list[pa.Table]] = field(default_factory=dict)


def _name(parts: Sequence[str]) -> str:
    """The same for the same parts, so that writing them again replaces the file."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def _write_file(folder: Path, name: str, table: pa.Table) -> None:
    """Durable on return, and whole or not there whenever the process ends."""
    import pyarrow.parquet as pq

    make_folders(folder)
    staged = folder / f".{name}.new"
    pq.write_table(table, staged, compression="zstd", compression_level=_COMPRESSION_LEVEL)
    descriptor = os.open(staged, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    staged.rename(folder / f"{name}.parquet")
    sync_folder(folder)


def _clear(folder: Path) -> None:
    """Remove what a killed writer left half written."""
    for file in folder.glob(".*.new"):
        file.unlink(missing_ok=True)


def _row_count(file: Path) -> int:
    import pyarrow.parquet as pq

    with pq.ParquetFile(file) as opened:
        return int(opened.metadata.num_rows)


def _merge(folder: Path, files: Sequence[Path]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = arrow_schema()
    tables = [pq.ParquetFile(file).read() for file in files]
    whole = pa.concat_tables([schema.empty_table(), *tables], promote_options="default")
    _write_file(folder, _name([file.name for file in files]), _each_once(whole.select(schema.names)))
    for file in files:
        file.unlink()
    sync_folder(folder)


def _each_once(table: pa.Table) -> pa.Table:
    """In the order in which they were made."""
    import pyarrow as pa

    numbered = table.append_column("place", pa.array(range(len(table)), pa.int64()))
    first = numbered.group_by("prediction_id").aggregate([("place", "min")])
    return table.take(first.column("place_min")).sort_by([("made_at", "ascending")])
