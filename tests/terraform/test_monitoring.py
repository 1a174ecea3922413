"""What people see and are told: metrics, dashboard, alert policies, and the runbook that goes with them."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from cronsim import CronSim

from infra.catalogue import ROOT, read_catalogue
from infra.local.gateway import Gateway
from shared.instance import Instance
from shared.jobs.task import Exit, Task
from shared.jobs.train import TrainingJob
from shared.logs import LOGGER, configure_logs
from shared.market.desk import UPDATED_TOPIC
from shared.platform.topics import DEAD_LETTERS
from shared.training.run_records import RunStatus
from shared.training.runs import Runs
from tests.asgi import AsgiClient
from tests.conftest import ADMIN_KEY
from tests.terraform.conftest import Plan, Values
from tests.terraform.log_filters import entry_of, takes

CATALOGUE = read_catalogue()
RUNBOOK = ROOT / "terraform" / "docs" / "runbook.md"
BUDGET: Final = "Budget"
"""Told by the billing account, which takes no text."""

BUILT_IN: Final = {
    "firestore.googleapis.com/document/write_count",
    "pubsub.googleapis.com/subscription/dead_letter_message_count",
    "pubsub.googleapis.com/subscription/num_undelivered_messages",
    "pubsub.googleapis.com/subscription/oldest_unacked_message_age",
    "run.googleapis.com/container/billable_instance_time",
    "run.googleapis.com/container/startup_latencies",
    "run.googleapis.com/job/completed_execution_count",
    "run.googleapis.com/request_count",
    "run.googleapis.com/request_latencies",
}
"""Metrics of Google Cloud that were looked up. Source: cloud.google.com/monitoring/api/metrics_gcp."""


@pytest.fixture(scope="module")
def production(plan_of: Callable[..., Plan]) -> Plan:
    return plan_of("production")


def policies(plan: Plan) -> dict[str, Values]:
    return {one["display_name"]: one for one in plan.of("google_monitoring_alert_policy").values()}


def conditions(policy: Values) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Kind and content of each condition."""
    for condition in policy["conditions"]:
        for kind, found in condition.items():
            if kind.startswith("condition_") and found:
                yield kind, found[0]


def filters(plan: Plan) -> dict[str, list[str]]:
    """Policy -> the filters of its conditions on metrics."""
    return {
        name: [found["filter"] for kind, found in conditions(policy) if kind == "condition_threshold"]
        for name, policy in policies(plan).items()
    }


def sections() -> dict[str, str]:
    """The runbook's sections, by their titles."""
    parts = RUNBOOK.read_text().split("\n## ")[1:]
    return {title: text.strip() for title, _, text in (part.partition("\n") for part in parts)}


# The runbook.


def test_each_policy_has_its_section_and_each_section_its_policy(production: Plan) -> None:
    assert set(sections()) == {*policies(production), BUDGET}


def test_the_section_goes_with_the_alert(production: Plan) -> None:
    for name, policy in policies(production).items():
        (documentation,) = policy["documentation"]
        assert documentation["mime_type"] == "text/markdown"
        assert documentation["content"].splitlines() == sections()[name].splitlines()
        assert len(documentation["content"].encode()) <= 8192


def test_each_section_says_what_it_means_where_to_look_and_what_to_do() -> None:
    for title, text in sections().items():
        headings = re.findall(r"^\*\*(.+?)\*\*", text, re.MULTILINE)
        assert headings[:3] == ["What it means.", "Look.", "Do."], title


def test_the_runbook_names_what_there_is(production: Plan) -> None:
    text = RUNBOOK.read_text()
    services = {one["name"] for one in production.of("google_cloudfunctions2_function").values()}
    jobs = {one["name"] for one in production.of("google_cloud_run_v2_job").values()}
    named = set(re.findall(r"\bmlengine-[a-z]+(?:-[a-z]+)*\b", text))
    assert named <= services | jobs
    charts = {tile["widget"]["title"] for tile in tiles(production)}
    titles = charts | set(policies(production))
    quoted = set(re.findall(r'"([A-Z][^"\n]+)"', text))
    assert quoted
    assert not [name for name in quoted if not any(title.startswith(name) for title in titles)]


# Policies.


