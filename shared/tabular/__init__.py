"""Rows of named columns: their schema, and how a row becomes what a model takes.

One encoding serves training, single requests, files and uploads: a column of numbers is itself, a boolean
0 or 1, a category its place in the list of categories, and what is missing is NaN. The rest (imputing,
one-hot, scaling) is inside the model's graph, so that it is learnt from training rows alone.
"""

from shared.tabular.columns import Column, Columns

__all__ = ["Column", "Columns"]
