"""The costs as one document: idle, traffic, what each choice and each amount changes, goals, and grounds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from infra.catalogue import Catalogue
from infra.cost.figures import Measurements
from infra.cost.idle import idle_uses
from infra.cost.parameters import Assumptions, Design, Traffic
from infra.cost.prices import Bill, Prices, bill
from infra.cost.traffic import audit_bytes, traffic_uses

IDLE_GOAL_DOLLARS: Final = 1.0
MILLION_GOAL_DOLLARS: Final = 3.0
MILLION: Final = 1_000_000
SCALE: Final = (10_000, 100_000, 1_000_000, 10_000_000, 100_000_000)

_LEAN: Final[Mapping[str, Any]] = {
    "hours": 150,
    "candle_cache_seconds": 3_600,
    "recovery": False,
    "backup_days": 0,
    "logged_share": 0.1,
    "request_logs": False,
}
CHOICES: Final[Mapping[str, Mapping[str, Any]]] = {
    "as designed": {},
    "audit in BigQuery only": {"audit_documents": False},
    "audit in Firestore only": {"audit_rows": False},
    "every field of predictions indexed": {"every_field_indexed": True},
    "without point-in-time recovery and backups": {"recovery": False, "backup_days": 0},
    "one in ten request lines logged": {"logged_share": 0.1},
    "without Cloud Run's own request lines": {"request_logs": False},
    "one instance of predict kept warm": {"warm_predicts": 1},
    "behind the load balancer with Cloud Armor": {"front_door": True},
    "alert policies charged, as announced for 2027-09": {"alerts_charged": True},
    "CANDLE_CACHE_SECONDS=3600": {"candle_cache_seconds": 3_600},
    "a tenth of the symbols": {"symbols": 50},
    "all within 150 hours of the month": {"hours": 150},
    "lean: 150 hours, long cache, few logs, no backups": _LEAN,
    "lean, and audit in BigQuery only": {**_LEAN, "audit_documents": False},
}
"""What differs from the design and the traffic asked for."""

NOT_INCLUDED: Final = (
    "taxes, support, and what the upstream charges",
    "builds, scans of images and traffic between regions",
    "queries of the warehouse: the first TiB a month is free",
    "other routes than GET /predict, jobs that are started by hand, retries and dead letters",
    "log-based metrics: within what is free",
    "prices that fall with the volume",
)


@dataclass(frozen=True, slots=True)
class Model:
    """All that a bill is made of."""

    catalogue: Catalogue
    prices: Prices
    measured: Measurements
    assumed: Assumptions

    def bills(self, traffic: Traffic, design: Design) -> tuple[Bill, Bill]:
        """The idle month's, and what the predictions add to it."""
        idle = idle_uses(self.catalogue, self.measured, traffic, design, self.assumed)
        added = traffic_uses(self.catalogue, self.measured, traffic, design, self.assumed)
        return bill(self.prices, idle), bill(self.prices, added, after=idle)


def report(model: Model, region: str, traffic: Traffic, design: Design | None = None) -> dict[str, Any]:
    """JSON. Dollars are of a month, or of a million predictions of such a month."""
    chosen = design or Design()
    idle, added = model.bills(traffic, chosen)
    used = {item.price for item in (*idle.items, *added.items)}
    return {
        "region": region,
        "traffic": traffic.model_dump(),
        "design": chosen.model_dump(),
        "idle": _bill(model, idle, 1.0),
        "million": _bill(model, added, _share(traffic)),
        "month": {
            "dollars": idle.dollars + added.dollars,
            "list_dollars": idle.list_dollars + added.list_dollars,
        },
        "stored": _stored(model, added, traffic),
        "goals": _goals(idle, added, traffic),
        "choices": list(_choices(model, traffic, chosen)),
        "scale": list(_scale(model, traffic, chosen)),
        "prices": {name: model.prices[name].model_dump(mode="json") for name in sorted(used)},
        "unconfirmed": [name for name in sorted(used) if model.prices[name].basis == "unconfirmed"],
        "measured": {name: figure.model_dump(mode="json") for name, figure in model.measured.figures.items()},
        "assumed": [
            {"name": name, "value": getattr(model.assumed, name), "what": field.description}
            for name, field in Assumptions.model_fields.items()
        ],
        "not_included": list(NOT_INCLUDED),
    }


def _share(traffic: Traffic) -> float:
    """From a month's to a million's."""
    return MILLION / traffic.predictions


def _bill(model: Model, found: Bill, factor: float) -> dict[str, Any]:
    items = [
        {
            "service": model.prices[item.price].service,
            "price": item.price,
            "what": item.what,
            "quantity": item.quantity * factor,
            "unit": model.prices[item.price].unit,
            "list_dollars": item.list_dollars * factor,
            "dollars": item.dollars * factor,
            "share": item.list_dollars / found.list_dollars,
            "basis": model.prices[item.price].basis,
        }
        for item in sorted(found.items, key=lambda item: item.list_dollars, reverse=True)
    ]
    return {
        "dollars": found.dollars * factor,
        "list_dollars": found.list_dollars * factor,
        "items": items,
    }


def _stored(model: Model, added: Bill, traffic: Traffic) -> dict[str, Any]:
    """What a million predictions cost in each later month, as they are kept."""
    kept = [item for item in added.items if item.price.endswith(("_storage", "_recovery", "_backups"))]
    documents, entries = audit_bytes(model.measured, every_field=False)
    return {
        "list_dollars": sum(item.list_dollars for item in kept) * _share(traffic),
        "document_bytes": documents,
        "index_bytes": entries,
        "row_bytes": model.measured["row_bytes"],
    }


def _goals(idle: Bill, added: Bill, traffic: Traffic) -> list[dict[str, Any]]:
    found = (
        ("idle, a month", IDLE_GOAL_DOLLARS, idle.dollars),
        ("a million predictions, after what is free", MILLION_GOAL_DOLLARS, added.dollars * _share(traffic)),
        ("a million predictions, nothing free", MILLION_GOAL_DOLLARS, added.list_dollars * _share(traffic)),
    )
    return [
        {"what": what, "below_dollars": goal, "dollars": dollars, "is_met": dollars < goal}
        for what, goal, dollars in found
    ]


def _choices(model: Model, traffic: Traffic, design: Design) -> Iterator[dict[str, Any]]:
    for name, differs in CHOICES.items():
        other = traffic.model_copy(update={k: v for k, v in differs.items() if k in Traffic.model_fields})
        made = design.model_copy(update={k: v for k, v in differs.items() if k in Design.model_fields})
        idle, added = model.bills(other, made)
        yield {"name": name, "differs": dict(differs), **_line(idle, added, other)}


def _scale(model: Model, traffic: Traffic, design: Design) -> Iterator[dict[str, Any]]:
    for predictions in SCALE:
        scaled = traffic.model_copy(update={"predictions": predictions})
        idle, added = model.bills(scaled, design)
        month = idle.dollars + added.dollars
        yield {"predictions": predictions, "month_dollars": month, **_line(idle, added, scaled)}


def _line(idle: Bill, added: Bill, traffic: Traffic) -> dict[str, float]:
    share = _share(traffic)
    return {
        "idle_dollars": idle.dollars,
        "million_dollars": added.dollars * share,
        "million_list_dollars": added.list_dollars * share,
    }
