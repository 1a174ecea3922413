"""Where the Google Cloud SDK keeps its emulators, and how to get what is missing."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from shared.errors import ConfigurationError

FIRESTORE_JAR = "platform/cloud-firestore-emulator/cloud-firestore-emulator.jar"
PUBSUB_JAR = "platform/pubsub-emulator/lib/cloud-pubsub-emulator-*-all.jar"
_INSTALL_SDK = "install the Google Cloud SDK (https://cloud.google.com/sdk/docs/install)"
_INSTALL_JAVA = "install a Java runtime, 17 or newer (Debian, Ubuntu: apt install default-jre-headless)"


@dataclass(frozen=True, slots=True)
class Missing:
    """A part that isn't on this machine, and how to get it."""

    part: str
    how: str


def missing() -> list[Missing]:
    """What the Firestore and Pub/Sub emulators lack here; empty when both can start."""
    found = []
    if java() is None:
        found.append(Missing("java", _INSTALL_JAVA))
    sdk = sdk_folder()
    if sdk is None:
        return [*found, Missing("the Google Cloud SDK", f"{_INSTALL_SDK}, or set CLOUDSDK_ROOT_DIR")]
    for name, pattern in (("firestore", FIRESTORE_JAR), ("pubsub", PUBSUB_JAR)):
        if _newest(sdk, pattern) is None:
            how = (
                f"gcloud components install {'cloud-firestore' if name == 'firestore' else name}-emulator "
                f"(Debian, Ubuntu: apt install google-cloud-cli-{name}-emulator)"
            )
            found.append(Missing(f"the {name} emulator in {sdk}", how))
    return found


def java() -> str | None:
    return shutil.which("java")


def sdk_folder() -> Path | None:
    """CLOUDSDK_ROOT_DIR, else where the `gcloud` on the PATH lies."""
    given = os.environ.get("CLOUDSDK_ROOT_DIR")
    if given:
        return Path(given)
    gcloud = shutil.which("gcloud")
    return None if gcloud is None else Path(gcloud).resolve().parent.parent


def jar(pattern: str) -> Path:
    """
    Raises:
        ConfigurationError: it isn't there; says how to get it.
    """
    sdk = sdk_folder()
    found = None if sdk is None else _newest(sdk, pattern)
    if found is None or java() is None:
        lacks = "; ".join(f"{one.part}: {one.how}" for one in missing())
        raise ConfigurationError(f"The emulators can't start here. Missing: {lacks}.")
    return found


def _newest(sdk: Path, pattern: str) -> Path | None:
    return max(sdk.glob(pattern), default=None)
