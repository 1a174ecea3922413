"""The ecosystem's protocols over the tabular models: Open Inference Protocol, KServe v1, MLflow scoring."""

import asyncio
import time
from typing import Annotated

from pydantic import Field
from starlette.responses import Response

from shared.config import VERSION
from shared.errors import EngineError, FieldError, InvalidInput, NotFound
from shared.schema import Query
from shared.serving import LoadedModel
from shared.serving.protocols import oip_models
from shared.serving.protocols.instances import InstancesBody, InvocationsBody, ModelNames, PredictionsAnswer
from shared.serving.protocols.oip import BINARY_TYPE, HEADER_LENGTH, InferAnswer, InferBody
from shared.serving.protocols.oip_answers import (
    IndexBody,
    IndexEntry,
    Live,
    ModelMetadata,
    ModelReady,
    RepositoryIndex,
    ServerMetadata,
    ServerReady,
)
from shared.serving.tabular import Scored, beside
from shared.web import Call, Function
from shared.web.visible import may_use, require_model

function = Function("inference", needs=["documents"])

NAME = "mlengine"
EXTENSIONS = ["binary_tensor_data"]
MARKET_ONLY = "It predicts from candles: GET /predict."


class InvocationsQuery(Query):
    model: Annotated[str, Field(min_length=1, max_length=80)] | None = None


@function.get("/v2")
async def server(_: Call) -> ServerMetadata:
    """What this server is, and which extensions of the protocol it knows."""
    return ServerMetadata(name=NAME, version=VERSION, extensions=EXTENSIONS)


@function.get("/v2/health/live")
async def live(_: Call) -> Live:
    """Whether the process is alive."""
    return Live(live=True)


@function.get("/v2/health/ready")
async def server_ready(call: Call) -> ServerReady:
    """Whether models can be looked up. Each is loaded when it is asked for."""
    await asyncio.to_thread(call.instance.platform.documents.get, "health", "probe")
    return ServerReady(ready=True)


@function.get("/v2/models/{model}")
async def metadata(call: Call, model: str) -> ModelMetadata:
    """The tensors that a tabular model takes and gives; a model is named, or one version of it by its id."""
    return oip_models.metadata(model, await loaded(call, model))


@function.get("/v2/models/{model}/versions/{version}")
async def version_metadata(call: Call, model: str, version: str) -> ModelMetadata:
    """The same of one version, by its number."""
    return oip_models.metadata(model, await loaded(call, version_id(model, version)))


@function.get("/v2/models/{model}/ready")
async def model_ready(call: Call, model: str) -> ModelReady:
    """Whether a tabular model answers; it is loaded for it."""
    await loaded(call, model)
    return ModelReady(name=model, ready=True)


@function.get("/v2/models/{model}/versions/{version}/ready")
async def version_ready(call: Call, model: str, version: str) -> ModelReady:
    """Whether one version of it answers, by its number."""
    await loaded(call, version_id(model, version))
    return ModelReady(name=model, ready=True)


@function.post("/v2/models/{model}/infer", changes=False, rows="rows")
async def infer(call: Call, model: str, body: InferBody) -> InferAnswer | Response:
    """Predict the classes of rows. The predictions are in the audit before the answer leaves."""
    return await inferred(call, model, model, body)


@function.post("/v2/models/{model}/versions/{version}/infer", changes=False, rows="rows")
async def version_infer(call: Call, model: str, version: str, body: InferBody) -> InferAnswer | Response:
    """The same by one version, by its number."""
    return await inferred(call, model, version_id(model, version), body)


@function.post("/v2/repository/index", changes=False)
async def index(call: Call, body: IndexBody) -> RepositoryIndex:
    """The live versions of all models, with `ready` only of those that are served here."""
    names = await visible_names(call)
    entries = await asyncio.to_thread(lambda: [index_entry(call, name) for name in names])
    return RepositoryIndex([entry for entry in entries if entry.state == "READY" or not body.ready])


@function.get("/v1/models")
async def models(call: Call) -> ModelNames:
    """The names of the models that have a live version."""
    return ModelNames(models=await visible_names(call))


@function.get("/v1/models/{model}")
async def model_status(call: Call, model: str) -> ModelReady:
    """Whether a tabular model answers; it is loaded for it."""
    return await model_ready(call, model)


