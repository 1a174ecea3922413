"""The audit, outcomes and replay on Firestore's and Cloud Storage's emulators."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from shared.monitoring.outcomes import Settled
from shared.platform.migration import every
from tests.emulators import Emulators
from tests.packages import active
from tests.predicted import FIRST, Market


def test_predictions_are_audited_settled_once_and_replayed_in_the_cloud(
    emulators: Emulators, tmp_path: Path
) -> None:
    """Numbers come back as they were stored: else the seal, the score or the label would differ."""
    market = Market(tmp_path, 4, FIRST + 5, settings=emulators.ready())
    active(market.instance.registry)
    market.close(FIRST + 4)
    events = [event for day in range(3) for event in market.predict(FIRST + day)]

    def deliver(_: int) -> Settled:
        market.instance.audit.store(events)
        return market.instance.outcomes.settle("1d", list(market.series))

    with ThreadPoolExecutor(2) as workers:
        list(workers.map(deliver, range(2)))
    deliver(0)
    documents = market.instance.platform.documents
    assert {one.id for one in every(documents, "outcomes")} == {event.id for event in events}
    assert list(every(documents, "unsettled-predictions")) == []
    found = market.instance.verifier.verify()
    assert (found.checked, found.unsealed, found.has_passed) == (12, 0, True)
    report = market.instance.performance.report("market-signal", "all")
    assert (report.predictions, report.waiting) == (12, 0)
    record = documents.get("predictions", events[0].id)
    assert record is not None
    assert market.instance.lineage.of(record.data)["notes"] == []
