"""What every part is made of."""

from __future__ import annotations

from shared.config import Settings
from shared.platform.ports import Platform


class Parts:
    """Parts of one process, each made on first use and kept."""

    def __init__(self, settings: Settings, platform: Platform) -> None:
        self.settings = settings
        self.platform = platform
