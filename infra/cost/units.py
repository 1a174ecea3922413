"""`python -m infra.cost.units`: writes what the weekly summary estimates costs by, one line a region.

The summary is made by a job whose image has neither the price table nor the catalogue.
"""

from __future__ import annotations

import json
import sys
from typing import Any, Final

from infra.catalogue import ROOT, read_catalogue
from infra.cost.figures import read_measurements
from infra.cost.parameters import Assumptions, Design, Traffic
from infra.cost.prices import read_prices, regions
from infra.cost.report import MILLION, Model

FILE: Final = ROOT / "shared" / "jobs" / "reports" / "costs.json"
_DIGITS: Final = 4


def units() -> dict[str, Any]:
    """Dollars of a month in which nobody asks, and of a million predictions; nothing is free."""
    return {"regions": {region: _of_region(region) for region in regions()}}


def _of_region(region: str) -> dict[str, float]:
    model = Model(read_catalogue(), read_prices(region), read_measurements(), Assumptions())
    traffic = Traffic()
    idle, added = model.bills(traffic, Design())
    return {
        "idle_dollars_a_month": round(idle.list_dollars, _DIGITS),
        "million_predictions_dollars": round(added.list_dollars * MILLION / traffic.predictions, _DIGITS),
    }


def written() -> str:
    return json.dumps(units(), indent=1) + "\n"


def main() -> int:
    FILE.write_text(written(), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