def test_the_topic_of_alerts_is_told(plan: Plan) -> None:
    (channel,) = plan.of("google_monitoring_notification_channel").values()
    assert channel["type"] == "pubsub"
    assert channel["labels"]["topic"].endswith("/topics/alerts.raised")
    (publisher,) = (
        one
        for one in plan.of("google_pubsub_topic_iam_member").values()
        if "gcp-sa-monitoring-notification" in one["member"]
    )
    assert publisher["topic"] == "alerts.raised"


def test_every_subscription_is_watched(plan: Plan) -> None:
    names = {one["name"] for one in plan.of("google_pubsub_subscription").values()}
    given_up, waiting = filters(plan)["Dead letters"]
    (stuck,) = filters(plan)["Stuck events"]
    assert one_of(given_up, "subscription_id") == names
    assert one_of(stuck, "subscription_id") == names
    assert 'subscription_id="deadletters"' in waiting
    assert CATALOGUE.subscriptions[DEAD_LETTERS] == ["deadletters"]


def test_every_job_and_every_function_is_watched(plan: Plan) -> None:
    jobs = {one["name"] for one in plan.of("google_cloud_run_v2_job").values()}
    services = {one["name"] for one in plan.of("google_cloudfunctions2_function").values()}
    (failed,) = filters(plan)["Failed jobs"]
    assert one_of(failed, "job_name") == jobs
    for text in filters(plan)["Error ratio"]:
        assert one_of(text, "service_name") == services


def one_of(filter: str, label: str) -> set[str]:
    (values,) = re.findall(rf"{label}=one_of\(([^)]*)\)", filter)
    return set(json.loads(f"[{values}]"))


def test_conditions_are_ones_that_the_service_takes(plan: Plan) -> None:
    """Rules of the API that no schema tells. Source: the reference of projects.alertPolicies."""
    for name, policy in policies(plan).items():
        kinds = [kind for kind, _ in conditions(policy)]
        assert 1 <= len(kinds) <= 6, name
        has_limit = bool(policy["alert_strategy"][0]["notification_rate_limit"])
        assert has_limit is ("condition_matched_log" in kinds), name
        assert kinds.count("condition_matched_log") in (0, len(kinds)), name
        for kind, found in conditions(policy):
            if kind == "condition_threshold":
                assert found["filter"].count("resource.type=") == 1, name
                assert found["filter"].count("metric.type=") == 1, name
                assert seconds(found["duration"]) % 60 == 0, name
                if found["evaluation_missing_data"]:
                    assert seconds(found["duration"]) >= 60, name
                for aggregation in [*found["aggregations"], *found["denominator_aggregations"]]:
                    assert seconds(aggregation["alignment_period"]) >= 60, name
            if kind == "condition_prometheus_query_language":
                assert seconds(found["duration"]) % 30 == 0
                assert seconds(found["evaluation_interval"]) % 30 == 0


def seconds(text: str) -> int:
    return int(text.removesuffix("s"))


def test_metrics_are_ones_that_there_are(plan: Plan) -> None:
    known = BUILT_IN | {f"logging.googleapis.com/user/{name}" for name in metrics(plan)}
    used = {metric for texts in filters(plan).values() for text in texts for metric in metric_of(text)}
    used |= {metric for tile in tiles(plan) for metric in metric_of(filter_of(tile))}
    assert used == known


def metric_of(filter: str) -> list[str]:
    return re.findall(r'metric\.type="([^"]+)"', filter)


STALE: Final = re.compile(
    r'\(sum\(increase\(pubsub_googleapis_com:topic_send_message_operation_count\{monitored_resource="pubsub_topic",'
    r'topic_id="([a-z.]+)"\}\[24h\]\)\) or vector\(0\)\) < 1'
    r" and on\(\) day_of_week\(\) >= (\d) and on\(\) day_of_week\(\) <= (\d)"
    r" and on\(\) hour\(\) >= (\d+) and on\(\) hour\(\) < (\d+)"
)


