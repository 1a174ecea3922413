"""Training: from candles or rows to a fitted model, with an honest account of what it is worth.

`options` and `runs` (light) say what is asked for and what became of it, `desk` takes requests. `market.run`
learns from candles, `tabular.run` from rows of columns; they share `candidates` (the algorithms with their
preprocessing), `calibration`, `gates`, `importance`, and what reports are made of (`page`, `plots`,
`figures`). `search` looks for better parameters. `export` turns the result into ONNX.

Imports nothing here, so that the light parts stay light.
"""
