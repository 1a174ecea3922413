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
        self,
        document: Mapping[str, Any],
        *,
        exit_code: ExitCode = ExitCode.FAILED,
        next_command: str = "",
        is_logged_in: bool = False,
    ) -> None:
        super().__init__(document.get("detail") or document.get("title"))
        self.document = dict(document)
        self.exit_code = exit_code
        self.next_command = next_command or next_command_of(document, is_logged_in=is_logged_in)

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


def next_command_of(document: Mapping[str, Any], *, is_logged_in: bool = False) -> str:
    """What to type after this refusal; empty where nothing in particular helps."""
    slug = slug_of(document)
    if is_logged_in and slug in _NEXT_OF_LOGINS:
        return _NEXT_OF_LOGINS[slug]
    for table, member in ((_NEXT_BY_DETAIL, "detail"), (_NEXT, "instance")):
        for known, pattern, command in table:
            found = re.search(pattern, str(document.get(member, ""))) if known == slug else None
            if found is not None:
                return found.expand(command)
    return ""


def next_command_after(error: str) -> str:
    """What to type after work that has failed with these words; empty where nothing in particular helps."""
    return next(command for pattern, command in _NEXT_BY_ERROR if re.search(pattern, error))


_NEXT_OF_LOGINS: Final[Mapping[str, str]] = {
    "unauthenticated": "mlengine login <email>",
    "forbidden": "",
}
"""What differs for somebody who is logged in, by slug."""

_NEXT_BY_DETAIL: Final = (
    ("no-active-model", "'market-signal'", "mlengine train --activate"),
    ("gates-not-passed", r"^([\w.-]+) was uploaded", r"mlengine activate \1 --reason '...'"),
)
"""(slug, pattern of the detail, command): the first that fits, before those by path."""

_NEXT_BY_ERROR: Final = (
    (r"\bingest\b", "mlengine ingest"),
    (r"\blacks columns\b|\binputs/", ""),
    ("", "mlengine doctor"),
)
"""(pattern of the error, command): the first that fits. The user's files are beyond the doctor."""

_NEXT: Final = (
    ("no-active-model", "", "mlengine models"),
    ("gates-not-passed", r"/activate/(.+)$", r"mlengine models report \1"),
    ("unauthenticated", "/auth/(login|register)$", ""),
    ("forbidden", "/auth/register$", ""),
    ("unauthenticated", "", "export MLENGINE_API_KEY=<key>"),
    ("forbidden", "", "export MLENGINE_API_KEY=<a key of that role>"),
    ("not-enough-candles", "/train", "mlengine ingest"),
    ("not-found", "/models?/", "mlengine models"),
    ("not-found", "/predict(/batch|/jobs)?$", "mlengine models"),
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
