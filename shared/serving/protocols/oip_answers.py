"""What the Open Inference Protocol tells of the server and of its models."""

from __future__ import annotations

from typing import Any, Final

from pydantic import ConfigDict, RootModel

from shared.schema import Answer, Body

PLATFORM: Final = "onnxruntime_onnx"
"""What Triton calls models like ours."""


class ServerMetadata(Answer):
    name: str
    version: str
    extensions: list[str]


class Live(Answer):
    live: bool


class ServerReady(Answer):
    ready: bool


class ModelReady(Answer):
    name: str
    ready: bool


class IndexBody(Body):
    ready: bool = False


class IndexEntry(Answer):
    """A live version; `reason` says why it isn't served here."""

    name: str
    version: str
    state: str
    reason: str


class RepositoryIndex(RootModel[list[IndexEntry]]):
    """The live versions."""

    model_config = ConfigDict(frozen=True, defer_build=True)


class TensorShape(Answer):
    """What a tensor of a model is like; -1 stands for any number of rows."""

    name: str
    datatype: str
    shape: list[int]


class ModelMetadata(Answer):
    """A model's tensors. `parameters` says what else there is to know, such as the other form of input."""

    name: str
    versions: list[str]
    platform: str = PLATFORM
    inputs: list[TensorShape]
    outputs: list[TensorShape]
    parameters: dict[str, Any]
