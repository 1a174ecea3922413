"""Files of declared problems and of their rows, as they lie on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared.cli.problem import CliProblem, problem, wrong_usage
from shared.errors import CallerError, EngineError

if TYPE_CHECKING:
    from shared.problems.declared import Declaration
    from shared.problems.declared.desk import Format
    from shared.problems.declared.tables import CheckedTable


@dataclass(frozen=True, slots=True)
class DeclaredFile:
    """A declaration, and the file of rows that it names where that lies here."""

    path: Path
    declaration: Declaration
    data: Path | None


def read_declaration(path: Path) -> DeclaredFile:
    """The declaration in a YAML file. Its data are looked for from the file's folder.

    Raises:
        CliProblem: it can't be read, or isn't declared well.
    """
    from shared.problems.declared import Declaration
    from shared.problems.declared.desk import check_cron_of
    from shared.problems.declared.store import refuse_built_in

    terms = _terms(path)
    data = terms.pop("data", None)
    is_here = isinstance(data, str) and not data.startswith("blobs:")
    if data is not None and not is_here:
        terms["data"] = data
    with refusals():
        declaration = Declaration.of(terms)
        refuse_built_in(declaration.name)
        check_cron_of(declaration)
    return DeclaredFile(path, declaration, path.parent / str(data) if is_here else None)


def read_rows(path: Path) -> tuple[bytes, Format]:
    """A file of rows, and what it is by its ending.

    Raises:
        CliProblem: neither CSV nor Parquet, or it can't be read.
    """
    ending = path.suffix.lower()
    if ending not in (".csv", ".parquet"):
        raise wrong_usage(f"A file of rows is .csv or .parquet, found {path.name!r}.")
    return _content(path), "csv" if ending == ".csv" else "parquet"


def check_rows(declaration: Declaration, content: bytes, format: Format) -> CheckedTable:
    """The rows against the declaration.

    Raises:
        CliProblem: they can't be read, or lack columns; or what reads them isn't installed.
    """
    with refusals(), arrow():
        from shared.problems.declared.tables import check_table

        return check_table(declaration, content, format)


@contextmanager
def refusals() -> Iterator[None]:
    """What the engine's own parts refuse, as the server would."""
    try:
        yield
    except EngineError as error:
        raise _refusal(error) from error


@contextmanager
def arrow() -> Iterator[None]:
    """For what reads files of rows."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in ("pyarrow", "numpy"):
            raise
        raise problem(
            "not-installed",
            "Not installed",
            f"Reading files of rows needs {error.name}, which isn't here: pip install pyarrow numpy.",
        ) from error


def _refusal(error: EngineError) -> CliProblem:
    found = problem(error.slug, error.title, error.detail, retryable=error.retryable)
    errors = [{"pointer": one.pointer, "detail": one.detail} for one in error.errors]
    status = {"status": error.status} if isinstance(error, CallerError) else {}
    return CliProblem({**found.document, **status, "errors": errors}, exit_code=found.exit_code)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise wrong_usage(f"{path} can't be read: {error.strerror or error}.") from error


def _terms(path: Path) -> dict[str, Any]:
    """What the YAML says. A name that comes twice is refused: the last would win, silently."""
    import yaml

    class Loader(yaml.SafeLoader):
        pass

    def mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[Any, Any]:
        names = [loader.construct_object(key, deep=True) for key, _ in node.value]
        twice = next((name for place, name in enumerate(names) if name in names[:place]), None)
        if twice is not None:
            line = node.start_mark.line + 1
            raise wrong_usage(f"{path}: {twice!r} stands twice in what begins at line {line}.")
        return dict(loader.construct_pairs(node, deep=True))

    Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, mapping)
    try:
        terms = yaml.load(_content(path), Loader)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        where = " ".join(str(error).split())
        raise wrong_usage(f"{path} isn't YAML: {where}.") from error
    if not isinstance(terms, dict):
        raise wrong_usage(f"{path} must hold names with values, found {type(terms).__name__}.")
    return {str(name): value for name, value in terms.items()}
