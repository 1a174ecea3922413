"""POST /predict/batch: many symbols, or many rows, in one call."""

from collections.abc import Sequence
from typing import Annotated, ClassVar

from pydantic import Field

from shared.errors import EngineError, FieldError, InvalidInput
from shared.schema import Answer, Body
from shared.serving import BatchPrediction, RowPrediction, SymbolPrediction
from shared.serving.rows import ROWS_LIMIT_BYTES, ModelId, Rows
from shared.web import Call, Function, Problem, problem_of
from shared.web.visible import require_model

function = Function("batch_predict", needs=["documents", "model"])


class BatchBody(Body):
    """Either `symbols`, for a market model, or `inputs`, rows for the tabular model that `model` names."""

    limit_bytes: ClassVar[int] = ROWS_LIMIT_BYTES

    symbols: Annotated[list[str] | None, Field(min_length=1, max_length=5000)] = None
    inputs: Rows | None = None
    model: ModelId | None = Field(None, description="A model name or a version id; of symbols market-signal.")

    @classmethod
    def is_needed(cls) -> bool:
        return True

    @property
    def items(self) -> Sequence[object]:
        return self.symbols or self.inputs or ()


class BatchEntry(Answer):
    """Either `prediction` or `error` is there."""

    symbol: str
    prediction: SymbolPrediction | None = None
    error: Problem | None = None


class RowEntry(Answer):
    """Either `prediction` or `error` is there; `index` is the row's place among the inputs."""

    index: int
    prediction: RowPrediction | None = None
    error: Problem | None = None


class BatchAnswer(Answer):
    results: list[BatchEntry] | list[RowEntry]
    succeeded: int
    failed: int
    request_id: str


@function.post("/predict/batch", changes=False, rows="items")
async def predict_batch(call: Call, body: BatchBody) -> BatchAnswer:
    """Predict many symbols or rows. Each succeeds or fails alone; results come in the order asked for."""
    if body.symbols is not None and body.inputs is not None:
        raise wrong("/inputs", "give either 'symbols' or 'inputs', not both")
    if body.inputs is not None:
        if body.model is None:
            raise wrong("/model", "must say which tabular model the rows of 'inputs' are for")
        return await predict_rows(call, body.model, body.inputs)
    if body.symbols is None:
        raise wrong("/symbols", "give 'symbols' for a market model, 'model' and 'inputs' for a tabular one")
    return await predict_symbols(call, body.model or "market-signal", body.symbols)


async def predict_symbols(call: Call, model: str, symbols: Sequence[str]) -> BatchAnswer:
    await require_model(call, model)
    limit = call.instance.settings.batch_max_symbols
    if len(symbols) > limit:
        raise wrong("/symbols", f"at most {limit} symbols a call, found {len(symbols)}: send several calls")
    outcomes = await call.instance.market_predictor.predict_batch(symbols, call.caller, model)
    results = [entry(outcome, call) for outcome in outcomes]
    call.facts.update(symbols=len(results), **model_of(results))
    return answer(results, call)


async def predict_rows(call: Call, model: str, rows: Rows) -> BatchAnswer:
    await require_model(call, model)
    predictor = call.instance.tabular_predictor
    loaded = await predictor.model(model)
    call.facts.update(model_id=loaded.version_id, rows=len(rows))  # of requests that fail, too
    found = await predictor.predict_each(loaded, rows, call.caller)
    return answer(row_entries(found, call), call)


def answer(results: list[BatchEntry] | list[RowEntry], call: Call) -> BatchAnswer:
    failed = sum(result.error is not None for result in results)
    call.facts.update(failed=failed)
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


def row_entries(found: Sequence[RowPrediction | EngineError], call: Call) -> list[RowEntry]:
    return [
        RowEntry(index=index, error=problem_of(outcome, call))
        if isinstance(outcome, EngineError)
        else RowEntry(index=index, prediction=outcome)
        for index, outcome in enumerate(found)
    ]


def wrong(pointer: str, found: str) -> InvalidInput:
    return InvalidInput(found, errors=[FieldError(pointer, found)])


main = function.entry_point()
