"""The ingest job: `python -m shared.jobs.ingest [--symbols A,B | --stored] [--start TIME] [--end TIME]`.

Brings the candle store up to the upstream; without symbols, for all that the upstream lists. Each task takes
its share of the symbols; one that fails does so alone. What is stored already isn't stored again, so a
retry goes on where the last attempt stopped. Exit codes: see `shared.jobs.task`; as there is no document of
an ingest, it is the last attempt's 75 that says that some symbols couldn't be asked for.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from shared.config import load_settings
from shared.errors import EngineError
from shared.instance import Instance
from shared.jobs.task import Exit, StopSignals, Task
from shared.logs import LOGGER, configure_logs
from shared.market.ingest import SymbolIngest
from shared.platform.connect import connect

CHUNK_SYMBOLS: Final = 64
"""So many are announced together: what a killed task has stored and not announced is fewer."""

SHOWN_ERRORS: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestOrder:
    """Which symbols: those named, or all `stored`, or else all that the upstream lists. Times are seconds."""

    symbols: tuple[str, ...] = ()
    stored: bool = False
    start: int | None = None
    end: int | None = None


def main(arguments: Sequence[str] | None = None) -> int:
    order = _order(arguments)
    settings = load_settings()
    instance = Instance(settings, connect(settings))
    configure_logs(settings.log_level, replay_now=instance.platform.replay_now)
    return IngestJob(instance, Task.of(os.environ)).work_on(order)


def _order(arguments: Sequence[str] | None) -> IngestOrder:
    parser = argparse.ArgumentParser(prog="python -m shared.jobs.ingest", description=__doc__)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--symbols", type=_names, default=(), metavar="A,B", help="these symbols")
    which.add_argument("--stored", action="store_true", help="all that are stored")
    parser.add_argument("--start", type=_seconds, metavar="TIME", help="from then; else what is new")
    parser.add_argument("--end", type=_seconds, metavar="TIME", help="2020-01-31 or RFC 3339")
    return IngestOrder(**vars(parser.parse_args(arguments)))


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _seconds(text: str) -> int:
    time = datetime.fromisoformat(text)
    return int((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp())


@dataclass(slots=True)
class _Tally:
    """What became of the symbols so far."""

    added: int = 0
    succeeded: int = 0
    errors: dict[str, EngineError] = field(default_factory=dict)

    def take(self, done: SymbolIngest) -> None:
        if done.error is not None:
            self.errors[done.symbol] = done.error
            return
        self.succeeded += 1
        self.added += _added(done)

    @property
    def done(self) -> int:
        return self.succeeded + len(self.errors)

    def facts(self) -> dict[str, Any]:
        shown = list(self.errors.items())[:SHOWN_ERRORS]
        return {
            "succeeded": self.succeeded,
            "failed": len(self.errors),
            "added": self.added,
            "errors": {symbol: error.detail for symbol, error in shown},
        }


class IngestJob:
    """Works on one task's share of an order."""

    def __init__(self, instance: Instance, task: Task) -> None:
        self._instance = instance
        self._task = task

    def work_on(self, order: IngestOrder) -> Exit:
        """Ingest the share. What was done is in the last log line."""
        tally = _Tally()
        how = asyncio.run(self._ingest(order, tally))
        LOGGER.info("ingest ended", extra={"facts": {**self._task.facts(), **tally.facts(), "exit": how}})
        return how

    async def _ingest(self, order: IngestOrder, tally: _Tally) -> Exit:
        loop, work = asyncio.get_running_loop(), asyncio.create_task(self._chunks(order, tally))
        with StopSignals(lambda: loop.call_soon_threadsafe(work.cancel)) as signals:
            try:
                await work
            except asyncio.CancelledError:
                return self._ended(Exit.TRY_AGAIN, "The platform stopped it.")
            except EngineError as error:
                how = self._ended(Exit.of(error), error.detail)
            else:
                how = self._ended(_worst(tally), "Some symbols failed.")
            if how is Exit.TRY_AGAIN:
                signals.pause(self._task.pause_seconds)
            return how

    async def _chunks(self, order: IngestOrder, tally: _Tally) -> None:
        share = self._task.share(await self._symbols(order))
        for first in range(0, len(share), CHUNK_SYMBOLS):
            chunk = share[first : first + CHUNK_SYMBOLS]
            await self._instance.market_desk.ingest(
                chunk,
                start=order.start,
                end=order.end,
                on_done=lambda done: self._take(done, tally, len(share)),
            )

    async def _symbols(self, order: IngestOrder) -> Sequence[str]:
        """In the same order for every task."""
        if order.stored:
            timeframe = self._instance.settings.timeframe
            return await asyncio.to_thread(self._instance.candle_store.symbols, timeframe)
        return tuple(dict.fromkeys(order.symbols)) or sorted(set(await self._instance.upstream.symbols()))

    def _take(self, done: SymbolIngest, tally: _Tally, of: int) -> None:
        tally.take(done)
        facts = {**self._task.facts(), "symbol": done.symbol, "done": tally.done, "of": of}
        if done.error is not None:
            LOGGER.warning("not ingested", extra={"facts": {**facts, "why": done.error.detail}})
        else:
            LOGGER.info("ingested", extra={"facts": {**facts, "added": _added(done)}})

    def _ended(self, how: Exit, why: str) -> Exit:
        if how is not Exit.DONE:
            LOGGER.error("ingest failed", extra={"facts": {**self._task.facts(), "exit": how, "why": why}})
        return how if how is Exit.TRY_AGAIN else self._task.settled(how)


def _worst(tally: _Tally) -> Exit:
    """What failed for a reason that may pass, comes first."""
    return max((Exit.of(error) for error in tally.errors.values()), default=Exit.DONE)


def _added(done: SymbolIngest) -> int:
    return 0 if done.ingested is None else done.ingested.added


if __name__ == "__main__":
    sys.exit(main())
