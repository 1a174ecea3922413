from __future__ import annotations

import os
import signal
import time

import pytest

from shared.errors import ConfigurationError, CorruptBlob, NotFound, PlatformUnavailable
from shared.jobs.task import Exit, Stopped, StopSignals, Task

PLATFORM = {"CLOUD_RUN_JOB": "score", "CLOUD_RUN_TASK_INDEX": "2", "CLOUD_RUN_TASK_COUNT": "5"}


def test_by_hand_there_is_one_task_and_no_other_attempt() -> None:
    task = Task.of({"CLOUD_RUN_TASK_INDEX": "7"})
    assert (task.index, task.count, task.is_by_hand, task.may_be_retried) == (0, 1, True, False)


def test_the_platform_says_which_task_it_is() -> None:
    task = Task.of({**PLATFORM, "CLOUD_RUN_TASK_ATTEMPT": "1", "CLOUD_RUN_EXECUTION": "mlengine-score-x7k"})
    assert (task.index, task.count, task.attempt) == (2, 5, 1)
    assert task.execution_id == "mlengine-score-x7k"
    assert task.share(range(12)) == range(2, 12, 5)


def test_our_own_id_of_the_execution_counts() -> None:
    names = {"CLOUD_RUN_EXECUTION": "mlengine-score-x7k", "MLENGINE_EXECUTION": "s1"}
    assert Task.of({**PLATFORM, **names}).execution_id == "s1"


def test_every_item_is_in_one_share() -> None:
    for count in (1, 3, 50):
        shares = [Task(index=index, count=count).share(range(23)) for index in range(count)]
        assert sorted(item for share in shares for item in share) == list(range(23))


@pytest.mark.parametrize(
    "wrong",
    [
        {"CLOUD_RUN_TASK_INDEX": "5"},
        {"CLOUD_RUN_TASK_INDEX": "-1"},
        {"CLOUD_RUN_TASK_COUNT": "many"},
        {"CLOUD_RUN_TASK_ATTEMPT": "1.5"},
        {"MLENGINE_TASK_RETRIES": "²"},
    ],
)
def test_a_variable_that_is_wrong_is_named(wrong: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        Task.of({**PLATFORM, **wrong})


def test_only_the_last_attempt_is_not_retried() -> None:
    given = {**PLATFORM, "MLENGINE_TASK_RETRIES": "2"}
    attempts = [Task.of({**given, "CLOUD_RUN_TASK_ATTEMPT": str(attempt)}) for attempt in range(3)]
    assert [task.may_be_retried for task in attempts] == [True, True, False]
    assert [task.pause_seconds > 0 for task in attempts] == [True, True, False]


def test_the_platform_is_told_only_whether_to_try_again() -> None:
    for how in (Exit.DONE, Exit.BAD_REQUEST, Exit.OWN_FAULT, Exit.TRY_AGAIN):
        assert Task.of(PLATFORM).settled(how) == 0
        assert Task().settled(how) == how


def test_exits_are_those_of_sysexits() -> None:
    errors = [NotFound("x"), CorruptBlob("x"), PlatformUnavailable("x")]
    assert [int(Exit.of(error)) for error in errors] == [65, 70, 75]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_asks_the_work_to_stop_at_its_next_look(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with StopSignals() as signals:
        signals.check()
        os.kill(os.getpid(), number)
        with pytest.raises(Stopped):
            signals.check()
    assert signal.getsignal(number) is before


def test_only_the_first_signal_interrupts() -> None:
    heard = []
    with StopSignals(lambda: heard.append(1)):
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
    assert heard == [1]


def test_a_signal_ends_a_pause() -> None:
    began = time.monotonic()
    with StopSignals() as signals:
        signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        signals.pause(30)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    assert time.monotonic() - began < 25


def test_a_pause_takes_its_time() -> None:
    began = time.monotonic()
    with StopSignals() as signals:
        signals.pause(0.15)
    assert time.monotonic() - began >= 0.15
