"""Which alerts go where, as ALERT_ROUTES says it."""

from __future__ import annotations

import pytest

from shared.alerts.raising import Severity
from shared.alerts.routes import parse_routes
from shared.alerts.types import TYPES
from shared.config import load_settings
from shared.errors import ConfigurationError
from tests.alerts.made import CHANNELS

TEXT = "critical=pagerduty, slack; drift:error+=email;drift=; warning+ = slack; *=log"


@pytest.mark.parametrize(
    ("type_", "severity", "channels"),
    [
        ("drift", Severity.CRITICAL, ("pagerduty", "slack")),
        ("drift", Severity.ERROR, ("email",)),
        ("drift", Severity.WARNING, ()),
        ("slow", Severity.ERROR, ("slack",)),
        ("slow", Severity.WARNING, ("slack",)),
        ("slow", Severity.INFO, ("log",)),
    ],
)
def test_the_first_route_that_fits_decides(type_: str, severity: Severity, channels: tuple[str, ...]) -> None:
    routes = parse_routes(load_settings(alert_routes=TEXT).alert_routes, types=TYPES, channels=CHANNELS)
    assert routes.channels(type_, severity) == channels


def test_what_none_fits_goes_nowhere() -> None:
    routes = parse_routes("critical=log,log;", types=TYPES, channels=CHANNELS)
    assert routes.channels("drift", Severity.INFO) == ()
    assert routes.channels("drift", Severity.CRITICAL) == routes.all_channels == ("log",)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("critical", "has no '='"),
        ("critical=pager", "no channel 'pager': there are email, log"),
        ("drft=log", "'drft' is neither"),
        ("drift:loud=log", "'loud' is no severity"),
        ("drift+=log", "'drift+' is neither"),
        (":error=log", "'' is neither"),
    ],
)
def test_what_is_wrong_is_named(text: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match="ALERT_ROUTES") as caught:
        parse_routes(text, types=TYPES, channels=CHANNELS)
    assert words in caught.value.detail


@pytest.mark.parametrize("text", ["critical", "critical=Slack", "a b=log", "*=log\n\x00", "=log", "*=log;;x"])
def test_what_can_never_be_routes_stops_the_start(text: str) -> None:
    with pytest.raises(ConfigurationError, match="ALERT_ROUTES"):
        load_settings(alert_routes=text)


def test_insecure_targets_are_for_development_alone() -> None:
    with pytest.raises(ConfigurationError, match="ALERT_INSECURE_TARGETS"):
        load_settings(alert_insecure_targets=True, env="staging")
