from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from shared.config import VERSION, Environment, Settings, load_settings
from shared.errors import ConfigurationError

EXAMPLE = Path(__file__).parent.parent / ".env.example"


def test_every_setting_is_in_the_example_file_with_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLENGINE_HOME")
    lines = dict(re.findall(r"^([A-Z_]+)=(.*)$", EXAMPLE.read_text(), re.MULTILINE))
    assert set(lines) == {name.upper() for name in Settings.model_fields}
    given = {name.lower(): value for name, value in lines.items() if value}
    assert load_settings(**given) == load_settings()


def test_the_version_is_the_projects() -> None:
    project = tomllib.loads((EXAMPLE.parent / "pyproject.toml").read_text())["project"]
    assert project["version"] == VERSION


def test_an_argument_beats_the_environment_beats_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("PORT=1001\nHOST=file\nLOG_LEVEL=ERROR\n")
    monkeypatch.setenv("PORT", "1002")
    monkeypatch.setenv("HOST", "environment")
    settings = load_settings(port=1003)
    assert (settings.port, settings.host, settings.log_level) == (1003, "environment", "ERROR")


def test_a_wrong_setting_is_named_and_a_secret_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "eighty")
    monkeypatch.setenv("ADMIN_API_KEY", "hunter2")
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    assert "PORT" in caught.value.detail
    assert "ADMIN_API_KEY" in caught.value.detail
    assert "hunter2" not in caught.value.detail


def test_production_refuses_to_start_without_an_admin_key() -> None:
    with pytest.raises(ConfigurationError, match="ADMIN_API_KEY"):
        load_settings(env="production")


def test_open_routes_and_checked_invokers_exclude_each_other() -> None:
    with pytest.raises(ConfigurationError, match="INVOKERS_CHECKED"):
        load_settings(invokers_checked=True, open_routes="GET /predict")


def test_lists_are_written_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAIN_SYMBOLS", "AAPL, MSFT,")
    assert load_settings().train_symbols == ("AAPL", "MSFT")


def test_settings_cannot_be_changed() -> None:
    settings = load_settings()
    with pytest.raises(ValueError, match="frozen"):
        settings.env = Environment.PRODUCTION  # type: ignore[misc]  # the point of the test


def test_the_end_of_a_line_is_no_part_of_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """`openssl rand -base64 33 | gcloud secrets versions add ...` keeps it, and no header can hold one."""
    monkeypatch.setenv("ADMIN_API_KEY", "a key of some length\n")
    key = load_settings(_env_file=None).admin_api_key
    assert key is not None
    assert key.get_secret_value() == "a key of some length"
