"""Training: from candles to a fitted model, with an honest account of what it is worth.

`options` and `runs` (light) say what is asked for and what became of it, `desk` takes requests. `run.train`
does the work: `dataset` and `labels` make rows, `lookahead` tests them, `splits` divide them by time,
`contest` holds the candidates against each other and the winner against unseen sessions, `metrics` and
`bootstrap` measure, `gates` judge, `report` tells. `export` turns the result into ONNX.

Imports nothing here, so that the light parts stay light.
"""
