"""The drift report: what it shows, and what it does when something of it can't be had."""

from __future__ import annotations

import json
import stat
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from shared.errors import OwnError, PlatformUnavailable
from shared.instance import Instance
from shared.jobs.report import ReportJob
from shared.jobs.reports import evidently
from shared.jobs.reports.drift_findings import gather
from shared.jobs.reports.drift_page import render
from shared.jobs.task import Exit, Stopped, Task
from shared.monitoring.reports import ReportStatus
from shared.platform.ports import Delete
from tests.jobs.conftest import store_candles
from tests.jobs.reported import CHECK, FEATURES, Seen, checked_home, instance_at, page, requested
from tests.jobs.scored import PassedOn

PLATFORM = Task(is_by_hand=False, retries=3)
FACTS: dict[str, Any] = {"notes": [], "evidently": False, "multivariate": None}
HOSTILE = "<script>alert('x')</script> $\\frac{\"&amp;"


@pytest.fixture
def instance(checked: Path) -> Instance:
    return instance_at(checked)


def work(instance: Instance, *, by: Task = PLATFORM) -> Exit:
    return ReportJob(instance, by).work_on("r1")


def script(folder: Path, body: str) -> Path:
    """What stands in for the Python of an environment with Evidently."""
    file = folder / "python"
    file.write_text(f"#!{sys.executable}\nimport os, sys\nfrom pathlib import Path\n{body}\n")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return file


def test_the_page_shows_the_check_and_needs_nothing_else(instance: Instance) -> None:
    requested(instance)
    assert work(instance) is Exit.DONE
    report = instance.reports.get("r1")
    assert (report.status, report.attempts) == (ReportStatus.SUCCEEDED, 1)
    assert report.summary.startswith("market-signal-v1 meets other data than it was trained on.")
    assert [file.name for file in report.files] == ["report.html"]
    assert "EVIDENTLY_PYTHON is empty" in report.notes[0]
    seen = Seen(page(instance))
    assert seen.wrong == []
    check = instance.drift_checks.get(CHECK)
    for feature in check.window()["features"]:
        assert feature["name"] in seen.text
    for words in (report.summary, "over 5 sessions", "Over 60 sessions", "EVIDENTLY_PYTHON", "4.50 3.00"):
        assert words in seen.text
    assert len(seen.titles) == len(set(seen.titles)) >= FEATURES + 3
    assert "Each statistic against its null, per length of window" in seen.titles
    assert (check.report_url, check.multivariate is None) == ("/reports/r1", False)


def test_soon_after_its_training_the_windows_that_are_full_are_shown(tmp_path: Path) -> None:
    checked_home(tmp_path, store_candles, unseen=30)
    instance = instance_at(tmp_path)
    requested(instance)
    assert work(instance) is Exit.DONE
    report = instance.reports.get("r1")
    assert (report.status, report.error) == (ReportStatus.SUCCEEDED, None)
    seen = Seen(page(instance))
    assert seen.wrong == []
    assert "Over 20 sessions" in seen.text
    assert "60 sessions since it was trained are needed" in seen.text


def test_a_model_that_was_only_just_trained_has_a_report_without_rows(tmp_path: Path) -> None:
    checked_home(tmp_path, store_candles, unseen=1)
    instance = instance_at(tmp_path)
    requested(instance)
    assert work(instance) is Exit.DONE
    assert instance.reports.get("r1").status is ReportStatus.SUCCEEDED


def test_names_are_text_wherever_they_come_from(instance: Instance) -> None:
    found = gather(instance, CHECK)
    profile = replace(found.profile, features=(replace(found.profile.features[0], name=HOSTILE),))
    window = dict(found.window)
    feature = window["features"][0]
    window["features"] = [{**feature, "name": HOSTILE, "drifted": True, "missing_share": 0.5}]
    window["predicted"] = {HOSTILE: {"reference": None, "current": 1.0}}
    problems = [{"source": HOSTILE, "detail": HOSTILE}]
    check = replace(
        found.check, windows=[window], why=HOSTILE, problems=problems, without_rows=1, model_id=HOSTILE
    )
    made = render(replace(found, check=check, profile=profile), {**FACTS, "notes": [HOSTILE]})
    seen = Seen(made)
    assert seen.wrong == []
    assert seen.text.count("".join(HOSTILE.split(" ")[0])) >= 8
    assert any(HOSTILE in title for title in seen.titles)


def test_rows_that_are_gone_leave_a_page_that_says_so(instance: Instance) -> None:
    documents = instance.platform.documents
    for collection in ("candles", "candle_tails"):
        for document in documents.query(collection, limit=100).documents:
            documents.commit([Delete(collection, document.id)])
    requested(instance)
    assert work(instance) is Exit.DONE
    seen = Seen(page(instance))
    assert seen.wrong == []
    assert (
        "The distributions aren't shown: None of the rows that were checked are there any more." in seen.text
    )
    assert "The residual family alarms." in seen.text


