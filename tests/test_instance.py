from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from infra.catalogue import ROOT
from shared.config import load_settings
from shared.errors import ConfigurationError, NoActiveModel, PackageRefused
from shared.instance import Instance, current_instance, use_instance
from shared.platform.connect import connect
from tests.packages import active, market_package, spoil

PARTS = (
    "upstream",
    "candle_store",
    "candles",
    "market_desk",
    "registry",
    "models",
    "market_predictor",
    "audit",
    "outcomes",
    "performance",
    "lineage",
    "verifier",
    "training_desk",
)
HEAVY = {"onnxruntime", "pyarrow", "sklearn", "pandas", "httpx", "stamina"}


def test_each_part_is_made_once(instance: Instance) -> None:
    for name in PARTS:
        assert getattr(instance, name) is getattr(instance, name), name


def test_making_the_parts_opens_nothing(tmp_path: Path) -> None:
    settings = load_settings(mlengine_home=tmp_path / "home", market_data_url="http://no.such.host")
    instance = Instance(settings, connect(settings))
    for name in PARTS:
        getattr(instance, name)
    assert not (tmp_path / "home").exists()


def test_the_process_has_one_instance_whoever_asks_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_TRADE_BAND", "0.25")
    found: list[Instance] = []
    threads = [threading.Thread(target=lambda: found.append(current_instance())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(instance) for instance in found}) == 1
    assert found[0].settings.no_trade_band == 0.25


def test_a_host_may_give_its_own_and_take_it_back(instance: Instance) -> None:
    assert current_instance() is instance
    use_instance(None)
    assert current_instance() is not instance


def test_wrong_settings_stop_it_with_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODEL_CACHE_SECONDS", "soon")
    with pytest.raises(ConfigurationError, match="MODEL_CACHE_SECONDS"):
        current_instance()


def test_a_model_is_required_until_one_is_active_that_verifies(instance: Instance) -> None:
    with pytest.raises(NoActiveModel, match="mlengine train"):
        asyncio.run(instance.require_model())
    active(instance.registry)
    asyncio.run(instance.require_model())
    spoil(instance.settings.mlengine_home, market_package(), "model.onnx")
    restarted = Instance(instance.settings, instance.platform)
    with pytest.raises(PackageRefused, match=r"model\.onnx"):
        asyncio.run(restarted.require_model())


def test_the_parts_agree_on_what_they_share(instance: Instance) -> None:
    assert instance.market_desk.source is instance.candles
    assert instance.market_desk.store is instance.candle_store
    assert instance.market_desk.upstream is instance.upstream


@pytest.mark.parametrize("name", ["candles", "audit", "training_desk", "upstream"])
def test_a_part_loads_only_what_it_uses(tmp_path: Path, name: str) -> None:
    program = (
        "import sys\nfrom shared.instance import current_instance\n"
        f"current_instance().{name}\n"
        f"print(sorted({HEAVY} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, "MLENGINE_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
