from __future__ import annotations

import re

import pytest

from shared.web.call import request_id, traceparent

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_a_well_formed_request_id_is_kept() -> None:
    assert request_id({b"x-request-id": b"order-17.a_b:c"}, lambda: "fresh") == "order-17.a_b:c"


@pytest.mark.parametrize("given", [b"", b"a b", b"x" * 129, b"a\nb", "ü".encode(), b'"}{'])
def test_any_other_request_id_is_replaced(given: bytes) -> None:
    assert request_id({b"x-request-id": given}, lambda: "fresh") == "fresh"


def test_the_callers_trace_goes_on_with_a_span_of_ours() -> None:
    ours = traceparent({b"traceparent": TRACE.encode()})
    assert ours[:36] == TRACE[:36]
    assert ours[36:52] != TRACE[36:52]
    assert ours[52:] == TRACE[52:]


@pytest.mark.parametrize(
    "given", [b"", b"garbage", TRACE.upper().encode(), f"00-{'0' * 32}-00f067aa0ba902b7-01".encode()]
)
def test_a_new_trace_begins_where_none_is_given(given: bytes) -> None:
    ours = traceparent({b"traceparent": given})
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", ours)
    assert ours[:36] != TRACE[:36]
