"""Training runs in MLflow, where MLFLOW_TRACKING_URI is set: parameters, metrics, the report and the package,
and versions with aliases in its registry.

It speaks MLflow's REST API, of which this needs a few calls: MLflow's own client, also the small one, brings
some thirty packages, cloudpickle among them. The tracking server must pass artifacts on to its store
(`mlflow server` does so unless it is told not to): then no right to that store is needed here.

What is told to MLflow is a copy. The engine's registry alone says what is live, and a server that is away or
slow costs a training run a bounded wait and a warning, never its result. That MLflow is still to be told of a
run is in the run's document, written with its end: whoever was killed, or found no server, before it was, is
made up for by the next attempt or training.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from shared.config import Settings
from shared.errors import CallerError, DependencyError, EngineError, OwnError, PlatformUnavailable
from shared.logs import LOGGER
from shared.registry import Package, Registry
from shared.registry.package import REPORT
from shared.training.run_records import Run
from shared.training.runs import Runs

if TYPE_CHECKING:
    import httpx

CALL_SECONDS: Final = 10.0
"""How long one call may be silent."""
WHOLE_SECONDS: Final = 120.0
"""How long it may take in all."""
LENT_SECONDS: Final = 300.0
"""How long one job is left alone with a run that it tells of."""
MOST_RUNS: Final = 20
"""That a job tells of besides its own."""

ALIAS: Final = "champion"
FOLDER: Final = "model"
"""Where in a run's artifacts the package is."""

_RUN_TAG: Final = "mlengine.run_id"
_VERSION_TAG: Final = "mlengine.version"
_PROXIED: Final = "mlflow-artifacts:"
_LONGEST_PARAMETER: Final = 6_000
_BATCH: Final = 100
_EXISTS: Final = "RESOURCE_ALREADY_EXISTS"
_MISSING: Final = "RESOURCE_DOES_NOT_EXIST"
_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9_./ -]")


@dataclass(frozen=True, slots=True)
class Trained:
    """What a run has made: the package, as which version, and whether that is live."""

    package: Package
    version_id: str
    is_live: bool


def catch_up(settings: Settings, runs: Runs, registry: Registry, own: str) -> None:
    """Tell MLflow, if there is one, of the `own` run that has ended, and of others that it wasn't told of.

    Whatever goes wrong is one warning in the log.
    """
    if not settings.mlflow_tracking_uri:
        return
    try:
        others = [run for run in runs.to_track(limit=MOST_RUNS) if run.run_id != own]
        with Mlflow.of(settings) as mlflow:
            for run in (runs.get(own), *others):
                if runs.lend_tracking(run.run_id, seconds=LENT_SECONDS, is_own=run.run_id == own):
                    _track(Tracker(mlflow), runs, registry, run)
    except EngineError as error:
        LOGGER.warning("not tracked in MLflow", extra={"facts": {"run_id": own, "why": str(error)}})


def _track(tracker: Tracker, runs: Runs, registry: Registry, run: Run) -> None:
    """
    Raises:
        PlatformUnavailable: there is no use in going on.
    """
    facts = {"run_id": run.run_id}
    is_told = False
    try:
        tracker.record(run.run_id, _trained(registry, run), run.timings)
        is_told = True
        LOGGER.info("tracked in MLflow", extra={"facts": facts})
    except (Refused, OwnError, CallerError) as error:
        LOGGER.warning("not tracked in MLflow", extra={"facts": {**facts, "why": str(error)}})
    finally:
        runs.settle_tracking(run.run_id, is_done=is_told)


def _trained(registry: Registry, run: Run) -> Trained:
    """What the run has made, and whether that is live now.

    Raises:
        NotFound, PackageRefused
    """
    version_id = str((run.result or {})["version_id"])
    package = registry.open_package(version_id)
    active = registry.active(package.manifest.name)
    return Trained(package, version_id, is_live=active is not None and active.version_id == version_id)


class Refused(DependencyError):
    """MLflow doesn't do what it was asked to. `code` is its own word for why."""

    title = "MLflow refused"

    def __init__(self, detail: str, code: str) -> None:
        super().__init__(detail)
        self.code = code


