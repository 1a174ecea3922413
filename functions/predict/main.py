"""Predictions in one call: the direction of one symbol, or the classes of rows."""

from typing import Annotated

from pydantic import Field

from shared.market.symbols import Symbol
from shared.schema import Query
from shared.serving import SymbolPrediction, TabularAnswer
from shared.serving.rows import InputsBody, RowsBody
from shared.web import Call, Function
from shared.web.visible import require_model

function = Function("predict", needs=["documents", "model"])


class PredictQuery(Query):
    symbol: Symbol
    model: Annotated[str, Field(max_length=80, description="A model name or a version id.")] = "market-signal"


@function.get("/predict")
async def predict(call: Call, query: PredictQuery) -> SymbolPrediction:
    """Predict the direction of one symbol. The prediction is in the audit before the answer leaves."""
    await require_model(call, query.model)
    prediction = await call.instance.market_predictor.predict(query.symbol, call.caller, query.model)
    call.facts.update(
        symbol=query.symbol,
        model_id=prediction.model_id,
        prediction_id=prediction.prediction_id,
        stale=prediction.stale,
    )
    return prediction


@function.post("/predict", changes=False, rows="inputs")
async def predict_rows(call: Call, body: RowsBody) -> TabularAnswer:
    """Predict the classes of rows by a tabular model. Where a row is wrong, none is predicted."""
    return await answer(call, body.model, body)


@function.post("/models/{id}/predict", changes=False, rows="inputs")
async def predict_rows_by(call: Call, id: str, body: InputsBody) -> TabularAnswer:
    """Predict the classes of rows by the tabular model of this name or version id."""
    return await answer(call, id, body)


async def answer(call: Call, model: str, body: InputsBody) -> TabularAnswer:
    await require_model(call, model)
    predictor = call.instance.tabular_predictor
    loaded = await predictor.model(model)
    call.facts.update(model_id=loaded.version_id, rows=len(body.inputs))  # of requests that fail, too
    return await predictor.predict(loaded, body.inputs, call.caller)


main = function.entry_point()
