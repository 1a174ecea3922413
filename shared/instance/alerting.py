"""Alerts: raised, kept, and told to people."""

from __future__ import annotations

from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from shared.instance.parts import Parts

if TYPE_CHECKING:
    from shared.alerts.desk import AlertDesk
    from shared.alerts.ledger import AlertLedger
    from shared.alerts.notifier import Notifier
    from shared.alerts.raising import AlertBell
    from shared.alerts.routes import Routes


class AlertingParts(Parts):
    def alert_bell(self, source: str) -> AlertBell:
        """For who raises alerts: `source` says who."""
        from shared.alerts.raising import AlertBell

        p = self.platform
        return AlertBell(p.events, p.now, p.new_id, source)

    @cached_property
    def alert_routes(self) -> Routes:
        """
        Raises:
            ConfigurationError: ALERT_ROUTES names what there isn't.
        """
        from shared.alerts.channels.table import CHANNELS
        from shared.alerts.routes import parse_routes
        from shared.alerts.types import TYPES

        return parse_routes(self.settings.alert_routes, types=TYPES, channels=CHANNELS)

    @cached_property
    def alert_ledger(self) -> AlertLedger:
        from shared.alerts.changes import Rules
        from shared.alerts.channels.table import HOLDING_INCIDENTS
        from shared.alerts.ledger import AlertLedger

        p, hours = self.platform, self.settings.alert_remind_hours
        remind_after = timedelta(hours=hours) if hours else None
        rules = Rules(self.alert_routes, HOLDING_INCIDENTS, remind_after)
        return AlertLedger(p.documents, p.events, rules, p.now)

    @cached_property
    def alert_desk(self) -> AlertDesk:
        from shared.alerts.desk import AlertDesk

        p = self.platform
        return AlertDesk(p.documents, p.events, self.alert_ledger, p.now, p.new_id)

    @cached_property
    def notifier(self) -> Notifier:
        from shared.alerts.channels.table import open_channels
        from shared.alerts.notifier import Notifier

        p, channels = self.platform, open_channels(self.settings, self.platform.secrets)
        return Notifier(p.documents, channels, p.now, mark="Replay: " if p.is_replay else "")
