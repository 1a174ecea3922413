"""The topics and who takes from them. A topic without subscriptions drops its events, as Pub/Sub does."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

TOPICS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "candles.requested": ("fetch",),
        "candles.updated": (),
        "training.requested": ("training",),
        "training.finished": (),
        "model.registered": (),
        "model.activated": (),
        "predictions.made": ("audit",),
        "alerts.raised": (),
    }
)
