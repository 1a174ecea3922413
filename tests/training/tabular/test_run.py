from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from shared.errors import InvalidInput
from shared.problems.spec import Algorithm, Candidate, Gate, TabularProblem
from shared.training.export import export
from shared.training.options import TabularOptions
from shared.training.tabular import report
from shared.training.tabular.contest import compete, set_task
from shared.training.tabular.dataset import build_dataset
from shared.training.tabular.run import TrainingResult, train
from tests.training.tabular.made import LINEAR, changed, problem, table

OPTIONS = TabularOptions(cv_folds=3, cv_repeats=2, resamples=200)
THREE = ("low", "middle", "high")


def _train(spec: TabularProblem, rows: pa.Table, **options: Any) -> TrainingResult:
    return train(spec, rows, replace(OPTIONS, **options))


@pytest.fixture(scope="module")
def two() -> TrainingResult:
    return _train(problem(), table())


@pytest.fixture(scope="module")
def three() -> TrainingResult:
    return _train(problem(THREE, gates=()), table(360, 3))


def test_an_edge_that_is_there_is_found_and_passes_the_gates(two: TrainingResult) -> None:
    found = two.metrics()["cross_validation"]
    assert found["model"]["auc"]["low"] > 0.7
    assert two.gates_passed
    assert not two.suspected_leak
    assert two.may_activate
    assert "All gates passed." in two.findings.conclusion()


def test_what_the_winner_owes_to_the_choice_is_taken_off_before_the_gates() -> None:
    """Two that are nearly equally good: the better one was lucky, too."""
    grid = Candidate(Algorithm.LOGISTIC_REGRESSION, {}, {"C": (0.5, 0.05, 0.005)})
    result = _train(problem(candidates=(grid,)), table(noise=2.0))
    found = result.metrics()["cross_validation"]
    best = max(found["candidates"].values(), key=lambda one: one["f1"]["value"])
    assert len(found["candidates"]) == 3
    assert found["optimism"] > 0
    for end in ("value", "low", "high"):
        assert found["model"]["f1"][end] == pytest.approx(best["f1"][end] - found["optimism"])
    assert found["model"]["auc"] == best["auc"]
    gate = next(gate for gate in result.gates if gate.quantity == "f1.low")
    assert gate.value == found["model"]["f1"]["low"]


def test_a_gain_of_the_metric_that_was_chosen_by_is_less_by_the_choice_too() -> None:
    grid = Candidate(Algorithm.LOGISTIC_REGRESSION, {}, {"C": (0.5, 0.05, 0.005)})
    result = _train(problem(candidates=(grid,), primary_metric="accuracy"), table(noise=2.0))
    found, contest = result.metrics()["cross_validation"], result.findings.contest
    assert found["optimism"] > 0
    for end in ("value", "low", "high"):
        whole = getattr(contest.gains["accuracy"], end)
        assert found["gains"]["accuracy"][end] == pytest.approx(whole - found["optimism"])
    assert found["gains"]["brier"] == contest.gains["brier"].json()
    gate = next(gate for gate in result.gates if gate.quantity == "accuracy_gain.low")
    assert gate.value == found["gains"]["accuracy"]["low"]


def test_noise_passes_no_gate() -> None:
    rng = np.random.default_rng(0)
    rows = table()
    answers = rng.permutation(rows["answer"].to_pylist()).tolist()
    found = _train(problem(), changed(rows, "answer", dict(enumerate(answers))))
    auc = found.metrics()["cross_validation"]["model"]["auc"]
    assert auc["low"] < 0.5
    assert not found.gates_passed
    assert "Not shown" in found.findings.conclusion()


