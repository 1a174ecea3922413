from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from shared.platform.ports import Data, Put
from tests.packages import active, market_package, registered, spoil
from tests.predicted import FIRST, Market


@pytest.fixture
def market(tmp_path: Path) -> Market:
    """A version that a recorded run has trained, made live."""
    made = Market(tmp_path / "home", 1, FIRST + 10)
    made.instance.training_desk.runs.create("run-1", {"problem": "market_signal"})
    made.instance.registry.register(market_package(), created_by="train", run_id="run-1")
    made.instance.registry.activate("market-signal-v1", by="ada", allow_failed_gates=True, reason="first")
    return made


def record(market: Market, row: int = FIRST, **options: Any) -> Data:
    (event,) = market.predict(row, **options)
    market.instance.audit.store([event])
    found = market.instance.platform.documents.get("predictions", event.id)
    assert found is not None
    return found.data


def test_a_prediction_leads_to_all_it_comes_from(market: Market) -> None:
    kept = record(market)
    found = market.instance.lineage.of(kept)
    package = market_package()
    assert found["notes"] == []
    assert found["model"]["id"] == kept["model_id"]
    assert found["model"]["package_hash"] == kept["package_hash"] == package.hash
    assert (found["model"]["created_by"], found["model"]["run_id"]) == ("train", "run-1")
    assert found["run"]["request"] == {"problem": "market_signal"}
    assert found["training"]["dataset_fingerprint"] == package.manifest.dataset_fingerprint
    assert found["training"]["feature_set_hash"] == kept["feature_set_hash"]
    assert found["training"]["code_revision"] == "sha256:0"
    assert (found["promotion"]["by"], found["promotion"]["reason"]) == ("ada", "first")
    assert found["was_live"] is True
    assert found["record"] == {"sha256": kept["sha256"], "expires_at": kept["expires_at"]}


def test_what_was_live_then_stays_the_answer_when_another_goes_live(market: Market) -> None:
    kept = record(market)
    market.pass_by(hours=1)
    active(market.instance.registry, seed=1)
    found = market.instance.lineage.of(kept)
    assert found["was_live"] is True
    assert found["promotion"]["version_id"] == "market-signal-v1"
    later = market.instance.lineage.of(record(market, FIRST + 1))
    assert (later["promotion"]["version_id"], later["was_live"]) == ("market-signal-v2", True)
    assert later["run"] is None  # nobody said which run had made it
    assert later["notes"] == []


def test_a_version_that_was_not_live_is_told(market: Market) -> None:
    registered(market.instance.registry, seed=1)
    found = market.instance.lineage.of(record(market, model="market-signal-v2"))
    assert found["was_live"] is False
    assert found["promotion"]["version_id"] == "market-signal-v1"
    assert "market-signal-v1 was live then: market-signal-v2 was asked for by its id" in found["notes"][0]


def test_a_model_of_which_nothing_was_live_is_told(tmp_path: Path) -> None:
    market = Market(tmp_path / "home", 1, FIRST + 10)
    registered(market.instance.registry)
    found = market.instance.lineage.of(record(market, model="market-signal-v1"))
    assert (found["was_live"], found["promotion"]) == (None, None)
    assert "No version was live" in found["notes"][0]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"package_hash": "0" * 64}, "another package"),
        ({"feature_set_hash": "0" * 64}, "aren't those that the model was trained on"),
        ({"symbol": "OTHER"}, "sha256 differs"),
        ({"model_id": "gone-v3"}, "gone-v3"),
    ],
)
def test_what_does_not_agree_is_noted(market: Market, changes: dict[str, Any], words: str) -> None:
    notes = market.instance.lineage.of({**record(market), **changes})["notes"]
    assert any(words in note for note in notes)


def test_a_spoiled_package_hides_the_training_only(market: Market) -> None:
    kept = record(market)
    spoil(market.home, market_package(), "manifest.json")
    found = market.instance.lineage.of(kept)
    assert found["training"] is None
    assert found["model"]["id"] == "market-signal-v1"
    assert "isn't what was registered" in found["notes"][0]


def test_a_run_that_is_not_recorded_is_noted(market: Market) -> None:
    documents = market.instance.platform.documents
    version = documents.get("model-versions", "market-signal-v1")
    assert version is not None
    documents.commit([Put("model-versions", "market-signal-v1", {**version.data, "run_id": "run-9"})])
    found = market.instance.lineage.of(record(market))
    assert found["run"] is None
    assert found["notes"] == ["The training run run-9 isn't recorded here."]


def test_an_empty_record_of_an_earlier_release_has_no_lineage(market: Market) -> None:
    found = market.instance.lineage.of({})
    assert (found["model"], found["training"], found["promotion"]) == (None, None, None)
