"""The training job: `python -m shared.jobs.train --run RUN_ID`. Exit codes: see `shared.jobs.task`.

An attempt that can't go on for a reason that may pass, or that the platform stops, leaves the run as it is:
the next attempt takes it over and trains from the start. Only the last one records such a failure.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from shared.config import Settings, load_settings
from shared.errors import Conflict, DependencyError, EngineError
from shared.jobs.reporter import Reporter
from shared.jobs.task import Exit, Stopped, Task
from shared.jobs.tracking import catch_up
from shared.logs import LOGGER, configure_logs
from shared.platform.connect import connect
from shared.platform.ports import Event, Platform
from shared.problems.declared import Problems
from shared.registry import Package, Registry, Version
from shared.training.options import TrainingRequest
from shared.training.run_records import Run, RunStatus
from shared.training.runs import Runs

if TYPE_CHECKING:
    from shared.training.findings import Findings, Result

FINISHED: Final = "training.finished"
SOURCE: Final = "//mlengine/training"
ACTOR: Final = "training"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m shared.jobs.train", description=__doc__)
    parser.add_argument("--run", required=True, metavar="RUN_ID", help="the run to work on")
    run_id = parser.parse_args(arguments).run
    settings = load_settings()
    platform = connect(settings)
    configure_logs(settings.log_level, replay_now=platform.replay_now)
    return TrainingJob(settings, platform, Task.of(os.environ)).work_on(run_id)


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ends. `is_recorded`: the run's document says so already."""

    status: RunStatus
    exit: Exit = Exit.DONE
    result: dict[str, Any] | None = None
    error: str | None = None
    is_recorded: bool = False


@dataclass(frozen=True, slots=True)
class HandedBack:
    """The run goes on in the next attempt."""

    why: str


