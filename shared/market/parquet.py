"""Candles as Parquet: zstd over BYTE_STREAM_SPLIT, smallest and fastest for prices. pyarrow loads on use."""

from __future__ import annotations

import io

import numpy as np

from shared.market.candles import COLUMNS, Candles

_MILLISECONDS = 1_000


def encode(candles: Candles) -> bytes:
    """One file: `timestamp` (UTC, milliseconds: Parquet has no seconds), open, high, low, close, volume."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    stamps = pa.array(candles.timestamp * _MILLISECONDS).cast(pa.timestamp("ms", tz="UTC"))
    table = pa.table({"timestamp": stamps} | {name: pa.array(getattr(candles, name)) for name in COLUMNS})
    sink = io.BytesIO()
    pq.write_table(
        table,
        sink,
        compression="zstd",
        use_dictionary=False,
        column_encoding={"timestamp": "DELTA_BINARY_PACKED"} | dict.fromkeys(COLUMNS, "BYTE_STREAM_SPLIT"),
    )
    return sink.getvalue()


def decode(content: bytes, *, symbol: str, timeframe: str) -> Candles:
    """The reverse of `encode`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(pa.BufferReader(content))
    stamps = table.column("timestamp").cast(pa.int64()).to_numpy() // _MILLISECONDS
    values = (table.column(name).to_numpy().astype(np.float64, copy=False) for name in COLUMNS)
    return Candles(symbol, timeframe, stamps, *values)
