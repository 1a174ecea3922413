"""/models: lists, activates and rolls back models, and tells what was live when."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Annotated, Any

from pydantic import Field
from starlette.responses import HTMLResponse, Response

from shared.registry import Promotion, Version
from shared.schema import Answer, Body, Query
from shared.web import Call, Function
from shared.web.moments import Time

function = Function("models", needs=["documents"])

REPORT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


class PageQuery(Query):
    limit: Annotated[int, Field(ge=1, le=500)] = 50
    cursor: Annotated[str | None, Field(max_length=1000)] = None


class ModelsQuery(PageQuery):
    name: Annotated[str | None, Field(max_length=80)] = None


class PromotionsQuery(PageQuery):
    at: Annotated[Time | None, Field(description="Answer only what was live at this time.")] = None


class Reason(Body):
    reason: Annotated[str, Field(max_length=500)] = ""


class ModelSummary(Answer):
    id: str
    name: str
    version: int
    active: bool
    status: str
    gates_passed: bool
    suspected_leak: bool
    algorithm: str
    package_hash: str
    run_id: str | None
    created_at: datetime
    created_by: str


class ModelList(Answer):
    models: list[ModelSummary]
    cursor: str | None


class ModelDetails(ModelSummary):
    """A version with its manifest: metrics, gates, schema, lineage."""

    manifest: dict[str, Any]


class PromotionEntry(Answer):
    """One change of what is live. `version_id` is what went live, `previous` what it replaced."""

    name: str
    action: str
    version_id: str
    previous: str | None
    at: datetime
    by: str
    reason: str


class PromotionList(Answer):
    """Newest first. With `at`, the one change that made live what was live then."""

    promotions: list[PromotionEntry]
    cursor: str | None


class Reloaded(Answer):
    """Which versions every instance verifies and loads anew, and within which time."""

    reloaded: list[str]
    effective_within_seconds: float


def summary(version: Version, active_ids: frozenset[str]) -> dict[str, Any]:
    facts = {name: getattr(version, name) for name in ModelSummary.model_fields if name != "active"}
    return {**facts, "active": version.id in active_ids}


def promotion_entry(promotion: Promotion) -> PromotionEntry:
    return PromotionEntry(**{name: getattr(promotion, name) for name in PromotionEntry.model_fields})


@function.get("/models")
async def models(call: Call, query: ModelsQuery) -> ModelList:
    """All versions, newest first. A key that is for some models sees these alone."""
    registry = call.instance.registry
    page = await asyncio.to_thread(registry.list, query.name, limit=query.limit, cursor=query.cursor)
    versions = [version for version in page.versions if call.identity.may_use(version.name)]
    active_ids = await asyncio.to_thread(registry.active_ids, [version.name for version in versions])
    return ModelList(
        models=[ModelSummary(**summary(version, active_ids)) for version in versions], cursor=page.cursor
    )


@function.get("/models/{id}")
async def model(call: Call, id: str) -> ModelDetails:
    """One version, by id or, for the active one, by name."""
    call.identity.require_model(id)
    version, manifest = await asyncio.to_thread(call.instance.registry.describe, id)
    active_ids = await asyncio.to_thread(call.instance.registry.active_ids, [version.name])
    return ModelDetails(**summary(version, active_ids), manifest=manifest.model_dump(mode="json"))


@function.get("/model/{id}")
async def model_by_old_path(call: Call, id: str) -> ModelDetails:
    """The same as GET /models/{id}."""
    return await model(call, id)


@function.get("/models/{id}/report")
async def report(call: Call, id: str) -> Response:
    """The training report of one version, by id or, for the active one, by name."""
    call.identity.require_model(id)
    version, _ = await asyncio.to_thread(call.instance.registry.describe, id)
    page = await asyncio.to_thread(call.instance.registry.file, version.id, "report.html")
    return HTMLResponse(page, headers={"content-security-policy": REPORT_POLICY})


@function.get("/models/{name}/promotions")
async def promotions(call: Call, name: str, query: PromotionsQuery) -> PromotionList:
    """What was live when: every activation and rollback, newest first."""
    call.identity.require_model(name)
    registry = call.instance.registry
    if query.at is not None:
        found = await asyncio.to_thread(registry.live_at, name, query.at)
        return PromotionList(promotions=[promotion_entry(found)] if found else [], cursor=None)
    page = await asyncio.to_thread(registry.promotions, name, limit=query.limit, cursor=query.cursor)
    return PromotionList(promotions=[promotion_entry(entry) for entry in page.promotions], cursor=page.cursor)


@function.post("/models/activate/{id}")
async def activate(call: Call, id: str, body: Reason) -> PromotionEntry:
    """Make a version the live one. Refused unless its gates passed and its package verifies."""
    call.identity.require_model(id)
    change = partial(call.instance.registry.activate, id, by=call.identity.name, reason=body.reason)
    return await promoted(call, change, body.reason)


@function.post("/admin/activate/{id}")
async def admin_activate(call: Call, id: str, body: Reason) -> PromotionEntry:
    """The same as POST /models/activate/{id}."""
    return await activate(call, id, body)


@function.post("/models/{name}/rollback")
async def rollback(call: Call, name: str, body: Reason) -> PromotionEntry:
    """Make the version live that was live before."""
    call.identity.require_model(name)
    change = partial(call.instance.registry.rollback, name, by=call.identity.name, reason=body.reason)
    return await promoted(call, change, body.reason)


async def promoted(call: Call, change: Callable[[], Promotion], reason: str) -> PromotionEntry:
    """Make the change; the audit tells what was live before and after."""
    promotion = await asyncio.to_thread(change)
    call.change.before, call.change.after = {"live": promotion.previous}, {"live": promotion.version_id}
    call.change.reason = reason
    return promotion_entry(promotion)


@function.post("/admin/reload")
async def reload(call: Call) -> Reloaded:
    """Let every instance read, verify and load its live models anew."""
    reloaded = await asyncio.to_thread(call.instance.registry.touch_all, by=call.identity.name)
    return Reloaded(
        reloaded=list(reloaded), effective_within_seconds=call.instance.settings.model_cache_seconds
    )


main = function.entry_point()
