"""The main job on a real twin: processes, HTTP, and the sample upstream, as a user meets them."""

from __future__ import annotations

import json
import shlex
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.e2e.twin import MODEL, STOP_SECONDS, Twin, running_twin, wait_until
from tests.emulators import need_sdk

SAMPLE_SYMBOLS = ["AAPL", "FB", "GOOG", "IBM", "MSFT"]
QUICK = {"TRAIN_CV_FOLDS": "2", "TRAIN_LOOKBACK": "1500", "TRAIN_SYMBOLS": "AAPL,GOOG,IBM,MSFT"}
"""As on all sample candles, no model passes its gates and none is suspected of a leak."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each test runs on the embedded parts and on the emulators, but for those about what is kept."""
    if "twin" in metafunc.fixturenames:
        is_about_keeping = metafunc.definition.get_closest_marker("embedded") is not None
        grounds = ["local"] if is_about_keeping else ["local", "emulators"]
        metafunc.parametrize("twin", grounds, scope="module", indirect=True)


@pytest.fixture(scope="module")
def twin(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Twin]:
    """A twin after its first start."""
    if request.param == "emulators":
        need_sdk()
    home = tmp_path_factory.mktemp(f"twin-{request.param}") / "home"
    with running_twin(home, PLATFORM=request.param, **QUICK) as twin:
        twin.wait_until_welcoming()
        yield twin


@dataclass(frozen=True)
class Training:
    """A run that was asked for by HTTP, and the models that answered predictions while it ran."""

    run: dict[str, Any]
    served_meanwhile: set[str]


@pytest.fixture(scope="module")
def training(twin: Twin) -> Training:
    run_id = twin.train(candidates=["logistic_regression"])
    served = set()
    while not (run := twin.get(f"/admin/train/status/{run_id}"))["finished_at"]:
        served.add(twin.get("/predict", symbol="IBM")["model_id"])
        time.sleep(0.05)
    return Training(run, served)


@dataclass(frozen=True)
class Restart:
    """How the twin stopped, and how long it took to stop and to answer again."""

    exit_code: int
    stop_seconds: float
    answer_seconds: float
    last_words: str
    before: dict[str, Any]


@pytest.fixture(scope="module")
def restart(twin: Twin) -> Restart:
    """Ctrl-C, and a second start."""
    before = _state(twin)
    began = time.monotonic()
    code = twin.interrupt()
    stopped, last_words = time.monotonic(), twin.output
    twin.start()
    twin.wait_for("/predict?symbol=AAPL")
    answered = time.monotonic()
    twin.wait_until_welcoming()
    return Restart(code, stopped - began, answered - stopped, last_words, before)


def _state(twin: Twin) -> dict[str, Any]:
    """All that a restart must keep."""
    paths = ("/models", f"/models/{MODEL}/promotions", "/admin/train/status", "/predictions/recent?limit=5")
    return {path: twin.get(path) for path in paths}


def _printed_prediction(output: str) -> tuple[str, dict[str, Any]]:
    """The URL of the ready-made curl, and the answer printed below it."""
    line, _, answer = output.partition("$ curl ")[2].partition("\n")
    printed: dict[str, Any] = json.loads(answer)
    return shlex.split(line)[0], printed


def test_first_start_ingests_trains_registers_and_activates(twin: Twin) -> None:
    models = twin.get("/models")["models"]
    [promotion] = twin.get(f"/models/{MODEL}/promotions")["promotions"]
    first_run = twin.get("/admin/train/status")["runs"][-1]
    assert [(model["id"], model["active"]) for model in models if model["active"]] == [(f"{MODEL}-v1", True)]
    assert (promotion["version_id"], promotion["by"]) == (f"{MODEL}-v1", "bootstrap")
    assert (first_run["status"], first_run["result"]["version_id"]) == ("rejected", f"{MODEL}-v1")
    assert all(symbol in twin.output for symbol in SAMPLE_SYMBOLS)


def test_first_start_says_that_its_model_failed_its_gates(twin: Twin) -> None:
    assert f"{MODEL}-v1 did not pass its gates" in twin.output
    assert twin.get(f"/models/{MODEL}")["gates_passed"] is False
    assert twin.get("/predict", symbol="IBM")["gates_passed"] is False


def test_first_start_prints_urls_that_answer(twin: Twin) -> None:
    for path in ("", "/docs", f"/models/{MODEL}/report"):
        assert twin.url + path in twin.output
        assert httpx.get(twin.url + path, follow_redirects=True).status_code == 200


def test_first_start_prints_a_curl_with_its_answer(twin: Twin) -> None:
    url, printed = _printed_prediction(twin.output)
    again = httpx.get(url).json()
    own = ("prediction_id", "request_id", "latency_ms")
    assert {k: v for k, v in printed.items() if k not in own} == {
        k: v for k, v in again.items() if k not in own
    }


