"""Every query of the rules and dashboards, asked of a Prometheus that scrapes a running twin."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from infra.emulators.processes import free_port
from shared.instance import Instance
from shared.monitoring.drift.record import DriftCheck
from shared.monitoring.history import HistoryKind
from shared.platform.times import utc
from tests.e2e.twin import MODEL, Twin, running_twin, wait_until
from tests.e2e.whole import open_state
from tests.market.made import candles
from tests.market.markets import Market, serving
from tests.packages import active
from tests.prometheus import Prometheus, need_prometheus, panels, rules, running_prometheus

REQUESTS = 20
METRIC = re.compile(r"\b(?:mlengine|http|faas|process|scrape|up|ALERTS)[a-z0-9_:]*\b")


@dataclass(frozen=True)
class Watched:
    twin: Twin
    prometheus: Prometheus


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """A twin with a live model that has drifted, some requests, and a Prometheus that has seen them."""
    need_prometheus()
    folder = tmp_path_factory.mktemp("prometheus")
    state = open_state(folder / "home")
    active(state.registry)
    with (
        serving(Market(candles(200))) as market,
        running_twin(folder / "home", MARKET_DATA_URL=market.url, MARKET_CALENDAR="24/7") as twin,
    ):
        twin.wait_for("/health")
        for schedule in twin.get("/admin/schedules")["schedules"]:  # its check would take the place of ours
            twin.post(f"/admin/schedules/{schedule['name']}/pause", None)
        keep_findings(state)
        twin.post("/fetch", {"symbols": ["ABC"]})
        for _ in range(REQUESTS):
            twin.get("/predict", symbol="ABC")
        wait_until(lambda: is_measured(twin), "the requests are measured")
        with running_prometheus(folder, f"127.0.0.1:{twin.port}", free_port()) as prometheus:
            wait_until(lambda: prometheus.query("mlengine:requests:rate5m"), "there are two scrapes")
            wait_until(lambda: prometheus.query("ALERTS"), "the rules were evaluated")
            yield Watched(twin, prometheus)


def keep_findings(state: Instance) -> None:
    """A check of the live model that found drift, and a point of its performance."""
    now = datetime.now(UTC)
    family = {"name": "residual", "statistic": 3.0, "threshold": 2.0}
    window = {
        "length": 5,
        "verdict": "drift",
        "rows": 300,
        "families": [family],
        "features": [],
        "excess": 1.5,
    }
    check = DriftCheck(
        check_id="c1",
        model=MODEL,
        model_id=f"{MODEL}-v1",
        unit="sessions",
        is_live=True,
        checked_at=utc(now),
        verdict="drift",
        why="residual is beyond its null",
        level=0.05,
        min_effect=0.1,
        trained_until=None,
        sources=60,
        without_rows=0,
        problems=[],
        windows=[window],
    )
    state.drift_checks.add(check)
    names = ("live", "live_low", "live_high", "validation", "validation_low", "validation_high", "rows")
    values = {**dict.fromkeys(names, 0.5), "verdict": "ok"}
    state.history.add(HistoryKind.PERFORMANCE, MODEL, now, values, "p1")


def is_measured(twin: Twin) -> bool:
    functions = twin.get("/monitoring/latency", function="predict")["functions"]
    return bool(functions) and functions[0]["count"] >= REQUESTS


def test_every_query_of_a_dashboard_has_an_answer(watched: Watched) -> None:
    queries = [(where, target["expr"]) for where, panel in panels() for target in panel["targets"]]
    assert len(queries) > 30
    empty = [f"{where}: {expr}" for where, expr in queries if not watched.prometheus.query(expr)]
    assert not empty


def test_every_rule_is_evaluated_and_what_it_asks_for_is_there(watched: Watched) -> None:
    names = watched.prometheus.names()
    evaluated = {rule["name"]: rule for rule in watched.prometheus.rules()}
    assert evaluated.keys() == {rule.name for rule in rules()}
    for rule in rules():
        found = evaluated[rule.name]
        assert (found["health"], found.get("lastError", "")) == ("ok", ""), rule.name
        bare = re.sub(r"\{[^}]*\}|(?:by|on) \([^)]*\)", "", rule.expr)
        missing = [name for name in METRIC.findall(bare) if name not in names]
        assert not missing, f"{rule.name} asks for {missing}"
        if not rule.is_alert:
            assert watched.prometheus.query(rule.name), rule.name


def test_the_rules_say_what_is_wrong_and_nothing_else(watched: Watched) -> None:
    firing = {one["metric"]["alertname"] for one in watched.prometheus.query('ALERTS{alertstate="firing"}')}
    assert firing == {"MlengineDrift"}


def test_prometheus_and_the_engine_agree(watched: Watched) -> None:
    """On how many there were, exactly; on the quantiles as well as the buckets allow."""
    series = 'http_server_request_duration_seconds{}{{faas_name="predict",http_route="/predict"}}'
    (count,) = watched.prometheus.query(f"sum({series.format('_count')})")
    (found,) = watched.twin.get("/monitoring/latency", function="predict")["functions"]
    assert float(count["value"][1]) == found["count"] >= REQUESTS
    asked = 'mlengine_window_request_duration_seconds{faas_name="predict",quantile="0.95"}'
    (p95,) = watched.prometheus.query(asked)
    assert float(p95["value"][1]) * 1e3 == pytest.approx(found["p95_ms"], rel=0.01)


def test_every_function_is_seen(watched: Watched) -> None:
    """All of them run in the twin's process, and tell of themselves there."""
    twin, prometheus = watched.twin, watched.prometheus
    for path in ("/models", "/openapi.json", "/symbols"):
        twin.get(path)
    wanted = {"predict", "models", "docs", "fetch", "monitoring"}

    def seen() -> bool:
        expr = "sum by (faas_name) (http_server_request_duration_seconds_count)"
        return wanted <= {one["metric"]["faas_name"] for one in prometheus.query(expr)}

    wait_until(seen, "the functions are seen")
