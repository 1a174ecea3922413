"""`python -m infra.smoke ADDRESSES`: does an engine that was just deployed do its work?

ADDRESSES is the engine's URL, or a file of what `terraform output -json` prints: behind a front door that
alone is called.
Each address must be healthy and ready, `predict` must predict, and the prediction must be in the audit, which
only has it when the events arrive. What is not yet so may become so: it is asked again until the patience,
which all checks share, has ended. The key is in MLENGINE_API_KEY; with --identity each call also carries a
token of this machine's service account, for functions that only known callers may invoke.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final, Generic, TypeVar

import httpx
from pydantic import BaseModel, Field
from rich.console import Console

ENGINE: Final = "engine"
"""The name of the address where one URL serves all functions."""

METADATA: Final = "metadata.google.internal"
_IDENTITY: Final = "/computeMetadata/v1/instance/service-accounts/default/identity"
_TIMEOUT_SECONDS: Final = 30.0
_PAUSE_SECONDS: Final = 1.0
_MODEL: Final = "model"


Value = TypeVar("Value")


class NotYet(Exception):
    """What was found instead of what was expected. It may be otherwise in a moment."""


@dataclass(slots=True)
class Smoke:
    """The checks. `clock` and `pause` are in seconds; `left_seconds` is what is left of the patience."""

    addresses: Mapping[str, str]
    api_key: str
    symbol: str
    expects_model: bool
    left_seconds: float
    client: httpx.Client
    token_of: Callable[[str], str] | None = None
    clock: Callable[[], float] = time.monotonic
    pause: Callable[[float], None] = time.sleep
    failures: list[str] = field(default_factory=list)

    def run(self, console: Console) -> bool:
        """Make all checks, telling each; whether all is well."""
        for name in sorted(self.addresses):
            self._check(console, f"{name} is healthy", partial(self._is_healthy, name))
            self._check(console, f"{name} is ready", partial(self._is_ready, name))
        if self.expects_model:
            self._check(console, "a prediction is made, and found in the audit", self._predicts)
        return not self.failures

    def _check(self, console: Console, what: str, check: Callable[[], None]) -> None:
        started = self.clock()
        while True:
            try:
                check()
            except (NotYet, httpx.TransportError) as error:
                waited = self.clock() - started
                if waited < self.left_seconds:
                    self.pause(_PAUSE_SECONDS)
                    continue
                self.left_seconds = 0.0  # a deployment that failed is given back soon
                self.failures.append(what)
                console.print(f"[red]no[/red]   {what}: {type(error).__name__}: {error}", highlight=False)
            else:
                took = self.clock() - started
                self.left_seconds = max(0.0, self.left_seconds - took)
                console.print(f"[green]yes[/green]  {what} ({took:.1f} s)", highlight=False)
            return

    def _is_healthy(self, name: str) -> None:
        found = self._get(name, "/health")
        if found.get("status") != "ok" or name not in (ENGINE, found.get("function")):
            raise NotYet(f"it says {found}")

    def _is_ready(self, name: str) -> None:
        found = self._get(name, "/ready", accepted=(200, 503))
        missing = {
            part: why
            for part, why in found.get("missing", {}).items()
            if self.expects_model or part.rpartition(" ")[2] != _MODEL  # none has been trained yet
        }
        if missing:
            raise NotYet("; ".join(f"{part}: {why}" for part, why in sorted(missing.items())))

    def _predicts(self) -> None:
        made = self._get("predict", f"/predict?symbol={self.symbol}")
        if made.get("symbol") != self.symbol or not 0 <= float(made.get("probability", -1)) <= 1:
            raise NotYet(f"it says {made}")
        kept = self._get("monitoring", f"/predictions/{made['prediction_id']}")["prediction"]
        if kept["probability"] != made["probability"]:
            raise NotYet(f"the audit says {kept['probability']}, the answer said {made['probability']}")

    def _get(self, name: str, target: str, *, accepted: Sequence[int] = (200,)) -> dict[str, Any]:
        url = self.addresses.get(name) or self.addresses[ENGINE]
        headers = {"x-api-key": self.api_key}
        if self.token_of is not None:
            headers["x-serverless-authorization"] = f"Bearer {self.token_of(url)}"
        answer = self.client.get(f"{url}{target}", headers=headers, timeout=_TIMEOUT_SECONDS)
        if answer.status_code not in accepted:
            raise NotYet(f"{answer.status_code}: {answer.text[:300]}")
        try:
            found: dict[str, Any] = answer.json()
        except ValueError as error:
            raise NotYet(f"no JSON: {answer.text[:300]}") from error
        return found


def metadata_token(client: httpx.Client, host: str) -> Callable[[str], str]:
    """What gives an ID token of this machine's service account for an audience.

    Source: cloud.google.com/docs/authentication/get-id-token. Cloud Build gives some only to builds that
    run as an account of their own.
    """

    def token(audience: str) -> str:
        query = {"audience": audience, "format": "full"}
        try:
            answer = client.get(
                f"http://{host}{_IDENTITY}", params=query, headers={"metadata-flavor": "Google"}
            )
            answer.raise_for_status()
        except httpx.HTTPError as error:
            raise NotYet(f"the metadata server gives no ID token: {error}") from error
        return answer.text.strip()

    return token


class _Function(BaseModel):
    url: Annotated[str, Field(pattern="^https?://")]
    routes: tuple[str, ...]


class _FrontDoor(BaseModel):
    url: Annotated[str, Field(pattern="^https?://")]


class _Output(BaseModel, Generic[Value]):
    value: Value


class _Outputs(BaseModel):
    functions: _Output[dict[str, _Function]]
    front_door: _Output[_FrontDoor | None]


def read_addresses(text: str) -> dict[str, str]:
    """A URL, or a file with that of the front door, else those of the functions that have routes.

    Raises:
        ValueError: neither.
    """
    if text.startswith(("http://", "https://")):
        return {ENGINE: text.rstrip("/")}
    try:
        found = _Outputs.model_validate_json(Path(text).read_bytes())
    except (OSError, ValueError) as error:
        raise ValueError(f"{text} is neither a URL nor a file of Terraform's outputs: {error}") from error
    if found.front_door.value is not None:
        return {ENGINE: found.front_door.value.url.rstrip("/")}
    addresses = {name: one.url.rstrip("/") for name, one in found.functions.value.items() if one.routes}
    if not {"predict", "monitoring"} <= addresses.keys():
        raise ValueError(f"{text} must have the functions predict and monitoring, with their routes")
    return addresses


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m infra.smoke", description=__doc__)
    parser.add_argument("addresses", help="the engine's URL, or a file of Terraform's outputs")
    parser.add_argument("--symbol", default="AAPL", help="what is predicted")
    parser.add_argument("--before-first-model", action="store_true", help="none is live: don't predict")
    parser.add_argument("--identity", action="store_true", help="send this service account's ID token too")
    parser.add_argument("--patience-seconds", type=float, default=600.0, help="how long all may take")
    chosen = parser.parse_args(arguments)
    try:
        addresses = read_addresses(chosen.addresses)
    except ValueError as error:
        parser.error(str(error))
    api_key = os.environ.get("MLENGINE_API_KEY", "").strip()  # a secret may end with a line break
    if not api_key:
        parser.error("set MLENGINE_API_KEY: the key of the engine's administrator")
    with httpx.Client() as client:
        host = os.environ.get("GCE_METADATA_HOST") or METADATA
        smoke = Smoke(
            addresses,
            api_key,
            chosen.symbol,
            expects_model=not chosen.before_first_model,
            left_seconds=chosen.patience_seconds,
            client=client,
            token_of=metadata_token(client, host) if chosen.identity else None,
        )
        return 0 if smoke.run(Console()) else 1


if __name__ == "__main__":
    sys.exit(main())
