"""The conversion's process: `python -m shared.jobs.conversion FOLDER`. See the package."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, Final

from shared.jobs.conversion import limits
from shared.uploads.formats import Format

_READERS: Final = {
    Format.ONNX: ("of_onnx", "from_onnx"),
    Format.LIGHTGBM: ("of_lightgbm", "from_lightgbm"),
    Format.XGBOOST_JSON: ("of_xgboost", "from_json"),
    Format.XGBOOST_UBJ: ("of_xgboost", "from_ubj"),
    Format.SKOPS: ("of_skops", "from_skops"),
}

_LATE: Final = (
    "encodings.cp437",
    "encodings.latin_1",
    "numpy.ma",
    "numpy.random",
    "onnxruntime",
    "shared.tabular.rows",
)
"""What others import only when they need it."""


def main(folder: Path) -> None:
    """Read, convert, try, and write the outcome. Everything is imported, and every file is open, before the
    first byte of the model is looked at.
    """
    limits.confine((folder / "model").stat().st_size)

    from shared.errors import EngineError
    from shared.jobs.conversion.outcome import (
        MODEL_FILE,
        ONNX_FILE,
        OUTCOME_FILE,
        REQUEST_FILE,
        Converted,
        Outcome,
        Refused,
    )
    from shared.jobs.conversion.trial import tried
    from shared.uploads.request import UploadRequest

    request = UploadRequest.from_json((folder / REQUEST_FILE).read_bytes())
    for late in _LATE:
        importlib.import_module(late)
    module, name = _READERS[request.format]
    imported = importlib.import_module(f"shared.jobs.conversion.{module}")
    read: Callable[[bytes, UploadRequest], Converted] = getattr(imported, name)
    if hasattr(imported, "prepare"):
        imported.prepare()
    content = (folder / MODEL_FILE).read_bytes()
    with (folder / OUTCOME_FILE).open("wb") as told, (folder / ONNX_FILE).open("wb") as written:
        limits.shut_in()
        try:
            converted = read(content, request)
            outcome = tried(converted, request)
            _write(written, converted.onnx)
        except (Refused, EngineError) as error:
            outcome = Outcome(reasons=(str(error),))
        except RecursionError:
            outcome = Outcome(reasons=("The file is nested too deeply to be a model.",))
        except MemoryError:
            megabytes = limits.memory_bytes(len(content)) // 1_000_000
            outcome = Outcome(
                reasons=(f"Reading and trying the model takes more than {megabytes} MB of memory.",)
            )
        _write(told, outcome.model_dump_json().encode())


def _write(file: IO[bytes], content: bytes) -> None:
    file.write(content)
    file.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
