"""The table of the log's fields (`infra/metrics.yaml`) against the lines that functions write."""

from __future__ import annotations

import ast
import io
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml

from infra.catalogue import ROOT, read_catalogue
from shared.logs import LOGGER, configure_logs
from shared.platform.local.schedules import DocumentSchedules
from shared.platform.ports import Event
from tests.conftest import ADMIN_KEY
from tests.functions.engine import KEY, Engine
from tests.tabular_packages import ROW, active_tabular
from tests.terraform.log_filters import entry_of, takes
from tests.uploads.graphs import logistic_answers
from tests.uploads.made import said

TABLE: dict[str, Any] = yaml.safe_load((ROOT / "infra" / "metrics.yaml").read_text())
FIELDS: dict[str, dict[str, str]] = TABLE["fields"]
METRICS: dict[str, dict[str, Any]] = TABLE["metrics"]
REPLAY = datetime(2008, 9, 15, tzinfo=UTC)
TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "array": list,
    "object": dict,
}

UPLOAD = {"metadata": said("onnx", logistic_answers()), "size_bytes": 9, "sha256": "0" * 64}
PROBLEM = {
    "name": "churn",
    "title": "Who leaves",
    "columns": {"months": "integer"},
    "target": {"column": "left", "classes": ["no", "yes"]},
}
CALLS: list[tuple[str, str, Any]] = [
    ("predict", "GET /predict?symbol=ABC", None),
    ("predict", "GET /predict?symbol=NOPE", None),
    ("predict", "GET /nowhere", None),
    ("batch_predict", "POST /predict/batch", {"symbols": ["ABC", "NOPE"]}),
    ("predict", "POST /predict", {"model": "heart-disease", "inputs": [ROW]}),
    ("fetch", "POST /fetch", {"symbols": ["ABC"]}),
    ("training", "POST /admin/train", {"problem": "market_signal"}),
    ("scoring", "POST /predict/jobs", {"symbols": ["ABC"]}),
    ("schedules", "POST /admin/schedules/retrain/run", None),
    ("deadletters", "POST /admin/deadletters/replay", {"all": True}),
    ("reports", "POST /admin/reports", {"kind": "weekly"}),
    ("drift", "POST /admin/drift", {}),
    ("watch", "POST /admin/watch", None),
    ("outcomes", "POST /outcomes", {"outcomes": [{"prediction_id": "p1", "label": 1}]}),
    ("alerts", "POST /alerts/test", {}),
    ("uploads", "POST /models/uploads", UPLOAD),
    ("problems", "PUT /problems/churn", PROBLEM),
    ("scoring", "POST /predict/jobs/inputs?name=inputs/a.csv", b"age\n63\n"),
]
EVENTS: dict[str, dict[str, Any]] = {
    "drift": {},
    "outcomes": {"timeframe": "1d", "added": {"ABC": 1}},
}


@pytest.fixture
def lines(live: None, start: Callable[..., Engine]) -> list[dict[str, Any]]:
    """The request lines of a day in the life of all functions."""
    stream = io.StringIO()
    engine = start()
    active_tabular(engine.instance.registry)
    schedules = engine.instance.platform.schedules
    assert isinstance(schedules, DocumentSchedules)
    schedules.set_up(read_catalogue().schedules)
    configure_logs("INFO", stream, replay_now=lambda: REPLAY)
    for function, call, body in CALLS:
        method, path = call.split(" ")
        sent = {"content": body} if isinstance(body, bytes) else {"json": body}
        headers = {**KEY, "content-type": "text/csv"} if isinstance(body, bytes) else KEY
        assert engine[function].request(method, path, headers=headers, **sent).status_code < 500, call
    for function, data in EVENTS.items():
        topic = read_catalogue().functions[function].topic
        assert topic is not None
        engine.events.publish(topic, [Event(f"of-{function}", "//test", topic, REPLAY, data)])
        assert engine.deliver(function) >= 1
    written = [json.loads(line) for line in stream.getvalue().splitlines()]
    return [line for line in written if line["message"] == "request"]


