"""Users with API keys of their own."""

from __future__ import annotations

from shared.access.roles import Role
from tests.functions.engine import Engine


def user_id(engine: Engine, name: str, role: Role = Role.PREDICTOR) -> str:
    """The id of the user of that name, made where there is none."""
    users, address = engine.instance.users, f"{name}@example.org"
    user = users.by_email(address) or users.create(address, "no hash", role, created_by="test")
    return user.id


def key_of(
    engine: Engine, name: str, role: Role = Role.PREDICTOR, models: tuple[str, ...] | None = None
) -> dict[str, str]:
    """The headers of an API key of a user's own."""
    owner = user_id(engine, name, role)
    _, credential = engine.instance.api_keys.create("test", role, owner, models=models)
    return {"x-api-key": credential.text}
