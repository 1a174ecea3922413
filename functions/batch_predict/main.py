"""POST /predict/batch: many symbols in one call."""

from typing import Annotated

from pydantic import Field

from shared.errors import EngineError, FieldError, InvalidInput
from shared.schema import Answer, Body
from shared.serving import BatchPrediction, SymbolPrediction
from shared.web import Call, Function, Problem, problem_of

function = Function("batch_predict", needs=["documents", "model"])


class BatchBody(Body):
    symbols: Annotated[list[str], Field(min_length=1, max_length=5000)]
    model: Annotated[str, Field(max_length=80, description="A model name or a version id.")] = "market-signal"


class BatchEntry(Answer):
    """Either `prediction` or `error` is there."""

    symbol: str
    prediction: SymbolPrediction | None = None
    error: Problem | None = None


class BatchAnswer(Answer):
    results: list[BatchEntry]
    succeeded: int
    failed: int
    request_id: str


@function.post("/predict/batch", changes=False, rows="symbols")
async def predict_batch(call: Call, body: BatchBody) -> BatchAnswer:
    """Predict many symbols. Each succeeds or fails alone; results come in the order of the symbols."""
    call.identity.require_model(body.model)
    limit = call.instance.settings.batch_max_symbols
    if len(body.symbols) > limit:
        found = f"at most {limit} symbols a call, found {len(body.symbols)}: send several calls"
        raise InvalidInput(found, errors=[FieldError("/symbols", found)])
    outcomes = await call.instance.market_predictor.predict_batch(body.symbols, call.caller, body.model)
    results = [entry(outcome, call) for outcome in outcomes]
    failed = sum(result.error is not None for result in results)
    call.facts.update(symbols=len(results), failed=failed, **model_of(results))
    return BatchAnswer(
        results=results, succeeded=len(results) - failed, failed=failed, request_id=call.request_id
    )


def model_of(results: list[BatchEntry]) -> dict[str, str]:
    """The version that predicted: one for the whole call, unless it changes in the middle."""
    versions = [result.prediction.model_id for result in results if result.prediction is not None]
    return {"model_id": versions[0]} if versions else {}


def entry(item: BatchPrediction, call: Call) -> BatchEntry:
    if isinstance(item.outcome, EngineError):
        return BatchEntry(symbol=item.symbol, error=problem_of(item.outcome, call))
    return BatchEntry(symbol=item.symbol, prediction=item.outcome)


main = function.entry_point()
