from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC
from pathlib import Path

import pytest

from shared.config import Settings, load_settings
from shared.errors import ConfigurationError
from shared.platform.connect import connect
from shared.platform.ports import Event, Platform, Put
from shared.platform.topics import TOPICS

ROOT = Path(__file__).resolve().parents[2]

_LOADED = """
import json, sys
before = set(sys.modules)
import shared.platform.connect
print(json.dumps(sorted(name for name in set(sys.modules) - before)))
"""


@pytest.fixture
def chosen(tmp_path: Path) -> Settings:
    return load_settings(mlengine_home=tmp_path / "home")


@pytest.fixture
def platform(chosen: Settings) -> Platform:
    return connect(chosen)


def test_importing_loads_the_standard_library_and_the_ports_only() -> None:
    run = subprocess.run([sys.executable, "-c", _LOADED], cwd=ROOT, capture_output=True, check=True)
    loaded = json.loads(run.stdout)
    ours = [name for name in loaded if name.startswith("shared") and ".ports." not in name]
    others = {name.partition(".")[0] for name in loaded} - sys.stdlib_module_names - {"shared"}
    platform = [f"shared.platform.{name}" for name in ("clock", "connect", "ports")]
    assert ours == ["shared", "shared.errors", "shared.platform", *platform]
    assert others == set()


def test_connecting_opens_nothing(chosen: Settings, platform: Platform) -> None:
    assert platform.documents is not None
    assert not chosen.mlengine_home.exists()


def test_state_is_kept_below_the_home_folder(chosen: Settings, platform: Platform) -> None:
    platform.documents.commit([Put("things", "a", {"n": 1})])
    platform.blobs.put("a", b"x")
    event = Event("1", "//test", "candles.requested", platform.now(), {})
    platform.events.publish("candles.requested", [event])
    names = {path.name for path in chosen.mlengine_home.iterdir() if not path.name.endswith(("-wal", "-shm"))}
    assert names == {"documents.sqlite3", "events.sqlite3", "blobs"}
    again = connect(chosen)
    found = again.documents.get("things", "a")
    assert found is not None
    assert found.data == {"n": 1}
    assert again.blobs.get("a") == b"x"


def test_every_topic_can_be_published_to(platform: Platform) -> None:
    for topic in TOPICS:
        platform.events.publish(topic, [Event("1", "//test", topic, platform.now(), {})])


def test_a_subscription_takes_from_one_topic() -> None:
    subscriptions = [name for names in TOPICS.values() for name in names]
    assert len(subscriptions) == len(set(subscriptions))


def test_now_is_in_utc_and_ids_are_fresh(platform: Platform) -> None:
    assert platform.now().tzinfo is UTC
    ids = {platform.new_id() for _ in range(100)}
    assert len(ids) == 100
    assert all(made.isalnum() for made in ids)


def test_state_of_another_schema_is_refused(chosen: Settings, platform: Platform) -> None:
    platform.documents.get("things", "a")
    import sqlite3

    file = chosen.mlengine_home / "documents.sqlite3"
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA user_version=77")
    with pytest.raises(ConfigurationError, match=r"77.*MLENGINE_HOME"):
        connect(chosen).documents.get("things", "a")