def test_rows_that_are_there_twice_dont_make_a_model_good() -> None:
    """Nothing can be learnt but the copies: a forest finds them again, and the gates are passed by that."""
    rows = table()
    answers = np.random.default_rng(0).permutation(rows["answer"].to_pylist()).tolist()
    noise = changed(rows, "answer", dict(enumerate(answers)))
    forest = Candidate(Algorithm.RANDOM_FOREST, {"n_estimators": 50})
    gates = (Gate("auc", "auc.low", 0.5, "its AUC is above chance"),)
    copied = pa.concat_tables([noise, noise.slice(0, 160)])
    found = _train(problem(candidates=(forest,), gates=gates), copied)
    assert found.gates_passed
    assert found.suspected_leak
    assert "on those that repeat no other" in found.findings.leak
    alone = _train(problem(candidates=(forest,), gates=gates), noise)
    assert not alone.suspected_leak


def test_a_few_rows_that_are_alike_are_no_leak() -> None:
    rows = table()
    found = _train(problem(), pa.concat_tables([rows, rows.slice(0, 20)]))
    assert found.dataset.validation.duplicates == 20
    assert found.may_activate


def test_too_good_is_taken_for_a_leak() -> None:
    found = _train(problem(leak_auc=0.95), table(noise=0.0))
    assert found.suspected_leak
    assert "leans most on the column 'size'" in found.findings.leak
    assert not found.may_activate
    assert "look for a leak" in found.findings.conclusion()


@pytest.mark.parametrize("classes", [2, 3])
def test_every_algorithm_answers_in_the_export_as_fitted(classes: int) -> None:
    """Also far from what was learnt: the export tries each column at its edges, and each category."""
    names = THREE if classes == 3 else ("no", "yes")
    rows, trees = table(150, classes), {"n_estimators": 5}
    others = {Algorithm.LOGISTIC_REGRESSION: {}, Algorithm.HIST_GRADIENT_BOOSTING: {"max_iter": 5}}
    for algorithm in Algorithm:
        spec = problem(names, gates=(), candidates=(Candidate(algorithm, others.get(algorithm, trees)),))
        result = _train(spec, rows, cv_folds=2, cv_repeats=1)
        _, parity = export(result.fitted, result.dataset.x)
        assert parity.max_abs_difference <= 1e-6
        assert parity.rows_checked > 900


def test_many_classes_are_told_apart_to_the_last() -> None:
    """A hundred is what may be declared; the products of their places don't fit into a byte."""
    names = tuple(f"c{number}" for number in range(100))
    result = _train(problem(names, gates=(), candidates=(LINEAR,)), table(600, 100), cv_repeats=1)
    counts = report._confusion(result.findings)
    assert counts.shape == (100, 100)
    assert counts.sum(axis=1).tolist() == np.bincount(result.dataset.y).tolist()
    assert "c99" in result.report_html


def test_more_classes_have_probabilities_of_their_own(three: TrainingResult) -> None:
    answered = three.fitted.predict_proba(three.dataset.x)
    assert answered.shape == (360, 3)
    np.testing.assert_allclose(answered.sum(axis=1), 1.0, atol=1e-6)
    assert three.fitted.calibration is None
    assert three.threshold == 0.5
    assert any("not" in words or "own" in words for words in three.findings.warnings)
    assert set(three.metrics()["cross_validation"]["candidates"]) == {"logistic_regression", "lightgbm"}


def test_equal_rows_and_options_give_equal_results(two: TrainingResult) -> None:
    again = _train(problem(), table())
    assert again.metrics() == two.metrics()
    assert again.report_html == two.report_html
    np.testing.assert_array_equal(again.unseen_scores, two.unseen_scores)
    assert export(again.fitted, again.dataset.x)[0] == export(two.fitted, two.dataset.x)[0]


def test_another_seed_gives_other_folds(two: TrainingResult) -> None:
    other = _train(problem(), table(), random_state=1)
    assert other.metrics() != two.metrics()
    assert other.dataset.fingerprint == two.dataset.fingerprint


