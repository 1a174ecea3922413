"""Rules and dashboards as files: what they say, and when alerts fire. `tests/e2e` asks a real Prometheus."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from infra.catalogue import ROOT
from tests.prometheus import CONFIGURATION, DASHBOARDS, FOLDER, RULES, need_prometheus, panels, rules

TESTS = FOLDER / "rules.test.yaml"
COLUMNS = 24
UNITS = {"none", "s", "reqps", "percentunit", "bytes", "bool_on_off"}


def promtool(*words: str) -> subprocess.CompletedProcess[str]:
    tool = shutil.which("promtool") or ""
    return subprocess.run([tool, *words], cwd=FOLDER, capture_output=True, text=True, check=False)


def test_the_configuration_and_the_rules_are_ones_that_prometheus_takes() -> None:
    need_prometheus()
    for what, file in (("config", CONFIGURATION), ("rules", RULES)):
        done = promtool("check", what, file.name)
        assert done.returncode == 0, done.stdout + done.stderr


def test_alerts_fire_when_they_should_and_only_then() -> None:
    need_prometheus()
    done = promtool("test", "rules", TESTS.name)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_has_a_case_in_which_it_fires_and_one_in_which_it_rests() -> None:
    cases: dict[str, set[bool]] = {}
    for test in yaml.safe_load(TESTS.read_text())["tests"]:
        for case in test["alert_rule_test"]:
            cases.setdefault(case["alertname"], set()).add(bool(case["exp_alerts"]))
    assert cases == {rule.name: {True, False} for rule in rules() if rule.is_alert}


def test_each_alert_says_how_severe_it_is_and_what_to_do() -> None:
    for rule in rules():
        if rule.is_alert:
            assert rule.fields["labels"]["severity"] in ("warning", "error", "critical"), rule.name
            assert rule.fields["annotations"]["summary"], rule.name
            assert rule.fields["annotations"]["description"].endswith("."), rule.name


def test_what_is_recorded_is_named_as_prometheus_advises() -> None:
    for rule in rules():
        if not rule.is_alert:
            assert re.fullmatch(r"mlengine(:[a-z0-9_]+)+", rule.name)


@pytest.mark.parametrize("file", DASHBOARDS, ids=lambda file: file.stem)
def test_a_dashboard_can_be_brought_into_any_grafana(file: Path) -> None:
    board = json.loads(file.read_text())
    assert board["uid"] == f"mlengine-{file.stem}"
    assert "id" not in board, "ids are the database's that it came from"
    (variable,) = board["templating"]["list"]
    assert (variable["name"], variable["type"], variable["query"]) == (
        "datasource",
        "datasource",
        "prometheus",
    )
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        assert panel["title"]
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert max(x for x, _ in cells) < COLUMNS
        assert not cells & taken, f"{panel['title']} lies on another"
        taken |= cells
        for target in panel["targets"]:
            assert (
                target["datasource"] == panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
            )
            assert "$" not in target["expr"], "a variable in a query could not be checked"


def test_what_is_recorded_is_looked_at_or_alarmed_on() -> None:
    asked = [target["expr"] for _, panel in panels() for target in panel["targets"]]
    asked += [rule.expr for rule in rules() if rule.is_alert]
    for rule in rules():
        assert rule.is_alert or any(rule.name in expr for expr in asked), rule.name


def test_the_readme_names_the_files_that_there_are() -> None:
    named = set(re.findall(r"`(infra/grafana/[\w./-]+)`", (FOLDER / "README.md").read_text()))
    assert named
    assert not [name for name in named if not (ROOT / name).exists()]