def test_candles_are_called_stale_when_the_schedule_brought_none_and_only_then(production: Plan) -> None:
    """A year of hours, with every session's candles a quarter of an hour after the schedule fires."""
    ((_, condition),) = conditions(policies(production)["Stale candles"])
    found = STALE.fullmatch(condition["query"])
    assert found is not None
    assert found[1] == UPDATED_TOPIC
    first_day, last_day, from_hour, before_hour = map(int, found.groups()[1:])

    def is_asked(now: datetime) -> bool:
        return first_day <= now.isoweekday() % 7 <= last_day and from_hour <= now.hour < before_hour

    schedule = CATALOGUE.schedules["ingest"]
    assert schedule.timezone == "Etc/UTC"
    begin, end = datetime(2024, 1, 1, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC)
    fires = []
    for fire in CronSim(schedule.cron, begin):
        if fire > end:
            break
        fires.append(fire + timedelta(minutes=15))
    hours = [begin + timedelta(days=7, minutes=20 * step) for step in range(3 * 24 * 350)]
    day = timedelta(hours=24)
    raised = [now for now in hours if is_asked(now) and not any(now - day < fire <= now for fire in fires)]
    assert not raised
    for missed in fires[10:20]:
        rest = [fire for fire in fires if fire != missed]
        after = [now for now in hours if missed < now <= missed + day]
        assert any(is_asked(now) and not any(now - day < fire <= now for fire in rest) for now in after)


def test_paused_schedules_raise_no_alert(plan_of: Callable[..., Plan]) -> None:
    assert "Stale candles" not in policies(plan_of("development"))


# Metrics: their filters, on lines that the engine really writes.


def metrics(plan: Plan) -> dict[str, Values]:
    return {one["name"]: one for one in plan.of("google_logging_metric").values()}


@pytest.fixture
def lines(instance: Instance) -> io.StringIO:
    """The log."""
    stream = io.StringIO()
    configure_logs("INFO", stream)
    return stream


def written(lines: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines.getvalue().splitlines()]


def test_metrics_count_the_requests_of_functions(
    production: Plan, instance: Instance, lines: io.StringIO
) -> None:
    with AsgiClient(Gateway(CATALOGUE)) as client:
        for path in ("/health", "/health", "/models"):
            assert client.get(path, headers={"x-api-key": ADMIN_KEY}).status_code == 200
    entries = [entry_of(line, "cloud_run_revision", service_name="mlengine-docs") for line in written(lines)]
    others = [entry_of(line, "cloud_run_revision", service_name="somebody-elses") for line in written(lines)]
    found = {
        name: [takes(one["filter"], entry) for entry in entries] for name, one in metrics(production).items()
    }
    assert found["mlengine/requests"] == [True, True, True]
    assert found["mlengine/latency"] == [True, True, True]
    assert found["mlengine/errors"] == [False, False, False]
    assert not any(takes(one["filter"], entry) for one in metrics(production).values() for entry in others)
    for name in ("mlengine/requests", "mlengine/latency"):
        metric = metrics(production)[name]
        for extractor in [*metric["label_extractors"].values(), metric["value_extractor"]]:
            if extractor:
                assert extracted(extractor, entries[0]) is not None, extractor


def test_cold_starts_are_the_first_requests_of_instances(
    production: Plan, instance: Instance, lines: io.StringIO
) -> None:
    with AsgiClient(Gateway(CATALOGUE)) as client:
        for path in ("/health", "/health", "/models"):
            client.get(path, headers={"x-api-key": ADMIN_KEY})
    entries = [entry_of(line, "cloud_run_revision", service_name="mlengine-docs") for line in written(lines)]
    metric = metrics(production)["mlengine/cold_starts"]
    assert [takes(metric["filter"], entry) for entry in entries] == [True, False, True]


def extracted(extractor: str, entry: Mapping[str, Any]) -> Any:
    found: Any = entry
    for name in extractor.removeprefix("EXTRACT(").removesuffix(")").split("."):
        found = found[name]
    return found


def test_errors_are_counted_by_what_they_say(production: Plan, lines: io.StringIO) -> None:
    LOGGER.error("dead letter", extra={"facts": {"function": "audit"}})
    LOGGER.warning("no heartbeat")
    found = [
        takes(metrics(production)["mlengine/errors"]["filter"], entry_of(line, kind, **labels))
        for line in written(lines)
        for kind, labels in (
            ("cloud_run_revision", {"service_name": "mlengine-audit"}),
            ("cloud_run_job", {"job_name": "mlengine-train"}),
            ("k8s_container", {}),
        )
    ]
    assert found == [True, True, False, False, False, False]


