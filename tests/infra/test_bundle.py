from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from infra.bundle import MANIFEST, build
from infra.bundle.__main__ import main
from infra.bundle.archive import content, pack
from infra.bundle.code import parts_of
from infra.bundle.reach import LEFT_OUT, reach
from infra.catalogue import ROOT, read_catalogue, source_of
from shared.errors import OwnError

FUNCTIONS = sorted(read_catalogue().functions)


def written(tmp_path: Path, text: str) -> Path:
    """A function's entry point."""
    file = tmp_path / "main.py"
    file.write_text(text)
    return file


def test_two_builds_are_the_same_to_the_byte_whatever_the_hashes_and_the_clock(tmp_path: Path) -> None:
    bundles = build(FUNCTIONS, tmp_path / "here")
    command = [sys.executable, "-m", "infra.bundle", "--out", str(tmp_path / "there")]
    elsewhere = {**os.environ, "PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo", "PYTHONPATH": str(ROOT)}
    subprocess.run(command, cwd=tmp_path, env=elsewhere, check=True, capture_output=True, umask=0o077)
    assert len(bundles) == len(FUNCTIONS)
    for name in [*(bundle.file for bundle in bundles), MANIFEST]:
        assert (tmp_path / "here" / name).read_bytes() == (tmp_path / "there" / name).read_bytes(), name


def test_the_manifest_says_what_was_written(tmp_path: Path) -> None:
    build(["docs", "predict"], tmp_path)
    manifest = json.loads((tmp_path / MANIFEST).read_text())
    assert sorted(manifest) == ["docs", "predict"]
    packed = (tmp_path / manifest["docs"]["file"]).read_bytes()
    assert manifest["docs"]["sha256"] == hashlib.sha256(packed).hexdigest()
    assert manifest["docs"]["size_bytes"] == len(packed)
    assert manifest["docs"]["files"] == len(content("docs"))


def test_entries_are_sorted_dated_alike_and_readable_by_all(tmp_path: Path) -> None:
    build(["predict"], tmp_path)
    with zipfile.ZipFile(tmp_path / "predict.zip") as archive:
        entries = archive.infolist()
    assert [entry.filename for entry in entries] == sorted(entry.filename for entry in entries)
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}
    assert {entry.external_attr >> 16 for entry in entries} == {0o100644}
    assert {entry.compress_type for entry in entries} == {zipfile.ZIP_STORED}


def test_a_changed_file_changes_the_zip() -> None:
    assert pack({"a": b"1", "b": b"2"}) == pack({"b": b"2", "a": b"1"})
    assert pack({"a": b"1"}) != pack({"a": b"2"}) != pack({"b": b"2"})


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_bundle_has_the_function_its_lock_and_nothing_of_other_places(name: str) -> None:
    files = content(name)
    assert files["main.py"] == source_of(name).read_bytes()
    assert files["requirements.txt"] == source_of(name).with_name("requirements.txt").read_bytes()
    folders = tuple(f"{package.replace('.', '/')}/" for package in LEFT_OUT)
    assert [file for file in files if file.startswith((*folders, "shared/cli/", "shared/jobs/"))] == []
    assert [file for file in files if not file.startswith("shared/")] == ["main.py", "requirements.txt"]
    assert [file for file in files if "__pycache__" in file or file.endswith(".pyc")] == []


def test_each_function_has_only_its_own_parts() -> None:
    assert "shared/training/desk.py" in content("training")
    assert "shared/training/desk.py" not in content("predict")
    assert "shared/serving/market.py" in content("predict")
    assert "shared/registry/scorer.py" in content("models")


def test_what_is_read_at_run_time_travels_along() -> None:
    assert "shared/web/openapi.json" in content("docs")
    assert "shared/web/openapi.json" not in content("predict")
    assert "shared/problems/market_signal.py" in content("training"), "found by looking into its folder"


@pytest.mark.parametrize(
    "text",
    [
        "from shared.platform.local.blobs import FolderBlobs",
        "from shared.platform import s3",
        "def main():\n    import shared.platform.s3.blobs\nmain()",
    ],
    ids=["local", "s3", "s3, when it runs"],
)
def test_only_the_chooser_may_import_what_is_left_out(tmp_path: Path, text: str) -> None:
    with pytest.raises(OwnError, match=r"main imports shared\.platform[.\w]*, which isn't deployed"):
        reach(written(tmp_path, text))


def test_an_import_of_what_is_not_there_is_found_before_it_is_deployed(tmp_path: Path) -> None:
    with pytest.raises(OwnError, match=r"main imports shared\.markets, which isn't there"):
        reach(written(tmp_path, "def f():\n    from shared.markets import desk\nf"))


@pytest.mark.parametrize(
    ("text", "is_found"),
    [
        ("import shared.problems", True),
        ("from shared import problems", True),
        ("if True:\n    from shared.problems import problem", True),
        ("def asked():\n    import shared.problems\n", False),
        ("def asked():\n    import shared.problems\nasked()", True),
        ("def asked():\n    import shared.problems\nuse = [asked]", True),
        ("def asked():\n    import shared.problems\ngetattr(x, 'asked')", True),
        ("@register\ndef asked():\n    import shared.problems\n", True),
        ("class A:\n    def asked(self):\n        import shared.problems\n", False),
        ("class A:\n    def asked(self):\n        import shared.problems\nA().asked()", True),
        ("class A:\n    def __enter__(self):\n        import shared.problems\n", True),
        ("class A(B):\n    def overridden(self):\n        import shared.problems\n", True),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import shared.problems", False),
        ("if TYPE_CHECKING:\n    pass\nelse:\n    import shared.problems", True),
        ("def one():\n    import shared.problems\ndef two():\n    one()\n", False),
        ("def one():\n    import shared.problems\ndef two():\n    one()\ntwo()", True),
    ],
)
def test_imports_are_found_wherever_they_may_run(tmp_path: Path, text: str, is_found: bool) -> None:
    assert ("shared.problems" in reach(written(tmp_path, text)).modules) is is_found
    parts_of.cache_clear()


def test_the_command_prints_what_it_wrote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--out", str(tmp_path), "docs"]) == 0
    assert "docs" in capsys.readouterr().out
    assert sorted(file.name for file in tmp_path.iterdir()) == ["docs.zip", MANIFEST]


def test_the_command_knows_its_functions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--out", str(tmp_path), "predictions"])
    assert "no function is named predictions" in capsys.readouterr().err
