"""The ground of the twin on emulators: the managed services' own APIs, all on this machine, all forgetful.

Firestore and Pub/Sub are Google's emulators; Cloud Storage is a package's, with preconditions added;
Cloud Run Jobs, Cloud Scheduler and Secret Manager are stand-ins of ours, the first two spoken to by the
official clients. Of the first three, those that the settings name are used as they run; the others are
started here.
"""

from __future__ import annotations

import json
import shutil
import socket
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from rich.console import Console

from infra.catalogue import read_catalogue
from infra.emulators.google import firestore_emulator, pubsub_emulator
from infra.emulators.processes import Emulator
from infra.emulators.processes import running as run_emulator
from infra.emulators.pull import PullSource
from infra.emulators.run import run_standin
from infra.emulators.scheduler import scheduler_standin, set_up
from infra.emulators.secrets import secrets_standin, write_values
from infra.emulators.storage import create_bucket, storage_emulator
from infra.emulators.topology import provision
from infra.local.parts import Door, Part, Running
from infra.local.push_door import PushDoor, push_path
from infra.local.warehouse import SUBSCRIPTION, WarehouseWriter
from infra.topic_schemas import avro_schemas, text_of
from shared.access.accounts import BOOTSTRAP_SECRET
from shared.access.tokens import SIGNING_KEYS_SECRET
from shared.config import Settings
from shared.platform.emulated import FOLDER, SETTINGS_FILE
from shared.platform.gcp.project import Project
from shared.platform.gcp.rest import GoogleRest
from shared.platform.local.secrets import LocalSecrets
from shared.platform.topics import DEAD_LETTERS, EXPORTS, TOPICS

PROJECT: Final = "mlengine-twin"
LOOK_SECONDS: Final = 1.0


class Emulated:
    """The emulators, running; those that were started here end with `stack`, and forget everything."""

    def __init__(self, settings: Settings, stack: ExitStack, console: Console) -> None:
        """
        Raises:
            ConfigurationError: an emulator can't start; says what is missing and how to get it.
        """
        folder = settings.mlengine_home / FOLDER
        self.keeps_state = bool(settings.firestore_emulator_host and settings.storage_emulator_host)
        if not self.keeps_state:
            shutil.rmtree(folder, ignore_errors=True)  # what the last ones left: their documents are gone
        folder.mkdir(exist_ok=True)

        self._folder = folder
        self._console = console
        self._emulators: list[Emulator] = []

        def host(emulator: Emulator) -> str:
            self._emulators.append(stack.enter_context(run_emulator(emulator)))
            return emulator.host

        console.print("Starting the emulators ...")
        self._door = stack.enter_context(_loopback())
        found = {
            "google_cloud_project": settings.google_cloud_project or PROJECT,
            "firestore_emulator_host": settings.firestore_emulator_host or host(firestore_emulator(folder)),
            "pubsub_emulator_host": settings.pubsub_emulator_host or host(pubsub_emulator(folder)),
            "storage_emulator_host": settings.storage_emulator_host
            or f"http://{host(storage_emulator(folder, folder=folder / 'objects'))}",
        }
        pubsub = found["pubsub_emulator_host"]
        environment = {"PLATFORM": str(settings.platform), **{k.upper(): v for k, v in found.items()}}
        executions, schedules = folder / "executions", folder / "schedules"
        found |= {
            "run_emulator_host": host(
                run_standin(
                    folder, folder=executions, environment=environment, job_prefix=settings.job_prefix
                )
            ),
            "scheduler_emulator_host": host(scheduler_standin(folder, folder=schedules, pubsub_host=pubsub)),
            "secrets_emulator_host": settings.secrets_emulator_host
            or host(secrets_standin(folder, _secrets(settings.mlengine_home, folder))),
        }
        self.settings = settings.model_copy(update=found)
        self._set_up()
        file = folder / SETTINGS_FILE  # for the commands that work on the state itself
        file.write_text(json.dumps({"platform": str(settings.platform), **found}))
        stack.callback(file.unlink, missing_ok=True)

    def _set_up(self) -> None:
        """What Terraform does in the cloud."""
        project = Project.of(self.settings)
        port = self._door.getsockname()[1]
        create_bucket(project.storage_url, project.bucket)
        schemas = {topic: text_of(schema) for topic, schema in avro_schemas().items()}
        pulled = {**EXPORTS, DEAD_LETTERS: TOPICS[DEAD_LETTERS]}  # the latter: see next
        provision(project, pulled, None, schemas=schemas)
        provision(
            project,
            TOPICS,
            lambda function: f"http://127.0.0.1:{port}{push_path(function)}",
            schemas=schemas,
        )
        set_up(project, read_catalogue().schedules)

    def parts(self, running: Running) -> Sequence[Part]:  # noqa: ARG002 - what the other ground needs
        project = Project.of(self.settings)
        source = PullSource(project, GoogleRest(project), SUBSCRIPTION)
        writer = WarehouseWriter(source, self._folder)
        watch = Watch(self._emulators, self._console)
        return [Part(writer.start, writer.stop), Part(watch.start, watch.stop)]

    def doors(self, running: Running) -> Sequence[Door]:
        return [Door(self._door, PushDoor(running.gateway.functions, running.api_key))]


class Watch:
    """Says so when an emulator ends by itself: what it held is gone, and nothing here can bring it back."""

    def __init__(self, emulators: Sequence[Emulator], console: Console) -> None:
        self._emulators = list(emulators)
        self._console = console
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._look, name="watch-emulators", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._stopping.wait(LOOK_SECONDS):
            for emulator in [one for one in self._emulators if not one.is_running]:
                self._emulators.remove(emulator)
                self._console.print(
                    f"[red]The {emulator.name} has ended,[/red] and with it what it held. "
                    "Press Ctrl-C, then: make up PLATFORM=emulators"
                )


def _secrets(home: Path, folder: Path) -> Path:
    """The stand-in's file of the secrets that are kept in the state folder."""
    kept, values = LocalSecrets(home / "secrets"), folder / "secrets.json"
    write_values(values, {name: kept.get(name) for name in (SIGNING_KEYS_SECRET, BOOTSTRAP_SECRET)})
    return values


def _loopback() -> socket.socket:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    return listener
