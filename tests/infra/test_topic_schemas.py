from __future__ import annotations

from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from infra.emulators.topology import provision
from infra.topic_schemas import FOLDER, OTHERS_PUBLISH, PAYLOADS, avro_schemas, main, payload_schema, text_of
from shared.errors import InvalidInput
from shared.platform.gcp.events import PubsubEvents
from shared.platform.gcp.project import Project
from shared.platform.gcp.rest import GoogleRest
from shared.platform.ports import Event
from shared.platform.topics import TOPICS
from tests.emulators import Emulators
from tests.functions.payloads import DESCRIBED, sample


def test_the_files_that_terraform_reads_are_those_of_the_payloads(tmp_path: Path) -> None:
    main(tmp_path)
    made = {file.name: file.read_text() for file in tmp_path.iterdir()}
    assert made == {file.name: file.read_text() for file in FOLDER.iterdir()}, "run: make topic-schemas"


def test_every_topic_says_what_it_holds() -> None:
    assert sorted(file.stem for file in PAYLOADS.glob("*.json")) == DESCRIBED


@pytest.mark.parametrize("topic", DESCRIBED)
def test_a_payload_schema_is_one_and_describes_every_member(topic: str) -> None:
    schema = payload_schema(topic)
    Draft202012Validator.check_schema(schema)
    assert set(schema["required"]) <= set(schema["properties"])
    assert all(member.get("description") for member in schema["properties"].values())


def test_members_that_may_be_null_or_missing_are_in_no_avro_schema() -> None:
    names = {field["name"] for field in avro_schemas()["training.finished"]["fields"]}
    assert names == {"run_id", "status"}


@pytest.mark.parametrize("topic", sorted(avro_schemas()))
def test_pubsub_takes_what_we_publish_and_nothing_that_lacks_a_member(
    emulators: Emulators, topic: str
) -> None:
    """On the emulator, which checks messages against a topic's schema as the service does."""
    project = Project.of(emulators.settings("pubsub"))
    schemas = {name: text_of(schema) for name, schema in avro_schemas().items()}
    provision(project, {topic: ()}, None, schemas=schemas)
    events = PubsubEvents(project, GoogleRest(project), TOPICS)
    whole = sample(topic)
    events.publish(topic, [whole])
    for field in avro_schemas()[topic]["fields"]:
        for wrong in ({field["name"]: ...}, {field["name"]: None}, {field["name"]: ["another type"]}):
            data = {key: value for key, value in {**whole.data, **wrong}.items() if value is not ...}
            with pytest.raises(InvalidInput, match=topic):
                events.publish(topic, [Event("x", whole.source, topic, whole.time, data)])


def test_topics_that_others_publish_on_have_no_schema() -> None:
    assert set(OTHERS_PUBLISH) <= set(TOPICS)
    assert not set(OTHERS_PUBLISH) & set(avro_schemas())


def test_members_can_come_and_go() -> None:
    """Pub/Sub takes a new revision where old and new can read each other: by defaults, of their own types."""
    kinds = {"string": str, "long": int, "double": float, "boolean": bool}
    for topic, schema in avro_schemas().items():
        for field in schema["fields"]:
            assert type(field["default"]) is kinds[field["type"]], f"{topic}: {field['name']}"
