"""Compare-and-swap with patience: read, decide, write if nobody else did, else again after a while."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from shared.errors import AlreadyExists, RevisionConflict
from shared.platform.ports import Create, Data, Document, Documents, Replace

T = TypeVar("T")

ATTEMPTS = 40
SHORTEST_SECONDS = 0.004
LONGEST_SECONDS = 0.25


def update(
    documents: Documents,
    collection: str,
    id: str,
    change: Callable[[Data | None], Data | None],
    *,
    sleep: Callable[[float], None] = time.sleep,
    jitter: Callable[[], float] = random.random,
) -> Document | None:
    """Write what `change` makes of the document; gives the document as it then is.

    `change` gets None where there is no document, may be called often, and answers None to leave it as it is.

    Raises:
        RevisionConflict: somebody else was quicker, 40 times in a row.
    """

    def attempt() -> Document | None:
        found = documents.get(collection, id)
        data = change(None if found is None else found.data)
        if data is None:
            return found
        write = (
            Create(collection, id, data) if found is None else Replace(collection, id, data, found.revision)
        )
        return Document(id, data, documents.commit([write])[0])

    return retry_conflicts(attempt, sleep=sleep, jitter=jitter)


def retry_conflicts(
    attempt: Callable[[], T],
    *,
    sleep: Callable[[float], None] = time.sleep,
    jitter: Callable[[], float] = random.random,
) -> T:
    """What `attempt` gives, the first time that it doesn't lose a race.

    A loop of our own and no library: it is four lines, the rule never varies, and the library takes
    30 ms to import in functions that call nothing else over the network.

    Raises:
        RevisionConflict, AlreadyExists: lost 40 times in a row.
    """
    for tries in range(ATTEMPTS - 1):
        try:
            return attempt()
        except (RevisionConflict, AlreadyExists):
            sleep(jitter() * min(LONGEST_SECONDS, SHORTEST_SECONDS * 2.0**tries))
    return attempt()