def test_settings_reach_the_training_process(twin: Twin) -> None:
    manifest = twin.get(f"/models/{MODEL}-v1")["manifest"]
    assert ",".join(manifest["symbols"]) == QUICK["TRAIN_SYMBOLS"]
    assert manifest["rows"] < 4 * 1500


def test_prediction_is_in_the_audit_by_id_and_among_the_recent(twin: Twin) -> None:
    prediction = twin.get("/predict", symbol="GOOG")
    stored = twin.wait_for(f"/predictions/{prediction['prediction_id']}")["prediction"]
    [newest] = twin.get("/predictions/recent", symbol="GOOG", limit=1)["predictions"]
    assert {name: stored[name] for name in prediction} == prediction
    assert newest == stored
    assert stored["features"]


def test_prediction_is_a_row_that_sql_finds(twin: Twin) -> None:
    prediction_id = twin.get("/predict", symbol="IBM")["prediction_id"]

    def found() -> list[Any]:
        sql = "SELECT prediction_id, ARRAY_LENGTH(JSON_QUERY_ARRAY(features)) AS n FROM predictions"
        rows = twin.mlengine("audit", "query", sql, "--json", "--limit", "1000")["rows"]
        return [row for row in rows if row["prediction_id"] == prediction_id]

    [row] = wait_until(found, "the prediction is in the warehouse")
    assert row["n"] == 38


def test_schedules_are_set_up(twin: Twin) -> None:
    schedules = {one["name"]: one for one in twin.get("/admin/schedules")["schedules"]}
    assert {"retrain", "ingest"} <= set(schedules)
    assert not any(one["paused"] for one in schedules.values())


def test_schedule_fired_by_hand_is_handled_through_its_topic(twin: Twin) -> None:
    twin.post("/admin/schedules/ingest/pause", None)
    paused = [one["name"] for one in twin.get("/admin/schedules")["schedules"] if one["paused"]]
    assert paused == ["ingest"]
    before = len(_log(twin, "candles.requested"))
    twin.post("/admin/schedules/ingest/run", None)
    wait_until(lambda: len(_log(twin, "candles.requested")) > before, "the event is delivered")
    twin.post("/admin/schedules/ingest/resume", None)


def _log(twin: Twin, event_type: str) -> list[dict[str, Any]]:
    """The log lines of handled events of a type."""
    lines = (twin.home / "logs" / "twin.jsonl").read_text().splitlines()
    found = (json.loads(line) for line in lines if event_type in line)
    return [line for line in found if line.get("status") == 204 and event_type in line["event_types"]]


def test_backup_saves_what_the_twin_holds_wherever_it_rests(twin: Twin, tmp_path: Path) -> None:
    saved = twin.mlengine("backup", str(tmp_path / "backup"), "--json")
    assert saved["documents"]["active-models"] == 1
    assert saved["documents"]["predictions"] >= 1
    assert saved["blobs"] > 0


def test_batch_answers_each_symbol_alone(twin: Twin) -> None:
    batch = twin.post("/predict/batch", {"symbols": ["AAPL", "NOPE", "MSFT"]})
    good = [entry["prediction"] for entry in batch["results"] if entry["prediction"]]
    [bad] = [entry for entry in batch["results"] if entry["error"]]
    assert [entry["symbol"] for entry in batch["results"]] == ["AAPL", "NOPE", "MSFT"]
    assert (batch["succeeded"], batch["failed"]) == (2, 1)
    assert (bad["symbol"], bad["error"]["status"]) == ("NOPE", 404)
    for prediction in good:
        assert twin.wait_for(f"/predictions/{prediction['prediction_id']}")


def test_features_are_those_that_the_prediction_was_made_of(twin: Twin) -> None:
    prediction = twin.get("/predict", symbol="MSFT")
    stored = twin.wait_for(f"/predictions/{prediction['prediction_id']}")["prediction"]
    answer = twin.get("/features", symbol="MSFT", feature_set="technical", lookback=3)
    [*_, last] = answer["rows"]
    assert last["timestamp"] == prediction["as_of"]
    assert last["values"] == stored["features"]


def test_training_runs_beside_serving_and_changes_nothing_that_is_served(
    twin: Twin, training: Training
) -> None:
    result = training.run["result"]
    assert (training.run["status"], result["activated"], training.run["error"]) == ("rejected", False, None)
    assert training.served_meanwhile == {f"{MODEL}-v1"}
    assert twin.get(f"/models/{result['version_id']}")["active"] is False
    assert twin.get(f"/models/{MODEL}")["id"] == f"{MODEL}-v1"


