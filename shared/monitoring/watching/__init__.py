"""Watching: each monitor looks, what it sees is kept as history, and alerts are rung and resolved.

`readings` is what monitors give; `ages`, `requests` and `worth` are the monitors; `causes` decides, with
patience, what is told; `watcher` runs them, each on its own.
"""

from shared.monitoring.watching.causes import Causes, Decision
from shared.monitoring.watching.readings import Level, Look, Monitor, Reading, Sight
from shared.monitoring.watching.watcher import MonitorReport, Watcher, WatchReport

__all__ = [
    "Causes",
    "Decision",
    "Level",
    "Look",
    "Monitor",
    "MonitorReport",
    "Reading",
    "Sight",
    "WatchReport",
    "Watcher",
]
