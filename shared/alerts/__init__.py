"""Alerts: what is told to people, once per cause."""
