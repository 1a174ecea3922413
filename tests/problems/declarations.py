"""A declared problem and files of rows that fit it."""

from __future__ import annotations

from typing import Any

import numpy as np

CHURN: dict[str, Any] = {
    "name": "churn",
    "title": "Who leaves",
    "columns": {
        "months": {"type": "integer", "minimum": 0},
        "fee": "number",
        "plan": {"type": "category", "categories": ["basic", "plus"]},
        "abroad": "boolean",
    },
    "target": {"column": "left", "classes": {"stays": "no", "leaves": ["yes", "gone"]}},
}


def declaration(**changes: Any) -> dict[str, Any]:
    """The terms of `CHURN` with some changed."""
    return {**CHURN, **changes}


def rows(count: int = 60, seed: int = 0) -> list[str]:
    """Lines of CSV that fit: who pays much for a short time leaves."""
    rng = np.random.default_rng(seed)
    lines = []
    for _ in range(count):
        months, fee = int(rng.integers(0, 60)), round(float(rng.normal(50, 20)), 2)
        leaves = fee / 20 - months / 12 + rng.normal() > 0
        label = str(rng.choice(["yes", "gone"])) if leaves else "no"
        plan, abroad = str(rng.choice(["basic", "plus", ""])), str(rng.choice(["true", "false"]))
        lines.append(f"{months},{fee},{plan},{abroad},{label}")
    return lines


def csv(*extra: str, count: int = 60) -> bytes:
    """A file whose first rows fit; `extra` come after them."""
    return "\n".join(["months,fee,plan,abroad,left", *rows(count), *extra, ""]).encode()
