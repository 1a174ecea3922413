"""The secrets that users need: what signs their tokens, and what makes the first admin."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

from shared.access.accounts import BOOTSTRAP_SECRET
from shared.access.tokens import SIGNING_KEYS_SECRET, new_signing_key
from shared.platform.local.secrets import LocalSecrets


def ensure_access_secrets(home: Path, console: Console) -> Mapping[str, str]:
    """The secrets by name. Those that aren't there are made; the bootstrap secret is printed then."""
    kept = LocalSecrets(home / "secrets")
    fresh: list[str] = []

    def bootstrap() -> str:
        fresh.append(secrets.token_urlsafe(24))
        return fresh[0]

    found = {
        SIGNING_KEYS_SECRET: kept.ensure(SIGNING_KEYS_SECRET, lambda: new_signing_key("first")),
        BOOTSTRAP_SECRET: kept.ensure(BOOTSTRAP_SECRET, bootstrap),
    }
    if fresh:
        console.print(
            f"Bootstrap secret (makes the first admin: 'mlengine users register EMAIL --bootstrap'): "
            f"[bold]{found[BOOTSTRAP_SECRET]}[/bold]",
            soft_wrap=True,
        )
    return found
