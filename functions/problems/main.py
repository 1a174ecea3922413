"""/problems: shows what there is to learn, and lets users declare problems of their own, with their data."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import Field

from shared.errors import FieldError, InvalidInput
from shared.problems import Problem, TabularProblem, problems
from shared.problems.declared import Declaration, Declared
from shared.problems.declared.desk import Format, schedule_name
from shared.schema import Answer, Body, Query
from shared.web import Call, Function
from shared.web.decoding import media_type_of

function = Function("problems", needs=["documents"])

FORMATS: Final[Mapping[str, Format]] = {
    "text/csv": "csv",
    "application/vnd.apache.parquet": "parquet",
}


class DataBody(Body):
    """A file of rows, as it is."""

    media_types: ClassVar[tuple[str, ...]] = tuple(FORMATS)
    limit_bytes: ClassVar[int] = 30_000_000  # Cloud Run takes requests of up to 32 MiB

    content: bytes
    format: Format

    @classmethod
    def decode(cls, content: bytes, headers: Mapping[bytes, bytes]) -> Self:
        return cls(content=content, format=FORMATS[media_type_of(headers, cls.media_types)])


class DataQuery(Query):
    bad_rows: Annotated[
        Literal["refuse", "leave_out"],
        Field(description="What becomes of a file with rows that don't fit: all of it, or those rows."),
    ] = "refuse"


class FieldAnswer(Answer):
    pointer: str
    detail: str


class GateAnswer(Answer):
    """A condition for going live: `quantity` must be above `bound`."""

    name: str
    quantity: str
    bound: float
    meaning: str


class DataAnswer(Answer):
    """The file that a problem is learnt from. All its rows fit; `classes` says how many each class has."""

    blob: str
    sha256: str
    size_bytes: int
    rows: int
    classes: Mapping[str, int]
    uploaded_at: str
    uploaded_by: str


class ProblemSummary(Answer):
    """What there is to learn. `version` counts the changes of what was declared; built in has none."""

    name: str
    kind: str
    title: str
    model_name: str
    built_in: bool
    classes: Sequence[str]
    metric: str
    candidates: Sequence[str]
    schedule: str
    data: DataAnswer | None
    version: int | None
    updated_at: str | None
    updated_by: str | None


class ProblemAnswer(ProblemSummary):
    """A problem with all of its terms. `declaration` is what was declared, with the defaults in it."""

    gates: Sequence[GateAnswer]
    columns: Sequence[Mapping[str, Any]]
    target: str | None
    source: str
    schedule_name: str | None
    declaration: Mapping[str, Any] | None
    created_at: str | None


class ProblemList(Answer):
    """The built-in ones, then those declared, by name."""

    problems: list[ProblemSummary]


class DataTaken(Answer):
    """The problem with its new file. Of the `rows` that came `bad` were left out; `errors` are the first of
    what is wrong with them, as /<row>/<column> with rows from 0. `absent` are columns that the file lacks.
    """

    problem: ProblemAnswer
    rows: int
    good: int
    bad: int
    errors: list[FieldAnswer]
    absent: list[str]


class Deleted(Answer):
    """A problem that is no longer. Its runs, models and files stay."""

    name: str


def common(problem: Problem, declared: Declared | None) -> dict[str, Any]:
    data = None if declared is None or declared.data is None else declared.data
    return {
        "name": problem.name,
        "kind": str(problem.kind),
        "title": problem.title,
        "model_name": problem.model_name,
        "built_in": declared is None,
        "classes": problem.classes,
        "metric": problem.primary_metric,
        "candidates": [name for name, *_ in problem.variants()],
        "schedule": problem.schedule,
        "data": None if data is None else DataAnswer(**asdict(data)),
        "version": None if declared is None else declared.version,
        "updated_at": None if declared is None else declared.updated_at,
        "updated_by": None if declared is None else declared.updated_by,
    }


def summary(found: Problem | Declared) -> ProblemSummary:
    problem, declared = both(found)
    return ProblemSummary(**common(problem, declared))


def answer(found: Problem | Declared) -> ProblemAnswer:
    problem, declared = both(found)
    tabular = problem if isinstance(problem, TabularProblem) else None
    columns = () if tabular is None else tabular.columns.columns
    return ProblemAnswer(
        **common(problem, declared),
        gates=[
            GateAnswer(name=gate.name, quantity=gate.quantity, bound=gate.bound, meaning=gate.meaning)
            for gate in problem.gates
        ],
        columns=[column.model_dump(mode="json", exclude_defaults=True) for column in columns],
        target=None if tabular is None else tabular.target.column,
        source="" if tabular is None else tabular.source,
        schedule_name=schedule_name(declared.declaration) if declared and problem.schedule else None,
        declaration=None if declared is None else declared.declaration.canonical(),
        created_at=None if declared is None else declared.created_at,
    )


def both(found: Problem | Declared) -> tuple[Problem, Declared | None]:
    """The problem, and what was declared where it isn't built in."""
    if isinstance(found, Declared):
        blob = "" if found.data is None else found.data.blob
        return found.declaration.problem(f"blobs:{blob}"), found
    return found, None


