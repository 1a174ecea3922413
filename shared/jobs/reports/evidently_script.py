"""Evidently's default report of drift, as it comes, from two Parquet files: reference, current, output.

Runs by itself in an environment that has Evidently and nothing of ours.
"""

from __future__ import annotations

import os
import sys

os.environ["DO_NOT_TRACK"] = "1"  # before the import: it would tell its makers


def main(reference: str, current: str, output: str) -> None:
    import pandas as pd
    from evidently import Report  # type: ignore[import-not-found]  # not in this environment
    from evidently.presets import DataDriftPreset  # type: ignore[import-not-found]

    snapshot = Report([DataDriftPreset()]).run(pd.read_parquet(current), pd.read_parquet(reference))
    snapshot.save_html(output)


if __name__ == "__main__":
    main(*sys.argv[1:])
