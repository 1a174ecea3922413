from __future__ import annotations

import itertools
import string
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from shared.errors import InvalidInput
from shared.platform.ports import Delete, Document, Documents, Filter, Order, Page, Put

COMMON = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
FRESH = itertools.count()


def every(documents: Documents, collection: str, *, limit: int = 100, **query: Any) -> Iterator[Document]:
    page = documents.query(collection, limit=limit, **query)
    yield from page.documents
    while page.cursor is not None:
        page = documents.query(collection, limit=limit, cursor=page.cursor, **query)
        yield from page.documents


def ids(found: Page | Iterator[Document]) -> list[str]:
    return [document.id for document in (found.documents if isinstance(found, Page) else found)]


def test_without_an_order_documents_come_by_id(documents: Documents) -> None:
    documents.commit([Put("things", name, {}) for name in ("b", "a", "é", "B", "🙂", "\uffff")])
    assert ids(documents.query("things")) == ["B", "a", "b", "é", "\uffff", "🙂"]


def test_types_never_compare_with_each_other(documents: Documents) -> None:
    values = [None, False, True, 0, 1, 1.5, "", "1", "a", [1], {"a": 1}]
    documents.commit([Put("things", f"{i:02}", {"x": value}) for i, value in enumerate(values)])
    documents.commit([Put("things", "missing", {"y": 1})])

    def matching(op: Any, value: Any) -> list[str]:
        found = documents.query("things", where=[Filter("x", op, value)]).documents
        return sorted(repr(document.data["x"]) for document in found)

    def those(*expected: Any) -> list[str]:
        return sorted(map(repr, expected))

    assert matching("==", 1) == those(1)
    assert matching("==", True) == those(True)
    assert matching("==", None) == those(None)
    assert matching("!=", None) == those(*values[1:])
    assert matching("!=", 1) == those(False, True, 0, 1.5, "", "1", "a", [1], {"a": 1})
    assert matching(">=", 1) == those(1, 1.5)
    assert matching("<", 1) == those(0)
    assert matching("<=", "1") == those("", "1")
    assert matching(">", "") == those("1", "a")
    assert matching("<", True) == those(False)
    assert matching(">", False) == those(True)
    assert matching("in", [0, "a", True]) == those(True, 0, "a")


def test_a_field_compared_by_size_orders_what_has_no_other_order(documents: Documents) -> None:
    numbers = {"a": (2, 1), "b": (1, 2), "c": (1, 1), "d": (2, 2), "e": (0, 0)}
    documents.commit([Put("things", name, {"n": n, "m": m}) for name, (n, m) in numbers.items()])
    positive, unlike = Filter("n", ">", 0), Filter("n", "!=", 0)
    for where in ([positive], [unlike], [positive, unlike]):
        assert ids(documents.query("things", where=where)) == ["b", "c", "a", "d"]
        by_m = [Order("m", descending=True)]
        assert ids(every(documents, "things", limit=1, where=where, order_by=by_m)) == ["d", "b", "a", "c"]
    both = [positive, Filter("m", ">=", 1)]
    assert ids(documents.query("things", where=both)) == ["c", "a", "b", "d"]
    assert ids(documents.query("things", where=[Filter("n", "==", 1)])) == ["b", "c"]


def test_the_order_of_a_field_that_must_be_equal_gives_the_direction_of_ids(documents: Documents) -> None:
    documents.commit([Put("things", name, {"n": 1}) for name in "abc"])
    equal, down = [Filter("n", "==", 1)], [Order("n", descending=True)]
    assert ids(every(documents, "things", limit=1, where=equal, order_by=down)) == ["c", "b", "a"]


