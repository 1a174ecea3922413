"""Requests in the protocols' forms."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from shared.serving.protocols.oip import HEADER_LENGTH
from tests.tabular_packages import NAME

INFER = f"/v2/models/{NAME}/infer"
PREDICT = f"/v1/models/{NAME}:predict"
JSON = {"content-type": "application/json"}

Row = dict[str, Any]

NATURAL = {"age": "INT64", "pressure": "FP64", "pain": "BYTES", "exercise": "BOOL"}


def encoded(*rows: Sequence[float], datatype: str = "FP32") -> dict[str, Any]:
    data = [value for row in rows for value in row]
    return {"name": "input", "shape": [len(rows), len(rows[0])], "datatype": datatype, "data": data}


def tensors(rows: Sequence[Row], datatypes: Mapping[str, str]) -> list[dict[str, Any]]:
    """A tensor for each column."""
    return [
        {"name": name, "shape": [len(rows)], "datatype": datatype, "data": [row.get(name) for row in rows]}
        for name, datatype in datatypes.items()
    ]


def outputs(answer: dict[str, Any]) -> dict[str, Any]:
    return {output["name"]: output for output in answer["outputs"]}


def binary(inputs: Sequence[tuple[dict[str, Any], bytes]], **more: Any) -> tuple[bytes, dict[str, str]]:
    """A request whose tensors follow its JSON as bytes, where they have some."""
    told = [{**t, "parameters": {"binary_data_size": len(data)}} if data else t for t, data in inputs]
    head = json.dumps({"inputs": told, **more}).encode()
    return head + b"".join(data for _, data in inputs), {HEADER_LENGTH: str(len(head))}


def split(columns: list[str], *rows: list[Any]) -> dict[str, Any]:
    return {"dataframe_split": {"columns": columns, "data": list(rows)}}
