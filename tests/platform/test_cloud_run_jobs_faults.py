"""Lost answers, several callers at once, callers that are killed: each id has started exactly once."""

from __future__ import annotations

import dataclasses
import random
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest

from shared.errors import PlatformUnavailable
from shared.platform.gcp.documents import FirestoreDocuments
from shared.platform.gcp.rest import GoogleRest
from shared.platform.ports import Jobs, JobState
from tests.contracts.racing import in_processes, race
from tests.contracts.workers import wait_for
from tests.emulators import Emulators, project_in
from tests.faulty import Fault, line_to
from tests.platform.cloud_run import Site, site_on
from tests.platform.job_workers import die_at_any_time, die_while_starting, start_all

TIMES = 20
IDS = [f"e{number}" for number in range(TIMES)]


@pytest.fixture
def site(emulators: Emulators, tmp_path: Path) -> Site:
    return site_on(emulators, tmp_path)


def race_to_start(callers: Sequence[Jobs], execution_id: str) -> None:
    done = race(len(callers), lambda i: callers[i].start("note", [], execution_id=execution_id))
    assert done == [None] * len(callers)


def is_known(jobs: Jobs, execution_id: str) -> bool:
    return jobs.status(execution_id).state is not JobState.UNKNOWN


def once(ids: Sequence[str]) -> Counter[str]:
    return Counter(ids)


def test_a_lost_answer_is_found_by_the_one_who_lost_it(site: Site, emulators: Emulators) -> None:
    with line_to(f"http://{emulators.run}") as line:
        jobs = site.jobs(run_url=line.url)
        for execution_id in IDS:
            line.plan(":run", Fault.LOST)
            jobs.start("note", [], execution_id=execution_id)
            jobs.start("note", [], execution_id=execution_id)
        assert line.spoiled[Fault.LOST] == TIMES
    assert site.started() == once(IDS)


def test_a_lost_answer_is_found_by_the_next_one_who_asks(site: Site, emulators: Emulators) -> None:
    with line_to(f"http://{emulators.run}") as line:
        line.always("mlengine-note", Fault.LOST)  # also the answers to the question whether it has started
        cut_off, jobs = site.jobs(run_url=line.url, timeout_seconds=0.2), site.jobs()
        for number, execution_id in enumerate(IDS):
            with pytest.raises(PlatformUnavailable):
                cut_off.start("note", [], execution_id=execution_id)
            if number % 2:
                wait_for(partial(is_known, jobs, execution_id))
            jobs.start("note", [], execution_id=execution_id)
    assert site.started() == once(IDS)


def test_many_callers_at_once(site: Site) -> None:
    for execution_id in IDS:
        race_to_start([site.jobs() for _ in range(4)], execution_id)
    assert site.started() == once(IDS)


def test_many_callers_at_once_with_claims_in_firestore(site: Site, emulators: Emulators) -> None:
    project = dataclasses.replace(project_in(site.state), firestore_url=f"http://{emulators.firestore}")
    documents = FirestoreDocuments(project, GoogleRest(project))
    for execution_id in IDS[:8]:
        race_to_start([site.jobs(documents=documents) for _ in range(4)], execution_id)
    assert site.started() == once(IDS[:8])


def test_many_callers_at_once_whose_answers_are_lost(site: Site, emulators: Emulators) -> None:
    with line_to(f"http://{emulators.run}") as line:
        jobs = site.jobs(run_url=line.url)
        for execution_id in IDS:
            line.plan(":run", Fault.LOST)
            race_to_start([jobs] * 4, execution_id)
    assert site.started() == once(IDS)


def test_the_same_start_from_several_processes(site: Site) -> None:
    in_processes(3, start_all, site.state, IDS)
    assert site.started() == once(IDS)


@pytest.mark.parametrize(
    ("commit", "is_before", "have_started"),
    [(1, False, False), (2, True, True), (2, False, True)],
    ids=["between claim and run", "between run and record", "after record"],
)
def test_a_caller_is_killed(site: Site, commit: int, is_before: bool, have_started: bool) -> None:
    in_processes(1, die_while_starting, site.state, IDS, commit, is_before)
    assert site.started() == once(["warm", *(IDS if have_started else [])])
    later = site.after_the_lease()
    for execution_id in IDS:
        race_to_start([later] * 2, execution_id)
    assert site.started() == once(["warm", *IDS])
    assert all(is_known(later, execution_id) for execution_id in IDS)


def test_callers_are_killed_at_random(site: Site) -> None:
    in_processes(1, die_at_any_time, site.state, [random.uniform(0.0, 0.1) for _ in IDS])
    asked = (site.state / "asked").read_text().split()
    later = site.after_the_lease()
    for execution_id in asked:
        later.start("note", [], execution_id=execution_id)
    assert len(asked) >= TIMES / 2
    assert site.started() == once(["warm", *asked])
    wait_for(lambda: all(later.status(one).state is JobState.SUCCEEDED for one in asked))
