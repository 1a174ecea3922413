"""The messages of Firestore's gRPC API. Only what uses the client imports this."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from google.cloud.firestore_v1 import types

from shared.errors import InvalidInput, RevisionConflict
from shared.platform.checks import is_descending
from shared.platform.collections import COLLECTIONS
from shared.platform.gcp.values import (
    EXPIRY_FIELD,
    OWN_FIELDS,
    WRITE_FIELD,
    foreign,
    from_storable,
    revision_at,
    seconds_and_nanos,
    to_storable,
    tokens_of,
)
from shared.platform.ports import Create, Data, Delete, Document, Filter, Order, Put, Replace, Write

_Query = types.StructuredQuery
_Operator = _Query.FieldFilter.Operator
_OPERATORS: Final[Mapping[str, Any]] = {
    "==": _Operator.EQUAL,
    "!=": _Operator.NOT_EQUAL,
    "<": _Operator.LESS_THAN,
    "<=": _Operator.LESS_THAN_OR_EQUAL,
    ">": _Operator.GREATER_THAN,
    ">=": _Operator.GREATER_THAN_OR_EQUAL,
    "in": _Operator.IN,
}
_NULL_OPERATORS: Final[Mapping[str, Any]] = {
    "==": _Query.UnaryFilter.Operator.IS_NULL,
    "!=": _Query.UnaryFilter.Operator.IS_NOT_NULL,
}


def commit_request(database: str, writes: Sequence[tuple[Write, Data]], token: str) -> types.CommitRequest:
    """`database` is its resource name. Each document is written whole, with the `token` of the batch.

    Raises:
        RevisionConflict: a revision that no document can have.
        InvalidInput: a time of expiry that is none.
    """
    request = types.CommitRequest(database=database)
    message = types.CommitRequest.pb(request)
    for write, data in writes:
        _fill_write(message.writes.add(), database, write, data, token)
    return request


def query_request(
    database: str,
    collection: str,
    where: Sequence[Filter],
    order_by: Sequence[Order],
    limit: int,
    place: tuple[str, Sequence[Any]] | None,
) -> types.RunQueryRequest:
    """`place` is the id and the ordered values after which the answer begins."""
    query = _Query(
        from_=[_Query.CollectionSelector(collection_id=collection)],
        order_by=[*map(_order, order_by), _order(Order("__name__", is_descending(order_by)))],
        limit=limit,
    )
    filters = [_filter(part) for part in where]
    if len(filters) == 1:
        query.where = filters[0]
    elif filters:
        all_of = _Query.CompositeFilter(op=_Query.CompositeFilter.Operator.AND, filters=filters)
        query.where = _Query.Filter(composite_filter=all_of)
    if place is not None:
        last_id, values = place
        name = types.Value(reference_value=document_name(database, collection, last_id))
        query.start_at = types.Cursor(values=[*map(_value, values), name], before=False)
    return types.RunQueryRequest(parent=f"{database}/documents", structured_query=query)


def documents_of(responses: Iterable[types.RunQueryResponse]) -> list[Document]:
    """The documents of a query's answer, which also tells of its progress."""
    messages = (types.RunQueryResponse.pb(response) for response in responses)
    return [_document(message.document) for message in messages if message.HasField("document")]


def revisions_of(response: types.CommitResponse, writes: Sequence[Write], token: str) -> list[str]:
    """The new revision of each write, "" for a deletion."""
    times = [result.update_time for result in types.CommitResponse.pb(response).write_results]
    return [
        "" if isinstance(write, Delete) else revision_at(time.seconds, time.nanos, tokens_of(write, token))
        for write, time in zip(writes, times, strict=True)
    ]


def document_name(database: str, collection: str, id: str) -> str:
    return f"{database}/documents/{collection}/{id}"


def _fill_write(message: Any, database: str, write: Write, data: Data, token: str) -> None:
    name = document_name(database, write.collection, write.id)
    if isinstance(write, Delete):
        message.delete = name
    else:
        message.update.name = name
        for field, value in to_storable(data).items():
            _fill(message.update.fields[field], value)
        message.update.fields[WRITE_FIELD].string_value = tokens_of(write, token)
        expires_at = _expiry(write, data)
        if expires_at is not None:
            message.update.fields[EXPIRY_FIELD].timestamp_value.FromDatetime(expires_at)
    match write:
        case Create():
            message.current_document.exists = False
        case Replace(revision=revision) | Delete(revision=str(revision)):
            time = message.current_document.update_time
            time.seconds, time.nanos = _precondition(write, revision)
        case Put() | Delete():
            pass


def _expiry(write: Create | Replace | Put, data: Data) -> datetime | None:
    """When the document may go. Firestore goes by a field of its own kind, which isn't JSON."""
    known = COLLECTIONS.get(write.collection)
    if known is None or known.expires_field is None or known.expires_field not in data:
        return None
    text = data[known.expires_field]
    try:
        return datetime.fromisoformat(text)
    except (ValueError, TypeError) as error:
        raise InvalidInput(
            f"The field {known.expires_field} of {write.collection}/{write.id} is the time at which it "
            f"expires, in RFC 3339, not {text!r}."
        ) from error


def _precondition(write: Write, revision: str) -> tuple[int, int]:
    try:
        return seconds_and_nanos(revision)
    except ValueError as error:
        raise RevisionConflict(
            f"{write.collection}/{write.id} never was at revision {revision}: read it again."
        ) from error


def _order(order: Order) -> types.StructuredQuery.Order:
    direction = _Query.Direction.DESCENDING if order.descending else _Query.Direction.ASCENDING
    return _Query.Order(field=_Query.FieldReference(field_path=order.field), direction=direction)


def _filter(part: Filter) -> types.StructuredQuery.Filter:
    field = _Query.FieldReference(field_path=part.field)
    if part.value is None:
        return _Query.Filter(unary_filter=_Query.UnaryFilter(field=field, op=_NULL_OPERATORS[part.op]))
    value = _value(list(part.value) if part.op == "in" else part.value)
    return _Query.Filter(field_filter=_Query.FieldFilter(field=field, op=_OPERATORS[part.op], value=value))


def _value(value: Any) -> types.Value:
    made = types.Value()
    _fill(types.Value.pb(made), to_storable({"v": value})["v"])
    return made


def _fill(message: Any, value: Any) -> None:
    """Put a storable value into an empty message."""
    match value:
        case None:
            message.null_value = 0
        case bool():
            message.boolean_value = value
        case int():
            message.integer_value = value
        case float():
            message.double_value = value
        case str():
            message.string_value = value
        case list():
            message.array_value.SetInParent()
            for item in value:
                _fill(message.array_value.values.add(), item)
        case dict():
            message.map_value.SetInParent()
            for name, member in value.items():
                _fill(message.map_value.fields[name], member)


def _document(message: Any) -> Document:
    fields = {name: _plain(value) for name, value in message.fields.items() if name not in OWN_FIELDS}
    time = message.update_time
    document_id = message.name.rpartition("/")[2]
    tokens = message.fields[WRITE_FIELD].string_value if WRITE_FIELD in message.fields else ""
    return Document(document_id, from_storable(fields), revision_at(time.seconds, time.nanos, tokens))


def _plain(message: Any) -> Any:
    kind = message.WhichOneof("value_type")
    match kind:
        case "null_value":
            return None
        case "boolean_value" | "integer_value" | "double_value" | "string_value":
            return getattr(message, kind)
        case "array_value":
            return [_plain(item) for item in message.array_value.values]
        case "map_value":
            return {name: _plain(member) for name, member in message.map_value.fields.items()}
    raise foreign(kind)
