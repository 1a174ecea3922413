"""Who may see a model: what somebody has uploaded is theirs, and everybody else isn't told of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from shared.access.identity import Identity
from shared.access.roles import Role
from shared.errors import Forbidden
from shared.platform.ports import Documents
from shared.registry.versions import COUNTERS, name_of, unknown


class Owned(Protocol):
    """A version, or whatever knows whose it is: a model's name, and its owner (None: everybody's)."""

    @property
    def name(self) -> str: ...

    @property
    def owner(self) -> str | None: ...


def is_visible(identity: Identity, version: Owned) -> bool:
    """Whether the caller may see and use it: it is everybody's or their own, or they are an operator; and
    their key is for its model.
    """
    is_theirs = version.owner is None or version.owner == identity.user_id or identity.role >= Role.OPERATOR
    return is_theirs and identity.may_use(version.name)


def require_visible(identity: Identity, version: Owned, asked: str) -> None:
    """
    Raises:
        NotFound: the caller mayn't see it: the same words as where there is none called `asked`.
    """
    if not is_visible(identity, version):
        raise unknown(asked)


def require_own(identity: Identity, version: Owned) -> None:
    """Of a version that is visible.

    Raises:
        Forbidden: the caller mayn't change it: it is everybody's, and they are no operator.
    """
    is_own = version.owner is not None and version.owner == identity.user_id
    if not is_own and identity.role < Role.OPERATOR:
        raise Forbidden(f"{version.name} is everybody's: only operators change it.")


@dataclass(frozen=True, slots=True)
class OwnedName:
    """A model's name, and whose it is."""

    name: str
    owner: str | None


class Owners:
    """Whose each model is, by name or version id. A name keeps its owner for ever, so it is read once."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        self._known: dict[str, OwnedName] = {}

    def known(self, model: str) -> OwnedName | None:
        """What was read before; never blocks."""
        return self._known.get(name_of(model))

    def read(self, model: str) -> OwnedName | None:
        """None where nobody has registered it."""
        name = name_of(model)
        document = self._documents.get(COUNTERS, name)
        if document is None:
            return None
        return self._known.setdefault(name, OwnedName(name, document.data["owner"]))
