"""Google's own emulators, from the SDK: Firestore and Pub/Sub."""

from __future__ import annotations

from pathlib import Path

from infra.emulators.processes import Emulator, free_port
from shared.platform.gcp.sdk import FIRESTORE_JAR, PUBSUB_JAR, jar

_JAVA = ("java", "-Duser.language=en", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
_FIRESTORE_MAIN = "com.google.cloud.datastore.emulator.firestore.CloudFirestore"


def firestore_emulator(logs: Path, port: int | None = None) -> Emulator:
    """Keeps everything in memory, by project."""
    port = port or free_port()
    command = [*_JAVA, "-cp", str(jar(FIRESTORE_JAR)), _FIRESTORE_MAIN, "start"]
    return Emulator(
        "firestore emulator",
        [*command, "--host=127.0.0.1", f"--port={port}"],
        port,
        logs / "firestore.log",
    )


def pubsub_emulator(logs: Path, port: int | None = None) -> Emulator:
    """Keeps everything in memory, by project."""
    port = port or free_port()
    command = [*_JAVA, "-jar", str(jar(PUBSUB_JAR)), "--host=127.0.0.1", f"--port={port}"]
    return Emulator("pubsub emulator", command, port, logs / "pubsub.log")
