"""Watching: what was predicted and what became of it, drift, freshness, latency, and what failed.

Every function measures its latency, so nothing is imported here: each takes the part that it needs.
"""