@function.post("/v1/models/{model}:predict", changes=False, rows="instances")
async def predict(call: Call, model: str, body: InstancesBody) -> PredictionsAnswer:
    """Predict the classes of rows, each an object or a list in the order of the model's columns."""
    return await predicted(call, model, body)


@function.post("/invocations", changes=False, rows="rows")
async def invocations(call: Call, query: InvocationsQuery, body: InvocationsBody) -> PredictionsAnswer:
    """Predict the classes of rows in one of MLflow's forms, by `model` or INVOCATIONS_MODEL."""
    model = query.model or call.instance.settings.invocations_model
    if not model:
        found = "must name a model: INVOCATIONS_MODEL isn't set"
        raise InvalidInput(f"?model {found}.", errors=[FieldError("?model", found)])
    return await predicted(call, model, body)


@function.get("/ping")
async def ping(_: Call) -> Live:
    """Whether the process is alive."""
    return Live(live=True)


@function.post("/ping", changes=False)
async def ping_by_post(_: Call) -> Live:
    """The same, for those who ask so."""
    return Live(live=True)


@function.get("/version")
async def version(_: Call) -> Response:
    """The engine's version, as text."""
    return Response(VERSION, media_type="text/plain")


async def visible_names(call: Call) -> list[str]:
    names = await asyncio.to_thread(call.instance.registry.names)
    return [name for name in names if await may_use(call, name)]


async def loaded(call: Call, model: str) -> LoadedModel:
    await require_model(call, model)
    found = await call.instance.tabular_predictor.model(model)
    call.facts["model_id"] = found.version_id  # of requests that fail, too
    return found


def version_id(model: str, version: str) -> str:
    """
    Raises:
        NotFound: not the number of a version.
    """
    if not version.isascii() or not version.isdigit() or version.startswith("0"):
        raise NotFound(
            f"There is no version {version[:40]!r} of {model[:80]!r}: versions are numbers from 1."
        )
    return f"{model}-v{version}"


async def inferred(call: Call, name: str, model: str, body: InferBody) -> InferAnswer | Response:
    """`name` is what the caller calls the model."""
    started = time.perf_counter()
    predictor, found = call.instance.tabular_predictor, await loaded(call, model)
    wanted = body.wanted(oip_models.OUTPUTS)  # before anything is scored
    count, columns = body.inputs[0].shape[0], found.columns
    if oip_models.is_encoded(body, columns):
        predictor.require_few(count, "/inputs/0/shape")
        codes = await beside(count, oip_models.codes, body, columns)
        scored = await predictor.score(found, codes, call.caller, started=started)
    else:
        rows, place = await beside(count, oip_models.rows, body, columns)
        scored = await predictor.score_rows(found, rows, call.caller, place)
    note(call, scored)
    answer, tail = oip_models.answer(wanted, name, body.id, scored, call.request_id)
    if not tail:
        return answer
    head = answer.model_dump_json().encode()
    return Response(head + tail, headers={HEADER_LENGTH: str(len(head))}, media_type=BINARY_TYPE)


async def predicted(call: Call, model: str, body: InstancesBody | InvocationsBody) -> PredictionsAnswer:
    found = await loaded(call, model)
    rows, place = body.given(found.columns)
    scored = await call.instance.tabular_predictor.score_rows(found, rows, call.caller, place)
    note(call, scored)
    return PredictionsAnswer(predictions=scored.predictions)


def note(call: Call, scored: Scored) -> None:
    call.facts.update(model_id=scored.model.version_id, rows=len(scored.predictions))


def index_entry(call: Call, name: str) -> IndexEntry:
    """What is live, and whether it is a tabular model whose package can be read. Blocks."""
    try:
        found, manifest = call.instance.registry.describe(name)
    except EngineError as error:
        return IndexEntry(name=name, version="", state="UNAVAILABLE", reason=error.detail)
    is_served = manifest.kind == "tabular"
    state, reason = ("READY", "") if is_served else ("UNAVAILABLE", MARKET_ONLY)
    return IndexEntry(name=name, version=str(found.version), state=state, reason=reason)


main = function.entry_point()
