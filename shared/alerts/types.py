"""The catalogue of alerts: what each type means, and what whoever is told should do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class AlertType:
    """`meaning` and `to_do` are one sentence each. An alert that `recovers` is resolved by who raised it;
    the others wait for a person.
    """

    meaning: str
    to_do: str
    recovers: bool


TYPES: Final[Mapping[str, AlertType]] = MappingProxyType(
    {
        "package_refused": AlertType(
            "A model package doesn't verify: it was changed after it was registered, or is incomplete.",
            "Roll back with 'mlengine models rollback', then find out who wrote to the bucket of models.",
            recovers=False,
        ),
        "dead_letter": AlertType(
            "A function failed with an event as often as is allowed, and gave it up.",
            "Read the reason with 'mlengine deadletters list', mend it, then 'mlengine deadletters replay'.",
            recovers=False,
        ),
        "drift": AlertType(
            "A live model meets other data than it was trained on.",
            "Look at 'mlengine drift'; if it lasts, train anew with 'mlengine train'.",
            recovers=True,
        ),
        "stale_candles": AlertType(
            "Candles that should be there by the trading calendar aren't.",
            "Look at 'mlengine freshness', see whether the upstream answers, then run 'mlengine ingest'.",
            recovers=True,
        ),
        "stale_model": AlertType(
            "The active model is older than it may get.",
            "Train with 'mlengine train', look at its report, then 'mlengine activate'.",
            recovers=True,
        ),
        "stale_drift_check": AlertType(
            "Nobody has checked a live model for drift for too long.",
            "See with 'mlengine schedules' whether the check still fires, then run it by hand.",
            recovers=True,
        ),
        "slow": AlertType(
            "A function answers slower than it should.",
            "Compare its latencies with those of its upstream; raise its processors or its instances.",
            recovers=True,
        ),
        "failing": AlertType(
            "Too many answers of a function are errors of ours.",
            "Read the function's log of the last hour; roll back what was deployed or activated last.",
            recovers=True,
        ),
        "performance_drift": AlertType(
            "A live model predicts worse than it did when it was validated.",
            "Look at its performance and at 'mlengine drift'; train anew or roll back.",
            recovers=True,
        ),
        "candle_findings": AlertType(
            "A kind of finding about candles has become more frequent than its past explains.",
            "Look at 'mlengine quality', mend the upstream, then ingest anew.",
            recovers=True,
        ),
        "monitor_failed": AlertType(
            "A monitor couldn't look, so that nobody watches what it watches.",
            "Read why in the alert, and the trace in the log of the function watch.",
            recovers=True,
        ),
        "cloud_monitoring": AlertType(
            "An alerting policy of Cloud Monitoring has opened an incident.",
            "Open the incident by its link: the policy's documentation says what to do.",
            recovers=True,
        ),
        "test": AlertType(
            "Somebody tries whether alerts arrive.",
            "Nothing: it has arrived.",
            recovers=True,
        ),
    }
)
