"""Many threads or processes at once, and processes that are killed."""

from __future__ import annotations

import multiprocessing
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from typing import Any, TypeVar

T = TypeVar("T")

_PRELOAD = ["tests.contracts.workers", "tests.registry.workers", "onnxruntime", "google.cloud.firestore_v1"]
_context = multiprocessing.get_context("forkserver")


def start(target: Callable[..., None], *arguments: Any) -> ForkServerProcess:
    """A process, forked from a server that has imported all and runs no threads: quick and safe."""
    _context.set_forkserver_preload(_PRELOAD)
    process = _context.Process(target=target, args=arguments, daemon=True)
    main = vars(sys.modules["__main__"])
    file = main.pop("__file__", None)  # or each child would import the program that runs the tests
    try:
        process.start()
    finally:
        main["__file__"] = file
    return process


def race(count: int, act: Callable[[int], T]) -> list[T | Exception]:
    """`act(0)` to `act(count - 1)` at once, in threads: what each gave or raised."""
    ready = threading.Barrier(count)

    def run(index: int) -> T | Exception:
        ready.wait()
        try:
            return act(index)
        except Exception as error:  # noqa: BLE001 - the caller looks at it
            return error

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def in_processes(count: int, target: Callable[..., None], *arguments: Any) -> None:
    """`target(index, *arguments)` in `count` processes at once; each must end well."""
    children = [start(target, index, *arguments) for index in range(count)]
    for child in children:
        child.join(180)
    assert [child.exitcode for child in children] == [0] * count


def kill_while_busy(target: Callable[..., None], *arguments: Any, after_seconds: float) -> Sequence[Any]:
    """Start `target(report, *arguments)` and kill -9 it so long after its first report; gives its reports."""
    mine, theirs = _context.Pipe(duplex=False)
    child = start(target, theirs, *arguments)
    theirs.close()
    reports = [mine.recv()]
    child.join(after_seconds)
    child.kill()
    child.join()
    return [*reports, *_rest(mine)]


def _rest(connection: Connection) -> Sequence[Any]:
    found = []
    while True:
        try:
            found.append(connection.recv())
        except (EOFError, OSError):
            return found
