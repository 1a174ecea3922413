"""How good scores are: metrics with their intervals over time, and what anybody can do without a model.

Training judges candidates with it, monitoring what went live: the same numbers by the same code.
"""
