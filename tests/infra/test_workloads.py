"""What the catalogue says that functions and jobs do, against the code that does it."""

from __future__ import annotations

import ast
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from infra.catalogue import CATALOGUE_FILE, ROOT, Catalogue, read_catalogue
from infra.openapi import load_function
from shared.config import Settings
from shared.platform.topics import DEAD_LETTERS, TOPICS

CATALOGUE = read_catalogue()


def test_every_job_is_a_module_that_can_be_run_and_every_such_module_a_job() -> None:
    runnable = {
        path.stem
        for path in (ROOT / "shared" / "jobs").glob("*.py")
        if any(
            isinstance(node, ast.FunctionDef) and node.name == "main"
            for node in ast.parse(path.read_text()).body
        )
    }
    assert set(CATALOGUE.jobs) == runnable


def test_every_job_is_run_by_somebody_or_by_hand() -> None:
    run = {job for entry in CATALOGUE.functions.values() for job in entry.runs}
    assert set(CATALOGUE.jobs) - run == {"ingest"}  # by hand: the schedule's ingest is the function's


def test_the_topics_follow_from_the_catalogue() -> None:
    """Terraform makes those that somebody takes, publishes on, or is made to by a schedule."""
    workloads = CATALOGUE.workloads.values()
    published = {topic for workload in workloads for topic in workload.publishes}
    fired = {schedule.topic for schedule in CATALOGUE.schedules.values()}
    assert {*published, *CATALOGUE.subscriptions, *fired} == set(TOPICS)


def test_dead_letters_can_go_back_to_whoever_took_them() -> None:
    taken = {topic for topic, takers in TOPICS.items() if takers} - {DEAD_LETTERS}
    assert taken <= set(CATALOGUE.functions["deadletters"].publishes)


def test_nobody_deletes_models() -> None:
    assert not any("models" in workload.deletes for workload in CATALOGUE.workloads.values())


@pytest.mark.parametrize("name", CATALOGUE.functions)
def test_who_is_called_can_find_out_who_calls_and_write_down_what_was_changed(name: str) -> None:
    """Keys and sessions are read from documents, and every call that changes something is audited there."""
    may, routes = set(CATALOGUE.functions[name].may), load_function(name).routes
    if CATALOGUE.functions[name].routes:
        assert may & {"documents.get", "documents.read", "documents.write"}
    if any(route.changes for route in routes):
        assert "documents.write" in may


@pytest.mark.parametrize("name", CATALOGUE.jobs)
def test_what_a_job_is_set_by_exists(name: str) -> None:
    job = CATALOGUE.jobs[name]
    known = {field.upper() for field in Settings.model_fields}
    assert set(job.settings) | set(job.secrets) <= known
    assert len(set(job.settings)) == len(job.settings)


def changed(kind: str, name: str, **changes: Any) -> dict[str, Any]:
    listed: dict[str, Any] = yaml.safe_load(CATALOGUE_FILE.read_text())
    listed[kind][name] |= changes
    return listed


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"publishes": ["nothing.ever"]}, "the topic must be one of"),
        ({"reads": []}, "'reads' go together"),
        ({"writes": ["models"]}, "'writes' go together"),
        ({"deletes": ["models"]}, "also under 'writes'"),
        ({"runs": ["train"]}, "'runs' go together"),
        ({"may": ["jobs.run", "events.publish"], "reads": [], "runs": ["guess"]}, "no such job"),
        ({"reads": ["models/"]}, "pattern"),
    ],
)
def test_a_permission_without_its_list_is_refused(changes: dict[str, Any], why: str) -> None:
    Catalogue.model_validate(changed("functions", "predict"))
    with pytest.raises(ValidationError, match=why):
        Catalogue.model_validate(changed("functions", "predict", **changes))


@pytest.mark.parametrize(
    "wrong",
    [
        {"parallelism": 1},
        {"retries": 11},
        {"timeout_seconds": 0},
        {"runs": ["score"]},
        {"routes": []},
        {"publishes": []},
    ],
)
def test_a_wrong_job_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Catalogue.model_validate(changed("jobs", "train", **wrong))
