"""A real twin's starts and ends, and what it does where models pass their gates."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import psutil
import pytest

from shared.access.identity import ADMIN_KEY_SECRET
from tests.e2e.conftest import PASSING, SYMBOLS, Prepared
from tests.e2e.twin import ADMIN_KEY, MODEL, STOP_SECONDS, Twin, running_twin, wait_until
from tests.emulators import need_sdk


def test_interrupt_during_the_first_training_stops_cleanly_and_the_next_start_begins_again(
    tmp_path: Path,
) -> None:
    with running_twin(tmp_path / "home") as twin:
        twin.wait_until_said("is queued")
        children = twin.children()
        began = time.monotonic()
        code = twin.interrupt()
        seconds = time.monotonic() - began
        _, alive = psutil.wait_procs(children, timeout=STOP_SECONDS)
        assert (code, alive) == (0, [])
        assert seconds < STOP_SECONDS
        assert "Traceback" not in twin.output
        assert "predict" not in twin.output
        twin.start()
        twin.wait_until_said("is queued")
        second, first = twin.get("/admin/train/status")["runs"]
        assert (first["result"], second["finished_at"]) == (None, None)
        assert first["status"] in ("cancelled", "failed")  # asked to stop at work, or before it could listen


def _is_importing(twin: Twin) -> bool:
    return any("pydantic_core" in mapped.path for mapped in psutil.Process(twin.process_id).memory_maps())


def _holds_its_folder(twin: Twin) -> bool:
    return (twin.home / "twin.lock").exists()


def _has_children(twin: Twin) -> bool:
    return bool(twin.children())


@pytest.mark.parametrize("moment", [_is_importing, _holds_its_folder, _has_children])
def test_interrupt_while_it_starts_is_as_quiet(tmp_path: Path, moment: Callable[[Twin], bool]) -> None:
    with running_twin(tmp_path / "home") as twin:
        wait_until(lambda: moment(twin), "the moment has come", poll_seconds=0.001)
        # Interrupted while it runs a text as code (dataclasses are made so), CPython ends by the signal
        # itself, although that was caught: a shell shows 130 then, too.
        assert twin.interrupt() in (0, 130, -signal.SIGINT)
        assert "Traceback" not in twin.output


def test_killed_twin_leaves_no_process_behind(start_prepared: Callable[..., Twin]) -> None:
    twin = start_prepared()
    twin.wait_for("/health")
    run_id = twin.train(**PASSING, random_state=9)
    job = wait_until(lambda: twin.children(run_id), "the training process has started")
    children = twin.children()
    twin.kill()
    _, alive = psutil.wait_procs(children, timeout=STOP_SECONDS)
    assert job
    assert alive == []
    twin.start()
    twin.wait_for("/health")
    run = twin.wait_for_run(run_id)
    assert (run["status"], "ended with the process that started it" in run["error"]) == ("failed", True)


def test_termination_stops_the_twin_as_an_interrupt_does(start_prepared: Callable[..., Twin]) -> None:
    twin = start_prepared()
    twin.wait_for("/health")
    psutil.Process(twin.process_id).send_signal(signal.SIGTERM)
    assert twin.wait_until_ended() == 0
    assert twin.output.rstrip().endswith("its state is kept.")


def test_first_model_is_trained_on_the_candles_of_the_upstream_that_was_set(
    prepared: Prepared, start_prepared: Callable[..., Twin]
) -> None:
    twin = start_prepared()
    twin.wait_for("/health")
    assert f"symbol={SYMBOLS[0]}" in prepared.first_start_output
    assert twin.get(f"/models/{MODEL}-v1")["manifest"]["symbols"] == SYMBOLS[:10]
    assert twin.get("/symbols")["symbols"] == SYMBOLS
    assert twin.get("/predict", symbol=SYMBOLS[-1])["stale"] is False
    assert twin.get("/predict", status=404, symbol="AAPL")["title"] == "Unknown symbol"
    assert twin.children("infra.local.upstream") == []


def test_run_whose_model_passes_its_gates_goes_live_where_asked(
    prepared: Prepared, start_prepared: Callable[..., Twin]
) -> None:
    twin = start_prepared()
    prediction = twin.wait_for(f"/predict?symbol={SYMBOLS[0]}")
    runs = twin.get("/admin/train/status")["runs"]
    promotions = twin.get(f"/models/{MODEL}/promotions")["promotions"]
    assert (prediction["model_id"], prediction["gates_passed"]) == (prepared.passed[-1], True)
    assert [run["result"]["activated"] for run in runs] == [True, True, False]
    assert [(entry["version_id"], entry["by"]) for entry in promotions] == [
        *((version, "training") for version in reversed(prepared.passed)),
        (f"{MODEL}-v1", "bootstrap"),
    ]


def test_activation_and_rollback_change_what_is_served(
    prepared: Prepared, start_prepared: Callable[..., Twin]
) -> None:
    first, second = prepared.passed
    twin = start_prepared(MODEL_CACHE_SECONDS="0")
    twin.wait_for("/health")
    back = twin.post(f"/models/{MODEL}/rollback", {"reason": "trying"})
    assert (back["version_id"], back["previous"], back["reason"]) == (first, second, "trying")
    assert twin.get("/predict", symbol=SYMBOLS[0])["model_id"] == first
    forth = twin.post(f"/models/activate/{second}", {})
    assert (forth["version_id"], forth["previous"], forth["by"]) == (second, first, "admin")
    assert twin.get("/predict", symbol=SYMBOLS[0])["model_id"] == second
    [live] = twin.get(f"/models/{MODEL}/promotions", at=back["at"])["promotions"]
    assert live["version_id"] == first


def test_key_made_at_the_first_start_opens_the_admin_routes(prepared: Prepared, tmp_path: Path) -> None:
    home = prepared.copy(tmp_path / "home")
    with running_twin(home, ADMIN_API_KEY="", MARKET_DATA_URL=prepared.upstream_url) as twin:
        twin.wait_until_welcoming()
        shown = twin.output.partition("Admin key")[2].partition("\n")[0].rpartition(" ")[2]
        kept = home / "secrets" / ADMIN_KEY_SECRET
        assert kept.read_text().strip() == shown != ADMIN_KEY
        assert kept.stat().st_mode & 0o077 == 0
        answer = httpx.get(f"{twin.url}/admin/train/status", headers={"x-api-key": shown})
        assert answer.status_code == 200


def test_on_emulators_the_made_key_works_and_a_dead_emulator_is_told_of(
    prepared: Prepared, tmp_path: Path
) -> None:
    need_sdk()
    settings = {"ADMIN_API_KEY": "", "PLATFORM": "emulators", "MARKET_DATA_URL": prepared.upstream_url}
    with running_twin(tmp_path / "home", **settings) as twin:
        wait_until(lambda: _is_open(twin.url), "the twin answers")
        shown = twin.output.partition("Admin key")[2].partition("\n")[0].rpartition(" ")[2]
        answer = httpx.get(f"{twin.url}/admin/train/status", headers={"x-api-key": shown}, timeout=30)
        assert answer.status_code == 200
        [firestore] = [child for child in twin.children("start") if "java" in child.name()]
        firestore.kill()
        wait_until(lambda: "firestore emulator has ended" in twin.output, "the twin has told of it")


def _is_open(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health").status_code == 200
    except httpx.TransportError:
        return False
