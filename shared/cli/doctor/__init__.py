"""What is wrong with the installation, and how to mend it. Works with nothing running."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, TypeAlias

from shared.cli.client import Client, Document
from shared.cli.doctor.emulators import EMULATOR_CHECKS
from shared.cli.doctor.engine import ENGINE_CHECKS
from shared.cli.doctor.finding import Finding, Surroundings, fail
from shared.cli.doctor.installation import INSTALLATION_CHECKS
from shared.cli.doctor.network import NETWORK_CHECKS
from shared.cli.doctor.state import STATE_CHECKS
from shared.cli.target import Installation

Check: TypeAlias = Callable[[Surroundings], Iterable[Finding]]

LOCAL_CHECKS: Final[tuple[Check, ...]] = (
    *INSTALLATION_CHECKS,
    *STATE_CHECKS,
    *NETWORK_CHECKS,
    *EMULATOR_CHECKS,
)


def examine(installation: Installation, client: Client) -> Document:
    """Run every check; those of this machine only where the engine in question is on it."""
    surroundings = Surroundings(installation, client)
    checks = (*LOCAL_CHECKS, *ENGINE_CHECKS) if client.target.is_here else ENGINE_CHECKS
    found = [finding for check in checks for finding in _run(check, surroundings)]
    return {
        "healthy": all(finding.status != "fail" for finding in found),
        "url": client.target.url,
        "checks": [finding.json() for finding in found],
    }


def _run(check: Check, surroundings: Surroundings) -> list[Finding]:
    try:
        return list(check(surroundings))
    except Exception as error:  # noqa: BLE001 - a check that breaks is a finding, the others go on
        return [fail(check.__name__.strip("_"), f"couldn't be checked: {type(error).__name__}: {error}")]
