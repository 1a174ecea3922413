"""Where problems are declared, get their data, and are taken away, with all that hangs on them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from shared.errors import AlreadyExists, Conflict, FieldError, InvalidInput, NotFound
from shared.platform.ports import Blobs, Now, Schedule, Schedules
from shared.platform.scheduling import MADE, check_schedule
from shared.problems import problem
from shared.problems.declared.declaration import Declaration, refused
from shared.problems.declared.store import DataFile, Declared, Problems, refuse_built_in

if TYPE_CHECKING:
    from shared.problems.declared.tables import CheckedTable

Format: TypeAlias = Literal["csv", "parquet"]

FOLDER: Final = "datasets"
TOPIC: Final = "training.requested"
_UPLOADED: Final = f"blobs:{FOLDER}/"


@dataclass(frozen=True, slots=True)
class ProblemDesk:
    """`is_live` says whether a model of that name is live; `require_free` refuses a name that models trained
    here can't have, because it is an uploaded one's.

    The document goes first and the schedule follows it: where that fails, the same call again mends it.
    """

    problems: Problems
    blobs: Blobs
    schedules: Schedules
    is_live: Callable[[str], bool]
    require_free: Callable[[str], None]
    now: Now

    def declare(self, declaration: Declaration, *, by: str) -> tuple[Declared | None, Declared]:
        """The problem as it was (None: it wasn't there), and as it is. Data that no longer fit are let go.

        Raises:
            InvalidInput: the schedule isn't one, or the data that it names don't fit.
            Conflict: the name is a built-in problem's, or its models' name is another model's.
        """
        refuse_built_in(declaration.name)
        self.require_free(declaration.model_name)
        check_cron_of(declaration)
        before = self._before(declaration.name)
        data = (
            self._named(declaration, by) if declaration.data is not None else self._kept(declaration, before)
        )
        declared = self.problems.declare(declaration, data, by=by, at=self.now())
        self._follow(declared)
        return before, declared

    def upload(
        self, name: str, content: bytes, format: Format, *, leave_out_bad_rows: bool = False, by: str
    ) -> tuple[Declared, CheckedTable]:
        """Let a problem have this file from now on; the one before stays for who was trained on it.

        Raises:
            NotFound: no such problem was declared.
            InvalidInput: the file can't be read, or doesn't fit.
        """
        from shared.problems.declared.tables import check_table

        self._require_declared(name)
        declaration = self.problems.declared(name).declaration
        checked = check_table(declaration, content, format)
        if not leave_out_bad_rows:
            checked.require_good()
        checked.require_enough(declaration.folds)
        if checked.bad:
            data = self._stored(name, checked.parquet(), "parquet", checked, by)
        else:
            data = self._stored(name, content, format, checked, by)
        declared = self.problems.attach(name, data, of=declaration, at=self.now())
        self._follow(declared)
        return declared, checked

    def delete(self, name: str) -> Declared:
        """Forget a problem and its schedule; gives it as it was. Its runs, models and files stay.

        Raises:
            NotFound: no such problem was declared.
            Conflict: it is built in, or a model of it is live.
        """
        self._require_declared(name)
        declared = self.problems.declared(name)
        model = declared.declaration.model_name
        if self.is_live(model):
            raise Conflict(
                f"A model of {name} is live ({model}), and its labels are judged by what was declared. "
                "Delete the problem when none of its models is live any longer."
            )
        self.schedules.delete(schedule_name(declared.declaration))
        self.problems.remove(name)
        return declared

    def _require_declared(self, name: str) -> None:
        with suppress(NotFound):
            problem(name)
            raise Conflict(f"{name} is built in: it is changed by changing the engine.")

    def _before(self, name: str) -> Declared | None:
        try:
            return self.problems.declared(name)
        except NotFound:
            return None

    def _named(self, declaration: Declaration, by: str) -> DataFile:
        """The uploaded file that a declaration names."""
        from shared.problems.declared.tables import check_table

        uri = declaration.data or ""
        kind = _format(uri)
        if not uri.startswith(_UPLOADED) or kind is None:
            raise refused(
                [FieldError("/data", f"must be {_UPLOADED}<problem>/<file>, or nothing: a file is uploaded")]
            )
        content = self.blobs.get(uri.removeprefix("blobs:"))
        checked = check_table(declaration, content, kind)
        checked.require_good()
        checked.require_enough(declaration.folds)
        return self._file(uri.removeprefix("blobs:"), content, checked, by)

    def _kept(self, declaration: Declaration, before: Declared | None) -> DataFile | None:
        """The file that the problem has, if it still fits."""
        from shared.problems.declared.tables import check_table

        if before is None or before.data is None:
            return None
        kept = before.data
        content = self.blobs.get(kept.blob, sha256=kept.sha256)
        try:
            checked = check_table(declaration, content, _format(kept.blob) or "csv")
            checked.require_good()
            checked.require_enough(declaration.folds)
        except InvalidInput:
            return None
        return kept

    def _stored(self, name: str, content: bytes, format: Format, checked: CheckedTable, by: str) -> DataFile:
        blob = f"{FOLDER}/{name}/{hashlib.sha256(content).hexdigest()}.{format}"
        with suppress(AlreadyExists):  # the name is the content's
            self.blobs.put(blob, content)
        return self._file(blob, content, checked, by)

    def _file(self, blob: str, content: bytes, checked: CheckedTable, by: str) -> DataFile:
        return DataFile(
            blob=blob,
            sha256=hashlib.sha256(content).hexdigest(),
            size_bytes=len(content),
            rows=checked.good,
            classes=dict(checked.classes),
            uploaded_at=self.now().isoformat(),
            uploaded_by=by,
        )

    def _follow(self, declared: Declared) -> None:
        """Train on schedule where there is one, and data."""
        name = schedule_name(declared.declaration)
        if declared.declaration.schedule and declared.data is not None:
            self.schedules.put(name, _schedule(declared.declaration))
        else:
            self.schedules.delete(name)


def check_cron_of(declaration: Declaration) -> None:
    """
    Raises:
        InvalidInput: its schedule isn't one.
    """
    if declaration.schedule:
        try:
            check_schedule(_schedule(declaration))
        except InvalidInput as error:
            raise refused([FieldError("/schedule", error.detail)]) from error


def schedule_name(declaration: Declaration) -> str:
    """What the problem's schedule is called."""
    return MADE + declaration.model_name


def _schedule(declaration: Declaration) -> Schedule:
    return Schedule(
        purpose=f"Trains {declaration.model_name} on the data that its problem has.",
        cron=declaration.schedule,
        timezone="Etc/UTC",
        topic=TOPIC,
        data={"request": {"problem": declaration.name}},
    )


def _format(name: str) -> Format | None:
    ending = name.rpartition(".")[2]
    return "csv" if ending == "csv" else "parquet" if ending == "parquet" else None
