"""A person at a terminal: bars while a run works, and Ctrl-C."""

from __future__ import annotations

import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import ioctl

import pytest

from shared.cli.output import Output
from shared.cli.problem import problem
from shared.cli.target import ROOT
from tests.cli.conftest import Script, answer

RUN = "7d3f9a51c2e84b06a1d2e3f405162738"
STATUS = f"GET /admin/train/status/{RUN}"
DEADLINE_SECONDS = 20


class Terminal:
    """The command in a terminal of 100 columns."""

    def __init__(self, process: subprocess.Popen[bytes], screen: int) -> None:
        self._process = process
        self._screen = screen
        self.text = ""

    def wait_for(self, text: str) -> None:
        """Read until `text` was written after what was read before."""
        start = len(self.text)
        while text not in self.text[start:]:
            ready, _, _ = select.select([self._screen], [], [], DEADLINE_SECONDS)
            assert ready, f"{text!r} never came: {self.text}"
            self.text += self._read()

    def _read(self) -> str:
        try:
            return os.read(self._screen, 65536).decode(errors="replace")
        except OSError as error:  # the terminal of a process that has ended
            raise AssertionError(f"it ended too early: {self.text}") from error

    def type(self, text: bytes) -> None:
        os.write(self._screen, text)

    def end(self) -> int:
        return self._process.wait(DEADLINE_SECONDS)


@contextmanager
def terminal(*arguments: str) -> Iterator[Terminal]:
    screen, inner = pty.openpty()
    ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-m", "shared.cli", *arguments],
        cwd=ROOT,
        stdin=inner,
        stdout=inner,
        stderr=inner,
        start_new_session=True,
        preexec_fn=lambda: ioctl(0, termios.TIOCSCTTY, 0),  # Ctrl-C reaches who has it as its terminal
        env={**os.environ, "TERM": "xterm"},
    )
    os.close(inner)
    try:
        yield Terminal(process, screen)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        os.close(screen)


@pytest.fixture
def working(script: Script) -> Script:
    """A run that works for ever."""
    script.answers("POST /admin/train", answer("run_queued"), status=202)
    script.answers(STATUS, answer("run_running"))
    script.answers(f"POST /admin/train/{RUN}/cancel", answer("run_running"))
    return script


def test_ctrl_c_asks_and_detaches(working: Script) -> None:
    with terminal("train", "--url", working.url) as shown:
        shown.wait_for("12/30")
        shown.type(b"\x03")
        shown.wait_for("(d)etach, (c)ancel the run, or (f)ollow on?")
        shown.type(b"\n")
        shown.wait_for(f"mlengine runs show {RUN} --follow")
        assert shown.end() == 130
    assert f"mlengine runs cancel {RUN}" in " ".join(shown.text.split())
    assert not working.requests(f"POST /admin/train/{RUN}/cancel")


def test_ctrl_c_can_cancel_the_run_and_see_it_end(working: Script) -> None:
    with terminal("train", "--url", working.url) as shown:
        shown.wait_for("12/30")
        shown.type(b"\x03")
        shown.wait_for("ollow on?")
        working.answers(STATUS, answer("run_cancelled"))
        shown.type(b"c\n")
        shown.wait_for("cancelled")
        assert shown.end() == 1
    assert len(working.requests(f"POST /admin/train/{RUN}/cancel")) == 1


def test_ctrl_c_during_anything_else_ends_with_130(script: Script) -> None:
    script.holds("POST /fetch")
    with terminal("ingest", "AAPL", "--url", script.url) as shown:
        shown.wait_for("Ingesting")
        shown.type(b"\x03")
        shown.wait_for("Interrupted")
        assert shown.end() == 130
    assert "Traceback" not in shown.text


def test_what_to_type_next_is_not_folded(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    command = "mlengine scorings save " + "a" * 80
    output = Output(as_json=False)
    output.suggest(command)
    output.refuse(problem("x", "X", "Why.", next_command=command))
    told = capsys.readouterr()
    assert f"Next: {command}\n" in told.out
    assert f"Next: {command}\n" in told.err