@function.get("/problems")
async def list_problems(call: Call) -> ProblemList:
    """All problems: those built in, and those that were declared."""
    declared = await asyncio.to_thread(call.instance.problems.all_declared)
    found: list[Problem | Declared] = [*problems().values(), *declared]
    return ProblemList(problems=[summary(one) for one in found])


@function.get("/problems/{name}")
async def show(call: Call, name: str) -> ProblemAnswer:
    """One problem: its columns, what competes, and what a model must pass."""
    if name in problems():
        return answer(problems()[name])
    return answer(await asyncio.to_thread(call.instance.problems.declared, name))


@function.put("/problems/{name}")
async def declare(call: Call, name: str, body: Declaration) -> ProblemAnswer:
    """Declare a problem, or change one. Data that no longer fit its columns are let go."""
    if body.name != name:
        raise InvalidInput(
            f"The path names the problem {name}, the declaration {body.name}.",
            errors=[FieldError("/name", f"must be {name}, as in the path, found {body.name}")],
        )
    desk, by = call.instance.problem_desk, call.identity.name
    before, declared = await asyncio.to_thread(desk.declare, body, by=by)
    call.change.before = None if before is None else before.declaration.canonical()
    call.change.after = declared.declaration.canonical()
    call.facts.update(problem=name, version=declared.version)
    return answer(declared)


@function.put("/problems/{name}/data")
async def upload(call: Call, name: str, query: DataQuery, body: DataBody) -> DataTaken:
    """Let a declared problem have this file from now on, if its rows fit the columns."""
    declared, checked = await asyncio.to_thread(
        call.instance.problem_desk.upload,
        name,
        body.content,
        body.format,
        leave_out_bad_rows=query.bad_rows == "leave_out",
        by=call.identity.name,
    )
    taken = answer(declared)
    call.change.after = None if taken.data is None else taken.data.model_dump(mode="json")
    call.facts.update(problem=name, version=declared.version, rows=checked.good)
    return DataTaken(
        problem=taken,
        rows=checked.rows,
        good=checked.good,
        bad=checked.bad,
        errors=[FieldAnswer(pointer=error.pointer, detail=error.detail) for error in checked.errors],
        absent=list(checked.absent),
    )


@function.delete("/problems/{name}")
async def delete(call: Call, name: str) -> Deleted:
    """Take a declared problem away, with its schedule. Refused while a model of it is live."""
    declared = await asyncio.to_thread(call.instance.problem_desk.delete, name)
    call.change.before = declared.declaration.canonical()
    call.facts["problem"] = name
    return Deleted(name=name)


main = function.entry_point()
