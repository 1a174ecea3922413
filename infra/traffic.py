"""`python -m infra.traffic save|restore FILE`: which revision of each service serves, before and after.

`save` writes down what serves now; `restore` gives all traffic back to that. A service that came later is
left as it is. The next deployment of a function sends its traffic to the latest revision again.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from infra.catalogue import read_catalogue
from shared.config import load_settings
from shared.errors import EngineError, OwnError
from shared.platform.gcp.project import Project
from shared.platform.gcp.rest import GoogleRest, service_message

Traffic = list[dict[str, Any]]
"""As the Run Admin API, v2, has it: targets with their percentages."""

_LATEST: Final = "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST"
_REVISION: Final = "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION"


class Services:
    """The Cloud Run services of functions, by their names."""

    def __init__(self, project: Project, rest: GoogleRest, names: Iterable[str]) -> None:
        self._url = f"{project.run_url}/v2/projects/{project.id}/locations/{project.region}/services"
        self._rest = rest
        self._names = sorted(names)

    def serving(self) -> dict[str, Traffic]:
        """By service: the revisions that its traffic goes to now, each by its name.

        Raises:
            OwnError: a service can't be seen. One that isn't there yet is left out.
        """
        found = {}
        for name in self._names:
            answer = self._rest.call("GET", f"{self._url}/{name}")
            if answer.status_code == HTTPStatus.NOT_FOUND:
                continue
            if answer.is_error:
                raise OwnError(f"{name} can't be seen ({answer.status_code}: {service_message(answer)}).")
            found[name] = _pinned(answer.json())
        return found

    def restore(self, service: str, traffic: Traffic) -> None:
        """Send a service's traffic there.

        Raises:
            OwnError: the service, or a revision, is gone.
        """
        answer = self._rest.call(
            "PATCH", f"{self._url}/{service}", params={"updateMask": "traffic"}, json={"traffic": traffic}
        )
        if answer.is_error:
            raise OwnError(f"{service} can't be restored ({answer.status_code}: {service_message(answer)}).")


def _pinned(service: Mapping[str, Any]) -> Traffic:
    """What serves now, with "the latest" spelled out: it is another revision after the deployment."""
    latest = service.get("latestReadyRevision", "").rpartition("/")[2]
    pinned = []
    for target in service.get("traffic") or [{"type": _LATEST, "percent": 100}]:
        revision = target.get("revision") or latest
        if revision and target.get("percent"):
            pinned.append({"type": _REVISION, "revision": revision, "percent": target["percent"]})
    return pinned


def save(services: Services, file: Path) -> int:
    """Write down what serves; gives how many services."""
    found = services.serving()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(found, indent=2, sort_keys=True) + "\n")
    return len(found)


def restore(services: Services, file: Path, console: Console) -> bool:
    """Give the traffic back where it was; whether that worked for all."""
    before, now, is_well = json.loads(file.read_text()), services.serving(), True
    for service, traffic in sorted(before.items()):
        if not traffic or now.get(service) == traffic:
            continue
        try:
            services.restore(service, traffic)
        except EngineError as error:
            is_well = False
            console.print(f"[red]{service}[/red]: {error.detail}", highlight=False)
        else:
            told = ", ".join(f"{target['revision']} {target['percent']} %" for target in traffic)
            console.print(f"{service}: back to {told}", highlight=False)
    return is_well


def main(arguments: Sequence[str] | None = None) -> int:
    console = Console()
    parser = argparse.ArgumentParser(prog="python -m infra.traffic", description=__doc__)
    parser.add_argument("what", choices=("save", "restore"))
    parser.add_argument("file", type=Path, help="where it is written down")
    parser.add_argument("--prefix", default="mlengine-", help="what the services' names begin with")
    chosen = parser.parse_args(arguments)
    names = [f"{chosen.prefix}{name.replace('_', '-')}" for name in read_catalogue().functions]
    try:
        project = Project.of(load_settings())
        services = Services(project, GoogleRest(project), names)
        if chosen.what == "restore":
            return 0 if restore(services, chosen.file, console) else 1
        console.print(f"{save(services, chosen.file)} services are written down in {chosen.file}.")
    except (EngineError, OSError) as error:
        console.print(f"[red]{chosen.what} failed:[/red] {error}", highlight=False)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
