"""Forms of several parts (multipart/form-data, RFC 7578): how a file comes with what is said of it.

JSON would carry a file in Base64, a third larger: 30 MB wouldn't fit into the 32 MiB that Cloud Run takes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from shared.errors import FieldError, InvalidInput, MalformedRequest

MEDIA_TYPE: Final = "multipart/form-data"
MAX_PARTS: Final = 8


@dataclass(frozen=True, slots=True)
class Part:
    """One part. `file_name` is its sender's word, "" where there is none."""

    content: bytes
    file_name: str


def read_parts(body: bytes, headers: Mapping[bytes, bytes], *, wanted: Collection[str]) -> Mapping[str, Part]:
    """Each wanted part, by name.

    Raises:
        MalformedRequest: no such form.
        InvalidInput: a part is missing, is there twice, or isn't known.
    """
    from python_multipart.exceptions import FormParserError
    from python_multipart.multipart import MultipartParser, parse_options_header

    boundary = parse_options_header(headers.get(b"content-type", b""))[1].get(b"boundary")
    if not boundary:
        raise MalformedRequest("The form's content-type must name its boundary: 'curl -F' does.")
    collector = _Collector()
    try:
        parser = MultipartParser(boundary, collector.callbacks())
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise MalformedRequest(f"The body isn't a form: {error}.") from error
    return _named(collector.found, wanted)


def _named(found: list[tuple[dict[bytes, bytes], bytes]], wanted: Collection[str]) -> Mapping[str, Part]:
    parts: dict[str, Part] = {}
    errors: list[FieldError] = []
    for options, content in found:
        name = options.get(b"name", b"").decode("utf-8", "replace")
        if name in parts or name not in wanted:
            why = "is there twice" if name in parts else f"is no part of this form: {', '.join(wanted)} are"
            errors.append(FieldError(f"/{name[:40]}", why))
        parts[name] = Part(content, options.get(b"filename", b"").decode("utf-8", "replace"))
    missing = [name for name in wanted if name not in parts]
    errors += [FieldError(f"/{name}", "is missing: it must be a part of the form") for name in missing]
    if errors:
        raise InvalidInput("; ".join(f"{one.pointer}: {one.detail}" for one in errors), errors=errors)
    return parts


class _Collector:
    """Gathers the parts that the parser tells of, with the options of their content-disposition."""

    def __init__(self) -> None:
        self.found: list[tuple[dict[bytes, bytes], bytes]] = []
        self._chunks: list[bytes] = []
        self._header = self._value = b""
        self._options: dict[bytes, bytes] = {}

    def callbacks(self) -> Any:
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._on_header,
            "on_header_value": self._on_value,
            "on_header_end": self._end_header,
            "on_part_data": self._data,
            "on_part_end": self._end,
        }

    def _begin(self) -> None:
        if len(self.found) >= MAX_PARTS:
            raise MalformedRequest(f"The form has more than {MAX_PARTS} parts.")
        self._chunks, self._options = [], {}

    def _on_header(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        from python_multipart.multipart import parse_options_header

        if self._header.lower() == b"content-disposition":
            self._options = parse_options_header(self._value)[1]
        self._header = self._value = b""

    def _data(self, data: bytes, start: int, end: int) -> None:
        self._chunks.append(data[start:end])

    def _end(self) -> None:
        self.found.append((self._options, b"".join(self._chunks)))
