"""How long answers take: counted in each process, told on a topic, merged into figures of all instances.

`Measurements` counts and tells; `Latencies` keeps what was told and answers p50, p95 and p99. Everything is a
`Histogram`, so that figures of many instances and minutes are those of all their requests together, and never
an average of averages.
"""

from shared.monitoring.latency.histogram import RELATIVE_ERROR, Histogram
from shared.monitoring.latency.measurements import TOPIC, Measurements

__all__ = ["RELATIVE_ERROR", "TOPIC", "Histogram", "Measurements"]
