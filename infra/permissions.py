"""`python -m infra.permissions`: writes the table of who may do what into terraform/README.md.

Made of the two files that Terraform reads too: the functions catalogue and `terraform/permissions.yaml`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict

from infra.catalogue import ROOT, Catalogue, Common, Entry, Workload, read_catalogue

FOLDER = ROOT / "terraform"
PERMISSIONS_FILE = FOLDER / "permissions.yaml"
README = FOLDER / "README.md"
BEGIN = "<!-- permissions: made by `make permissions` -->"
END = "<!-- /permissions -->"

_LISTS = ("reads", "writes", "deletes", "publishes", "runs", "secrets")
_OPTIONAL = "optional_secrets"
_EVERY = "every function"


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Role(_Model):
    """A role of ours: exactly the permissions that are needed."""

    id: str
    title: str
    why: str
    permissions: tuple[str, ...]


class Grant(_Model):
    """What a word of the catalogue gives."""

    role: str
    scope: str
    why: str


class PlatformGrant(Grant):
    """What no workload asks for, and the platform needs."""

    who: str


class Permissions(_Model):
    """`terraform/permissions.yaml`."""

    custom_roles: Mapping[str, Role]
    may: Mapping[str, Grant]
    lists: Mapping[str, tuple[Grant, ...]]
    platform: Mapping[str, PlatformGrant]

    def role_name(self, role: str) -> str:
        """As IAM calls it, without the project of a role of ours."""
        return role if role.startswith("roles/") else self.custom_roles[role].id


@dataclass(frozen=True, slots=True, order=True)
class Binding:
    """One line of the table. `what` is what the role is granted on."""

    who: str
    role: str
    what: str
    why: str


def read_permissions(file: Path = PERMISSIONS_FILE) -> Permissions:
    return Permissions.model_validate(yaml.safe_load(file.read_text()))


def bindings(
    catalogue: Catalogue, permissions: Permissions, optional: frozenset[str] = frozenset()
) -> list[Binding]:
    """Every grant to a function or a job, in the catalogue's order; `optional` are the secrets that are used
    of those that need not be there."""
    return [
        binding
        for name, workload in catalogue.workloads.items()
        for binding in (
            *_of_kinds(name, workload, permissions),
            *_of_lists(name, workload, permissions),
            *_of_optional(name, workload, permissions, optional),
        )
    ]


def table(catalogue: Catalogue, permissions: Permissions) -> str:
    """The tables of the README, in Markdown. What every function has stands there once."""
    roles = permissions.custom_roles.values()
    return "\n".join(
        [
            *_rows("who", "role", "on", "why"),
            *(_row(b.who, f"`{b.role}`", b.what, b.why) for b in _shortened(catalogue, permissions)),
            *(
                _row(one.who, f"`{permissions.role_name(one.role)}`", one.scope, one.why)
                for one in permissions.platform.values()
            ),
            "",
            "Roles of our own:",
            "",
            *_rows("role", "permissions", "why none of the predefined"),
            *(_row(f"`{r.id}`", ", ".join(f"`{p}`" for p in r.permissions), r.why) for r in roles),
        ]
    )


def _shortened(catalogue: Catalogue, permissions: Permissions) -> Iterator[Binding]:
    every = catalogue.every_function
    common = [*_of_lists(_EVERY, every, permissions), *_where_used(_EVERY, every, permissions)]
    yield from common
    told = {(one.role, one.what) for one in common}
    for name, workload in catalogue.workloads.items():
        own = [
            *_of_kinds(name, workload, permissions),
            *_of_lists(name, workload, permissions),
            *_where_used(name, workload, permissions),
        ]
        yield from (one for one in own if not isinstance(workload, Entry) or (one.role, one.what) not in told)


def with_table(text: str, made: str) -> str:
    """`text` with what is between the marks replaced."""
    before, _, rest = text.partition(BEGIN)
    _, mark, after = rest.partition(END)
    if not mark:
        raise LookupError(f"{README} must hold the lines {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{made}\n\n{END}{after}"


def _of_kinds(name: str, workload: Workload, permissions: Permissions) -> Iterator[Binding]:
    for word in workload.may:
        if grant := permissions.may.get(word):
            yield _binding(name, grant, grant.scope, permissions)


def _of_lists(name: str, workload: Workload | Common, permissions: Permissions) -> Iterator[Binding]:
    for key in _LISTS:
        for item in _listed(workload, key):
            for grant in permissions.lists[key]:
                yield _binding(name, grant, f"{grant.scope} `{_called(key, item)}`", permissions)


def _of_optional(
    name: str, workload: Workload | Common, permissions: Permissions, used: frozenset[str]
) -> Iterator[Binding]:
    for secret in workload.optional_secrets:
        if secret in used:
            for grant in permissions.lists["secrets"]:
                yield _binding(name, grant, f"{grant.scope} `{_called('secrets', secret)}`", permissions)


def _where_used(name: str, workload: Workload | Common, permissions: Permissions) -> Iterator[Binding]:
    for one in _of_optional(name, workload, permissions, frozenset(workload.optional_secrets)):
        yield replace(one, what=f"{one.what}, where `{_OPTIONAL}` has it")


def _listed(workload: Workload | Common, key: str) -> Sequence[str]:
    listed: Sequence[str] = getattr(workload, key, ())
    return listed


def _called(key: str, item: str) -> str:
    return item.lower().replace("_", "-") if key == "secrets" else item


def _binding(who: str, grant: Grant, what: str, permissions: Permissions) -> Binding:
    return Binding(who, permissions.role_name(grant.role), what, grant.why)


def _rows(*titles: str) -> list[str]:
    return [_row(*titles), _row(*("---" for _ in titles))]


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    README.write_text(with_table(README.read_text(), table(read_catalogue(), read_permissions())))
