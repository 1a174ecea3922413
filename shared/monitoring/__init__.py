"""Watching what was predicted: the audit."""

from shared.monitoring.audit import Audit

__all__ = ["Audit"]
