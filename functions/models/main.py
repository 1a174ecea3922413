"""/models: lists, describes, activates and rolls back models, and tells what was done with each."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

from pydantic import Field
from starlette.responses import HTMLResponse, JSONResponse, Response

from shared.monitoring.latency.latencies import Window
from shared.monitoring.usage import Usage
from shared.registry import Manifest, Promotion, Version, is_visible, require_own, require_visible
from shared.registry.answers import (
    ClassShare,
    HistoryAnswer,
    HistoryEntryAnswer,
    ModelDetails,
    ModelList,
    ModelSummary,
    PromotionEntry,
    PromotionList,
    Reloaded,
    StatsAnswer,
)
from shared.registry.described import openapi_document
from shared.registry.versions import is_version_id, unknown
from shared.schema import Body, Query
from shared.uploads.request import Description, Tags
from shared.web import Call, Function
from shared.web.moments import Time

function = Function("models", needs=["documents"])

REPORT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


class PageQuery(Query):
    limit: Annotated[int, Field(ge=1, le=500)] = 50
    cursor: Annotated[str | None, Field(max_length=1000)] = None


class ModelsQuery(PageQuery):
    name: Annotated[str | None, Field(max_length=80)] = None
    deleted: Annotated[bool, Field(description="List the deleted ones, too.")] = False


class PromotionsQuery(PageQuery):
    at: Annotated[Time | None, Field(description="Answer only what was live at this time.")] = None


class StatsQuery(Query):
    window: Annotated[Window, Field(description="How far back to look.")] = Window.DAY


class Reason(Body):
    reason: Annotated[str, Field(max_length=500)] = ""


class EditBody(Body):
    """What is left out, stays as it is."""

    description: Description | None = None
    tags: Tags | None = None


def summary(version: Version, active_ids: frozenset[str]) -> dict[str, Any]:
    facts = {name: getattr(version, name) for name in ModelSummary.model_fields if name != "active"}
    return {**facts, "active": version.id in active_ids}


def promotion_entry(promotion: Promotion) -> PromotionEntry:
    return PromotionEntry(**{name: getattr(promotion, name) for name in PromotionEntry.model_fields})


async def described(call: Call, id: str) -> tuple[Version, Manifest]:
    """The version of that id, or the live one of that name, if the caller may see it."""
    call.identity.require_model(id)
    version, manifest = await asyncio.to_thread(call.instance.registry.describe, id)
    require_visible(call.identity, version, id)
    return version, manifest


async def is_told_of(call: Call, name: str) -> bool:
    """Whether there is a model of that name which the caller may see."""
    call.identity.require_model(name)
    page = await asyncio.to_thread(call.instance.registry.list, name, limit=1)
    return any(is_visible(call.identity, version) for version in page.versions)


async def own(call: Call, id: str) -> Version:
    """A version that the caller may change: their own one, or any for operators.

    Raises:
        NotFound: there is none of that id, or the caller mayn't see it.
        Forbidden: it is everybody's.
    """
    call.identity.require_model(id)
    version = await asyncio.to_thread(call.instance.registry.get, id)
    require_visible(call.identity, version, id)
    require_own(call.identity, version)
    return version


@function.get("/models")
async def models(call: Call, query: ModelsQuery) -> ModelList:
    """All versions, newest first. Who isn't an operator sees their own ones and everybody's."""
    registry = call.instance.registry
    page = await asyncio.to_thread(registry.list, query.name, limit=query.limit, cursor=query.cursor)
    versions = [version for version in page.versions if is_visible(call.identity, version)]
    shown = [version for version in versions if query.deleted or not version.is_deleted]
    active_ids = await asyncio.to_thread(registry.active_ids, [version.name for version in shown])
    return ModelList(
        models=[ModelSummary(**summary(version, active_ids)) for version in shown], cursor=page.cursor
    )


@function.get("/models/{id}")
async def model(call: Call, id: str) -> ModelDetails:
    """One version, by id or, for the active one, by name."""
    version, manifest = await described(call, id)
    active_ids = await asyncio.to_thread(call.instance.registry.active_ids, [version.name])
    return ModelDetails(**summary(version, active_ids), manifest=manifest.model_dump(mode="json"))


@function.get("/model/{id}")
async def model_by_old_path(call: Call, id: str) -> ModelDetails:
    """The same as GET /models/{id}."""
    return await model(call, id)


@function.put("/models/{id}")
async def edit(call: Call, id: str, body: EditBody) -> ModelSummary:
    """Change the description and the tags of one's own version. Nothing else of a version ever changes."""
    before = await own(call, id)
    registry = call.instance.registry
    version = await asyncio.to_thread(
        registry.edit, before.id, description=body.description, tags=body.tags, by=call.identity.name
    )
    call.change.before, call.change.after = said_of(before), said_of(version)
    return ModelSummary(**summary(version, await asyncio.to_thread(registry.active_ids, [version.name])))


