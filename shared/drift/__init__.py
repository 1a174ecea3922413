"""Drift of a model's inputs and scores, from a profile that is stored with the model."""

from __future__ import annotations

from shared.drift.check import CurrentWindow, check_drift
from shared.drift.profile import Profile, build_profile
from shared.drift.result import DriftResult, FamilyResult, FeatureDrift, Verdict

__all__ = [
    "CurrentWindow",
    "DriftResult",
    "FamilyResult",
    "FeatureDrift",
    "Profile",
    "Verdict",
    "build_profile",
    "check_drift",
]
