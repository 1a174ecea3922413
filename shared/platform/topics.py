"""The topics and who takes from them. A topic without subscriptions drops its events, as Pub/Sub does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

DEAD_LETTERS: Final = "dead.letters"
"""Takes the events that were given up, whatever topic they came on. Its own are never given up.

Each arrives as it was published, with these extension attributes besides.
"""

DEAD_LETTER_SUBSCRIPTION: Final = "deadlettersubscription"
"""Which subscription gave it up: the function's name."""

DEAD_LETTER_ATTEMPTS: Final = "deadletterattempts"
"""How often it was tried."""

DEAD_LETTER_REASON: Final = "deadletterreason"
"""What the last attempt failed of. Pub/Sub doesn't tell: there it is missing."""

UNREADABLE: Final = "mlengine.unreadable"
"""The type of what stands for a dead letter whose message is no event. Its data is the message."""

TOPICS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "candles.requested": ("fetch",),
        "candles.updated": ("outcomes",),
        "training.requested": ("training",),
        "training.finished": (),
        "scoring.requested": ("scoring",),
        "uploads.requested": ("uploads",),
        "reports.requested": ("reports",),
        "drift.requested": ("drift",),
        "drift.reported": (),
        "watch.requested": ("watch",),
        "model.registered": (),
        "model.activated": (),
        "predictions.made": ("audit",),
        "measurements.made": ("monitoring",),
        "alerts.raised": ("alerts",),
        "notifications.requested": ("notify",),
        DEAD_LETTERS: ("deadletters",),
    }
)

EXPORTS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType({"predictions.made": ("warehouse",)})
"""Who takes from a topic without being a function: in the cloud BigQuery itself, in the twin a thread."""


def with_exports(topics: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """The topics with those who take from them besides the functions."""
    return {topic: (*takers, *EXPORTS.get(topic, ())) for topic, takers in topics.items()}


def gives_up(topics: Mapping[str, Sequence[str]], subscription: str) -> bool:
    """Whether an event that `subscription` can't handle becomes a dead letter after its last attempt.

    Where nobody takes dead letters it would vanish, and so would one that the taker of dead letters
    can't handle: such events are tried for ever.
    """
    takers = topics.get(DEAD_LETTERS, ())
    return bool(takers) and subscription not in takers
