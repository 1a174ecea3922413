"""Starts the twin: one process for the gateway and the events, children for jobs and the sample upstream."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import secrets
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import uvicorn
import uvloop
from rich.console import Console

from infra.catalogue import read_catalogue
from infra.local.dispatcher import Dispatcher
from infra.local.first_model import FirstModel
from infra.local.gateway import Gateway
from infra.local.sample import sample_upstream
from shared.access.identity import ADMIN_KEY_SECRET
from shared.config import Settings, load_settings
from shared.errors import ConfigurationError, EngineError
from shared.instance import Instance, use_instance
from shared.logs import configure_logs
from shared.platform.connect import connect
from shared.platform.local.events import SqliteEvents
from shared.platform.local.jobs import SubprocessJobs
from shared.platform.local.secrets import LocalSecrets

LOG_FILE = "logs/twin.jsonl"
GRACE_SECONDS = 5


def main() -> int:
    """Run until interrupted or terminated; gives the exit code."""
    console = Console()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that it closes its parts then too
    try:
        with contextlib.suppress(KeyboardInterrupt), ExitStack() as stack:
            twin = Twin(load_settings(), stack, console)
            runner = stack.enter_context(asyncio.Runner(loop_factory=uvloop.new_event_loop))
            runner.run(twin.serve())
    except EngineError as error:
        console.print(f"[red]{error.title}:[/red] {error.detail}")
        return 1
    console.print("\nThe twin has stopped; its state is kept.")
    return 0


class Twin:
    """The parts of one twin, opened in order and closed in reverse by `stack`."""

    def __init__(self, settings: Settings, stack: ExitStack, console: Console) -> None:
        """
        Raises:
            ConfigurationError: the state folder is in use, or the port is taken.
        """
        home = settings.mlengine_home.resolve()
        _make_folder(home)
        stack.enter_context(_only_one(home))
        self._socket = stack.enter_context(_listening(settings.host, settings.port))
        stack.enter_context(_logs_to(home / LOG_FILE, settings.log_level))
        url = settings.market_data_url
        if "market_data_url" not in settings.model_fields_set:
            url = stack.enter_context(sample_upstream(settings.host, settings.port + 1))
        self.settings = settings.model_copy(update={"mlengine_home": home, "market_data_url": url})
        os.environ |= {"MLENGINE_HOME": str(home), "MARKET_DATA_URL": url}  # for the jobs' processes
        self.api_key = _admin_key(self.settings, home, console)
        platform = connect(self.settings)
        if isinstance(platform.jobs, SubprocessJobs):
            stack.callback(platform.jobs.close)
        self.instance = Instance(self.settings, platform)
        self._console = console

    @property
    def url(self) -> str:
        return f"http://{self.settings.host}:{self.settings.port}"

    async def serve(self) -> None:
        """Answer requests and deliver events until a signal comes."""
        use_instance(self.instance)
        catalogue = read_catalogue()
        gateway = Gateway(catalogue)
        events = self.instance.platform.events
        if not isinstance(events, SqliteEvents):
            raise ConfigurationError("the twin delivers events from its own bus only")
        dispatcher = Dispatcher(
            events,
            gateway.pusher(asyncio.get_running_loop()),
            self.api_key,
            self.instance.platform.now,
        )
        server = uvicorn.Server(
            uvicorn.Config(
                gateway,
                http="httptools",
                lifespan="off",
                access_log=False,
                log_level="warning",
                timeout_graceful_shutdown=GRACE_SECONDS,
            )
        )
        first_model = FirstModel(
            self.instance, self.url, self.api_key, self._console, is_stopping=lambda: server.should_exit
        )
        subscriptions = [name for names in catalogue.subscriptions.values() for name in names]
        welcome = threading.Thread(target=first_model.welcome, name="welcome", daemon=True)
        dispatcher.start(subscriptions)
        welcome.start()
        try:
            await server.serve(sockets=[self._socket])
        finally:
            first_model.stop()
            await asyncio.to_thread(dispatcher.stop)


def _make_folder(home: Path) -> None:
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"The state folder {home} can't be made ({error.strerror}). Set MLENGINE_HOME to another."
        ) from error


@contextmanager
def _only_one(home: Path) -> Iterator[None]:
    """Hold the state folder: two twins on one folder would deliver each event twice."""
    with (home / "twin.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ConfigurationError(
                f"A twin already runs on {home}. Stop it, or set MLENGINE_HOME to another folder."
            ) from error
        yield


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            hint = (
                f"Try: PORT={port + 10} make up" if error.errno == errno.EADDRINUSE else "Set HOST or PORT."
            )
            raise ConfigurationError(
                f"Port {port} on {host} can't be used ({error.strerror}). {hint}"
            ) from error
        yield listener


@contextmanager
def _logs_to(file: Path, level: str) -> Iterator[None]:
    file.parent.mkdir(exist_ok=True)
    with file.open("a", buffering=1) as stream:
        configure_logs(level, stream)
        yield


def _admin_key(settings: Settings, home: Path, console: Console) -> str:
    """The configured key, or one made at the first start, printed once and kept in the state folder."""
    if settings.admin_api_key is not None:
        return settings.admin_api_key.get_secret_value()
    made: list[str] = []

    def make() -> str:
        made.append(secrets.token_urlsafe(32))
        return made[0]

    key = LocalSecrets(home / "secrets").ensure(ADMIN_KEY_SECRET, make)
    if made:
        kept = f"shown once, kept in {home / 'secrets'}"
        console.print(f"Admin key ({kept}): [bold]{key}[/bold]", soft_wrap=True)
    return key
