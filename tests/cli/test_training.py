"""`train` and `runs`."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from tests.cli.conftest import Mlengine, Script, answer

Json = Callable[..., tuple[int, Any]]
Lines = Callable[[str], Sequence[str]]

RUN = "7d3f9a51c2e84b06a1d2e3f405162738"
STATUS = f"GET /admin/train/status/{RUN}"


@pytest.fixture
def training(script: Script) -> Callable[[str], None]:
    """A run that is queued, works, and ends in the given state."""

    def ends(state: str) -> None:
        script.answers("POST /admin/train", answer("run_queued"), status=202)
        states = [answer(f"run_{name}") for name in ("queued", "running", "running", state)]
        script.answers(STATUS, *states)

    return ends


def test_only_what_was_given_is_asked_for(mlengine: Mlengine, script: Script) -> None:
    script.answers("POST /admin/train", answer("run_queued"), status=202)
    mlengine("train", "--no-follow")
    assert script.seen[-1].body == {"problem": "market_signal", "activate": False}
    mlengine(
        *("train", "--no-follow", "--problem", "p", "--activate", "--symbols", "AAPL, MSFT"),
        *("--lookback", "500", "--test-size", "0.25", "--random-state", "7", "--cv-folds", "3"),
        *("--candidates", "lightgbm", "--horizon", "5"),
    )
    assert script.seen[-1].body == {
        "problem": "p",
        "activate": True,
        "symbols": ["AAPL", "MSFT"],
        "lookback": 500,
        "test_size": 0.25,
        "random_state": 7,
        "cv_folds": 3,
        "candidates": ["lightgbm"],
        "horizon": 5,
    }


def test_a_run_that_is_not_followed_is_named(mlengine: Mlengine, mlengine_json: Json, script: Script) -> None:
    script.answers("POST /admin/train", answer("run_queued"), status=202)
    assert f"Next: mlengine runs show {RUN} --follow" in mlengine("train", "--no-follow").stdout
    assert mlengine_json("train", "--no-follow") == (0, answer("run_queued"))


def test_a_search_tells_how_far_it_is(mlengine: Mlengine, script: Script) -> None:
    def searching(done: int, message: str) -> dict[str, Any]:
        progress = {"stage": "search", "done": done, "total": 240, "message": message}
        return {**answer("run_running"), "progress": progress}

    script.answers("POST /admin/train", answer("run_queued"), status=202)
    states = [(0, "about 10 min left"), (60, "best auc 0.8 so far; about 7 min left"), (61, "best auc 0.9")]
    ended = {**answer("run_succeeded"), "problem_version": 3}
    script.answers(STATUS, *(searching(*state) for state in states), ended)
    result = mlengine("train", "--problem", "churn", "--search", "40")
    assert [line for line in result.stderr.splitlines() if line.startswith("search")] == [
        "search: about 10 min left",
        "search: 60 of 240, best auc 0.8 so far; about 7 min left",
    ]
    assert "declared version 3" in " ".join(result.stdout.split())


def test_a_run_is_followed_to_its_end(
    mlengine: Mlengine, training: Callable[[str], None], lines: Lines
) -> None:
    training("succeeded")
    result = mlengine("train", "--activate")
    assert result.exit_code == 0
    shown = lines(result.stdout)
    assert shown[0] == f"{RUN} succeeded"
    assert "took 2 min 42 s" in shown
    assert "AUC 0.506 [0.485, 0.527] - - 0.489 0.511" in shown
    assert "● market-signal-v2 is live." in shown
    assert shown[-1] == "Next: mlengine predict <symbol>"
    assert "walk forward: hist_gradient_boosting, fold 1 of 6" in result.stderr


@pytest.mark.parametrize(
    ("state", "last_lines"),
    [
        (
            "rejected",
            [
                "○ market-signal-v2 is registered, and not live.",
                "Next: mlengine models report market-signal-v2",
            ],
        ),
        ("cancelled", ["Next: mlengine train"]),
        ("failed", ["Next: mlengine ingest"]),
    ],
)
def test_a_run_that_did_not_succeed_fails_the_command(
    mlengine: Mlengine, training: Callable[[str], None], lines: Lines, state: str, last_lines: list[str]
) -> None:
    training(state)
    result = mlengine("train")
    assert result.exit_code == 1
    assert lines(result.stdout)[-len(last_lines) :] == last_lines


@pytest.mark.parametrize(
    ("error", "last"),
    [
        ("No 1d candles of ZZZ are stored; ingest them first.", "Next: mlengine ingest"),
        (
            "The file lacks columns: fee. It has plan.",
            "The run failed: The file lacks columns: fee. It has plan.",
        ),
        ("The blobs are away.", "Next: mlengine doctor"),
    ],
)
def test_what_comes_next_fits_why_it_failed(
    mlengine: Mlengine, script: Script, lines: Lines, error: str, last: str
) -> None:
    script.answers("POST /admin/train", answer("run_queued"), status=202)
    script.answers(STATUS, {**answer("run_failed"), "error": error})
    assert lines(mlengine("train").stdout)[-1] == last


def test_a_model_that_may_go_live_is_not_activated_unasked(
    mlengine: Mlengine, training: Callable[[str], None], script: Script
) -> None:
    training("succeeded")
    done = answer("run_succeeded")
    done["result"]["activated"] = False
    script.answers(STATUS, done)
    assert "Next: mlengine activate market-signal-v2" in mlengine("train").stdout
    done["result"]["suspected_leak"] = True
    script.answers(STATUS, done)
    assert "Next: mlengine models report market-signal-v2" in mlengine("train").stdout


class Restarting(BaseHTTPRequestHandler):
    """An engine that is away at first: it hangs up, then it is busy, then it tells that the run has ended."""

    calls = 0

    def do_GET(self) -> None:
        type(self).calls += 1
        if self.calls == 1:
            return
        document = answer("run_succeeded") if self.calls > 2 else {"title": "Busy", "retryable": True}
        self.send_response(200 if self.calls > 2 else 503)
        self.end_headers()
        self.wfile.write(json.dumps(document).encode())

    def log_message(self, format: str, *args: Any) -> None:
        """Nobody reads it."""


def test_a_follower_is_patient_with_an_engine_that_starts_again(mlengine: Mlengine) -> None:
    with HTTPServer(("127.0.0.1", 0), Restarting) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        result = mlengine("runs", "show", RUN, "--follow", url=f"http://127.0.0.1:{server.server_port}")
        server.shutdown()
    assert result.exit_code == 0
    assert "● market-signal-v2 is live." in result.stdout


def test_a_run_that_is_not_there_is_not_waited_for(mlengine: Mlengine, script: Script) -> None:
    result = mlengine("runs", "show", RUN, "--follow")
    assert result.exit_code == 1
    assert len(script.seen) == 1


def test_a_failed_run_says_why(mlengine: Mlengine, training: Callable[[str], None]) -> None:
    training("failed")
    result = mlengine("train")
    assert "The run failed: Too few sessions for 6 folds" in result.stdout


def test_in_json_the_end_of_the_run_is_the_document(
    mlengine_json: Json, training: Callable[[str], None]
) -> None:
    training("rejected")
    assert mlengine_json("train") == (1, answer("run_rejected"))


def test_runs_are_listed(mlengine: Mlengine, script: Script, lines: Lines) -> None:
    states = ("queued", "running", "rejected", "failed")
    script.answers("GET /admin/train/status", {"runs": [answer(f"run_{s}") for s in states], "cursor": None})
    result = mlengine("runs", "--limit", "4")
    assert script.seen[0].query == {"limit": "4"}
    shown = lines(result.stdout)
    assert f"{RUN} queued 2024-05-02 09:10 - -" in shown
    assert any(line.startswith(f"{RUN} running 2024-05-02 09:10 1 min 0 s walk") for line in shown)
    assert f"{RUN} rejected 2024-05-02 09:10 2 min 42 s market-signal-v2" in shown


def test_no_runs_is_said(mlengine: Mlengine, script: Script) -> None:
    script.answers("GET /admin/train/status", {"runs": [], "cursor": None})
    assert mlengine("runs").stdout == "No training runs yet.\n"


def test_a_run_is_shown_as_it_stands(mlengine: Mlengine, script: Script, lines: Lines) -> None:
    script.answers(STATUS, answer("run_running"))
    result = mlengine("runs", "show", RUN)
    assert result.exit_code == 0
    assert "progress walk forward 12/30 hist_gradient_boosting, fold 1 of 6" in lines(result.stdout)
    assert "asked for problem=market_signal, activate=True, symbols=AAPL,FB,... (5)" in lines(result.stdout)


def test_a_run_can_be_followed_later(mlengine: Mlengine, training: Callable[[str], None]) -> None:
    training("succeeded")
    result = mlengine("runs", "show", RUN, "--follow")
    assert result.exit_code == 0
    assert "● market-signal-v2 is live." in result.stdout


@pytest.mark.parametrize(
    ("state", "told"), [("running", "will stop soon"), ("succeeded", "has ended: succeeded")]
)
def test_cancelling_tells_what_became_of_it(
    mlengine: Mlengine, script: Script, state: str, told: str
) -> None:
    script.answers(f"POST /admin/train/{RUN}/cancel", answer(f"run_{state}"))
    assert mlengine("runs", "cancel", RUN).stdout == f"Run {RUN} {told}.\n"


def test_a_search_is_asked_for_with_its_bounds(mlengine: Mlengine, script: Script) -> None:
    script.answers("POST /admin/train", answer("run_queued"))
    words = ("--search", "30", "--search-seconds", "90", "--search-tasks", "4")
    mlengine("train", "--problem", "churn", "--no-follow", *words)
    (asked,) = script.requests("POST /admin/train")
    assert asked.body["search"] == {"trials": 30, "seconds": 90, "tasks": 4}


def test_a_tabular_run_is_shown_by_its_cross_validation(
    mlengine: Mlengine, script: Script, lines: Lines
) -> None:
    def told(value: float) -> dict[str, float]:
        return {"value": value, "low": value - 0.05, "high": value + 0.05}

    run = answer("run_succeeded")
    model = {"auc": told(0.91), "f1": told(0.81), "log_loss": told(0.38)}
    run["result"]["metrics"] = {
        "primary": "f1",
        "selected": "logistic_regression",
        "cross_validation": {
            "rows": 303,
            "folds": 5,
            "repeats": 10,
            "model": model,
            "gains": {"accuracy": told(0.3)},
            "candidates": {"logistic_regression": model, "lightgbm": {**model, "auc": told(0.9)}},
            "baselines": {"majority": {"f1": told(0.0)}, "prior": {"log_loss": told(0.69)}},
        },
    }
    script.answers(STATUS, run)
    result = mlengine("runs", "show", RUN)
    shown = lines(result.stdout)
    assert "303 rows, 10 times 5-fold cross-validation" in shown
    assert "F1 0.810 [0.760, 0.860] 0.000 -" in shown
    assert "Accuracy gain 0.300 [0.250, 0.350]" in shown
    assert [line.split()[1] for line in shown if line.startswith("→ ")] == ["logistic_regression"]


def test_the_repeats_of_a_cross_validation_can_be_given(mlengine: Mlengine, script: Script) -> None:
    script.answers("POST /admin/train", answer("run_queued"), status=202)
    mlengine("train", "--problem", "heart_disease", "--cv-repeats", "2", "--no-follow")
    assert script.seen[0].body == {"problem": "heart_disease", "activate": False, "cv_repeats": 2}