@pytest.mark.parametrize(
    "filter",
    [
        Filter("x", "<", None),
        Filter("x", "in", "abc"),
        Filter("x", "in", []),
        Filter("x", "in", [None]),
        Filter("x", "in", list(range(31))),
        Filter("x", "==", [1]),
        Filter("x", "==", {"a": 1}),
        Filter("x", "==", float("nan")),
        Filter("x", "<", float("inf")),
        Filter("x", "==", "\ud800"),
        Filter("x y", "==", 1),
        Filter("x'", "==", 1),
        Filter("", "==", 1),
        Filter("a..b", "==", 1),
        Filter("__name__", "==", "a"),
        Filter("a._b", "==", 1),
        Filter(".".join("abcdefghijk"), "==", 1),
        Filter("x", "==", 2**63),
        Filter("x", "in", [-(2**63) - 1]),
    ],
)
def test_a_filter_that_no_store_answers_is_refused(documents: Documents, filter: Filter) -> None:
    with pytest.raises(InvalidInput):
        documents.query("things", where=[filter])


@pytest.mark.parametrize(
    "query",
    [
        {"where": [Filter("x", "!=", 1), Filter("y", "!=", 1)]},
        {"where": [Filter("x", "in", [*range(6)]), Filter("y", "in", [*range(6)])]},
        {"order_by": [Order("x"), Order("y"), Order("x", descending=True)]},
        {"order_by": [Order("__name__")]},
    ],
)
def test_a_query_that_no_store_answers_is_refused(documents: Documents, query: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        documents.query("things", **query)


@pytest.mark.parametrize("limit", [-1, 0, 10_001, 2**31])
def test_a_limit_is_1_to_10000(documents: Documents, limit: int) -> None:
    with pytest.raises(InvalidInput, match="limit"):
        documents.query("things", limit=limit)
    assert ids(documents.query("things", limit=10_000)) == []


def test_dotted_fields_reach_into_maps(documents: Documents) -> None:
    documents.commit(
        [
            Put("things", "a", {"m": {"n": 2}}),
            Put("things", "b", {"m": {"n": 1}}),
            Put("things", "c", {"m.n": 1}),
        ]
    )
    assert ids(documents.query("things", order_by=[Order("m.n")])) == ["b", "a"]
    assert ids(documents.query("things", where=[Filter("m.n", ">", 1)])) == ["a"]


def test_a_page_ends_without_a_cursor(documents: Documents) -> None:
    documents.commit([Put("things", str(i), {"n": i}) for i in range(4)])
    first = documents.query("things", order_by=[Order("n", descending=True)], limit=2)
    second = documents.query("things", order_by=[Order("n", descending=True)], limit=2, cursor=first.cursor)
    assert (ids(first), ids(second)) == (["3", "2"], ["1", "0"])
    assert first.cursor is not None
    assert second.cursor is None
    assert set(first.cursor) <= set(string.ascii_letters + string.digits + "-_")


def test_a_cursor_of_another_query_is_refused(documents: Documents) -> None:
    documents.commit([Put("things", str(i), {"n": i}) for i in range(4)])
    cursor = documents.query("things", order_by=[Order("n")], limit=1).cursor
    for query in (
        {"order_by": [Order("n", descending=True)]},
        {"order_by": [Order("m")]},
        {},
        {"order_by": [Order("n")], "where": [Filter("n", ">", 0)]},
    ):
        with pytest.raises(InvalidInput, match="cursor"):
            documents.query("things", cursor=cursor, **query)
    with pytest.raises(InvalidInput, match="cursor"):
        documents.query("others", order_by=[Order("n")], cursor=cursor)


@COMMON
@given(st.text(max_size=30) | st.text(string.ascii_letters + string.digits + "-_", max_size=60))
def test_a_made_up_cursor_is_refused(documents: Documents, cursor: str) -> None:
    with pytest.raises(InvalidInput, match="cursor"):
        documents.query("things", order_by=[Order("n")], cursor=cursor)


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 3),
    st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([-0.0, 0.5, 1.0, 2.0]),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=4) | st.sampled_from(["a", "b"]),
)
BODIES = st.dictionaries(st.sampled_from(["x", "y"]), SCALARS | st.just([1]) | st.just({"k": 1}), max_size=2)
OPERANDS = SCALARS.filter(lambda value: value is not None)
FIELDS = st.sampled_from(["x", "y"])
FILTERS = (
    st.builds(Filter, FIELDS, st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), OPERANDS)
    | st.builds(Filter, FIELDS, st.sampled_from(["==", "!="]), SCALARS)
    | st.builds(Filter, FIELDS, st.just("in"), st.lists(OPERANDS, min_size=1, max_size=5))
)
ORDERS = st.builds(Order, st.sampled_from(["x", "y"]), st.booleans())
QUERIES = st.fixed_dictionaries(
    {
        "where": st.lists(FILTERS, max_size=2).filter(lambda where: [f.op for f in where] != ["!=", "!="]),
        "order_by": st.lists(ORDERS, max_size=2, unique_by=lambda order: order.field),
    }
)


