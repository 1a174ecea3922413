"""Files that must never be loaded: none is, none breaks anything, and each is told what to do."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from shared.errors import InvalidInput
from shared.jobs.conversion import limits
from shared.jobs.conversion.outcome import MODEL_FILE, OUTCOME_FILE, REQUEST_FILE, Outcome
from shared.uploads import Format
from shared.uploads.sniffing import check_file_name, refuse_unlike
from tests.uploads import forking
from tests.uploads.disguised import in_disguise
from tests.uploads.graphs import logistic_answers
from tests.uploads.hostile import Hostile, at_a_glance
from tests.uploads.hostile_models import in_the_conversion
from tests.uploads.made import lightgbm_model, request, skops_model, xgboost_model

ROOT = Path(__file__).resolve().parents[2]
TRAP = Path("/tmp/mlengine-was-unpickled")  # noqa: S108 - where the pickles of these tests leave their trace
GLANCED, CONVERTED = list(at_a_glance()), [*in_the_conversion(), *in_disguise()]
MOST_BYTES = 1_200_000_000
MOST_SECONDS = 30.0
GLANCE_BYTES = 50_000_000
GLANCE_SECONDS = 2.0


@dataclass(frozen=True)
class Ran:
    code: int
    outcome: Outcome | None
    cpu_seconds: float
    peak_bytes: int
    errors: str


@pytest.mark.parametrize("hostile", GLANCED, ids=lambda one: one.name)
def test_it_is_refused_at_a_glance_with_words_that_help(hostile: Hostile) -> None:
    content = hostile.make()
    with pytest.raises(InvalidInput) as refusal:
        refuse_unlike(content, hostile.format)
    assert hostile.words in str(refusal.value)
    assert [error.pointer for error in refusal.value.errors] == ["/file"]
    assert not TRAP.exists()


@pytest.mark.parametrize("hostile", GLANCED, ids=lambda one: one.name)
def test_a_glance_costs_little(hostile: Hostile) -> None:
    """It is taken while somebody waits, beside others, in a small function."""
    content = hostile.make()
    started = time.process_time()
    tracemalloc.start()
    try:
        with pytest.raises(InvalidInput):
            refuse_unlike(content, hostile.format)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert time.process_time() - started < GLANCE_SECONDS
    assert peak_bytes < GLANCE_BYTES


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "..", "a/b", "a\\b", "C:\\model", "model\0.onnx", "model\n.onnx", "/model"]
)
def test_a_name_that_leads_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match="named plainly"):
        check_file_name(name)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Ran]:
    """Every hostile model through the conversion's process, each in a child of its own."""
    home = tmp_path_factory.mktemp("hostile")
    answers = {
        Format.ONNX: logistic_answers(3),
        Format.LIGHTGBM: lightgbm_model()[1][:3],
        Format.XGBOOST_JSON: xgboost_model()[1][:3],
        Format.XGBOOST_UBJ: xgboost_model()[1][:3],
        Format.SKOPS: skops_model()[1][:3],
    }
    for hostile in CONVERTED:
        folder = home / hostile.name
        folder.mkdir()
        (folder / MODEL_FILE).write_bytes(hostile.make())
        expected = answers[hostile.format]
        (folder / REQUEST_FILE).write_bytes(request(hostile.format, expected).to_json())
    folders = [str(home / hostile.name) for hostile in CONVERTED]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-m", forking.__name__, *folders], cwd=ROOT, env=environment, check=True)
    return {folder.name: _read(folder) for folder in home.iterdir()}


def _read(folder: Path) -> Ran:
    used = json.loads((folder / "usage.json").read_text())
    outcome = None
    if used["code"] == 0:
        outcome = Outcome.model_validate_json((folder / OUTCOME_FILE).read_bytes())
    errors = (folder / "errors").read_text(errors="replace")
    return Ran(used["code"], outcome, used["cpu_seconds"], used["peak_bytes"], errors)


@pytest.mark.parametrize("hostile", CONVERTED, ids=lambda one: one.name)
def test_it_is_refused_by_the_conversion(hostile: Hostile, ran: Mapping[str, Ran]) -> None:
    refuse_unlike(hostile.make(), hostile.format)  # it looks like what it claims to be
    found = ran[hostile.name]
    assert found.code == 0, found.errors
    assert found.outcome is not None
    assert found.outcome.reasons, "it was let through"
    reason = " ".join(found.outcome.reasons)
    assert re.search("|".join(map(re.escape, hostile.words.split("|"))), reason), reason


def test_all_stay_within_the_bounds(ran: Mapping[str, Ran]) -> None:
    assert limits.memory_bytes(0) == 1_500_000_000
    peak, cpu = (
        max(getattr(found, name) for found in ran.values()) for name in ("peak_bytes", "cpu_seconds")
    )
    print(f"{len(ran)} conversions: at most {peak / 1e6:.0f} MB and {cpu:.1f} s of processor time")  # noqa: T201
    assert max(found.peak_bytes for found in ran.values()) < MOST_BYTES
    assert max(found.cpu_seconds for found in ran.values()) < MOST_SECONDS


def test_there_are_enough_of_them() -> None:
    names = [hostile.name for hostile in (*GLANCED, *CONVERTED)]
    assert len(names) == len(set(names)) >= 60
