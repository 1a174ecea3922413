"""Why a command can't be done: a problem document, an exit code, and the command to type next."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import IntEnum
from typing import Any, Final

TYPE_PREFIX: Final = "urn:mlengine:problem:"


class ExitCode(IntEnum):
    DONE = 0
    FAILED = 1
    USAGE = 2
    UNREACHABLE = 3
    INTERRUPTED = 130


class CliProblem(Exception):
    """Carries the problem document (RFC 9457) of a refusal, the server's or our own."""

    def __init__(
        self, document: Mapping[str, Any], *, exit_code: ExitCode = ExitCode.FAILED, next_command: str = ""
    ) -> None:
        super().__init__(document.get("detail") or document.get("title"))
        self.document = dict(document)
        self.exit_code = exit_code
        self.next_command = next_command or next_command_of(document)

    @property
    def slug(self) -> str:
        return slug_of(self.document)

    @property
    def is_retryable(self) -> bool:
        """Whether the same call may succeed later."""
        return bool(self.document.get("retryable"))


def problem(
    slug: str,
    title: str,
    detail: str,
    *,
    exit_code: ExitCode = ExitCode.FAILED,
    next_command: str = "",
    instance: str = "",
    retryable: bool = False,
) -> CliProblem:
    """A problem found on this side of the wire, in the shape of the server's."""
    document = {
        "type": TYPE_PREFIX + slug,
        "title": title,
        "detail": detail,
        "instance": instance,
        "error": detail,
        "retryable": retryable,
        "errors": [],
    }
    return CliProblem(document, exit_code=exit_code, next_command=next_command)


def wrong_usage(detail: str) -> CliProblem:
    return problem("usage", "Wrong usage", detail, exit_code=ExitCode.USAGE)


def slug_of(document: Mapping[str, Any]) -> str:
    return str(document.get("type", "")).removeprefix(TYPE_PREFIX)


def next_command_of(document: Mapping[str, Any]) -> str:
    """What to type after this refusal; empty where nothing in particular helps."""
    path = str(document.get("instance", ""))
    for slug, pattern, command in _NEXT:
        found = re.search(pattern, path) if slug == slug_of(document) else None
        if found is not None:
            return found.expand(command)
    return ""


_NEXT: Final = (
    ("no-active-model", "", "mlengine train --activate"),
    ("gates-not-passed", r"/activate/(.+)$", r"mlengine models report \1"),
    ("unauthenticated", "", "export MLENGINE_API_KEY=<key>"),
    ("forbidden", "", "export MLENGINE_API_KEY=<a key of that role>"),
    ("not-enough-candles", "/train", "mlengine ingest"),
    ("not-found", "/models?/", "mlengine models"),
    ("not-found", "/problems/", "mlengine problem list"),
    ("not-found", "/monitoring/drift", "mlengine drift check"),
    ("not-found", "/admin/drift", "mlengine models"),
    ("not-found", "/admin/train/", "mlengine runs"),
    ("not-found", "/predictions/", "mlengine predictions"),
    ("not-found", "/predict/jobs/", "mlengine scorings"),
    ("not-found", "/alerts/", "mlengine alerts"),
    ("package-refused", "", "mlengine models"),
    ("upstream-rejected", "", "mlengine doctor"),
    ("upstream-invalid", "", "mlengine doctor"),
    ("upstream-unavailable", "", "mlengine doctor"),
    ("platform-unavailable", "", "mlengine doctor"),
    ("configuration-error", "", "mlengine doctor"),
    ("engine-error", "", "mlengine doctor"),
)
"""(slug, pattern of the path, command): the first that fits."""