def test_a_check_that_isnt_there_fails_for_good(instance: Instance) -> None:
    requested(instance, check_id="nope")
    assert work(instance) is Exit.DONE
    ended = instance.reports.get("r1")
    assert (ended.status, "no drift check 'nope'" in (ended.error or "")) == (ReportStatus.FAILED, True)


def test_the_next_attempt_takes_up_what_the_last_one_wrote(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.jobs.task.PAUSES_SECONDS", (0.0,))

    class Away(PassedOn):
        def put(self, name: str, content: bytes) -> str:
            if name.endswith("report.html"):
                raise PlatformUnavailable("The store is away.")
            return super().put(name, content)

    away = replace(instance.platform, blobs=Away(instance.platform.blobs))
    requested(instance)
    assert work(Instance(instance.settings, away)) is Exit.TRY_AGAIN
    assert instance.reports.get("r1").status is ReportStatus.RUNNING
    facts = instance.platform.blobs.get("reports/r1/facts.json")
    assert work(instance, by=replace(PLATFORM, attempt=1)) is Exit.DONE
    ended = instance.reports.get("r1")
    assert (ended.status, ended.attempts) == (ReportStatus.SUCCEEDED, 2)
    assert ended.notes == tuple(json.loads(facts)["notes"])


def test_on_the_last_attempt_a_store_that_is_away_ends_the_report(instance: Instance) -> None:
    class Away(PassedOn):
        def list(self, prefix: str) -> Any:
            raise PlatformUnavailable("The store is away.")

    requested(instance)
    away = Instance(instance.settings, replace(instance.platform, blobs=Away(instance.platform.blobs)))
    assert work(away, by=replace(PLATFORM, attempt=3)) is Exit.DONE
    assert instance.reports.get("r1").error == "The store is away."


def test_evidently_gets_the_same_windows_and_no_secret(checked: Path, tmp_path: Path) -> None:
    body = """
import pyarrow.parquet as pq
known, now = (pq.read_table(name) for name in sys.argv[3:5])
words = [known.num_rows, now.num_rows, known.column_names == now.column_names, now.column_names[-1]]
words.append(sorted(set(os.environ) - {"LC_CTYPE"}))
Path(sys.argv[5]).write_text("|".join(map(str, words)))
"""
    instance = instance_at(checked, evidently_python=script(tmp_path, body))
    requested(instance)
    assert work(instance) is Exit.DONE
    report = instance.reports.get("r1")
    assert ([file.name for file in report.files], report.notes) == (["report.html", "evidently.html"], ())
    known, now, same, last, names = page(instance, name="evidently.html").split("|")
    window = instance.drift_checks.get(CHECK).window()
    assert (int(now), same, last, names) == (window["rows"], "True", "the model's score", "['HOME', 'PATH']")
    assert int(known) == 918
    assert "is a file of this report: evidently.html" in Seen(page(instance)).text


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("print('no\\nmodule named evidently'); sys.exit(3)", "exit code 3: module named evidently"),
        ("sys.exit(4)", "exit code 4: no word"),
        ("pass", "ended without a report"),
    ],
)
def test_evidently_failing_says_why(tmp_path: Path, body: str, why: str) -> None:
    rows = np.zeros((2, 1), np.float32)
    with pytest.raises(OwnError) as refused:
        evidently.report(script(tmp_path, body), ["a"], rows, rows, lambda: None)
    assert why in str(refused.value)


def test_an_evidently_that_isnt_there_never_fails_our_report(checked: Path, tmp_path: Path) -> None:
    instance = instance_at(checked, evidently_python=tmp_path / "nowhere")
    requested(instance)
    assert work(instance) is Exit.DONE
    report = instance.reports.get("r1")
    assert (report.status, [file.name for file in report.files]) == (ReportStatus.SUCCEEDED, ["report.html"])
    assert "EVIDENTLY_PYTHON can't be started" in report.notes[0]


def test_evidently_doesnt_outlive_a_report_that_is_stopped(tmp_path: Path) -> None:
    rows, pid = np.zeros((2, 1), np.float32), tmp_path / "pid"
    stand_in = script(
        tmp_path, f"import time; Path({str(pid)!r}).write_text(str(os.getpid())); time.sleep(60)"
    )

    def check() -> None:
        if pid.exists() and pid.read_text():
            raise Stopped

    with pytest.raises(Stopped):
        evidently.report(stand_in, ["a"], rows, rows, check)
    assert not psutil.pid_exists(int(pid.read_text()))
