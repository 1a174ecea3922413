"""Training of a market's problems: `run.train` does the work.

`dataset` makes rows, `lookahead` tests them, `splits` divide them by time, `contest` holds the candidates
against each other and the winner against unseen sessions, `evaluation` measures, `findings` and `report`
tell.
"""