def test_functions_write_the_fields_of_the_table_and_no_other(lines: list[dict[str, Any]]) -> None:
    written = {name for line in lines for name in line}
    assert written - FIELDS.keys() == set(), "in no line of the table"
    assert FIELDS.keys() - written == set(), "written by nobody"


def test_each_field_has_its_type_and_is_there_when_the_table_says(lines: list[dict[str, Any]]) -> None:
    always = {name for name, field in FIELDS.items() if "when" not in field}
    for line in lines:
        assert always <= line.keys()
        for name, value in line.items():
            expected = FIELDS[name]["type"]
            assert isinstance(value, TYPES[expected]), f"{name} is {value!r}, not of type {expected}"
            assert expected == "boolean" or not isinstance(value, bool), name


def test_every_fact_that_code_states_is_in_the_table() -> None:
    """Also those that no call here has led to."""
    stated = dict(facts_in_code())
    assert {"route", "model_id", "problem", "events"} <= stated.keys(), "the search has gone blind"
    assert not {name: where for name, where in stated.items() if name not in FIELDS}


def facts_in_code() -> Iterator[tuple[str, str]]:
    """What is put into `facts`, and the file that does."""
    for folder in ("functions", "shared/web"):
        for file in (ROOT / folder).rglob("*.py"):
            where = file.relative_to(ROOT).as_posix()
            for node in ast.walk(ast.parse(file.read_text())):
                yield from ((name, where) for name in stated_by(node))


def stated_by(node: ast.AST) -> Iterator[str]:
    """`facts["x"] = 1`, `facts.update(x=1)`, `facts |= {"x": 1}`."""
    match node:
        case ast.Assign(targets=[ast.Subscript(value=target, slice=ast.Constant(value=str(name)))]):
            yield from [name] if is_facts(target) else []
        case ast.Call(func=ast.Attribute(value=target, attr="update"), keywords=keywords):
            yield from (one.arg for one in keywords if one.arg is not None and is_facts(target))
        case ast.AugAssign(target=target, value=ast.Dict(keys=keys)) if is_facts(target):
            yield from (str(key.value) for key in keys if isinstance(key, ast.Constant))


def is_facts(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "facts"


def test_the_trace_is_one_that_cloud_logging_links(live: None, start: Callable[..., Engine]) -> None:
    stream = io.StringIO()
    engine = start(google_cloud_project="a-project")
    configure_logs("INFO", stream)
    trace = "0af7651916cd43dd8448eb211c80319c"
    engine["predict"].get("/health", headers={"traceparent": f"00-{trace}-b7ad6b7169203331-01"})
    line = json.loads(stream.getvalue())
    assert line["logging.googleapis.com/trace"] == f"projects/a-project/traces/{trace}"


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_counts_by_fields_that_there_are(name: str) -> None:
    metric = METRICS[name]
    assert metric["of"] in ("requests", "lines")
    assert metric["description"].endswith(".")
    named = [*metric["labels"], *filter(None, [metric.get("value")])]
    assert set(named) <= FIELDS.keys()
    assert {"distribution": True, "counter": False}[metric["kind"]] is (
        "value" in metric and "buckets" in metric
    )
    if "value" in metric:
        assert FIELDS[metric["value"]]["type"] in ("integer", "number")


def test_a_metric_takes_the_lines_that_it_says(lines: list[dict[str, Any]]) -> None:
    stream = io.StringIO()
    configure_logs("INFO", stream)
    LOGGER.error("dead letter", extra={"facts": {"function": "audit"}})
    error = json.loads(stream.getvalue())
    entries = [entry_of(line, "cloud_run_revision") for line in (*lines, error)]
    counts = {
        name: sum(takes(metric["filter"], entry) for entry in entries)
        for name, metric in METRICS.items()
        if "filter" in metric
    }
    cold = len({line["function"] for line in lines})
    assert counts == {"cold_starts": cold, "errors": 1}
    assert ADMIN_KEY not in json.dumps(lines)