def test_every_row_is_tested_once_in_each_repeat_with_its_classes_in_proportion() -> None:
    dataset = build_dataset(problem(), table(200))
    task = set_task(problem(), OPTIONS, dataset)
    for repeat in range(OPTIONS.cv_repeats):
        parts = [(train, test) for number, train, test in task.folds if number == repeat]
        tested = np.concatenate([test for _, test in parts])
        assert sorted(tested.tolist()) == list(range(200))
        for place, (rest, test) in enumerate(parts):
            assert not np.isin(test, rest).any()
            assert abs(dataset.y[test].mean() - dataset.y.mean()) < 0.02
            assert (task.fold[repeat, test] == place).all()


def test_nothing_of_a_test_fold_reaches_its_scores() -> None:
    """Imputing, scaling and categories are learnt from the training rows alone."""
    dataset = build_dataset(problem(), table(150))
    task = set_task(problem(), OPTIONS, dataset)
    repeat, _, test = task.folds[0]
    x = dataset.x.copy()
    x[test[1:], :2] = 900.0
    x[test[1:], 2] = np.nan
    y = dataset.y.copy()
    y[test[1:]] = 1 - y[test[1:]]
    disturbed = replace(task, dataset=replace(dataset, x=x, y=y))
    before, after = (compete(one, lambda done, words: None) for one in (task, disturbed))
    for one, other in zip(before.candidates, after.candidates, strict=True):
        np.testing.assert_array_equal(one.raw[repeat, test[0]], other.raw[repeat, test[0]])


def test_unseen_scores_are_not_those_of_the_final_fit(two: TrainingResult) -> None:
    served = two.fitted.predict_proba(two.dataset.x)[:, 1]
    assert two.unseen_scores.shape == served.shape
    assert not np.isclose(two.unseen_scores, served).all()
    decision = two.findings.decision
    assert decision is not None
    assert np.array_equal(two.unseen_scores, decision.apply(two.findings.contest.winner.raw[0, :, 1]))
    assert np.corrcoef(two.unseen_scores, served)[0, 1] > 0.9


def test_only_the_candidates_asked_for_compete() -> None:
    found = _train(problem(), table(), candidates=("lightgbm",))
    assert list(found.metrics()["cross_validation"]["candidates"]) == ["lightgbm"]
    assert found.metrics()["cross_validation"]["optimism"] == 0.0


def test_fewer_rows_of_a_class_than_folds_are_refused() -> None:
    rare = changed(table(60), "answer", {place: "01"[place < 2] for place in range(60)})
    with pytest.raises(InvalidInput, match="too few: yes 2"):
        _train(problem(), rare)


def test_progress_counts_every_fit() -> None:
    told: list[tuple[str, int, int, str]] = []
    train(problem(candidates=(LINEAR,)), table(), OPTIONS, lambda *step: told.append(step))
    steps = [done for stage, done, _, message in told if stage == "cross_validation" and "fold" in message]
    assert steps == list(range(1, 7))
    assert {stage for stage, *_ in told} == {"validation", "cross_validation", "final_fit", "report"}


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.ids += [value for name, value in attrs if name == "id" and value]
        if tag not in ("meta", "br", "link"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.ids += [value for name, value in attrs if name == "id" and value]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("name", ["two", "three"])
def test_the_report_is_a_whole_page_that_needs_nothing_else(
    name: str, request: pytest.FixtureRequest
) -> None:
    result: TrainingResult = request.getfixturevalue(name)
    page, tags = result.report_html, _Tags()
    tags.feed(page)
    assert tags.open == []
    assert len(set(tags.ids)) == len(tags.ids)
    assert "http" not in page.replace("http://www.w3.org", "")
    for words in (
        "logistic regression",
        "lightgbm",
        "majority",
        "prior",
        "Made up",
        "size",
        "Every row fits",
    ):
        assert words in page
    assert ("ROC curve" in page) == (name == "two")


def test_the_report_tells_what_is_wrong_with_the_data() -> None:
    found = _train(problem(candidates=(LINEAR,), title="<b>"), changed(table(), "size", {3: "<i>"}))
    assert "&lt;i&gt;" in found.report_html
    assert "<i>" not in found.report_html
    assert "&lt;b&gt;" in found.report_html
    assert "1 of 240 rows can&#x27;t be used" in found.report_html
