"""Drift of a model's inputs and scores, from a profile that is stored with the model."""
