from __future__ import annotations

from shared import errors
from shared.errors import EngineError, PlatformUnavailable, UnknownSymbol


def every_error() -> list[type[EngineError]]:
    """Those of the tree, not what a test or a job derives for itself."""
    found = [EngineError]
    for error in found:
        found.extend(one for one in error.__subclasses__() if one.__module__ == errors.__name__)
    return found


def test_the_drawing_of_the_tree_names_every_error_with_its_status() -> None:
    drawing = errors.__doc__ or ""
    for error in every_error():
        assert error.__name__ in drawing
    for line in drawing.splitlines():
        words = line.replace("│", "").replace("├──", "").replace("└──", "").split()
        if len(words) > 1 and words[1].isdigit():
            assert getattr(errors, words[0]).status == int(words[1])


def test_slugs_are_kebab_case_and_distinct() -> None:
    slugs = [error("x").slug for error in every_error()]
    assert UnknownSymbol("x").slug == "unknown-symbol"
    assert len(set(slugs)) == len(slugs)


def test_only_what_can_change_by_itself_is_worth_a_retry() -> None:
    assert PlatformUnavailable("x").retryable
    assert not UnknownSymbol("x").retryable
