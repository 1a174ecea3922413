"""What the engine costs on Google Cloud: prices, measured use, and the bill that they make.

`python -m infra.cost --json` prints it; `mlengine cost` shows it.
"""
