"""What a training run learns, by the kind of its problem: the data it reads, its package, its champion."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from shared.config import Settings
from shared.errors import InvalidInput
from shared.jobs.champion import Verdict, beside_market, beside_tabular
from shared.jobs.packaging import market_package, tabular_package
from shared.market.store import CandleStore
from shared.platform.ports import Platform
from shared.problems import MarketProblem, Problem, TabularProblem
from shared.registry import Package, Registry
from shared.training.candidates import Variant
from shared.training.findings import Findings, Result
from shared.training.market import run as market
from shared.training.market.series import load_series
from shared.training.options import TrainingRequest
from shared.training.progress import Progress
from shared.training.search.records import SearchRecords
from shared.training.search.searched import searched
from shared.training.tabular import run as tabular
from shared.training.tabular.contest import Task
from shared.training.tabular.source import read_source


class Learnt(Protocol):
    """A result, and what becomes of it."""

    @property
    def result(self) -> Result[Findings]: ...

    def package(self) -> Package:
        """
        Raises:
            ExportRefused: the exported model disagrees with the fitted one.
        """

    def against_champion(self, registry: Registry, progress: Progress) -> Verdict:
        """Whether it may take the place of the model that is live."""


@dataclass(frozen=True, slots=True)
class FromCandles:
    result: market.TrainingResult

    def package(self) -> Package:
        return market_package(self.result)

    def against_champion(self, registry: Registry, progress: Progress) -> Verdict:
        progress("champion", 0, 1, "comparing with the live model")
        return beside_market(self.result, registry)


@dataclass(frozen=True, slots=True)
class FromRows:
    result: tabular.TrainingResult

    def package(self) -> Package:
        return tabular_package(self.result)

    def against_champion(self, registry: Registry, progress: Progress) -> Verdict:
        progress("champion", 0, 1, "comparing with the live model")
        return beside_tabular(self.result, registry, progress)


def learn(
    problem: Problem,
    request: TrainingRequest,
    settings: Settings,
    platform: Platform,
    progress: Progress,
    *,
    run_id: str,
) -> Learnt:
    """Read the problem's data and train, with what the search of the run found where it asks for one.

    Raises:
        InvalidInput: the data can't be learnt from, or nobody knows how to learn such a problem.
        NotFound: data that aren't there.
    """
    if isinstance(problem, MarketProblem):
        candles = request.market_options(settings, problem)
        series = load_series(
            CandleStore(platform.documents, platform.blobs),
            candles,
            settings.timeframe,
            lambda done, of: progress("candles", done, of, f"{done} of {of} symbols"),
        )
        return FromCandles(market.train(problem, series, candles, progress))
    if isinstance(problem, TabularProblem):
        progress("data", 0, 1, f"reading {problem.data}")
        table = read_source(problem.data, platform.blobs)
        options = request.tabular_options(settings, problem)
        more = _searched(platform, run_id) if request.search is not None else _nobody
        return FromRows(tabular.train(problem, table, options, progress, more=more))
    raise InvalidInput(f"{problem.name} is of a kind that can't be trained: {problem.kind}.")


def _nobody(task: Task) -> tuple[Variant, ...]:  # noqa: ARG001 - whatever the task is
    return ()


def _searched(platform: Platform, run_id: str) -> Callable[[Task], tuple[Variant, ...]]:
    return lambda task: (searched(task, SearchRecords(platform.documents), run_id),)
