"""`python -m infra.cloudbuild [FILE ...]`: are these build configurations what Cloud Build takes?

The fields are those of the documented schema (cloud.google.com/build/docs/build-config-file-schema).
Of what the engine has no use for, the old ways of naming secrets and the uploads of packages are left out.
Beyond the schema: what a build would trip over only when it runs, as steps that wait for nothing, values that
nobody gives, secrets that nobody reads.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from infra.catalogue import ROOT

FILES: Final = (ROOT / "cloudbuild.yaml", ROOT / "cloudbuild.deploy.yaml")
LONGEST_SECONDS: Final = 24 * 3600
_AT_ONCE: Final = "-"
"""In `waitFor`: for nothing."""

BUILT_IN: Final = frozenset(
    {
        *(
            "PROJECT_ID",
            "PROJECT_NUMBER",
            "LOCATION",
            "BUILD_ID",
            "TRIGGER_NAME",
            "COMMIT_SHA",
            "REVISION_ID",
        ),
        *("SHORT_SHA", "REPO_NAME", "REPO_FULL_NAME", "BRANCH_NAME", "TAG_NAME", "REF_NAME"),
        *("TRIGGER_BUILD_CONFIG_PATH", "SERVICE_ACCOUNT_EMAIL", "SERVICE_ACCOUNT"),
    }
)
_VALUE: Final = re.compile(r"\$\$|\$\{([A-Za-z_][A-Za-z0-9_]*)\}|\$([A-Za-z_][A-Za-z0-9_]*)")

Duration = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]{1,9})?s$")]
Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*=")]
Substitution = Annotated[str, Field(pattern=r"^_[A-Z0-9_]+$")]


class _Known(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True, strict=True)


class Volume(_Known):
    name: str
    path: Annotated[str, Field(pattern=r"^/")]


class Step(_Known):
    name: Annotated[str, Field(min_length=1)]
    id: Annotated[str, Field(min_length=1)] | None = None
    args: list[str] = []
    env: list[Variable] = []
    dir: str | None = None
    wait_for: list[str] | None = None
    entrypoint: str | None = None
    script: str | None = None
    secret_env: list[str] = []
    volumes: list[Volume] = []
    timeout: Duration | None = None
    allow_failure: bool = False
    allow_exit_codes: list[int] = []
    automap_substitutions: bool = False

    @model_validator(mode="after")
    def _does_one_thing(self) -> Self:
        if self.script is not None and (self.args or self.entrypoint is not None):
            raise ValueError("a step has either a script, or args and an entrypoint")
        return self


class Pool(_Known):
    name: str


class Options(_Known):
    env: list[Variable] = []
    secret_env: list[str] = []
    volumes: list[Volume] = []
    source_provenance_hash: list[Literal["NONE", "SHA256", "MD5", "SHA512"]] = []
    machine_type: (
        Literal["UNSPECIFIED", "N1_HIGHCPU_8", "N1_HIGHCPU_32", "E2_HIGHCPU_8", "E2_HIGHCPU_32", "E2_MEDIUM"]
        | None
    ) = None
    disk_size_gb: int | None = None
    substitution_option: Literal["MUST_MATCH", "ALLOW_LOOSE"] | None = None
    dynamic_substitutions: bool = False
    automap_substitutions: bool = False
    log_streaming_option: Literal["STREAM_DEFAULT", "STREAM_ON", "STREAM_OFF"] | None = None
    logging: Literal["LOGGING_UNSPECIFIED", "LEGACY", "GCS_ONLY", "CLOUD_LOGGING_ONLY", "NONE"] | None = None
    default_logs_bucket_behavior: Literal["REGIONAL_USER_OWNED_BUCKET", "LEGACY_BUCKET"] | None = None
    pool: Pool | None = None
    pubsub_topic: str | None = None
    requested_verify_option: Literal["NOT_VERIFIED", "VERIFIED"] | None = None


class SecretVersion(_Known):
    version_name: Annotated[str, Field(pattern=r"^projects/[^/]+/secrets/[^/]+/versions/[^/]+$")]
    env: str


class Secrets(_Known):
    secret_manager: list[SecretVersion] = []


class Objects(_Known):
    location: Annotated[str, Field(pattern=r"^gs://")]
    paths: list[str]


class Artifacts(_Known):
    images: list[str] = []
    objects: Objects | None = None


class Build(_Known):
    """A build configuration."""

    steps: Annotated[list[Step], Field(min_length=1, max_length=300)]
    timeout: Duration | None = None
    queue_ttl: Duration | None = None
    logs_bucket: str | None = None
    options: Options = Options()
    substitutions: dict[Substitution, str] = {}
    tags: list[str] = []
    service_account: str | None = None
    available_secrets: Secrets = Secrets()
    artifacts: Artifacts | None = None
    images: list[str] = []


def problems(text: str) -> list[str]:
    """What is wrong with a build configuration, in words; nothing, if it is well."""
    try:
        document = yaml.safe_load(text)
        build = Build.model_validate(document)
    except yaml.YAMLError as error:
        return [f"not YAML: {error}"]
    except ValidationError as error:
        return [f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()]
    return [*_steps(build), *_values(build, document), *_secrets(build), *_times(build)]


def _steps(build: Build) -> Iterator[str]:
    """A step may wait for those above it."""
    above: set[str] = set()
    for number, step in enumerate(build.steps):
        name = step.id or f"step {number}"
        if step.id in above:
            yield f"{name}: another step has that id"
        for awaited in step.wait_for or ():
            if awaited not in above | {_AT_ONCE}:
                yield f"{name}: waits for {awaited!r}, which is no step above it"
        above |= {step.id} if step.id else set()


def _values(build: Build, document: dict[str, Any]) -> Iterator[str]:
    """Every value that is used is given, and the other way round, as MUST_MATCH has it."""
    used = set()
    for place, text in _texts({key: part for key, part in document.items() if key != "substitutions"}):
        for match in _VALUE.finditer(text):
            name = match[1] or match[2]
            if name is None:  # $$ is a dollar
                continue
            used.add(name)
            if name not in BUILT_IN | build.substitutions.keys():
                yield f"{place}: ${name} is neither built in nor among the substitutions"
    for name in sorted(build.substitutions.keys() - used):
        yield f"substitutions.{name}: nothing uses it"


def _texts(part: Any, place: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(part, str):
        yield place, part
    elif isinstance(part, dict):
        for key, value in part.items():
            yield from _texts(value, f"{place}.{key}" if place else str(key))
    elif isinstance(part, list):
        for number, value in enumerate(part):
            yield from _texts(value, f"{place}.{number}")


def _secrets(build: Build) -> Iterator[str]:
    known = {version.env for version in build.available_secrets.secret_manager}
    read = {name for step in build.steps for name in step.secret_env} | set(build.options.secret_env)
    for name in sorted(read - known):
        yield f"secretEnv: {name} is not among the available secrets"
    for name in sorted(known - read):
        yield f"availableSecrets: no step reads {name}"


def _times(build: Build) -> Iterator[str]:
    longest = float((build.timeout or "3600s")[:-1])
    if longest > LONGEST_SECONDS:
        yield f"timeout: at most {LONGEST_SECONDS} seconds"
    for number, step in enumerate(build.steps):
        if step.timeout is not None and float(step.timeout[:-1]) > longest:
            yield f"{step.id or f'step {number}'}: its timeout is longer than the build's"


def main(arguments: Sequence[str] | None = None) -> int:
    """Tell what is wrong; gives the exit code."""
    found = False
    for name in (sys.argv[1:] if arguments is None else arguments) or FILES:
        for problem in problems(Path(name).read_text()):
            found = True
            sys.stderr.write(f"{Path(name).name}: {problem}\n")
    return int(found)


if __name__ == "__main__":
    sys.exit(main())
