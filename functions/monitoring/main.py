"""GET /predictions/...: the audit of what was answered."""

import asyncio
from typing import Annotated, Any

from pydantic import Field

from shared.market.symbols import Symbol
from shared.schema import Answer, Query
from shared.web import Call, Function

function = Function("monitoring", needs=["documents"])


class RecentQuery(Query):
    symbol: Symbol | None = None
    model_id: Annotated[str | None, Field(max_length=80)] = None
    limit: Annotated[int, Field(ge=1, le=500)] = 50
    cursor: Annotated[str | None, Field(max_length=1000)] = None


class PredictionList(Answer):
    """Newest first. `cursor` asks for what follows; null at the end."""

    predictions: list[dict[str, Any]]
    cursor: str | None


class StoredPrediction(Answer):
    """A prediction with what it was made of."""

    prediction: dict[str, Any]


@function.get("/predictions/recent")
async def recent(call: Call, query: RecentQuery) -> PredictionList:
    """The newest predictions, of one symbol or one model where asked."""
    page = await asyncio.to_thread(
        call.instance.audit.recent,
        symbol=query.symbol,
        model_id=query.model_id,
        limit=query.limit,
        cursor=query.cursor,
    )
    return PredictionList(predictions=[dict(d.data) for d in page.documents], cursor=page.cursor)


@function.get("/predictions/{prediction_id}")
async def prediction(call: Call, prediction_id: str) -> StoredPrediction:
    """One prediction with its features and ids, as the audit keeps it."""
    return StoredPrediction(prediction=dict(await call.instance.audit.wait_for(prediction_id)))


main = function.entry_point()
