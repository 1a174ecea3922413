"""JSON documents as Firestore can hold them, and back.

What Firestore refuses goes, as JSON text, into a member named `_json`: a list within a list and what is
nested too deep become a map with only this member; members with names that Firestore keeps for itself stand
together in one. Names that begin with `_` can't be asked for in queries, so nothing that can be is hidden.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from shared.errors import ConfigurationError
from shared.platform.ports import Replace, Write

WRITE_FIELD: Final = "_write"
"""Holds the tokens of the last writes, see `tokens_of`: so each write changes the document."""

EXPIRY_FIELD: Final = "_expires"
"""Holds the time at which Firestore deletes the document, where its collection has an `expires_field`."""

OWN_FIELDS: Final = frozenset({WRITE_FIELD, EXPIRY_FIELD})
"""What stands beside a document's data, and is no part of it."""

_TEXT_FIELD: Final = "_json"
_RESERVED = re.compile(r"__.*__\Z", re.DOTALL)
_MAX_NAME_BYTES = 1_500
_MAX_DEPTH = 20
_KEPT_TOKENS = 16

_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z\Z", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_storable(data: Mapping[str, Any]) -> dict[str, Any]:
    """`data`, which is JSON, without anything that Firestore refuses."""
    return {name: _storable(value, 1) for name, value in _members(data).items()}


def from_storable(stored: Mapping[str, Any]) -> dict[str, Any]:
    """What `to_storable` was given."""
    restored: dict[str, Any] = _restored(dict(stored))
    return restored


def from_rest(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The members of a document in an answer of the REST API, without our own."""
    return from_storable({name: _plain(value) for name, value in fields.items() if name not in OWN_FIELDS})


def tokens_of(write: Write, token: str) -> str:
    """What `WRITE_FIELD` holds after a write with `token`: the tokens of the last writes, the newest first.

    Older ones are kept so that a writer whose answer was lost finds its token even when others have
    replaced the document since. Only a replacement knows them.
    """
    older = tokens_in(write.revision) if isinstance(write, Replace) else []
    return ".".join([token, *older][:_KEPT_TOKENS])


def tokens_in(revision: str) -> list[str]:
    """The tokens of the last writes, the newest first."""
    return [token for token in revision.partition("~")[2].split(".") if token]


def revision_at(seconds: int, nanos: int, tokens: str) -> str:
    """A revision is the update time, always with nine decimals, and the tokens of the last writes."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanos:09}Z~{tokens}"


def revision_of(found: Mapping[str, Any]) -> str:
    """The revision of a document as the REST API gives it."""
    tokens = found.get("fields", {}).get(WRITE_FIELD, {}).get("stringValue", "")
    return revision_at(*seconds_and_nanos(found["updateTime"]), tokens)


def seconds_and_nanos(revision: str) -> tuple[int, int]:
    """The update time in a revision, or any other that Google's APIs give as text.

    Raises:
        ValueError: no time.
    """
    found = _TIME.match(revision.partition("~")[0])
    if found is None:
        raise ValueError(f"not a time: {revision!r}")
    time = datetime.fromisoformat(f"{found[1]}+00:00")
    return int((time - _EPOCH).total_seconds()), int((found[2] or "").ljust(9, "0"))


def foreign(kind: str) -> ConfigurationError:
    return ConfigurationError(
        f"A document holds a value of the kind {kind!r}, which isn't JSON: something else than this engine "
        "wrote it. Give the engine a database of its own."
    )


def _members(members: Mapping[str, Any]) -> dict[str, Any]:
    odd = {name: value for name, value in members.items() if _is_odd(name)}
    if not odd:
        return dict(members)
    plain = {name: value for name, value in members.items() if name not in odd}
    return {**plain, _TEXT_FIELD: json.dumps(odd)}


def _is_odd(name: str) -> bool:
    return (
        name in ("", _TEXT_FIELD, *OWN_FIELDS)
        or _RESERVED.match(name) is not None
        or (len(name) > _MAX_NAME_BYTES // 4 and len(name.encode()) > _MAX_NAME_BYTES)
    )


def _storable(value: Any, depth: int) -> Any:
    """`depth` is how many maps and lists there are around and with `value`, if it is one."""
    match value:
        case dict() if depth < _MAX_DEPTH:
            return {name: _storable(member, depth + 1) for name, member in _members(value).items()}
        case list() if depth < _MAX_DEPTH:
            return [
                {_TEXT_FIELD: json.dumps(item)} if isinstance(item, list) else _storable(item, depth + 1)
                for item in value
            ]
        case dict() | list():
            return {_TEXT_FIELD: json.dumps(value)}
    return value


def _restored(value: Any) -> Any:
    if isinstance(value, list):
        return [_restored(item) for item in value]
    if not isinstance(value, dict):
        return value
    hidden = json.loads(value[_TEXT_FIELD]) if _TEXT_FIELD in value else {}
    if isinstance(hidden, list):
        return hidden
    return {name: _restored(member) for name, member in value.items() if name != _TEXT_FIELD} | hidden


def _plain(value: Mapping[str, Any]) -> Any:
    """What a REST value holds: `{"integerValue": "1"}` gives 1."""
    ((kind, content),) = value.items()
    match kind:
        case "nullValue":
            return None
        case "booleanValue" | "stringValue":
            return content
        case "integerValue":
            return int(content)
        case "doubleValue":
            return float(content)
        case "arrayValue":
            return [_plain(item) for item in content.get("values", ())]
        case "mapValue":
            return {name: _plain(member) for name, member in content.get("fields", {}).items()}
    raise foreign(kind)
