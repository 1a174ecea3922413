"""The functions on the hot path load what they need and nothing else: every package more delays a start."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest

from infra.catalogue import ROOT, source_of
from shared.config import load_settings
from shared.instance import Instance
from shared.platform.connect import connect
from tests.emulators import Emulators
from tests.market.made import candles
from tests.market.markets import Market, serving
from tests.packages import active
from tests.tabular_packages import NAME, ROW, active_tabular

FRAMEWORK = {"functions_framework", "cloudevents", "deprecation", "packaging", "starlette", "anyio", "idna"}
FLASK = {"flask", "werkzeug", "jinja2", "markupsafe", "itsdangerous", "blinker", "click"}
"""functions-framework imports it, whatever its mode."""
CHECKS = {"pydantic", "pydantic_core", "pydantic_settings", "annotated_types", "dotenv"}
TYPING = {"typing_extensions", "typing_inspection"}
UPSTREAM = {"httpx", "httpcore", "h11", "certifi", "stamina", "tenacity"}
NUMBERS = {"numpy"}
SCORING = {"onnxruntime"}
OURS = {"main", "shared"}

FEATURES = FRAMEWORK | FLASK | CHECKS | TYPING | UPSTREAM | NUMBERS | OURS
PREDICTIONS = FEATURES | SCORING

Request = list[str]


@pytest.fixture(scope="module", params=["local", "emulators"])
def environment(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, emulators: Emulators
) -> Iterator[dict[str, str]]:
    """Of a process that finds a live model and an upstream, on either kind of platform."""
    home = tmp_path_factory.mktemp("imports") / "home"
    chosen = load_settings(mlengine_home=home)
    if request.param == "emulators":
        chosen = emulators.ready()
    registry = Instance(chosen, connect(chosen)).registry
    active(registry)
    active_tabular(registry)
    with serving(Market(candles(200))) as market:
        yield {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            **{name.upper(): str(getattr(chosen, name)) for name in chosen.model_fields_set},
            "MARKET_DATA_URL": market.url,
            "ADMIN_API_KEY": "a-key-for-the-imports",
            "ENV": "production",
        }


def absent(function: str) -> list[str]:
    """Packages that are installed here, but aren't in the function's locked requirements."""
    text = source_of(function).with_name("requirements.txt").read_text()
    locked = set(map(normal, re.findall(r"^([A-Za-z0-9._-]+)==", text, re.MULTILINE)))
    return [
        name for name, owners in packages_distributions().items() if not locked & set(map(normal, owners))
    ]


def normal(distribution: str) -> str:
    """The one spelling of a distribution's name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def first_request(environment: dict[str, str], function: str, request: Request) -> tuple[int, set[str]]:
    """The status of the answer, and the packages imported for it."""
    script = Path(__file__).with_name("one_request.py")
    done = subprocess.run(
        [sys.executable, script, source_of(function), *request],
        input=json.dumps(absent(function)),
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found["status"], set(found["packages"])


@pytest.mark.parametrize(
    ("function", "request_line", "allowed"),
    [
        ("predict", ["GET", "/predict?symbol=ABC"], PREDICTIONS),
        ("batch_predict", ["POST", "/predict/batch", '{"symbols": ["ABC"]}'], PREDICTIONS),
        ("features", ["GET", "/features?symbol=ABC"], FEATURES),
    ],
    ids=["predict", "batch_predict", "features"],
)
def test_a_first_request_imports_only_what_is_allowed(
    environment: dict[str, str], function: str, request_line: Request, allowed: set[str]
) -> None:
    status, imported = first_request(environment, function, request_line)
    assert status == 200
    assert sorted(imported - allowed) == []
    assert sorted(allowed - imported) == [], "these aren't imported any more: narrow the list"


ROWS = json.dumps({"model": NAME, "inputs": [ROW]})
INSTANCES = json.dumps({"instances": [ROW]})
TENSOR = {"name": "input", "shape": [1, 4], "datatype": "FP32", "data": [63, 145, 0, 0]}


@pytest.mark.parametrize(
    ("function", "path", "body"),
    [
        ("predict", "/predict", ROWS),
        ("batch_predict", "/predict/batch", ROWS),
        ("inference", f"/v2/models/{NAME}/infer", json.dumps({"inputs": [TENSOR]})),
        ("inference", f"/invocations?model={NAME}", INSTANCES),
    ],
    ids=["predict", "batch_predict", "open inference protocol", "mlflow"],
)
def test_a_first_request_about_a_row_imports_no_more(
    environment: dict[str, str], function: str, path: str, body: str
) -> None:
    status, imported = first_request(environment, function, ["POST", path, body])
    assert status == 200
    assert sorted(imported - PREDICTIONS) == []
    assert imported >= {"onnxruntime", "numpy"}
