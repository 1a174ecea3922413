"""What a load balancer does with a path, by the rules of a planned URL map."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_ONE_PART = r"[a-zA-Z0-9\-._~%!$&'()+,;:@]+"
"""What `*` stands for. Source: Envoy's uri_template, which the load balancer's path templates are."""


def backend_of(url_map: Mapping[str, Any], host: str, path: str) -> str:
    """The name of the backend service that gets a request."""
    matcher = _matcher_of(url_map, host)
    if matcher is None:
        return _name(url_map["default_service"])
    assert not matcher["path_rule"], "route rules and path rules exclude each other"
    priorities = [rule["priority"] for rule in matcher["route_rules"]]
    assert len(set(priorities)) == len(priorities), "the API refuses two rules of the same priority"
    for rule in sorted(matcher["route_rules"], key=lambda rule: int(rule["priority"])):
        if any(_matches(match, path) for match in rule["match_rules"]):
            return _name(rule["service"])
    return _name(matcher["default_service"])


def _matcher_of(url_map: Mapping[str, Any], host: str) -> Mapping[str, Any] | None:
    for rule in url_map["host_rule"]:
        if host in rule["hosts"]:
            found: list[Mapping[str, Any]] = [
                matcher for matcher in url_map["path_matcher"] if matcher["name"] == rule["path_matcher"]
            ]
            return found[0]
    return None


def _matches(match: Mapping[str, Any], path: str) -> bool:
    """By the one condition that a match rule may have here."""
    conditions = {name: value for name, value in match.items() if value not in (None, [], False)}
    ((kind, wanted),) = conditions.items()
    if kind == "full_path_match":
        return bool(path == wanted)
    assert kind == "path_template_match", f"{kind} isn't understood here"
    assert wanted.count("*") <= 5, "the API takes 5 wildcards"
    assert len(wanted) <= 255, "the API takes 255 characters"
    return re.fullmatch(re.escape(wanted).replace(r"\*", _ONE_PART), path) is not None


def _name(backend: str) -> str:
    return backend.rpartition("/")[2]
