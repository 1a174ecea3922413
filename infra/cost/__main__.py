"""`python -m infra.cost --json [--predictions N] [--region NAME] ...`: the costs as one JSON document.

For people there is `mlengine cost`. Exit code 2, and the reason on standard error, for what can't be priced.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from pydantic import ValidationError

from infra.catalogue import read_catalogue
from infra.cost.figures import read_measurements
from infra.cost.parameters import Assumptions, Traffic
from infra.cost.prices import read_prices
from infra.cost.report import Model, report
from shared.config import Settings
from shared.errors import InvalidInput

_USAGE = 2


def main(arguments: Sequence[str] | None = None) -> int:
    given = _parser().parse_args(arguments)
    asked = {name: value for name, value in vars(given).items() if name in Traffic.model_fields}
    try:
        traffic = Traffic.model_validate({name: value for name, value in asked.items() if value is not None})
        model = Model(read_catalogue(), read_prices(given.region), read_measurements(), Assumptions())
    except (ValidationError, InvalidInput) as error:
        sys.stderr.write(f"{_words(error)}\n")
        return _USAGE
    json.dump(report(model, given.region, traffic), sys.stdout, indent=2)
    sys.stdout.write("\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m infra.cost", description=__doc__)
    parser.add_argument("--json", action="store_true", required=True, help="the only form there is")
    parser.add_argument("--region", default=Settings.model_fields["google_cloud_region"].default)
    parser.add_argument("--predictions", type=float, help="a month")
    parser.add_argument("--hours", type=float, help="of the month in which they come, at most 730")
    parser.add_argument("--symbols", type=int, help="asked for equally often")
    parser.add_argument("--instances", type=int, help="of each function, at least")
    parser.add_argument("--candle-cache-seconds", type=float, help="CANDLE_CACHE_SECONDS")
    return parser


def _words(error: ValidationError | InvalidInput) -> str:
    if isinstance(error, InvalidInput):
        return error.detail
    return "; ".join(f"{item['loc'][0]}: {item['msg']}, found {item['input']}" for item in error.errors())


if __name__ == "__main__":
    sys.exit(main())