class Tracker:
    """Writes runs and versions."""

    def __init__(self, mlflow: Mlflow) -> None:
        self._mlflow = mlflow

    def record(self, run_id: str, trained: Trained, seconds: Mapping[str, float]) -> None:
        """A run with all that belongs to it. One that an earlier attempt began is gone on with.

        Raises:
            PlatformUnavailable, Refused
        """
        manifest = trained.package.manifest
        experiment = self._experiment(f"mlengine/{manifest.problem}")
        run = self._run(experiment, run_id, trained)
        self._log(run["info"], trained, seconds)
        folder = run["info"]["artifact_uri"]
        self._mlflow.upload(folder, REPORT, trained.package.file(REPORT))
        for name, content in trained.package.files().items():
            self._mlflow.upload(folder, f"{FOLDER}/{name}", content)
        self._mlflow.post("runs/update", run_id=run["info"]["run_id"], status="FINISHED", end_time=_now())
        self._register(run["info"]["run_id"], folder, trained)

    def _experiment(self, name: str) -> str:
        try:
            found = self._mlflow.get("experiments/get-by-name", experiment_name=name)["experiment"]
        except Refused as error:
            if error.code != _MISSING:
                raise
            return str(self._mlflow.post("experiments/create", name=name)["experiment_id"])
        return str(found["experiment_id"])

    def _run(self, experiment: str, run_id: str, trained: Trained) -> dict[str, Any]:
        wanted = f"tags.`{_RUN_TAG}` = '{run_id}'"
        found = self._mlflow.post("runs/search", experiment_ids=[experiment], filter=wanted, max_results=1)
        if found.get("runs"):
            return cast("dict[str, Any]", found["runs"][0])
        manifest = trained.package.manifest
        tags = {
            _RUN_TAG: run_id,
            _VERSION_TAG: trained.version_id,
            "mlengine.package": trained.package.hash,
            "mlengine.problem": manifest.problem,
            "mlengine.dataset": manifest.dataset_fingerprint,
            "mlengine.code": manifest.code_revision,
            "mlengine.gates_passed": str(manifest.gates_passed).lower(),
        }
        began = self._mlflow.post(
            "runs/create",
            experiment_id=experiment,
            run_name=trained.version_id,
            start_time=_now(),
            tags=_pairs(tags),
        )
        return cast("dict[str, Any]", began["run"])

    def _log(self, told_of: Mapping[str, Any], trained: Trained, seconds: Mapping[str, float]) -> None:
        """The same values at the same time: told again, MLflow has them once."""
        metrics = dict(_numbers(trained.package.manifest.metrics))
        metrics |= {f"gate.{gate.name}": float(gate.passed) for gate in trained.package.manifest.gates}
        metrics |= {f"seconds.{stage}": value for stage, value in seconds.items()}
        at = int(told_of["start_time"])
        told = [
            {"key": _name(key), "value": value, "timestamp": at, "step": 0} for key, value in metrics.items()
        ]
        parameters = _pairs(_parameters(trained.package))
        for first in range(0, max(len(told), len(parameters)), _BATCH):
            part = slice(first, first + _BATCH)
            self._mlflow.post(
                "runs/log-batch", run_id=told_of["run_id"], metrics=told[part], params=parameters[part]
            )

    def _register(self, mlflow_run: str, folder: str, trained: Trained) -> None:
        name = trained.package.manifest.name
        try:
            self._mlflow.post("registered-models/create", name=name)
        except Refused as error:
            if error.code != _EXISTS:
                raise
        version = (
            self._version(name, mlflow_run)
            or self._mlflow.post(
                "model-versions/create",
                name=name,
                source=f"{folder}/{FOLDER}",
                run_id=mlflow_run,
                tags=_pairs({_VERSION_TAG: trained.version_id}),
            )["model_version"]
        )
        if trained.is_live:
            number = str(version["version"])
            self._mlflow.post("registered-models/alias", name=name, alias=ALIAS, version=number)

    def _version(self, name: str, mlflow_run: str) -> dict[str, Any] | None:
        """What an earlier attempt has registered."""
        wanted = f"name = '{name}' and run_id = '{mlflow_run}'"
        found = self._mlflow.get("model-versions/search", filter=wanted, max_results="1")
        versions: list[dict[str, Any]] = found.get("model_versions", [])
        return versions[0] if versions else None


