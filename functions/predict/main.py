"""GET /predict: the expected direction of one symbol."""

from typing import Annotated

from pydantic import Field

from shared.market.symbols import Symbol
from shared.schema import Query
from shared.serving import SymbolPrediction
from shared.web import Call, Function

function = Function("predict", needs=["documents", "model"])


class PredictQuery(Query):
    symbol: Symbol
    model: Annotated[str, Field(max_length=80, description="A model name or a version id.")] = "market-signal"


@function.get("/predict")
async def predict(call: Call, query: PredictQuery) -> SymbolPrediction:
    """Predict the direction of one symbol. The prediction is in the audit before the answer leaves."""
    call.identity.require_model(query.model)
    prediction = await call.instance.market_predictor.predict(query.symbol, call.caller, query.model)
    call.facts.update(
        symbol=query.symbol,
        model_id=prediction.model_id,
        prediction_id=prediction.prediction_id,
        stale=prediction.stale,
    )
    return prediction


main = function.entry_point()
