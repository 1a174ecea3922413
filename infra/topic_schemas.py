"""`python -m infra.topic_schemas`: writes the Avro schemas of the topics into terraform/schemas.

What every event of a topic holds is in `shared/platform/payloads`, of predictions in the table of the
warehouse. Pub/Sub checks messages against Avro or Protocol Buffers alone, and of Avro's JSON a value that may
be null must be wrapped by its type, which nobody's JSON is. So the Avro schemas hold the members that are
always there and never null; the others are let through, as Pub/Sub lets through what a schema doesn't name.
Topics without such members have no schema, nor have those on which others publish what is theirs: what they
hold, their takers check.

Each member has a default. It must be there all the same: a default stands in for a member only where a
message of one schema is read by another. But without one no member could come or go, as Pub/Sub lets a schema
change only where old and new can read each other. Of what type a member is can never change.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from infra.catalogue import ROOT
from shared.monitoring.warehouse.table import TABLE
from shared.platform.topics import EXPORTS, TOPICS

PAYLOADS: Final = ROOT / "shared" / "platform" / "payloads"
FOLDER: Final = ROOT / "terraform" / "schemas"

_OF_JSON: Final = {"string": "string", "integer": "long", "number": "double", "boolean": "boolean"}
_OF_COLUMNS: Final = {
    "STRING": "string",
    "TIMESTAMP": "string",
    "INTEGER": "long",
    "FLOAT": "double",
    "BOOLEAN": "boolean",
}
_DEFAULTS: Final[Mapping[str, Any]] = {"string": "", "long": 0, "double": 0.0, "boolean": False}

OTHERS_PUBLISH: Final = {"alerts.raised": "Cloud Monitoring: its incidents have members of their own"}
"""Topics that take what isn't made here, and from whom."""


def payload_schema(topic: str) -> Mapping[str, Any]:
    """The JSON Schema of what events of `topic` hold."""
    schema: dict[str, Any] = json.loads((PAYLOADS / f"{topic}.json").read_text())
    return schema


def avro_schemas() -> Mapping[str, Mapping[str, Any]]:
    """Topic -> its Avro schema, for those that can have one."""
    fields = {topic: list(_fields(topic)) for topic in TOPICS if topic not in OTHERS_PUBLISH}
    return {topic: _record(topic, found) for topic, found in fields.items() if found}


def _fields(topic: str) -> Iterator[Mapping[str, Any]]:
    if topic in EXPORTS:
        for column in TABLE.columns:
            if column.is_required:
                yield _field(column.name, _OF_COLUMNS[column.type], column.description)
    elif (PAYLOADS / f"{topic}.json").exists():
        schema = payload_schema(topic)
        for name in schema["required"]:
            member = schema["properties"][name]
            if isinstance(member["type"], str) and member["type"] in _OF_JSON:
                yield _field(name, _OF_JSON[member["type"]], member["description"])


def _field(name: str, kind: str, doc: str) -> Mapping[str, Any]:
    return {"name": name, "type": kind, "default": _DEFAULTS[kind], "doc": doc}


def _record(topic: str, fields: list[Mapping[str, Any]]) -> Mapping[str, Any]:
    name = "".join(word.capitalize() for word in topic.split("."))
    return {"type": "record", "name": name, "namespace": "mlengine", "fields": fields}


def text_of(schema: Mapping[str, Any]) -> str:
    return json.dumps(schema, indent=2) + "\n"


def main(folder: Path = FOLDER) -> None:
    """Write the schemas, and remove those of topics that have none any more."""
    folder.mkdir(exist_ok=True)
    schemas = avro_schemas()
    for topic, schema in schemas.items():
        (folder / f"{topic}.avsc").write_text(text_of(schema))
    for file in folder.glob("*.avsc"):
        if file.stem not in schemas:
            file.unlink()


if __name__ == "__main__":
    main()