def test_work_that_failed_for_good_is_told(production: Plan, instance: Instance, lines: io.StringIO) -> None:
    runs = Runs(instance.platform.documents, instance.platform.now)
    runs.create("r1", {"problem": "market_signal"})
    TrainingJob(instance.settings, instance.platform, Task()).work_on("r1")  # there are no candles
    assert runs.get("r1").status is RunStatus.FAILED
    assert told(production, "Failed work", written(lines)) == ["training ended"]


@pytest.mark.parametrize(("how", "is_told"), [(Exit.TRY_AGAIN, False), (Exit.BAD_REQUEST, True)])
def test_an_ingest_that_is_tried_again_isnt_told(
    production: Plan, lines: io.StringIO, how: Exit, is_told: bool
) -> None:
    LOGGER.error("ingest failed", extra={"facts": {"exit": how, "why": "the upstream is away"}})
    assert told(production, "Failed work", written(lines)) == ["ingest failed"] * is_told


def test_a_refused_package_is_told(production: Plan, lines: io.StringIO) -> None:
    LOGGER.error("package refused", extra={"facts": {"model_id": "market-signal-v1", "why": "changed"}})
    ((_, condition),) = conditions(policies(production)["Refused package"])
    (line,) = written(lines)
    for entry in (
        entry_of(line, "cloud_run_revision", service_name="mlengine-predict"),
        entry_of(line, "cloud_run_job", job_name="mlengine-score"),
    ):
        assert takes(condition["filter"], entry)
        assert extracted(condition["label_extractors"]["model_id"], entry) == "market-signal-v1"


def told(plan: Plan, policy: str, lines: list[dict[str, Any]]) -> list[str]:
    """What of the lines of a job the policy tells."""
    ((_, condition),) = conditions(policies(plan)[policy])
    entries = [entry_of(line, "cloud_run_job", job_name="mlengine-train") for line in lines]
    return [entry["jsonPayload"]["message"] for entry in entries if takes(condition["filter"], entry)]


# The dashboard.


def tiles(plan: Plan) -> list[Mapping[str, Any]]:
    (dashboard,) = plan.of("google_monitoring_dashboard").values()
    found: list[Mapping[str, Any]] = json.loads(dashboard["dashboard_json"])["mosaicLayout"]["tiles"]
    return found


def filter_of(tile: Mapping[str, Any]) -> str:
    (data_set,) = tile["widget"]["xyChart"]["dataSets"]
    found: str = data_set["timeSeriesQuery"]["timeSeriesFilter"]["filter"]
    return found


def test_the_dashboard_is_one_that_the_service_takes(plan: Plan) -> None:
    """Source: the reference of projects.dashboards."""
    (dashboard,) = plan.of("google_monitoring_dashboard").values()
    content = json.loads(dashboard["dashboard_json"])
    assert set(content) == {"displayName", "mosaicLayout"}
    columns = content["mosaicLayout"]["columns"]
    assert columns == 48
    taken: set[tuple[int, int]] = set()
    for tile in tiles(plan):
        assert set(tile) == {"xPos", "yPos", "width", "height", "widget"}
        assert tile["xPos"] + tile["width"] <= columns
        cells = {
            (x, y)
            for x in range(tile["xPos"], tile["xPos"] + tile["width"])
            for y in range(tile["yPos"], tile["yPos"] + tile["height"])
        }
        assert not cells & taken, f"{tile['widget']['title']} lies on another"
        taken |= cells
        chart = tile["widget"]["xyChart"]
        assert chart["yAxis"]["label"]
        (data_set,) = chart["dataSets"]
        assert (data_set["plotType"], data_set["targetAxis"]) == ("LINE", "Y1")
        query = data_set["timeSeriesQuery"]["timeSeriesFilter"]
        assert query["filter"].startswith('metric.type="')
        aggregation = query["aggregation"]
        assert aggregation["perSeriesAligner"].startswith("ALIGN_")
        assert aggregation["crossSeriesReducer"].startswith("REDUCE_")
        assert all(
            re.fullmatch(r"(resource|metric)\.label\.\w+", field) for field in aggregation["groupByFields"]
        )
    titles = [tile["widget"]["title"] for tile in tiles(plan)]
    assert len(set(titles)) == len(titles)