def kind(value: Any) -> str:
    names = {bool: "bool", int: "number", float: "number", str: "text", type(None): "null"}
    return names.get(type(value), "other")


def matches(data: dict[str, Any], part: Filter) -> bool:
    if part.field not in data:
        return False
    value = data[part.field]
    if part.op == "!=":
        return value is not None and (kind(value) != kind(part.value) or value != part.value)
    if part.op == "in":
        return any(kind(value) == kind(one) and value == one for one in part.value)
    if kind(value) != kind(part.value):
        return False
    compared = {
        "==": lambda: value == part.value,
        "<": lambda: value < part.value,
        "<=": lambda: value <= part.value,
        ">": lambda: value > part.value,
        ">=": lambda: value >= part.value,
    }
    return bool(compared[part.op]())


def in_order(found: Sequence[Document], order_by: Sequence[Order]) -> bool:
    """Whether neighbours of the same types are in order, and ties by id."""
    for one, other in itertools.pairwise(found):
        descending = order_by[-1].descending if order_by else False
        keys = [(one.data[o.field], other.data[o.field], o.descending) for o in order_by]
        for left, right, down in [*keys, (one.id, other.id, descending)]:
            if kind(left) == "other" or kind(left) != kind(right):
                break  # the order of types is the store's own
            if left != right:
                if (left > right) != down:
                    return False
                break
    return True


@COMMON
@given(st.lists(BODIES, max_size=12), QUERIES, st.integers(1, 5))
@example([{"x": -(2**63)}, {"x": 2**63 - 1}, {"x": None}], {"where": [], "order_by": [Order("x")]}, 1)
def test_a_query_finds_what_a_naive_search_finds(
    documents: Documents, bodies: list[dict[str, Any]], query: dict[str, Any], limit: int
) -> None:
    collection = f"c{next(FRESH)}"
    documents.commit([Put(collection, f"{i}", body) for i, body in enumerate(bodies)])
    found = list(every(documents, collection, limit=limit, **query))
    expected = {
        f"{i}"
        for i, body in enumerate(bodies)
        if all(matches(body, part) for part in query["where"])
        and all(order.field in body for order in query["order_by"])
    }
    assert len(found) == len(expected)
    assert set(ids(iter(found))) == expected
    orders = list(query["order_by"])
    down = bool(orders) and orders[-1].descending
    lacking = {part.field for part in query["where"] if part.op not in ("==", "in")}
    lacking -= {order.field for order in orders}
    assert in_order(found, [*orders, *(Order(field, down) for field in sorted(lacking))])


@COMMON
@given(st.data())
def test_a_cursor_neither_repeats_nor_hides_while_others_come_and_go(
    documents: Documents, data: st.DataObject
) -> None:
    collection = f"c{next(FRESH)}"
    order = [Order("n", descending=data.draw(st.booleans()))]
    numbers = st.lists(st.integers(0, 5), max_size=10)
    stay = {f"s{i}": {"n": n} for i, n in enumerate(data.draw(numbers))}
    go = {f"g{i}": {"n": n} for i, n in enumerate(data.draw(numbers))}
    documents.commit([Put(collection, name, body) for name, body in (stay | go).items()])
    seen: list[str] = []
    cursor = None
    for step in range(40):
        page = documents.query(collection, order_by=order, limit=data.draw(st.integers(1, 3)), cursor=cursor)
        seen += ids(page)
        cursor = page.cursor
        if cursor is None:
            break
        if go and step % 2:
            documents.commit([Delete(collection, go.popitem()[0])])
        else:
            documents.commit([Put(collection, f"n{step}", {"n": data.draw(st.integers(0, 5))})])
    assert len(seen) == len(set(seen))
    assert set(stay) <= set(seen)
