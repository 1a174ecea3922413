"""The running engine: its functions, the key, the live model."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from shared.cli.doctor.finding import Finding, Surroundings, fail, ok, warn
from shared.cli.problem import CliProblem

NO_MODEL: Final = "model"
"""The name under which `/ready` misses a live model: `live_model` tells more about that."""


def reachable(surroundings: Surroundings) -> Iterable[Finding]:
    """Somebody answers; for the twin another check says so."""
    if not surroundings.client.target.is_here:
        refusal = surroundings.refusal
        url = surroundings.client.target.url
        yield fail("engine", str(refusal), "Check --url.") if refusal else ok("engine", f"answers at {url}")


def functions(surroundings: Surroundings) -> Iterable[Finding]:
    """Every function has what it needs."""
    if not surroundings.is_answering:
        return
    _, answer = surroundings.client.state("/ready")
    states: dict[str, Any] = answer.get("functions") or {answer.get("function", "engine"): answer}
    lacking = {
        name: "; ".join(
            f"{part}: {why}" for part, why in state.get("missing", {}).items() if part != NO_MODEL
        )
        for name, state in states.items()
    }
    for name, missing in lacking.items():
        if missing:
            yield fail("functions", f"{name} isn't ready: {missing}", "make up")
    if not any(lacking.values()):
        yield ok("functions", f"ready: {', '.join(states)}")


def key(surroundings: Surroundings) -> Iterable[Finding]:
    """The key that this command presents is the administrator's."""
    if not surroundings.is_answering:
        return
    mend = "export MLENGINE_API_KEY=<key>"
    try:
        surroundings.client.get("/admin/train/status", limit=1)
    except CliProblem as failure:
        if failure.slug not in {"unauthenticated", "forbidden"}:
            raise
        yield warn("key", f"not an administrator's: {failure}", mend)
    else:
        yield ok("key", "accepted as an administrator's")


def live_model(surroundings: Surroundings) -> Iterable[Finding]:
    """A model is live, and has shown something."""
    if not surroundings.is_answering:
        return
    live = [entry for entry in surroundings.client.get("/models", limit=500)["models"] if entry["active"]]
    for entry in live:
        if entry["gates_passed"]:
            yield ok("model", f"{entry['id']} is live, its gates passed")
        else:
            yield warn(
                "model", f"{entry['id']} is live, but its gates didn't pass", "mlengine train --activate"
            )
    if not live:
        yield fail("model", "no model is live: nothing can be predicted", "mlengine train --activate")


ENGINE_CHECKS: Final[tuple[Callable[[Surroundings], Iterable[Finding]], ...]] = (
    reachable,
    functions,
    key,
    live_model,
)