@function.delete("/models/{id}")
async def delete(call: Call, id: str) -> ModelSummary:
    """Delete one's own version, unless it is live.

    It is archived, and lists leave it out. Its bytes stay, since audited predictions refer to them; an
    operator who activates it has it back.
    """
    before = await own(call, id)
    version = await asyncio.to_thread(call.instance.registry.delete, before.id, by=call.identity.name)
    call.change.before, call.change.after = {"status": before.status}, {"status": version.status}
    return ModelSummary(**summary(version, frozenset()))


@function.get("/models/{id}/report")
async def report(call: Call, id: str) -> Response:
    """The training report of one version, by id or, for the active one, by name."""
    version, _ = await described(call, id)
    page = await asyncio.to_thread(call.instance.registry.file, version.id, "report.html")
    return HTMLResponse(page, headers={"content-security-policy": REPORT_POLICY})


@function.get("/models/{id}/stats")
async def stats(call: Call, id: str, query: StatsQuery) -> StatsAnswer:
    """How one version was used: requests, how long they took, and what was answered."""
    version, _ = await described(call, id)
    usage = await asyncio.to_thread(call.instance.usages.of, version.id, query.window)
    return stats_answer(version.id, usage)


@function.get("/models/{id}/history")
async def history(call: Call, id: str, query: PageQuery) -> HistoryAnswer:
    """What was done to one version or, by a model's name, to all of its versions, newest first."""
    if is_version_id(id):
        call.identity.require_model(id)
        version = await asyncio.to_thread(call.instance.registry.get, id)
        require_visible(call.identity, version, id)
    elif not await is_told_of(call, id):
        raise unknown(id)
    page = await asyncio.to_thread(call.instance.registry.history, id, limit=query.limit, cursor=query.cursor)
    names = HistoryEntryAnswer.model_fields
    entries = [HistoryEntryAnswer(**{name: getattr(entry, name) for name in names}) for entry in page.entries]
    return HistoryAnswer(history=entries, cursor=page.cursor)


@function.get("/models/{id}/openapi.json")
async def openapi(call: Call, id: str) -> Response:
    """The OpenAPI document of one version's predictions: the schema of its rows, and a call that works."""
    version, manifest = await described(call, id)
    examples = await asyncio.to_thread(call.instance.registry.file, version.id, "examples.json")
    return JSONResponse(openapi_document(version, manifest, examples))


@function.get("/models/{name}/promotions")
async def promotions(call: Call, name: str, query: PromotionsQuery) -> PromotionList:
    """What was live when: every activation and rollback, newest first."""
    registry = call.instance.registry
    if not await is_told_of(call, name):
        return PromotionList(promotions=[], cursor=None)
    if query.at is not None:
        found = await asyncio.to_thread(registry.live_at, name, query.at)
        return PromotionList(promotions=[promotion_entry(found)] if found else [], cursor=None)
    page = await asyncio.to_thread(registry.promotions, name, limit=query.limit, cursor=query.cursor)
    return PromotionList(promotions=[promotion_entry(entry) for entry in page.promotions], cursor=page.cursor)


@function.post("/models/activate/{id}")
async def activate(call: Call, id: str, body: Reason) -> PromotionEntry:
    """Make a version the live one.

    Refused unless its gates passed and its package verifies. An uploaded one has met no gates: it needs a
    reason.
    """
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


def said_of(version: Version) -> dict[str, Any]:
    return {"description": version.description, "tags": list(version.tags)}


def stats_answer(version_id: str, usage: Usage) -> StatsAnswer:
    total = sum(usage.labels.values())
    most_first = sorted(usage.labels.items(), key=lambda item: (-item[1], item[0]))
    return StatsAnswer(
        model_id=version_id,
        window=usage.window,
        since=usage.since,
        until=usage.until,
        calls=usage.requests.count,
        errors=usage.requests.errors,
        p50_ms=usage.requests.p50_ms,
        p95_ms=usage.requests.p95_ms,
        p99_ms=usage.requests.p99_ms,
        predictions=total,
        is_sample=usage.is_sample,
        classes=[ClassShare(label=label, count=count, share=count / total) for label, count in most_first],
    )


main = function.entry_point()
