"""Freshness: how old the stored candles, the live models and the last checks of drift are, and may be.

Candles are held against the trading calendar: what counts is how many sessions (24/7: candles) are over
without a candle, a grace after their end included. Models and checks of drift are held against a largest age.
Symbols that are up to date aren't even read: the overdue ones are asked for, worst first.
"""

from shared.monitoring.freshness.candles import CandleAges, CandleFreshness, CandleLimits
from shared.monitoring.freshness.freshness import Freshness, FreshnessPage
from shared.monitoring.freshness.subjects import Subject, SubjectKind, Verdict

__all__ = [
    "CandleAges",
    "CandleFreshness",
    "CandleLimits",
    "Freshness",
    "FreshnessPage",
    "Subject",
    "SubjectKind",
    "Verdict",
]
