"""All metrics in Prometheus' text format, under the names of OpenTelemetry's semantic conventions.

Their units and dots become words as OpenTelemetry's compatibility with Prometheus has it:
`http.server.request.duration` in seconds is `http_server_request_duration_seconds`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from shared.monitoring.latency import Histogram, Measurements
from shared.monitoring.latency.recorder import Series
from shared.monitoring.metrics.gauges import Gauge

if TYPE_CHECKING:
    from prometheus_client.core import Metric

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
BOUNDS_SECONDS: Final = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1),
    *(0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0),
)
"""Those that OpenTelemetry advises for the durations of requests, and two shorter ones."""

_HERE: Final = "of this instance alone, since it has started"


def exposition(measurements: Measurements, gauges: Sequence[Gauge]) -> bytes:
    """What `measurements` has counted in this process, `gauges`, and how the process itself is."""
    from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collected(measurements, gauges))
    ProcessCollector(registry=registry)
    return generate_latest(registry)


class _Collected:
    """A collector as prometheus-client takes it."""

    def __init__(self, measurements: Measurements, gauges: Sequence[Gauge]) -> None:
        self._measurements = measurements
        self._gauges = gauges

    def collect(self) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily

        requests, cold_starts = self._measurements.totals()
        info = {"service_name": "mlengine", "service_instance_id": self._measurements.instance_id}
        yield InfoMetricFamily("target", "Which instance tells this.", info)
        yield _requests(requests)
        starts = CounterMetricFamily("faas_coldstarts", f"Cold starts, {_HERE}.", labels=["faas_name"])
        for name, histogram in sorted(cold_starts.items()):
            starts.add_metric([name], histogram.count)
        yield starts
        yield _histograms(
            "faas_init_duration_seconds",
            f"From the start of the process until its first answer, {_HERE}.",
            ["faas_name"],
            (([name], histogram) for name, histogram in sorted(cold_starts.items())),
        )
        for gauge in self._gauges:
            labels = sorted({name for sample in gauge.samples for name in sample.labels})
            family = GaugeMetricFamily(gauge.name, gauge.help, labels=labels)
            for sample in gauge.samples:
                family.add_metric([sample.labels.get(name, "") for name in labels], sample.value)
            yield family


def _requests(requests: Mapping[Series, Histogram]) -> Metric:
    labels = [
        *("faas_name", "http_request_method", "http_route"),
        *("http_response_status_code", "mlengine_model_id"),
    ]
    return _histograms(
        "http_server_request_duration_seconds",
        f"How long requests took in the function, {_HERE}.",
        labels,
        ((_values(series), histogram) for series, histogram in sorted(requests.items(), key=_order)),
    )


def _values(series: Series) -> list[str]:
    method, _, route = series.route.partition(" ")
    return [series.function, method, route, str(series.status), series.model_id or ""]


def _order(item: tuple[Series, Histogram]) -> list[str]:
    return _values(item[0])


def _histograms(
    name: str, help: str, labels: Sequence[str], told: Iterable[tuple[Sequence[str], Histogram]]
) -> Metric:
    from prometheus_client.core import HistogramMetricFamily

    family = HistogramMetricFamily(name, help, labels=labels)
    for values, histogram in told:
        counts = histogram.up_to(BOUNDS_SECONDS)
        buckets = [(str(bound), count) for bound, count in zip(BOUNDS_SECONDS, counts, strict=True)]
        family.add_metric(values, [*buckets, ("+Inf", histogram.count)], histogram.sum_us / 1e6)
    return family
