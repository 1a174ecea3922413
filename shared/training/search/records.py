"""What a search has tried: one document per study. Light: no training library is imported."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Final

from pydantic import Field

from shared.errors import AlreadyExists
from shared.platform.cas import update
from shared.platform.ports import Create, Data, Documents
from shared.schema import Body

COLLECTION: Final = "searches"
MAX_TRIALS: Final = 500

_MINUTE: Final = 60.0


class SearchRequest(Body):
    """How much is tried: at most `trials` per study, and in all studies together about as much as `tasks`
    that work side by side can in so many `seconds`.
    """

    trials: Annotated[int, Field(ge=1, le=MAX_TRIALS)] = 50
    seconds: Annotated[float, Field(ge=1, le=86_400)] = 600
    tasks: Annotated[int, Field(ge=1, le=21)] = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One choice of hyper-parameters. `value` is the primary metric in the inner cross-validation, higher is
    better (where lower is, its negative); None where it failed of `error`. `proposed` are the values that the
    search chose, None for a variant that the problem names itself.
    """

    number: int
    algorithm: str
    parameters: Mapping[str, Any]
    proposed: Mapping[str, Any] | None
    value: float | None
    error: str | None
    seconds: float


@dataclass(frozen=True, slots=True)
class StudyRecord:
    """A study's trials, in order, and whether it has ended."""

    trials: tuple[Trial, ...] = ()
    is_done: bool = False

    @property
    def seconds(self) -> float:
        """How long all trials took."""
        return sum(trial.seconds for trial in self.trials)

    @property
    def best(self) -> Trial | None:
        """The first of the best trials; None where all failed."""
        ended = [trial for trial in self.trials if trial.value is not None]
        return max(ended, key=lambda trial: (trial.value, -trial.number), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchProgress:
    """How far a search is. `best` is the best value so far of the study that sees all rows, as the metric is
    read; None before there is one. `seconds_left` is what it may still take, as far as can be told.
    """

    metric: str
    done: int
    total: int
    best: float | None
    seconds_left: float

    @staticmethod
    def of(parts: Sequence[SearchProgress]) -> SearchProgress:
        """What tasks that work side by side are together."""
        return SearchProgress(
            metric=parts[0].metric,
            done=sum(part.done for part in parts),
            total=sum(part.total for part in parts),
            best=next((part.best for part in parts if part.best is not None), None),
            seconds_left=max(part.seconds_left for part in parts),
        )

    @property
    def words(self) -> str:
        """`best auc 0.8712 so far; about 3 min left`"""
        best = "" if self.best is None else f"best {self.metric} {self.best:.4f} so far; "
        seconds = self.seconds_left
        left = f"{seconds:.0f} s" if seconds < _MINUTE else f"{seconds / _MINUTE:.0f} min"
        return f"{best}about {left} left"


class SearchRecords:
    """The studies of runs: study 0 sees all rows, study n the training rows of the outer fold n - 1."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    def get(self, run_id: str, study: int) -> StudyRecord:
        """What the study has tried so far."""
        found = self._documents.get(COLLECTION, _id(run_id, study))
        return StudyRecord() if found is None else _read(found.data)

    def add(self, run_id: str, study: int, trial: Trial) -> StudyRecord:
        """Keep a finished trial; durable on return. One whose number is there already changes nothing:
        another attempt was quicker with the same.
        """
        return self._change(run_id, study, lambda trials: trial.number == len(trials), [trial], is_done=False)

    def end(self, run_id: str, study: int) -> StudyRecord:
        """Say that a study has ended."""
        return self._change(run_id, study, lambda _: True, [], is_done=True)

    def are_done(self, run_id: str, studies: int) -> bool:
        """Whether all studies have ended."""
        return all(self.get(run_id, study).is_done for study in range(studies))

    def tell(self, run_id: str, task: int, progress: SearchProgress) -> None:
        """Say how far a task is with its share. Each has a document of its own: none waits for another."""
        update(self._documents, COLLECTION, _told(run_id, task), lambda _: asdict(progress))

    def told(self, run_id: str, tasks: int) -> SearchProgress | None:
        """How far the tasks are together that have said so; None where none has."""
        found = (self._documents.get(COLLECTION, _told(run_id, task)) for task in range(tasks))
        parts = [SearchProgress(**one.data) for one in found if one is not None]
        return SearchProgress.of(parts) if parts else None

    def finish(self, run_id: str, why: str) -> None:
        """Say that the search has ended: well, or because of what `why` says. The first word stands."""
        with suppress(AlreadyExists):
            self._documents.commit([Create(COLLECTION, run_id, {"run_id": run_id, "why": why})])

    def ending(self, run_id: str) -> str | None:
        """Why the search has ended, "" where it did well; None where it hasn't."""
        found = self._documents.get(COLLECTION, run_id)
        return None if found is None else str(found.data["why"])

    def _change(
        self,
        run_id: str,
        study: int,
        applies: Callable[[Sequence[Trial]], bool],
        more: Sequence[Trial],
        *,
        is_done: bool,
    ) -> StudyRecord:
        def changed(data: Data | None) -> Data | None:
            before = StudyRecord() if data is None else _read(data)
            if before.is_done or not applies(before.trials):
                return None
            trials = (*before.trials, *more)
            return {
                "run_id": run_id,
                "study": study,
                "trials": [asdict(trial) for trial in trials],
                "is_done": is_done,
            }

        document = update(self._documents, COLLECTION, _id(run_id, study), changed)
        return StudyRecord() if document is None else _read(document.data)


def _id(run_id: str, study: int) -> str:
    return f"{run_id}.{study}"


def _told(run_id: str, task: int) -> str:
    return f"{run_id}.task.{task}"


def _read(data: Data) -> StudyRecord:
    return StudyRecord(tuple(Trial(**trial) for trial in data["trials"]), data["is_done"])
