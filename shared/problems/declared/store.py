"""Where declared problems are kept: one document each, changed by compare-and-swap."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Final

from shared.errors import Conflict, NotFound
from shared.platform.cas import update
from shared.platform.ports import Data, Delete, Document, Documents
from shared.problems import problem_of_model, problems, unknown_problem
from shared.problems.declared.declaration import Declaration
from shared.problems.spec import Problem, TabularProblem

COLLECTION: Final = "problems"


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFile:
    """An uploaded file whose rows all fit: `blob` names it, `classes` says how many rows each class has."""

    blob: str
    sha256: str
    size_bytes: int
    rows: int
    classes: Mapping[str, int]
    uploaded_at: str
    uploaded_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """A declared problem as it is kept. `version` counts its changes, of its data too, from 1."""

    declaration: Declaration
    data: DataFile | None
    version: int
    created_at: str
    updated_at: str
    updated_by: str

    @property
    def name(self) -> str:
        return self.declaration.name

    def problem(self) -> TabularProblem:
        """
        Raises:
            Conflict: it has no data yet.
        """
        if self.data is None:
            raise Conflict(
                f"The problem {self.name} has no data yet: PUT /problems/{self.name}/data uploads a file, as "
                "'mlengine problem apply' does where the declaration's data is a local path."
            )
        return self.declaration.problem(f"blobs:{self.data.blob}", self.version)

    @staticmethod
    def of(data: Data) -> Declared:
        """The problem in a document."""
        file = data["data"]
        return Declared(
            declaration=Declaration.model_validate_json(data["declaration"]),
            data=None if file is None else DataFile(**file),
            version=data["version"],
            created_at=data["created_at"],
            updated_at=data["updated_at"],
            updated_by=data["updated_by"],
        )

    def document(self) -> dict[str, Any]:
        """The declaration is kept as text: its order counts, and stores of documents keep none."""
        return {
            "declaration": json.dumps(self.declaration.canonical(), ensure_ascii=False),
            "data": None if self.data is None else asdict(self.data),
            "version": self.version,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
            "updated_by": self.updated_by,
        }


class Problems:
    """All problems: the built-in ones, and those that were declared here."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    def get(self, name: str) -> Problem:
        """The problem of that name, ready to be trained.

        Raises:
            NotFound: there is none; the message names near ones.
            Conflict: it was declared, and has no data yet.
        """
        built_in = problems().get(name)
        return self.declared(name).problem() if built_in is None else built_in

    def list(self) -> Sequence[Problem]:
        """The built-in ones, then those declared that have data, by name."""
        ready = [one.problem() for one in self.all_declared() if one.data is not None]
        return [*problems().values(), *ready]

    def names(self) -> Sequence[str]:
        """The names of all, also of those without data."""
        return sorted({*problems(), *(document.id for document in self._stored())})

    def of_model(self, model_name: str) -> Problem | None:
        """The problem whose models have that name, or None; also None where it has no data."""
        built_in = problem_of_model(model_name)
        if built_in is not None:
            return built_in
        found = self._documents.get(COLLECTION, model_name.replace("-", "_"))
        if found is None or found.data["data"] is None:
            return None
        problem = Declared.of(found.data).problem()
        return problem if problem.model_name == model_name else None

    def declared(self, name: str) -> Declared:
        """The declared problem of that name.

        Raises:
            NotFound: no such problem was declared; the message names near ones of all.
        """
        found = (
            self._documents.get(COLLECTION, name) if 0 < len(name) <= _LONGEST and "/" not in name else None
        )
        if found is None:
            raise unknown_problem(name, self.names())
        return Declared.of(found.data)

    def all_declared(self) -> Sequence[Declared]:
        """By name."""
        return [Declared.of(document.data) for document in self._stored()]

    def declare(self, declaration: Declaration, data: DataFile | None, *, by: str, at: datetime) -> Declared:
        """Keep a declaration and its data in place of what was there before.

        Raises:
            Conflict: a built-in problem has that name, or its models do.
        """
        refuse_built_in(declaration.name)

        def changed(before: Declared | None) -> Declared:
            if before is None:
                return _first(declaration, data, by, at)
            return replace(before, declaration=declaration, data=data)

        return self._change(declaration.name, changed, by, at)

    def attach(self, name: str, data: DataFile, *, of: Declaration, at: datetime) -> Declared:
        """Let a problem have this file, which was checked against the declaration `of`.

        Raises:
            NotFound: no such problem was declared.
            Conflict: its declaration has changed since.
        """

        def changed(before: Declared | None) -> Declared:
            if before is None:
                raise unknown_problem(name, self.names())
            if before.declaration.canonical() != of.canonical():
                raise Conflict(f"The declaration of {name} changed while its data were checked. Try again.")
            same = before.data is not None and before.data.blob == data.blob
            return before if same else replace(before, data=data)

        return self._change(name, changed, data.uploaded_by, at)

    def remove(self, name: str) -> None:
        """Forget a declared problem; nothing happens where there is none. What was uploaded stays."""
        self._documents.commit([Delete(COLLECTION, name)])

    def _change(
        self, name: str, change: Callable[[Declared | None], Declared], by: str, at: datetime
    ) -> Declared:
        """A change that changes nothing leaves the version as it is."""

        def written(data: Data | None) -> Data | None:
            before = None if data is None else Declared.of(data)
            after = change(before)
            if before is not None and after.document() == before.document():
                return None
            version = 1 if before is None else before.version + 1
            return replace(after, version=version, updated_at=at.isoformat(), updated_by=by).document()

        document = update(self._documents, COLLECTION, name, written)
        if document is None:
            raise NotFound(f"The problem {name} was deleted meanwhile.")
        return Declared.of(document.data)

    def _stored(self) -> Iterator[Document]:
        cursor: str | None = None
        while True:
            page = self._documents.query(COLLECTION, cursor=cursor)
            yield from page.documents
            if (cursor := page.cursor) is None:
                return


_LONGEST: Final = 48


def refuse_built_in(name: str) -> None:
    """
    Raises:
        Conflict: the problem is built in, or a built-in one's models would have its models' name.
    """
    same = problem_of_model(name.replace("_", "-"))
    if name in problems() or same is not None:
        raise Conflict(f"{name if same is None else same.name} is built in: declare yours by another name.")


def _first(declaration: Declaration, data: DataFile | None, by: str, at: datetime) -> Declared:
    now = at.isoformat()
    return Declared(
        declaration=declaration, data=data, version=1, created_at=now, updated_at=now, updated_by=by
    )
