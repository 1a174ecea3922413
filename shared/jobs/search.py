"""The search job: `python -m shared.jobs.search --run RUN_ID`. Exit codes: see `shared.jobs.task`.

Each task takes its share of the search's studies and goes on where an attempt before it stopped. The last one
says that the search has ended, and has the run trained with what was found. A search that can't go on ends
too: the run then fails, and says why.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from shared.config import Settings, load_settings
from shared.errors import EngineError, InvalidInput
from shared.jobs.task import Exit, Stopped, StopSignals, Task
from shared.logs import LOGGER, configure_logs
from shared.platform.connect import connect
from shared.platform.ports import Event, Platform
from shared.problems import TabularProblem
from shared.problems.declared import Problems
from shared.training.desk import SOURCE, TOPIC
from shared.training.options import TrainingRequest
from shared.training.run_records import Run
from shared.training.runs import Runs
from shared.training.search.records import SearchRecords, StudyRecord


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m shared.jobs.search", description=__doc__)
    parser.add_argument("--run", required=True, metavar="RUN_ID", help="the run to search for")
    run_id = parser.parse_args(arguments).run
    settings = load_settings()
    platform = connect(settings)
    configure_logs(settings.log_level, replay_now=platform.replay_now)
    return SearchJob(settings, platform, Task.of(os.environ)).work_on(run_id)


class SearchJob:
    """Works on one task's share of a run's studies."""

    def __init__(self, settings: Settings, platform: Platform, task: Task) -> None:
        self._settings = settings
        self._platform = platform
        self._task = task
        self._runs = Runs(platform.documents, platform.now, wall=platform.wall)
        self._records = SearchRecords(platform.documents)

    def work_on(self, run_id: str) -> Exit:
        """Bring this task's studies to their end, or leave them to the next attempt."""
        facts = {"run_id": run_id, **self._task.facts()}
        with StopSignals() as signals:
            try:
                why = self._outcome(run_id, signals)
                if why is not None:
                    self._end(run_id, why)
            except Stopped:
                return Exit.TRY_AGAIN
            except EngineError as error:
                LOGGER.error(
                    "search goes on in the next attempt", extra={"facts": {**facts, "why": str(error)}}
                )
                signals.pause(self._task.pause_seconds)
                return Exit.TRY_AGAIN
        LOGGER.info("search task ended", extra={"facts": {**facts, "error": why}})
        return Exit.DONE

    def _outcome(self, run_id: str, signals: StopSignals) -> str | None:
        """Why the search ended: "" where all studies are done; None where it hasn't.

        Raises:
            EngineError: another attempt may get further.
        """
        try:
            return "" if self._search(self._runs.get(run_id), signals) else None
        except EngineError as error:
            if error.retryable and self._task.may_be_retried:
                raise
            return "; ".join([error.detail, *(f"{one.pointer} {one.detail}" for one in error.errors)])
        except Exception as error:  # noqa: BLE001 - the run must say what went wrong, whatever it was
            LOGGER.exception("search failed", extra={"facts": {"run_id": run_id}})
            return f"{type(error).__name__}: {error}"

    def _search(self, run: Run, signals: StopSignals) -> bool:
        """Work on this task's share; whether all studies are done then, by whomever."""
        from shared.training.search.study import key_of, studies_of
        from shared.training.search.telling import Telling
        from shared.training.tabular.contest import set_task
        from shared.training.tabular.dataset import build_dataset
        from shared.training.tabular.source import read_source

        problems = Problems(self._platform.documents)
        request = TrainingRequest.from_data(run.request, problems)
        problem = problems.get(request.problem)
        if request.search is None or not isinstance(problem, TabularProblem):
            raise InvalidInput(f"The run {run.run_id} asks for no search.")
        if run.status.has_ended or self._records.ending(run.run_id) is not None:
            return False
        options = request.tabular_options(self._settings, problem)
        dataset = build_dataset(problem, read_source(problem.data, self._platform.blobs))
        task = set_task(problem, options, dataset)
        studies, key = studies_of(task, request.search), key_of(run.run_id, task)
        share = self._task.share(studies)
        telling = Telling(self._records, run.run_id, self._task.index, share, key)
        for study in share:

            def check(record: StudyRecord, number: int = study.number) -> None:
                signals.check()
                telling(number, record)

            study.run(self._records, key, check)
        return self._records.are_done(key, len(studies))

    def _end(self, run_id: str, why: str) -> None:
        """Say that the search has ended, then have the run trained: again if need be, it starts once."""
        self._records.finish(run_id, why)
        run = self._runs.get(run_id)
        facts = {"run_id": run_id, "request": dict(run.request)}
        event = Event(f"{run_id}.searched", SOURCE, TOPIC, self._platform.now(), facts)
        self._platform.events.publish(TOPIC, [event])


if __name__ == "__main__":
    sys.exit(main())
