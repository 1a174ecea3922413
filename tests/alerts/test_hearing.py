"""What events of alerts.raised say, whoever has published them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.alerts.hearing import (
    MAX_BODY,
    MAX_TITLE,
    Raised,
    Recovered,
    heard_of,
    one_line,
)
from shared.alerts.raising import TOPIC, Severity
from shared.errors import InvalidInput
from shared.platform.ports import Event
from tests.alerts.made import START, an_alert, raised, recovered

RECORDED = Path(__file__).with_name("recorded")


def heard(**data: Any) -> Any:
    return heard_of(Event("e1", "//test", TOPIC, START, data))


def test_what_a_bell_says_is_heard() -> None:
    alert = an_alert(Severity.WARNING)
    assert heard_of(raised("e1", alert=alert)) == Raised(alert)
    assert heard_of(recovered("e1", START)) == Recovered("drift:ABC", "It is back.")


@pytest.mark.parametrize("event", json.loads((RECORDED / "released.json").read_text()))
def test_events_of_the_release_before_are_heard(event: dict[str, Any]) -> None:
    told = Event(**{**event, "time": datetime.fromisoformat(event["time"])})
    alert = heard_of(told).alert  # type: ignore[union-attr]
    expected = {
        "dead_letter": ("dead_letter:training", Severity.ERROR, "422: /run_id: Field required"),
        "package_refused": (
            "package_refused:market-signal-v1",
            Severity.CRITICAL,
            "model.onnx has another sha256 than its manifest says.",
        ),
    }
    assert (alert.key, alert.severity, alert.body) == expected[alert.type]
    assert alert.title
    assert set(alert.facts) == event["data"].keys() - {"type", "severity"}


def test_incidents_of_cloud_monitoring_are_alerts() -> None:
    data = json.loads((RECORDED / "cloud_monitoring.json").read_text())
    alert = heard(**data).alert
    assert (alert.key, alert.severity) == ("cloud_monitoring:0.opqiw61fsv7p", Severity.CRITICAL)
    assert (alert.title, alert.body) == ("CPU of functions", data["incident"]["summary"])
    assert alert.facts["url"] == data["incident"]["url"]
    closed = heard(**{**data, "incident": {**data["incident"], "state": "closed"}})
    assert closed == Recovered(alert.key, data["incident"]["summary"])
    none = heard(incident={"incident_id": "1", "state": "open", "severity": "No severity", "summary": None})
    assert none.alert.severity is Severity.WARNING


GOOD = raised("e1").data


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"type": None}, "/type"),
        ({"cause": " "}, "/cause"),
        ({"state": "lost"}, "/state"),
        ({"severity": "loud"}, "/severity"),
        ({"severity": 3}, "/severity"),
        ({"title": ["x"]}, "/title"),
        ({"body": ""}, "/body"),
        ({"facts": [1]}, "/facts"),
        ({"state": "resolved", "body": None}, "/body"),
        ({"state": "resolved", "alert_id": "a", "by": ""}, "/by"),
        ({"state": "acknowledged", "alert_id": 1}, "/alert_id"),
    ],
)
def test_what_is_no_alert_is_refused_with_its_field(change: dict[str, Any], pointer: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        heard(**{**GOOD, **change})
    assert [error.pointer for error in caught.value.errors] == [pointer]


def test_huge_texts_are_cut_and_huge_facts_are_left_out() -> None:
    alert = an_alert(title="t" * 10_000, body="b" * 1_000_000, facts={"rows": list(range(100_000))})
    kept = heard_of(raised("e1", alert=alert)).alert  # type: ignore[union-attr]
    assert (len(kept.title), len(kept.body)) == (MAX_TITLE, MAX_BODY)
    assert kept.facts.keys() == {"left_out"}


def test_a_title_is_one_line_whatever_was_put_into_it() -> None:
    title = "Over\r\nBcc: everybody@example.com\r\n\r\n\x1b[2J hello\N{RIGHT-TO-LEFT OVERRIDE}"
    kept = heard_of(raised("e1", alert=an_alert(title=title))).alert  # type: ignore[union-attr]
    assert kept.title == "Over Bcc: everybody@example.com [2J hello"


@given(st.text(max_size=50))
def test_one_line_has_no_controls_and_is_its_own(text: str) -> None:
    line = one_line(text, 20)
    assert line.isprintable()
    assert len(line) <= 20
    assert one_line(line, 20) == line


def test_only_a_test_says_where_it_goes() -> None:
    event = raised("e1")
    assert heard_of(replace(event, data={**event.data, "channels": ["slack"]})).channels is None  # type: ignore[union-attr]
    test = {**event.data, "type": "test", "channels": ["slack"]}
    assert heard_of(replace(event, data=test)).channels == ("slack",)  # type: ignore[union-attr]