class TrainingJob:
    """Takes a run, trains, registers the model, and says in the run's document how it ended."""

    def __init__(self, settings: Settings, platform: Platform, task: Task) -> None:
        self._settings = settings
        self._platform = platform
        self._task = task
        is_tracked = bool(settings.mlflow_tracking_uri)
        self._runs = Runs(platform.documents, platform.now, wall=platform.wall, is_tracked=is_tracked)
        self._problems = Problems(platform.documents)

    def work_on(self, run_id: str) -> Exit:
        """Bring the run to its end, or leave it to the next attempt."""
        worker = self._platform.new_id()
        facts = {"run_id": run_id, **self._task.facts()}
        try:
            run = self._runs.start(run_id, worker)
        except EngineError as error:
            LOGGER.error("training can't start", extra={"facts": {**facts, "why": str(error)}})
            return Exit.TRY_AGAIN if error.retryable else self._task.settled(Exit.of(error))
        if run.status.has_ended:
            LOGGER.info("training has ended before", extra={"facts": {**facts, "status": run.status}})
            catch_up(self._settings, self._runs, self._registry(), run_id)
            return Exit.DONE
        with Reporter(self._runs, run_id, worker, clock=time.monotonic) as report:
            outcome = self._outcome(run, worker, report)
            report.fall_silent()
            if report.is_taken_over:
                return Exit.DONE
            if isinstance(outcome, HandedBack):
                LOGGER.warning("training handed back", extra={"facts": {**facts, "why": outcome.why}})
                report.hand_back(outcome.why, self._task.pause_seconds)
                return Exit.TRY_AGAIN
            how = self._end(run_id, worker, outcome, report.timings)
        if how is not Exit.TRY_AGAIN:
            catch_up(self._settings, self._runs, self._registry(), run_id)
        return how

    def _outcome(self, run: Run, worker: str, report: Reporter) -> Ending | HandedBack:
        """Do the work; what became of it, whatever happens."""
        try:
            return self._train(run, worker, report)
        except Stopped:
            report.fall_silent()
            return self._stopped(run.run_id)
        except EngineError as error:
            return self._failed(Exit.of(error), _in_words(error))
        except Exception as error:  # noqa: BLE001 - the run's document must say what went wrong, whatever it was
            LOGGER.exception("training failed", extra={"facts": {"run_id": run.run_id}})
            return self._failed(Exit.OWN_FAULT, f"{type(error).__name__}: {error}")

    def _stopped(self, run_id: str) -> Ending | HandedBack:
        """Cancelled, if anybody asked for that; else the platform needs the machine, and the run goes on."""
        try:
            is_cancelled = self._task.is_by_hand or self._runs.get(run_id).cancel_requested
        except DependencyError as error:
            return HandedBack(f"stopped by the platform; whether it was cancelled can't be seen: {error}")
        if is_cancelled:
            return Ending(RunStatus.CANCELLED)
        return self._failed(Exit.TRY_AGAIN, "The platform stopped it.")

    def _failed(self, exit: Exit, why: str) -> Ending | HandedBack:
        if exit is Exit.TRY_AGAIN and self._task.may_be_retried:
            return HandedBack(why)
        return Ending(RunStatus.FAILED, exit, error=why)

    def _end(self, run_id: str, worker: str, ending: Ending, timings: dict[str, float]) -> Exit:
        facts = {"run_id": run_id, "status": str(ending.status), "error": ending.error}
        try:
            if not ending.is_recorded:
                self._runs.finish(
                    run_id, worker, ending.status, timings=timings, result=ending.result, error=ending.error
                )
        except DependencyError as error:
            LOGGER.error("training's end isn't recorded", extra={"facts": {**facts, "why": str(error)}})
            return Exit.TRY_AGAIN
        except Conflict as error:
            LOGGER.warning("training was ended by others", extra={"facts": {**facts, "why": str(error)}})
            return Exit.DONE
        self._announce(run_id, {**facts, "result": ending.result})
        LOGGER.info("training ended", extra={"facts": {**facts, "timings": timings}})
        return self._task.settled(ending.exit)

    def _train(self, run: Run, worker: str, report: Reporter) -> Ending:
        report("start", 0, 1, "loading the libraries")
        from shared.jobs.learning import learn

        request = TrainingRequest.from_data(run.request, self._problems)
        problem = self._problems.get(request.problem)
        self._runs.learns_from(run.run_id, worker, problem.version)
        learnt = learn(problem, request, self._settings, self._platform, report, run_id=run.run_id)
        result = learnt.result
        report("export", 0, 1, "proving that the exported model answers as the fitted one")
        package = learnt.package()
        registry = self._registry()
        verdict = learnt.against_champion(registry, report)
        report("register", 0, 1, "keeping the package")
        report.protect()
        version = _registered(registry, package, run.run_id)
        activated = request.activate and result.may_activate and verdict.is_better
        report("register", 1, 1, version.id)
        status = RunStatus.SUCCEEDED if result.gates_passed else RunStatus.REJECTED
        facts = {
            "version_id": version.id,
            "activated": activated,
            "champion": verdict.json(),
            **_facts(result),
        }
        if activated:
            report.fall_silent()  # a beat would be a conflict
            registry.activate(
                version.id,
                by=ACTOR,
                reason=f"run {run.run_id}: all gates passed; {verdict.why}",
                also=lambda: [self._runs.success(run.run_id, worker, timings=report.timings, result=facts)],
            )
        return Ending(status, result=facts, is_recorded=activated)

    def _registry(self) -> Registry:
        p = self._platform
        return Registry(p.documents, p.blobs, p.events, p.now, p.new_id)

    def _announce(self, run_id: str, facts: dict[str, Any]) -> None:
        event = Event(run_id, SOURCE, FINISHED, self._platform.now(), facts)
        try:
            self._platform.events.publish(FINISHED, [event])
        except EngineError as error:
            LOGGER.warning("event not sent", extra={"facts": {"topic": FINISHED, "why": str(error)}})


def _facts(result: Result[Findings]) -> dict[str, Any]:
    return {
        "algorithm": result.fitted.algorithm,
        "metrics": result.metrics(),
        "gates": [gate.json() for gate in result.gates],
        "gates_passed": result.gates_passed,
        "suspected_leak": result.suspected_leak,
        "warnings": list(result.findings.warnings),
        "conclusion": result.findings.conclusion(),
    }


def _registered(registry: Registry, package: Package, run_id: str) -> Version:
    """The package as a version; what an attempt registered before it was killed isn't registered again."""
    known = (version for version in registry.of_run(run_id) if version.package_hash == package.hash)
    return next(known, None) or registry.register(package, created_by=ACTOR, run_id=run_id)


def _in_words(error: EngineError) -> str:
    details = "; ".join(f"{item.pointer} {item.detail}" for item in error.errors)
    return f"{error} {details}".strip()


if __name__ == "__main__":
    sys.exit(main())
