"""`python -m shared.cli`: the `mlengine` command."""

from shared.cli.main import run

run()
