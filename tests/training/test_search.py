from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shared.config import load_settings
from shared.errors import InvalidInput
from shared.instance import Instance
from shared.jobs.search import SearchJob
from shared.jobs.task import Exit, Stopped
from shared.jobs.task import Task as JobTask
from shared.jobs.train import TrainingJob
from shared.platform.connect import connect
from shared.platform.local.documents import SqliteDocuments
from shared.platform.ports import Event
from shared.problems.declared import Declaration, Problems
from shared.problems.declared.parameters import refusal
from shared.problems.spec import Algorithm, Candidate, Space, TabularProblem
from shared.registry import Registry
from shared.tabular.table import read_table
from shared.training.options import TabularOptions, TrainingRequest
from shared.training.run_records import RunStatus
from shared.training.runs import Runs
from shared.training.search.records import SearchProgress, SearchRecords, SearchRequest, StudyRecord, Trial
from shared.training.search.searched import searched
from shared.training.search.spaces import SPACES, propose, space_of
from shared.training.search.study import SEARCHED, key_of, studies_of
from shared.training.search.telling import Telling
from shared.training.tabular.contest import Task, compete, set_task
from shared.training.tabular.dataset import build_dataset
from tests.problems.declarations import csv, declaration

QUICK = {
    "logistic_regression": {"search": {"C": {"float": [0.001, 100], "log": True}}},
    "lightgbm": {
        "parameters": {"n_estimators": 5},
        "search": {"num_leaves": {"int": [2, 8]}, "class_weight": {"choice": ["balanced"]}},
    },
}
ASKED = SearchRequest(trials=6, seconds=600)


def problem(**changes: Any) -> TabularProblem:
    return Declaration.of(declaration(candidates=QUICK, folds=3, **changes)).problem("blobs:x.csv")


def problem_of_version(version: int) -> TabularProblem:
    return replace(problem(), version=version)


def told(records: SearchRecords, tasks: int = 1) -> SearchProgress:
    found = records.told("r", tasks)
    assert found is not None
    return found


def task_of(content: bytes = csv(count=90)) -> Task:
    options = TabularOptions(cv_folds=3, cv_repeats=1, resamples=20, random_state=7)
    return set_task(problem(), options, build_dataset(problem(), read_table(content, "csv")))


@pytest.fixture
def records(tmp_path: Path) -> SearchRecords:
    return SearchRecords(SqliteDocuments(tmp_path / "documents.sqlite3"))


def outcome(record: StudyRecord) -> list[tuple[str, dict[str, Any], float | None]]:
    return [(trial.algorithm, dict(trial.parameters), trial.value) for trial in record.trials]


def trial(number: int, value: float | None, proposed: dict[str, Any] | None = None) -> Trial:
    return Trial(
        number=number,
        algorithm="logistic_regression",
        parameters=proposed or {"C": 1.0},
        proposed=proposed,
        value=value,
        error=None if value is not None else "broken",
        seconds=1.0,
    )


class Stop:
    """Stops a study after so many trials."""

    def __init__(self, after: int) -> None:
        self.left = after

    def __call__(self, _: StudyRecord) -> None:
        if self.left == 0:
            raise Stopped
        self.left -= 1


def test_a_study_tries_what_is_named_first_and_then_what_it_finds(records: SearchRecords) -> None:
    record = studies_of(task_of(), ASKED)[0].run(records, "r")
    assert record.is_done
    assert [one.proposed is None for one in record.trials] == [True, True, False, False, False, False]
    assert {one.algorithm for one in record.trials} == {"logistic_regression", "lightgbm"}
    assert record.best is not None
    assert record.best.value == max(one.value for one in record.trials if one.value is not None)
    assert records.get("r", 0) == record


def test_a_study_that_was_killed_goes_on_to_the_same_end(records: SearchRecords) -> None:
    study = studies_of(task_of(), ASKED)[1]
    whole = study.run(records, "whole")
    for after in (1, 3):
        with pytest.raises(Stopped):
            study.run(records, "parts", Stop(after))
    assert [len(records.get("parts", 1).trials), records.get("parts", 1).is_done] == [4, False]
    assert outcome(study.run(records, "parts")) == outcome(whole)


