"""Defects put into real candles by hand: how many of them are found."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from shared.market.candles import COLUMNS, PRICES, RawCandles
from shared.market.checks import Checked
from shared.market.findings import Kind
from tests.market.defects import PANEL, Measured, judged
from tests.market.made import checked

SPLIT_RATIOS = (5 / 4, 4 / 3, 3 / 2, 2, 3, 4, 7, 10, 20)
CRASH_TURNOVER = (3, 8), (8, 20)
PRINT_SIGMAS = (4, 6, 8, 12)
_SIGMA_WINDOW = 60


def put_in(folder: Path) -> Iterator[Measured]:
    panel = [result for raw, result in judged(folder, PANEL) if len(raw) > 1_000]
    random = np.random.default_rng(7)
    for ratio in SPLIT_RATIOS:
        yield _injected(
            f"a split {_words(ratio)} put in", Kind.SUSPECTED_SPLIT, panel, random, _splitter(ratio)
        )
    for ratio, turnover in itertools.product((2 / 3, 1 / 2), CRASH_TURNOVER):
        name = "a crash to {:.0%}, turnover x {:g} to {:g}, no split".format(ratio, *turnover)
        measured = _injected(name, Kind.SUSPECTED_SPLIT, panel, random, _crasher(ratio, turnover))
        yield Measured(name, "-", measured.known, measured.known - measured.found)
    for sigmas in PRINT_SIGMAS:
        yield _injected(
            f"a bad print of {sigmas} sigma put in", Kind.BAD_PRINT, panel, random, _printer(sigmas), late=1
        )
    yield _injected("a copied candle put in", Kind.STALE_REPEAT, panel, random, _copier)
    yield _injected(
        "prices in cents from here put in", Kind.SUSPECTED_SPLIT, panel, random, _splitter(1 / 100)
    )


Spoil = Callable[[RawCandles, int, np.random.Generator], None]


def _injected(
    defect: str,
    kind: Kind,
    panel: Sequence[Checked],
    random: np.random.Generator,
    spoil: Spoil,
    late: int = 0,
) -> Measured:
    """One defect per symbol, at a random candle of its last two thirds."""
    found = 0
    for result in panel:
        clean = result.candles
        columns = (getattr(clean, name).copy() for name in COLUMNS)
        spoiled = RawCandles(clean.symbol, clean.timeframe, clean.timestamp, *columns)
        row = int(random.integers(len(clean) // 3, len(clean) - 2))
        spoil(spoiled, row, random)
        stamp = spoiled.timestamp[row + late]
        findings = checked(spoiled, calendar="XNYS").findings
        found += any(finding.kind is kind and stamp in finding.timestamp for finding in findings)
    return Measured(defect, kind.value, len(panel), found)


def _splitter(ratio: float) -> Spoil:
    def spoil(candles: RawCandles, row: int, random: np.random.Generator) -> None:
        for name in PRICES:
            getattr(candles, name)[row:] /= ratio
        candles.volume[row:] *= ratio

    return spoil


def _crasher(ratio: float, turnover: tuple[float, float]) -> Spoil:
    """All of the fall overnight. Real falls of that size had 10 to 24 times the usual turnover."""

    def spoil(candles: RawCandles, row: int, random: np.random.Generator) -> None:
        for name in PRICES:
            getattr(candles, name)[row:] *= ratio * np.exp(random.normal(0, 0.05))
        candles.volume[row] *= random.uniform(*turnover) / ratio

    return spoil


def _printer(sigmas: float) -> Spoil:
    def spoil(candles: RawCandles, row: int, random: np.random.Generator) -> None:
        change = np.diff(np.log(candles.close[row - _SIGMA_WINDOW - 1 : row]))
        sigma = 1.4826 * np.median(np.abs(change - np.median(change)))
        factor = np.exp(sigmas * sigma * random.choice([-1, 1]))
        for name in PRICES:
            getattr(candles, name)[row] *= factor

    return spoil


def _copier(candles: RawCandles, row: int, random: np.random.Generator) -> None:
    lag = int(random.integers(1, 20))
    for name in COLUMNS:
        getattr(candles, name)[row] = getattr(candles, name)[row - lag]


def _words(ratio: float) -> str:
    return {5 / 4: "5:4", 4 / 3: "4:3", 3 / 2: "3:2"}.get(ratio, f"{ratio:g}:1")
