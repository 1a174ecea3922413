"""What the functions publish keeps to what the topics' payload schemas say."""

from __future__ import annotations

import pytest
from jsonschema import Draft202012Validator, ValidationError

from infra.topic_schemas import payload_schema
from tests.functions.payloads import DESCRIBED, on_the_wire, sample


@pytest.mark.parametrize("topic", DESCRIBED)
def test_a_whole_event_keeps_to_its_schema(topic: str) -> None:
    Draft202012Validator(payload_schema(topic)).validate(on_the_wire(sample(topic).data))


@pytest.mark.parametrize("topic", DESCRIBED)
def test_an_event_that_lacks_a_member_or_has_a_strange_one_doesnt(topic: str) -> None:
    schema, data = payload_schema(topic), dict(on_the_wire(sample(topic).data))
    wrong = [{key: value for key, value in data.items() if key != name} for name in schema["required"]]
    if not schema["additionalProperties"]:
        wrong.append({**data, "strange": 1})
    for one in wrong:
        with pytest.raises(ValidationError):
            Draft202012Validator(schema).validate(one)
