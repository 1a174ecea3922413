"""Models of other owners can't be told from models that there aren't, whatever route names them."""

from __future__ import annotations

from typing import Any

import pytest

from shared.access.roles import Role
from tests.functions.engine import Engine, ok, problem
from tests.functions.users import key_of, user_id
from tests.tabular_packages import ROW, tabular_package

ROUTES: list[tuple[str, str, str, Any]] = [
    ("predict", "POST", "/predict", {"model": "mine", "inputs": [ROW]}),
    ("predict", "POST", "/models/mine/predict", {"inputs": [ROW]}),
    ("predict", "POST", "/models/mine-v1/predict", {"inputs": [ROW]}),
    ("predict", "GET", "/predict?symbol=ABC&model=mine", None),
    ("batch_predict", "POST", "/predict/batch", {"model": "mine", "inputs": [ROW]}),
    ("batch_predict", "POST", "/predict/batch", {"model": "mine", "symbols": ["ABC"]}),
    ("inference", "GET", "/v2/models/mine", None),
    ("inference", "GET", "/v2/models/mine/versions/1/ready", None),
    ("inference", "POST", "/v1/models/mine:predict", {"instances": [ROW]}),
    ("inference", "POST", "/invocations?model=mine", {"dataframe_records": [ROW]}),
    ("monitoring", "GET", "/monitoring/drift?model=mine", None),
    ("monitoring", "GET", "/monitoring/performance?model=mine-v1", None),
]


@pytest.fixture
def engine(engine: Engine) -> Engine:
    """Ann's model is live."""
    key_of(engine, "ann")
    package = tabular_package(
        name="mine", origin="uploaded", gates=(), gates_passed=False, problem="uploaded"
    )
    registry = engine.instance.registry
    version = registry.register(package, created_by="ann", owner=user_id(engine, "ann"))
    registry.activate(version.id, by="test", reason="tried by hand", allow_failed_gates=True)
    return engine


@pytest.mark.parametrize(("function", "method", "path", "body"), ROUTES)
def test_somebody_elses_model_is_as_unknown_as_none(
    engine: Engine, function: str, method: str, path: str, body: Any
) -> None:
    bob = key_of(engine, "bob")
    heard = problem(engine[function].request(method, path, json=body, headers=bob), 404, "not-found")
    other = None if body is None else {**body, **({"model": "none"} if "model" in body else {})}
    elsewhere = engine[function].request(method, path.replace("mine", "none"), json=other, headers=bob)
    assert heard["detail"].replace("mine", "none") == problem(elsewhere, 404, "not-found")["detail"]


def test_the_owner_and_operators_use_it(engine: Engine) -> None:
    for who in (key_of(engine, "ann"), key_of(engine, "otto", Role.OPERATOR)):
        said = ok(engine["predict"].post("/models/mine/predict", json={"inputs": [ROW]}, headers=who))
        assert said["model_id"] == "mine-v1"
        assert ok(engine["inference"].get("/v1/models", headers=who))["models"] == ["mine"]


def test_lists_leave_it_out(engine: Engine) -> None:
    ann, bob = key_of(engine, "ann"), key_of(engine, "bob")
    ok(engine["predict"].post("/models/mine/predict", json={"inputs": [ROW]}, headers=ann))
    engine.deliver("audit")
    for who, count in ((ann, 1), (bob, 0)):
        assert len(ok(engine["inference"].get("/v1/models", headers=who))["models"]) == count
        recent = ok(engine["monitoring"].get("/predictions/recent", headers=who))
        assert len(recent["predictions"]) == count
