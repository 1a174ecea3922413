"""GET /features: the feature rows of one symbol, as a model would see them."""

from typing import Annotated

from pydantic import Field

from shared.features import feature_set
from shared.market.candles import rfc3339
from shared.market.symbols import Symbol
from shared.schema import Answer, Query
from shared.web import Call, Function

function = Function("features", needs=["documents"])


class FeaturesQuery(Query):
    symbol: Symbol
    lookback: Annotated[int, Field(ge=1, le=1000, description="How many rows, newest last.")] = 1
    feature_set: Annotated[str, Field(max_length=80)] = "technical"


class FeatureRow(Answer):
    timestamp: str
    values: list[float | None]


class FeaturesAnswer(Answer):
    """`rows` are in time order; `values` follow `features`. `window` is how many candles one row needs."""

    symbol: str
    timeframe: str
    window: int
    latest_timestamp: str
    stale: bool
    feature_set: str
    feature_set_hash: str
    features: list[str]
    rows: list[FeatureRow]


@function.get("/features")
async def features(call: Call, query: FeaturesQuery) -> FeaturesAnswer:
    """The last `lookback` feature rows of one symbol, bit for bit those a model is trained on."""
    chosen = feature_set(query.feature_set)
    served = await call.instance.candles.latest(
        query.symbol, chosen.memory + query.lookback, headers=call.outgoing_headers
    )
    candles, values = served.candles, chosen.rows(served.candles, query.lookback)
    stamps = candles.timestamp[-query.lookback :].tolist()
    return FeaturesAnswer(
        symbol=query.symbol,
        timeframe=candles.timeframe,
        window=chosen.memory + 1,
        latest_timestamp=rfc3339(int(candles.timestamp[-1])),
        stale=served.stale,
        feature_set=chosen.name,
        feature_set_hash=chosen.hash,
        features=list(chosen.names),
        rows=[
            FeatureRow(timestamp=rfc3339(stamp), values=row)
            for stamp, row in zip(stamps, values.tolist(), strict=True)
        ],
    )


main = function.entry_point()
