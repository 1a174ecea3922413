"""The Parquet parts of a symbol's candles in Blobs."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime

from shared.errors import AlreadyExists
from shared.market import history, parquet
from shared.market.candles import Candles
from shared.market.entry import Entry, Part
from shared.platform.ports import Blobs


class Parts:
    """Named `candles/<timeframe>/symbol=<symbol>/g<generation>-<first>-<hash>.parquet`, written once."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs

    def put(self, entry: Entry, candles: Candles) -> Part:
        content = parquet.encode(candles)
        sha256 = hashlib.sha256(content).hexdigest()
        first, last = int(candles.timestamp[0]), int(candles.timestamp[-1])
        begin = datetime.fromtimestamp(first, UTC).strftime("%Y%m%dT%H%M%SZ")
        folder = f"candles/{entry.timeframe}/symbol={entry.symbol}"
        name = f"{folder}/g{entry.generation}-{begin}-{sha256[:16]}.parquet"
        with contextlib.suppress(AlreadyExists):  # the name says the content: it is this very part
            self._blobs.put(name, content)
        return Part(name, sha256, len(candles), first, last)

    def load(self, entry: Entry, parts: Sequence[Part]) -> Candles:
        """The candles of `parts` of `entry`, in order of time.

        Raises:
            NotFound: a part is gone.
            CorruptBlob: a part isn't what was written.
        """
        contents = [self._blobs.get(part.name, sha256=part.sha256) for part in parts]
        symbol, timeframe = entry.symbol, entry.timeframe
        pieces = [parquet.decode(content, symbol=symbol, timeframe=timeframe) for content in contents]
        return history.merged([Candles.empty(symbol, timeframe), *pieces])

    def delete_unused(self, before: Entry, now: Entry) -> None:
        """Removes the parts that the entry no longer names, once it is committed.

        Within a generation a candle never leaves the entry, so nobody can be about to name such a part again;
        a reader who misses one reads the entry again.
        """
        named = {part.name for part in now.parts}
        for part in before.parts:
            if part.name not in named:
                self._blobs.delete(part.name)
