"""What `make up PLATFORM=emulators` needs on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib.util import find_spec
from typing import Final

from shared.cli.doctor.finding import Finding, Surroundings, fail, ok

_PACKAGES: Final = (
    "google.cloud.firestore",
    "google.cloud.pubsub",
    "google.cloud.storage",
    "gcp_storage_emulator",
)
NEEDED_BY: Final = "needed only by 'make up PLATFORM=emulators'"


def emulators(surroundings: Surroundings) -> Iterable[Finding]:
    """The emulators can start. Where they aren't asked for, what is missing is no fault."""
    from shared.platform.gcp.sdk import missing

    is_asked_for = surroundings.installation.setting("PLATFORM") == "emulators"
    lacking = [(one.part, one.how) for one in missing()]
    packages = [name for name in _PACKAGES if not _is_here(name)]
    if packages:
        lacking.append((f"the packages {', '.join(packages)}", "make up PLATFORM=emulators"))
    if not lacking:
        yield ok("emulators", "Firestore's and Pub/Sub's can start")
    for part, how in lacking:
        if is_asked_for:
            yield fail("emulators", f"missing: {part}", how)
        else:
            yield ok("emulators", f"missing, and {NEEDED_BY}: {part}; to get it: {how}")


def _is_here(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:  # its parent isn't there
        return False


EMULATOR_CHECKS: Final[tuple[Callable[[Surroundings], Iterable[Finding]], ...]] = (emulators,)
