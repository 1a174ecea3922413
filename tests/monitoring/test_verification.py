from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from shared.errors import CorruptBlob, PlatformUnavailable
from shared.monitoring.audit import digest
from shared.monitoring.verification import Verification
from shared.platform.ports import Delete, Put
from tests.homes import copied
from tests.packages import FEATURES, active, market_package, registered, spoil
from tests.predicted import FIRST, Market

COUNT = 40


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty audited predictions of one version."""
    market = Market(tmp_path_factory.mktemp("verified") / "home", 4, FIRST + 10)
    active(market.instance.registry)
    for day in range(COUNT // 4):
        market.instance.audit.store(market.predict(FIRST + day))
    verify(market)  # makes the index that it needs, which a bad disk would find there
    connection = sqlite3.connect(market.home / "documents.sqlite3")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return market.home


@pytest.fixture
def market(kept: Path, tmp_path: Path) -> Market:
    copied(kept, tmp_path / "home")
    return Market(tmp_path / "home", 4, FIRST + 10, first_id=COUNT)


def verify(market: Market, **options: Any) -> Verification:
    return market.instance.verifier.verify(**options)


def change(market: Market, **changes: Any) -> None:
    """Alter a stored prediction, with a seal that fits: as one would who knows how."""
    documents = market.instance.platform.documents
    found = documents.get("predictions", "p00007")
    assert found is not None
    data = {**found.data, **changes}
    documents.commit([Put("predictions", "p00007", {**data, "sha256": digest(data)})])


def test_every_prediction_is_replayed_bit_for_bit(market: Market) -> None:
    heard: list[int] = []
    found = verify(market, on_checked=heard.append)
    assert found.has_passed
    assert (found.checked, found.unsealed, found.differences) == (COUNT, 0, ())
    assert heard == list(range(1, COUNT + 1))
    (package,) = found.packages
    assert (package.model_id, package.predictions, package.why) == ("market-signal-v1", COUNT, None)
    assert package.package_hash == market_package().hash


def nudged(value: float) -> float:
    """The next number that has another float32."""
    return float(np.nextafter(np.float32(value), np.float32(2)))


@pytest.mark.parametrize(
    ("altered", "words"),
    [
        (lambda data: {"probability": nudged(data["probability"])}, "score: stored"),
        (lambda data: {"features": [data["features"][0] + 1, *data["features"][1:]]}, "score: stored"),
        (lambda data: {"features": data["features"][1:]}, f"features: they aren't {len(FEATURES.names)}"),
        (lambda data: {"features": ["x", *data["features"][1:]]}, "features: they aren't"),
        (lambda data: {"signal": "up" if data["signal"] != "up" else "down"}, "signal: stored"),
        (lambda data: {"no_trade_band": None}, "signal: what it was decided by"),
        (lambda data: {"threshold": 0.4}, "threshold: stored 0.4"),
        (lambda data: {"package_hash": "0" * 64}, "package: it names 000"),
        (lambda data: {"sha256": "0" * 64, "caller": "mallory"}, ""),
    ],
)
def test_what_was_altered_is_found_even_with_a_seal_that_fits(
    market: Market, altered: Callable[[Any], dict[str, Any]], words: str
) -> None:
    found = market.instance.platform.documents.get("predictions", "p00007")
    assert found is not None
    change(market, **altered(found.data))
    differences = verify(market).differences
    if words:
        assert [one.prediction_id for one in differences] == ["p00007"]
        assert words in differences[0].why[0]
    else:  # nothing that the score rests on: only the seal could tell, and it was made anew
        assert differences == ()


def test_a_seal_that_is_gone_is_a_difference_and_none_at_all_is_an_earlier_release(market: Market) -> None:
    documents = market.instance.platform.documents
    for name, gone in (("p00001", {"sha256"}), ("p00002", {"sha256", "expires_at"})):
        found = documents.get("predictions", name)
        assert found is not None
        documents.commit([Put("predictions", name, {k: v for k, v in found.data.items() if k not in gone})])
    checked = verify(market)
    assert [one.prediction_id for one in checked.differences] == ["p00001"]
    assert checked.unsealed == 1


def flipped(home: Path, prediction_id: str, place: float, bit: int) -> None:
    """Flip one bit of a stored prediction in the database's file, as a bad disk would.

    Not one that leaves what the text says: `e` for `E` in a number, or a digit beyond its precision.
    """
    connection = sqlite3.connect(home / "documents.sqlite3")
    query = "SELECT data FROM documents WHERE collection = 'predictions' AND id = ?"
    (text,) = connection.execute(query, (prediction_id,)).fetchone()
    connection.close()
    data = text.encode()
    at = int(place * (len(data) - 1))
    begin = max(0, at - 20)
    around = data[begin : at + 20]
    file = home / "documents.sqlite3"
    content = bytearray(file.read_bytes())
    assume(content.count(around) == 1)
    assume(not_the_same(text, data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]))
    content[content.index(around) + at - begin] ^= 1 << bit
    file.write_bytes(content)


def not_the_same(text: str, flipped: bytes) -> bool:
    try:
        return bool(json.loads(text) != json.loads(flipped))
    except ValueError:
        return True


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(number=st.integers(0, COUNT - 1), place=st.floats(0, 1), bit=st.integers(0, 7))
def test_one_flipped_bit_anywhere_in_a_stored_prediction_is_found(
    kept: Path, tmp_path_factory: pytest.TempPathFactory, number: int, place: float, bit: int
) -> None:
    home = tmp_path_factory.mktemp("flipped") / "home"
    copied(kept, home)
    prediction_id = f"p{number:05}"
    flipped(home, prediction_id, place, bit)
    market = Market(home, 1, FIRST + 10)
    assert told(market) in ([prediction_id], "not JSON", "not UTF-8")


def told(market: Market) -> list[str] | str:
    """The predictions that differ, or why they can't be read."""
    try:
        return [one.prediction_id for one in verify(market).differences]
    except CorruptBlob:
        return "not JSON"
    except PlatformUnavailable as error:
        return "not UTF-8" if "UTF-8" in error.detail else error.detail


