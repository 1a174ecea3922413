"""What all ports speak of: times, ids and JSON objects."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeAlias

Now: TypeAlias = Callable[[], datetime]
"""Gives the present time, in UTC and aware of it."""

NewId: TypeAlias = Callable[[], str]
"""Gives a fresh random id: letters and digits."""

Data: TypeAlias = Mapping[str, Any]
"""What a document or an event holds: a JSON object. Times in it are RFC 3339 text in UTC."""