class Mlflow:
    """Some calls of MLflow's REST API, version 2.0, within a bounded time."""

    def __init__(self, client: httpx.Client, *, clock: Callable[[], float]) -> None:
        self._client = client
        self._clock = clock
        self._until = clock() + WHOLE_SECONDS

    @staticmethod
    def of(settings: Settings) -> Mlflow:
        import httpx

        token = settings.mlflow_tracking_token
        headers = {} if token is None else {"authorization": f"Bearer {token.get_secret_value()}"}
        client = httpx.Client(base_url=settings.mlflow_tracking_uri, timeout=CALL_SECONDS, headers=headers)
        return Mlflow(client, clock=time.monotonic)

    def __enter__(self) -> Mlflow:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def get(self, path: str, **query: str) -> dict[str, Any]:
        return self._json("GET", f"/api/2.0/mlflow/{path}", params=query)

    def post(self, path: str, **body: Any) -> dict[str, Any]:
        return self._json("POST", f"/api/2.0/mlflow/{path}", json=body)

    def upload(self, folder: str, name: str, content: bytes) -> None:
        """Keep a file among a run's artifacts; `folder` is where MLflow says they are.

        Raises:
            PlatformUnavailable
            Refused: the server doesn't pass artifacts on.
        """
        if not folder.startswith(_PROXIED):
            raise Refused(
                f"The tracking server keeps artifacts under {folder.partition(':')[0]}: and passes none on: "
                "start it with --serve-artifacts.",
                "NOT_PROXIED",
            )
        inner = folder.removeprefix(_PROXIED).lstrip("/")
        self._json("PUT", f"/api/2.0/mlflow-artifacts/artifacts/{inner}/{name}", content=content)

    def _json(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        import httpx

        if self._clock() > self._until:
            raise PlatformUnavailable(f"MLflow is slow: it wasn't done after {WHOLE_SECONDS:.0f} s.")
        try:
            answer = self._client.request(method, path, **options)
            told = answer.json() if answer.content else {}
        except (httpx.HTTPError, ValueError) as error:
            raise PlatformUnavailable(f"MLflow doesn't answer {path}: {type(error).__name__}.") from error
        told = told if isinstance(told, dict) else {}
        if not answer.is_success:
            why = f"{told.get('error_code', '')} {told.get('message', '')}".strip()[:300]
            raise Refused(
                f"MLflow answers {path} with {answer.status_code}: {why}", told.get("error_code", "")
            )
        return told


def _parameters(package: Package) -> dict[str, str]:
    manifest = package.manifest
    facts = {
        "algorithm": manifest.algorithm,
        "feature_set": manifest.feature_set,
        "features": len(manifest.feature_names),
        "classes": ", ".join(manifest.classes),
        "threshold": manifest.threshold,
        "horizon": manifest.horizon,
        "timeframe": manifest.timeframe,
        "rows": manifest.rows,
        "symbols": len(manifest.symbols) or None,
        "trained_from": None if manifest.window is None else manifest.window.start,
        "trained_to": None if manifest.window is None else manifest.window.end,
    }
    facts |= {f"hyper.{key}": value for key, value in manifest.hyper_parameters.items()}
    return {key: str(value)[:_LONGEST_PARAMETER] for key, value in facts.items() if value is not None}


def _numbers(value: Any, path: str = "") -> Iterator[tuple[str, float]]:
    """The numbers in nested mappings, by their paths: `auc.low` is the lower end of an interval."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _numbers(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, int | float):
        yield path, float(value)


def _name(text: str) -> str:
    """What MLflow takes as a name."""
    return _NOT_IN_NAMES.sub("_", text)[:250]


def _pairs(values: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": _name(key), "value": value} for key, value in values.items()]


def _now() -> int:
    """In milliseconds, on the machine's clock, as MLflow has it."""
    return time.time_ns() // 1_000_000
