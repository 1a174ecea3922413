"""Which log entries a filter of Cloud Logging takes: as much of its language as the metrics use.

Source: cloud.google.com/logging/docs/view/logging-query-language.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_TOKEN = re.compile(r'\s*(?:(AND|OR|\(|\)|!=|>=|<=|=|>|<|:\*|:)|"((?:[^"\\]|\\.)*)"|([\w./-]+))')
_SEVERITIES = ("DEFAULT", "DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL", "ALERT", "EMERGENCY")


def takes(filter: str, entry: Mapping[str, Any]) -> bool:
    """Whether `filter` takes the entry."""
    reader = _Reader(filter, entry)
    found = reader.any_of()
    assert reader.is_at_end, f"not understood: {filter[reader.position :]!r}"
    return found


def entry_of(line: Mapping[str, Any], resource: str, **labels: str) -> dict[str, Any]:
    """How a line of JSON arrives there: the known fields are taken out of the payload."""
    special = {"severity", "time", "logging.googleapis.com/trace"}
    return {
        "severity": line["severity"],
        "resource": {"type": resource, "labels": labels},
        "jsonPayload": {name: value for name, value in line.items() if name not in special},
    }


class _Reader:
    """Reads and decides in one go: OR binds less than AND, and a list of values stands in brackets."""

    def __init__(self, text: str, entry: Mapping[str, Any]) -> None:
        self.position = 0
        self._text = text
        self._entry = entry

    @property
    def is_at_end(self) -> bool:
        return not self._text[self.position :].strip()

    def any_of(self) -> bool:
        found = self._all_of()
        while self._skip("OR"):
            found = self._all_of() or found
        return found

    def _all_of(self) -> bool:
        found = self._one()
        while self._skip("AND"):
            found = self._one() and found
        return found

    def _one(self) -> bool:
        if self._skip("("):
            found = self.any_of()
            assert self._skip(")"), "a bracket isn't closed"
            return found
        field, operator = self._next(), self._next()
        if operator == ":*":
            return _value(self._entry, field) is not None
        values, found = self._values(), _value(self._entry, field)
        return any(_compare(found, operator, value) for value in values)

    def _values(self) -> list[str]:
        if not self._skip("("):
            return [self._next()]
        values = [self._next()]
        while self._skip("OR"):
            values.append(self._next())
        assert self._skip(")"), "a list isn't closed"
        return values

    def _skip(self, wanted: str) -> bool:
        found = _TOKEN.match(self._text, self.position)
        if found is None or found[1] != wanted:
            return False
        self.position = found.end()
        return True

    def _next(self) -> str:
        found = _TOKEN.match(self._text, self.position)
        assert found is not None, f"not understood: {self._text[self.position :]!r}"
        self.position = found.end()
        return next(group for group in found.groups() if group is not None)


def _value(entry: Any, field: str) -> Any:
    for name in field.split("."):
        entry = entry.get(name) if isinstance(entry, Mapping) else None
    return entry


def _compare(found: Any, operator: str, wanted: str) -> bool:
    """A comparison with a field that isn't there is false."""
    if found is None:
        return False
    if operator == "!=":
        return not _compare(found, "=", wanted)
    if found in _SEVERITIES and wanted in _SEVERITIES:
        return _ordered(_SEVERITIES.index(found), operator, _SEVERITIES.index(wanted))
    if isinstance(found, bool):
        return _ordered(found, operator, wanted == "true")
    if isinstance(found, (int, float)):
        return _ordered(found, operator, float(wanted))
    return bool({"=": found == wanted, ":": wanted in str(found)}[operator])


def _ordered(left: float, operator: str, right: float) -> bool:
    return {
        "=": left == right,
        ">=": left >= right,
        "<=": left <= right,
        ">": left > right,
        "<": left < right,
    }[operator]