def test_another_seed_proposes_others(records: SearchRecords) -> None:
    task = task_of()
    other = replace(task, options=replace(task.options, random_state=8))
    one, two = (studies_of(each, ASKED)[0].run(records, str(n)) for n, each in enumerate((task, other)))
    assert [t.proposed for t in one.trials[2:]] != [t.proposed for t in two.trials[2:]]


def test_a_fold_is_never_seen_by_the_study_that_chooses_for_it(records: SearchRecords) -> None:
    """With every test row of the first fold spoilt, the study of that fold finds the same."""
    task = task_of()
    _, _, test = task.folds[0]
    x, y = task.dataset.x.copy(), task.dataset.y.copy()
    x[test], y[test] = -1e6, 1 - y[test]
    spoilt = replace(task, dataset=replace(task.dataset, x=x, y=y))
    honest, same = studies_of(task, ASKED)[1], studies_of(spoilt, ASKED)[1]
    assert not np.isin(test, honest.rows).any()
    assert outcome(honest.run(records, "a")) == outcome(same.run(records, "b"))


def test_each_fold_is_fitted_with_what_its_own_study_found(records: SearchRecords) -> None:
    task = task_of()
    key = key_of("r", task)
    for number, c in enumerate((9.0, 1.0, 2.0, 3.0)):
        records.add(key, number, trial(0, 0.9, {"C": c}))
        records.end(key, number)
    records.finish("r", "")
    found = searched(task, records, "r")
    assert (found.name, found.parameters) == (SEARCHED, {"C": 9.0})
    assert [found.for_fold(n).parameters["C"] for n in range(3)] == [1.0, 2.0, 3.0]
    contest = compete(replace(task, more=(found,)), lambda *_: None)
    assert [one.variant.name for one in contest.candidates][-1] == SEARCHED


def test_a_search_that_found_nothing_says_why(records: SearchRecords) -> None:
    task = task_of()
    with pytest.raises(InvalidInput, match="has not ended"):
        searched(task, records, "r")
    records.finish("r", "the data are gone")
    records.finish("r", "")
    with pytest.raises(InvalidInput, match="the data are gone"):
        searched(task, records, "r")
    for number in range(4):
        records.add(key_of("q", task), number, trial(0, None))
    records.finish("q", "")
    with pytest.raises(InvalidInput, match="broken"):
        searched(task, records, "q")


@pytest.mark.parametrize("changed", ["data", "declaration"])
def test_what_was_found_for_other_data_or_another_declaration_isnt_taken(
    records: SearchRecords, changed: str
) -> None:
    task = task_of()
    for number in range(4):
        records.add(key_of("r", task), number, trial(0, 0.9))
    records.finish("r", "")
    assert searched(task, records, "r").name == SEARCHED
    other = task_of(csv(count=91)) if changed == "data" else replace(task, problem=problem_of_version(2))
    with pytest.raises(InvalidInput, match="changed after the search began"):
        searched(other, records, "r")


def test_a_task_tells_how_far_its_studies_are(records: SearchRecords) -> None:
    studies = studies_of(task_of(), SearchRequest(trials=4, seconds=400))
    assert records.told("r", 1) is None
    records.add("k", 0, trial(0, 0.7))
    now = [0.0]
    telling = Telling(records, "r", 0, studies, "k", clock=lambda: now[0])
    found = told(records)
    assert (found.done, found.total, found.best) == (1, 16, 0.7)
    assert found.seconds_left == 15.0, "one second a trial so far"
    telling(0, records.add("k", 0, trial(1, 0.8)))
    assert told(records) == found, "not more than once a second"
    now[0] = 1.0
    telling(0, records.add("k", 0, trial(2, 0.75)))
    assert (told(records).done, told(records).best) == (3, 0.8)
    telling(1, records.add("k", 1, trial(0, 0.9)))
    telling(0, records.end("k", 0))
    ended = told(records)
    assert (ended.done, ended.total, ended.best) == (4, 15, 0.8), "what a study leaves untried isn't awaited"
    assert ended.words == "best auc 0.8000 so far; about 11 s left"


