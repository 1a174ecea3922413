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
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import uvicorn
import uvloop
from pydantic import SecretStr
from rich.console import Console
from rich.markup import escape

from infra.catalogue import Catalogue, read_catalogue
from infra.local.access import ensure_access_secrets
from infra.local.embedded import Embedded
from infra.local.first_model import FirstModel
from infra.local.gateway import App, Gateway, Message, Receive, Send
from infra.local.parts import Ground, Part, Running
from infra.local.replay import open_replay
from infra.local.replay_player import Player
from infra.local.sample import sample_upstream
from infra.local.telling import Teller
from shared.access.identity import ADMIN_KEY_SECRET
from shared.config import PlatformName, Settings, load_settings
from shared.errors import ConfigurationError, EngineError
from shared.instance import Instance, use_instance
from shared.logs import configure_logs
from shared.platform.connect import connect
from shared.platform.local.jobs import SubprocessJobs
from shared.platform.local.secrets import LocalSecrets
from shared.platform.ports import Now

LOG_FILE = "logs/twin.jsonl"
GRACE_SECONDS = 5
KEEP_ALIVE_SECONDS = 90
"""Longer than Pub/Sub's emulator lets a connection idle between two pushes: one that is closed under it may
hold its event up until the acknowledgement is overdue."""


def main() -> int:
    """Run until interrupted or terminated; gives the exit code."""
    console = Console()
    farewell = "The twin has stopped."
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that it closes its parts then too
    try:
        with contextlib.suppress(KeyboardInterrupt), ExitStack() as stack:
            twin = Twin(load_settings(), stack, console)
            kept = (
                "its state is kept" if twin.ground.keeps_state else "the emulators have forgotten its state"
            )
            farewell = f"The twin has stopped; {kept}."
            runner = stack.enter_context(asyncio.Runner(loop_factory=uvloop.new_event_loop))
            runner.run(twin.serve())
    except EngineError as error:
        console.print(f"[red]{error.title}:[/red] {escape(error.detail)}")
        return 1
    console.print(f"\n{farewell}")
    return 0


class Twin:
    """The parts of one twin, opened in order and closed in reverse by `stack`."""

    def __init__(self, settings: Settings, stack: ExitStack, console: Console) -> None:
        """
        Raises:
            ConfigurationError: the state folder is in use, the port is taken, or an emulator is missing.
        """
        home = settings.mlengine_home.resolve()
        _make_folder(home)
        stack.enter_context(_only_one(home))
        self._replay = open_replay(settings, home)
        clock = self._replay and self._replay.hand.clock
        self._socket = stack.enter_context(_listening(settings.host, settings.port))
        stack.enter_context(_logs_to(home / LOG_FILE, settings.log_level, clock.now if clock else None))
        url = settings.market_data_url
        if "market_data_url" not in settings.model_fields_set:
            clock_file = clock.file if clock else None
            url = stack.enter_context(sample_upstream(settings.host, settings.port + 1, clock_file))
        os.environ["MARKET_DATA_URL"] = url  # for the jobs' processes
        here = settings.model_copy(update={"mlengine_home": home, "market_data_url": url})
        if clock is not None and "candle_cache_seconds" not in settings.model_fields_set:
            here = here.model_copy(update={"candle_cache_seconds": 0.0})  # they would be sessions old
        self.api_key = _admin_key(here, home, console)
        ensure_access_secrets(home, console)
        # of no ground's secrets: Secret Manager has no emulator
        here = here.model_copy(update={"admin_api_key": SecretStr(self.api_key)})
        self.ground = _ground(here, stack, console)
        self.settings = self.ground.settings
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
        replay = self._player(catalogue)
        loop = asyncio.get_running_loop()
        running = Running(self.instance, catalogue, gateway, loop, self.api_key, replay)
        teller = Teller(self.instance.measurements)
        parts = [*self.ground.parts(running), Part(teller.start, teller.stop)]
        doors = self.ground.doors(running)
        server = uvicorn.Server(
            uvicorn.Config(
                _by_port({door.socket.getsockname()[1]: door.app for door in doors}, gateway),
                http="httptools",
                lifespan="off",
                access_log=False,
                proxy_headers=False,  # the functions read these themselves, by TRUSTED_PROXIES
                server_header=False,
                log_level="warning",
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=GRACE_SECONDS,
            )
        )
        first_model = FirstModel(
            self.instance,
            self.url,
            self.api_key,
            self._console,
            keeps_state=self.ground.keeps_state,
            is_stopping=lambda: server.should_exit,
        )

        def welcome_and_begin() -> None:
            first_model.welcome()
            if replay is not None:
                replay.begin()

        welcome = threading.Thread(target=welcome_and_begin, name="welcome", daemon=True)
        for part in parts:
            part.start()
        welcome.start()
        try:
            await server.serve(sockets=[self._socket, *(door.socket for door in doors)])
        finally:
            first_model.stop()
            await to_the_end(asyncio.to_thread(_stop, parts))

    def _player(self, catalogue: Catalogue) -> Player | None:
        if self._replay is None:
            return None
        return Player(
            self.instance,
            catalogue,
            self._replay,
            url=self.url,
            api_key=self.api_key,
            console=self._console,
        )


def _stop(parts: Sequence[Part]) -> None:
    for part in reversed(parts):
        part.stop()


async def to_the_end(work: Coroutine[Any, Any, None]) -> None:
    """Wait for it. The server raises the signal that ended it once more, which cancels whoever waits."""
    task = asyncio.ensure_future(work)
    while not task.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.shield(task)
    task.result()


def _ground(settings: Settings, stack: ExitStack, console: Console) -> Ground:
    match settings.platform:
        case PlatformName.LOCAL:
            return Embedded(settings)
        case PlatformName.EMULATORS:
            try:
                from infra.local.emulated import Emulated
            except ModuleNotFoundError as error:
                raise ConfigurationError(
                    f"The package {error.name} is missing here. Start with: make up PLATFORM=emulators"
                ) from error

            return Emulated(settings, stack, console)
        case PlatformName.GCP:
            raise ConfigurationError(
                "The twin runs on PLATFORM=local or PLATFORM=emulators; on gcp the functions are deployed."
            )


def _by_port(apps: Mapping[int, App], default: App) -> App:
    """One server for several addresses."""

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        _, port = scope["server"]
        await apps.get(port, default)(scope, receive, send)

    return app if apps else default


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
                f"Set PORT to a free one, such as {port + 10}."
                if error.errno == errno.EADDRINUSE
                else "Set HOST or PORT."
            )
            raise ConfigurationError(
                f"Port {port} on {host} can't be used ({error.strerror}). {hint}"
            ) from error
        yield listener


@contextmanager
def _logs_to(file: Path, level: str, replay_now: Now | None) -> Iterator[None]:
    file.parent.mkdir(exist_ok=True)
    with file.open("a", buffering=1) as stream:
        configure_logs(level, stream, replay_now=replay_now)
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
