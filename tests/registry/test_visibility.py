from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.access.identity import Identity
from shared.access.roles import Role
from shared.errors import Conflict, Forbidden, NotFound
from shared.registry import is_visible, require_own, require_visible
from shared.registry.visibility import OwnedName, Owners
from tests.functions.engine import Engine
from tests.tabular_packages import registered_tabular, tabular_package

ROLES = st.sampled_from([Role.VIEWER, Role.PREDICTOR, Role.OPERATOR, Role.ADMIN])
PEOPLE = st.sampled_from([None, "ann", "bob"])


@given(ROLES, PEOPLE, PEOPLE)
def test_one_sees_ones_own_and_everybodys_and_operators_see_all(
    role: Role, user_id: str | None, owner: str | None
) -> None:
    identity, model = Identity("x", role, user_id=user_id), OwnedName("m", owner)
    seen = owner is None or owner == user_id or role >= Role.OPERATOR
    assert is_visible(identity, model) is seen
    if not seen:
        with pytest.raises(NotFound):
            require_visible(identity, model, "m")
    own = role >= Role.OPERATOR or (owner is not None and owner == user_id)
    if seen and not own:
        with pytest.raises(Forbidden):
            require_own(identity, model)


@given(ROLES, PEOPLE)
def test_a_key_for_other_models_sees_it_in_no_case(role: Role, owner: str | None) -> None:
    identity = Identity("x", role, user_id="ann", models=frozenset({"other"}))
    assert not is_visible(identity, OwnedName("m", owner))


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return Engine(tmp_path / "home")


def test_a_names_owner_is_read_once(engine: Engine) -> None:
    registry, owners = engine.instance.registry, Owners(engine.instance.platform.documents)
    assert owners.read("mine") is None
    assert owners.known("mine") is None
    package = tabular_package(name="mine", origin="uploaded", gates=(), gates_passed=False)
    registry.register(package, created_by="ann", owner="u-ann")
    assert owners.read("mine-v1") == OwnedName("mine", "u-ann")
    assert owners.known("mine") == owners.known("mine-v7") == OwnedName("mine", "u-ann")


def test_nobody_adds_versions_to_somebody_elses_model(engine: Engine) -> None:
    registry = engine.instance.registry
    theirs = tabular_package(name="mine", origin="uploaded", gates=(), gates_passed=False)
    registry.register(theirs, created_by="ann", owner="u-ann")
    for owner in (None, "u-bob"):
        with pytest.raises(Conflict, match="another model"):
            registry.register(theirs, created_by="bob", owner=owner)
        with pytest.raises(Conflict, match="another model"):
            registry.require_free("mine", origin="uploaded", owner=owner)
    with pytest.raises(Conflict, match="another model"):  # training, for everybody
        registered_tabular(registry, name="mine")
    assert registry.register(theirs, created_by="ann", owner="u-ann").id == "mine-v2"