def test_a_task_never_says_it_takes_longer_than_it_may(records: SearchRecords) -> None:
    studies = studies_of(task_of(), SearchRequest(trials=500, seconds=40))
    Telling(records, "r", 0, studies, "k")
    assert (told(records).seconds_left, told(records).words) == (40.0, "about 40 s left")
    records.add("k", 0, replace(trial(0, 0.7), seconds=4.0))
    Telling(records, "r", 0, studies, "k")
    assert told(records).seconds_left == 36.0


def test_a_metric_that_is_better_lower_is_told_as_it_is_read(records: SearchRecords) -> None:
    task = task_of()
    lower = replace(task, problem=replace(task.problem, primary_metric="log_loss"))
    records.add("k", 0, trial(0, -0.4))
    Telling(records, "r", 0, studies_of(lower, ASKED), "k")
    assert told(records).best == 0.4


def test_tasks_side_by_side_are_told_as_one(records: SearchRecords) -> None:
    studies = studies_of(task_of(), SearchRequest(trials=2, seconds=80, tasks=2))
    for index in range(2):
        Telling(records, "r", index, studies[index::2], "k")
    found = told(records, tasks=2)
    assert (found.done, found.total, found.best, found.seconds_left) == (0, 8, None, 80.0)


def test_a_choice_that_a_library_refuses_fails_alone(records: SearchRecords) -> None:
    task = task_of()
    wrong = Candidate(Algorithm.LOGISTIC_REGRESSION, {"C": -1.0}, search={"C": Space("float", 0.1, 1.0)})
    broken = replace(task, problem=replace(task.problem, candidates=(wrong,)))
    record = studies_of(broken, SearchRequest(trials=3))[0].run(records, "r")
    assert [one.value is None for one in record.trials] == [True, False, False]
    assert "C" in str(record.trials[0].error)
    assert record.best is not None


def test_time_that_has_run_out_ends_a_study(records: SearchRecords) -> None:
    ticks = iter(range(0, 10_000, 10))
    study = replace(studies_of(task_of(), ASKED)[0], seconds=15)
    record = study.run(records, "r", clock=lambda: float(next(ticks)))
    assert (record.is_done, len(record.trials), record.seconds) == (True, 2, 20)


def test_the_time_is_shared_by_the_studies_and_grows_with_the_tasks() -> None:
    task = task_of()
    assert [study.seconds for study in studies_of(task, SearchRequest(seconds=60))] == [15.0] * 4
    assert studies_of(task, SearchRequest(seconds=60, tasks=2))[0].seconds == 30.0
    assert studies_of(task, SearchRequest(seconds=60, tasks=20))[0].seconds == 60.0


def test_two_attempts_at_one_trial_leave_one(records: SearchRecords) -> None:
    records.add("r", 0, trial(0, 0.5))
    records.add("r", 0, trial(0, 0.7))
    assert [one.value for one in records.get("r", 0).trials] == [0.5]
    records.end("r", 0)
    records.add("r", 0, trial(1, 0.9))
    assert len(records.get("r", 0).trials) == 1


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_what_is_proposed_lies_in_its_space_and_may_be_declared(algorithm: Algorithm) -> None:
    candidate = Candidate(algorithm, {})
    before: list[Trial] = []
    for number in range(14):
        chosen, values = propose([candidate], before, seed=3)
        assert set(values) == set(SPACES[algorithm])
        assert [refusal(algorithm, name, value) for name, value in values.items()] == [None] * len(values)
        found = Trial(
            number=number,
            algorithm=str(chosen.algorithm),
            parameters=values,
            proposed=values,
            value=float(number % 3),
            error=None,
            seconds=0.0,
        )
        before.append(found)


def test_a_share_of_rows_in_a_leaf_isnt_overruled_by_a_number_of_rows() -> None:
    candidate = Candidate(Algorithm.LIGHTGBM, {"min_leaf_share": 0.01})
    assert "min_child_samples" not in space_of(candidate)