@pytest.mark.parametrize(
    "name", ["model.onnx", "examples.json", "profile.json", "report.html", "manifest.json"]
)
def test_one_flipped_bit_in_the_package_is_found(market: Market, name: str) -> None:
    spoil(market.home, market_package(), name)
    found = verify(market)
    assert not found.has_passed
    assert found.packages[0].why is not None
    assert len(found.differences) == COUNT
    assert found.differences[0].why[0].startswith("package: ")


def test_predictions_of_a_version_that_is_gone_are_told(market: Market) -> None:
    market.instance.platform.documents.commit([Delete("model-versions", "market-signal-v1")])
    found = verify(market)
    assert "market-signal-v1" in (found.packages[0].why or "")
    assert len(found.differences) == COUNT


def test_the_newest_are_verified_where_not_all_are_asked_for(market: Market) -> None:
    assert verify(market, limit=7).checked == 7
    assert verify(market, model_id="market-signal-v1").checked == COUNT
    assert verify(market, model_id="market-signal-v2").checked == 0
    newest = market.instance.audit.recent(symbol=None, model_id=None, limit=1, cursor=None).documents[0]
    since = datetime.fromisoformat(newest.data["made_at"])
    assert verify(market, since=since).checked == 4
    assert verify(market, limit=0).checked == 0


def test_each_prediction_is_replayed_by_its_own_version(market: Market) -> None:
    registered(market.instance.registry, seed=1)
    market.instance.audit.store(market.predict(FIRST + 9, ["S0"], model="market-signal-v2"))
    found = verify(market)
    assert found.has_passed
    assert [(one.model_id, one.predictions) for one in found.packages] == [
        ("market-signal-v1", COUNT),
        ("market-signal-v2", 1),
    ]


def test_json_has_what_a_script_needs(market: Market) -> None:
    change(market, threshold=0.4)
    told = verify(market).json()
    assert (told["checked"], told["verified"], told["passed"]) == (COUNT, COUNT - 1, False)
    assert told["differences"][0]["prediction_id"] == "p00007"
