"""Data quality as a monitor: what ingest finds about candles, over time, and whether it is getting worse."""

from shared.monitoring.quality.rates import Rate, rate_of
from shared.monitoring.quality.report import KindFindings, Quality, QualityReport

__all__ = ["KindFindings", "Quality", "QualityReport", "Rate", "rate_of"]
