"""One task of a job: `python -m shared.platform.local.task PARENT EXIT MODULE ARGUMENTS...`.

Runs MODULE as `python -m MODULE ARGUMENTS...` would, ends with process PARENT, and leaves its exit code
in the file EXIT.
"""

from __future__ import annotations

import runpy
import sys
import traceback
from pathlib import Path

from shared.platform.local.files import write_durably
from shared.platform.local.processes import die_with_parent


def main() -> int:
    parent, exit_file, module, *arguments = sys.argv[1:]
    die_with_parent(int(parent))
    sys.argv = [module, *arguments]
    code = _run(module)
    fresh = Path(f"{exit_file}.new")
    write_durably(fresh, str(code).encode())
    fresh.rename(exit_file)
    return code


def _run(module: str) -> int:
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        if isinstance(ended.code, str):
            sys.stderr.write(f"{ended.code}\n")
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:  # noqa: BLE001 - what the interpreter does with the exception of a main program
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
