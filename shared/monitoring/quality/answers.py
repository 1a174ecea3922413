"""Data quality as it is answered."""

from __future__ import annotations

from dataclasses import asdict

from shared.monitoring.quality.rates import BASELINE, RECENT
from shared.monitoring.quality.report import KindFindings, QualityReport
from shared.schema import Answer


class SessionFindings(Answer):
    session: str
    count: int


class RateAnswer(Answer):
    """`recent` findings in the last `recent_sessions`; the `baseline_sessions` before let `expected` of them
    expect. From `limit` on it is called a rise.
    """

    recent: int
    expected: float
    limit: int
    recent_sessions: int
    baseline_sessions: int


class KindAnswer(Answer):
    """How many candles had this finding, by session where there were any, oldest first, and at how many
    symbols. `policy` says what became of the candles: reject, flag or accept. `verdict` is ok, rising, or
    not_judged. `worst` are the symbols with most in the recent sessions.
    """

    kind: str
    policy: str
    count: int
    symbols: int
    sessions: list[SessionFindings]
    worst: list[str]
    rate: RateAnswer | None
    verdict: str
    why: str


class SymbolFindings(Answer):
    symbol: str
    count: int
    kinds: list[str]


class ExampleFinding(Answer):
    """`count` candles of a session had it."""

    symbol: str
    kind: str
    session: str
    count: int


class QualityAnswer(Answer):
    """What was found about the candles of the sessions from `start` to `end`, both included.

    `verdict` is rising where any kind is. `symbols` have any finding; with `is_cut` there are more, which
    weren't looked at, and nothing is judged. Of examples the newest session comes first.
    """

    timeframe: str
    start: str
    end: str
    verdict: str
    symbols: int
    is_cut: bool
    kinds: list[KindAnswer]
    worst: list[SymbolFindings]
    examples: list[ExampleFinding]


def quality_answer(report: QualityReport) -> QualityAnswer:
    return QualityAnswer(
        timeframe=report.timeframe,
        start=report.start,
        end=report.end,
        verdict=report.verdict,
        symbols=report.symbols,
        is_cut=report.is_cut,
        kinds=[_kind(one) for one in report.kinds],
        worst=[SymbolFindings(**asdict(one)) for one in report.worst],
        examples=[ExampleFinding(**asdict(one)) for one in report.examples],
    )


def _kind(found: KindFindings) -> KindAnswer:
    rate = found.rate
    return KindAnswer(
        kind=found.kind,
        policy=found.policy,
        count=found.count,
        symbols=found.symbols,
        sessions=[SessionFindings(**asdict(one)) for one in found.sessions],
        worst=list(found.worst),
        rate=rate
        and RateAnswer(
            recent=rate.recent,
            expected=round(rate.expected, 3),
            limit=rate.limit,
            recent_sessions=RECENT,
            baseline_sessions=BASELINE,
        ),
        verdict=found.verdict,
        why=found.why,
    )