def test_cancelled_run_ends_and_registers_nothing(twin: Twin) -> None:
    versions = len(twin.get("/models")["models"])
    run_id = twin.train()
    twin.wait_for(f"/admin/train/status/{run_id}")
    wait_until(
        lambda: twin.get(f"/admin/train/status/{run_id}")["status"] == "running", "the run has started"
    )
    twin.post(f"/admin/train/{run_id}/cancel", None)
    assert twin.wait_for_run(run_id)["status"] == "cancelled"
    assert len(twin.get("/models")["models"]) == versions


def test_version_that_failed_its_gates_can_not_be_activated(twin: Twin, training: Training) -> None:
    version_id = training.run["result"]["version_id"]
    refusal = twin.post(f"/models/activate/{version_id}", {}, status=409)
    assert refusal["type"].endswith(":gates-not-passed")
    assert version_id in refusal["detail"]
    assert twin.get(f"/models/{version_id}")["active"] is False


def test_reload_loads_the_live_model_anew(twin: Twin) -> None:
    live = twin.get(f"/models/{MODEL}")["id"]
    assert twin.post("/admin/reload", None)["reloaded"] == [live]
    assert twin.get("/predict", symbol="AAPL")["model_id"] == live


def test_rollback_from_the_first_live_version_is_refused_in_words(twin: Twin) -> None:
    refusal = twin.post(f"/models/{MODEL}/rollback", {}, status=409)
    assert "first live version" in refusal["detail"]


def test_admin_routes_need_the_key(twin: Twin) -> None:
    refusal = httpx.post(f"{twin.url}/admin/train", json={})
    assert refusal.status_code == 401
    assert "X-API-Key" in refusal.json()["detail"]


def test_documentation_describes_the_api_without_a_foreign_address(twin: Twin) -> None:
    page = twin.client.get("/docs").text
    paths = twin.get("/openapi.json")["paths"]
    assert {"/predict", "/predict/batch", "/features", "/admin/train"} <= set(paths)
    assert "http://" not in page.replace(twin.url, "")
    assert "https://" not in page


def test_second_twin_on_the_same_state_is_refused(twin: Twin) -> None:
    with running_twin(twin.home) as second:
        assert second.wait_until_ended() == 1
        assert "already runs" in second.output
        assert str(twin.home) in second.output
        assert "MLENGINE_HOME" in second.output
        assert "Traceback" not in second.output


def test_taken_port_is_refused_with_another_to_try(twin: Twin, tmp_path: Path) -> None:
    with running_twin(tmp_path / "home", PORT=str(twin.port)) as second:
        assert second.wait_until_ended() == 1
        assert f"Port {twin.port}" in second.output
        assert f"Set PORT to a free one, such as {twin.port + 10}." in second.output
        assert "Traceback" not in second.output


@pytest.mark.embedded
def test_interrupt_stops_the_twin_cleanly(restart: Restart) -> None:
    assert restart.exit_code == 0
    assert restart.stop_seconds < STOP_SECONDS
    assert restart.last_words.rstrip().endswith("its state is kept.")
    assert "Traceback" not in restart.last_words


@pytest.mark.embedded
def test_second_start_answers_without_training(restart: Restart, twin: Twin) -> None:
    assert restart.answer_seconds < STOP_SECONDS
    assert "Ingesting" not in twin.output
    assert "Training" not in twin.output
    assert _printed_prediction(twin.output)[1]["model_id"] == f"{MODEL}-v1"


@pytest.mark.embedded
def test_second_start_keeps_all_state(restart: Restart, twin: Twin) -> None:
    now = _state(twin)
    for path, before in restart.before.items():
        name = next(name for name in before if name != "cursor")
        kept = [entry for entry in now[path][name] if entry in before[name]]
        if path.startswith("/predictions"):  # the second start has made one more
            assert twin.get(f"/predictions/{before[name][-1]['prediction_id']}")
        else:
            assert kept == before[name]


def test_predictions_go_on_flagged_stale_while_the_upstream_is_down(twin: Twin, tmp_path: Path) -> None:
    shutil.copytree(twin.home, tmp_path / "home")
    with running_twin(tmp_path / "home", CANDLE_CACHE_SECONDS="0", UPSTREAM_ATTEMPTS="1") as other:
        fresh = other.wait_for("/predict?symbol=AAPL")
        [upstream] = other.children("infra.local.upstream")
        upstream.kill()
        wait_until(lambda: upstream.status() == psutil.STATUS_ZOMBIE, "the upstream has ended")
        stale = other.get("/predict", symbol="AAPL")
        batch = other.post("/predict/batch", {"symbols": SAMPLE_SYMBOLS})
        assert (fresh["stale"], stale["stale"]) == (False, True)
        assert (stale["probability"], stale["as_of"]) == (fresh["probability"], fresh["as_of"])
        assert [entry["prediction"]["stale"] for entry in batch["results"]] == [True] * len(SAMPLE_SYMBOLS)
        assert other.get("/symbols", status=503)["retryable"] is True