class Place:
    """An engine's state with a declared problem and its data, and jobs that run in this process."""

    def __init__(self, home: Path, content: bytes) -> None:
        self.settings = load_settings(mlengine_home=home, admin_api_key="k" * 32)
        self.platform = connect(self.settings)
        self.published: list[Event] = []
        self.platform = replace(self.platform, events=self)
        self.runs = Runs(self.platform.documents, self.platform.now)
        desk = Instance(self.settings, self.platform).problem_desk
        desk.declare(Declaration.of(declaration(candidates=QUICK, folds=3)), by="ada")
        desk.upload("churn", content, "csv", by="ada")

    def publish(self, topic: str, events: Sequence[Event]) -> None:
        self.published += [event for event in events if event.type == topic]

    def run(self, **search: Any) -> str:
        self.runs.create("run1", {"problem": "churn", "search": {"trials": 3, **search}})
        return "run1"

    def search(self, **task: Any) -> Exit:
        return SearchJob(self.settings, self.platform, JobTask(**task)).work_on("run1")

    def asked(self) -> list[str]:
        return [event.id for event in self.published if event.type == "training.requested"]


@pytest.fixture
def place(tmp_path: Path) -> Callable[..., Place]:
    return lambda content=None: Place(tmp_path / "home", content or csv(count=90))


def test_tasks_share_the_studies_and_the_last_has_the_run_trained(place: Callable[..., Place]) -> None:
    there = place()
    run_id = there.run(tasks=2)
    assert there.search(index=1, count=2, is_by_hand=False) is Exit.DONE
    assert there.asked() == []
    assert (found := SearchRecords(there.platform.documents).told(run_id, 2)) is not None
    assert (found.done, found.total, found.best) == (6, 6, None), "its two studies, and not that of all rows"
    assert there.search(index=0, count=2, is_by_hand=False) is Exit.DONE
    assert there.asked() == ["run1.searched"]
    (event,) = there.published
    assert event.data == {"run_id": run_id, "request": dict(there.runs.get(run_id).request)}
    assert TrainingJob(there.settings, there.platform, JobTask()).work_on(run_id) is Exit.DONE
    ended = there.runs.get(run_id)
    assert ended.status in (RunStatus.SUCCEEDED, RunStatus.REJECTED), ended.error
    assert ended.result is not None
    p = there.platform
    package = Registry(p.documents, p.blobs, p.events, p.now, p.new_id).open_package(
        ended.result["version_id"]
    )
    version = Problems(p.documents).declared("churn").version
    assert (version, ended.problem_version, package.manifest.problem_version) == (2, 2, 2)


def test_a_search_that_cant_go_on_fails_the_run_with_its_reason(place: Callable[..., Place]) -> None:
    there = place(csv(count=14))
    run_id = there.run()
    there.runs.create("other", {"problem": "churn"})
    few = Declaration.of(declaration(candidates=QUICK, folds=14))
    kept = Problems(there.platform.documents)
    kept.declare(few, kept.declared("churn").data, by="ada", at=there.platform.now())
    assert there.search(is_by_hand=False) is Exit.DONE
    assert there.asked() == ["run1.searched"]
    TrainingJob(there.settings, there.platform, JobTask(is_by_hand=False)).work_on(run_id)
    ended = there.runs.get(run_id)
    assert ended.status is RunStatus.FAILED
    assert "folds" in str(ended.error)


def test_nothing_is_searched_for_a_run_that_has_ended(place: Callable[..., Place]) -> None:
    there = place()
    there.run()
    there.runs.request_cancel("run1")
    assert there.runs.get("run1").status is RunStatus.CANCELLED
    assert there.search(is_by_hand=False) is Exit.DONE
    assert there.asked() == []


def test_candles_arent_searched(tmp_path: Path) -> None:
    problems = Problems(SqliteDocuments(tmp_path / "documents.sqlite3"))
    with pytest.raises(InvalidInput) as caught:
        TrainingRequest(problem="market_signal", search=ASKED).checked(problems)
    assert [error.pointer for error in caught.value.errors] == ["/search"]


def test_a_search_repeats_the_outer_folds_only_on_demand() -> None:
    settings = load_settings(admin_api_key="k" * 32)
    once = TrainingRequest(problem="churn", search=ASKED).tabular_options(settings, problem())
    asked = TrainingRequest(problem="churn", search=ASKED, cv_repeats=3).tabular_options(settings, problem())
    assert (once.cv_repeats, asked.cv_repeats, problem().repeats) == (1, 3, 10)
