"""What the READMEs show is real: their commands, calls, routes, settings and files exist."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import typer
from typer.core import TyperGroup

from shared.access.roles import EVENTS_ROUTE
from shared.cli.app import app
from shared.config import Settings
from shared.web.documentation import OPENAPI_FILE
from shared.web.routing import bare

ROOT = Path(__file__).resolve().parent.parent
README_FILES = [ROOT / "README.md", *sorted((ROOT / "functions").glob("*/README.md"))]
MAKEFILE = (ROOT / "Makefile").read_text() + (ROOT / "infra" / "delivery.mk").read_text()
IGNORED = (ROOT / ".gitignore").read_text().split()
PATHS: dict[str, dict[str, Any]] = json.loads(OPENAPI_FILE.read_text())["paths"]
SCHEMAS: dict[str, Any] = json.loads(OPENAPI_FILE.read_text())["components"]["schemas"]

SETTINGS = {name.upper() for name in Settings.model_fields}
OTHER_VARIABLES = {"MLENGINE_URL", "MLENGINE_API_KEY", "KILLS"}
SHELL_COMMANDS = ("make", "curl", "mlengine", ".venv/bin/mlengine")
OUR_HOSTS = ("127.0.0.1", "localhost")
FILE_SUFFIXES = (".py", ".md", ".yaml", ".toml", ".txt", ".json", ".parquet", ".html", ".onnx", ".example")

_BLOCK = re.compile(r"(?:^ {4}.*\n?)+|^```[^`]*^```", re.MULTILINE)
_SPAN = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#]+)")
_ROUTE = re.compile(r"\b(GET|POST|PUT|DELETE) (/(?:[\w{}./-]|:(?=\w))*)(\S*)")
_ASSIGNMENT = re.compile(r"([A-Z][A-Z0-9_]*)=")
_PATH = re.compile(r"(?=.*[a-zA-Z])[\w.-]+(?:/[\w.-]+)*/?")

Check = Callable[[list[str]], Iterator[str]]


def _commands(text: str) -> Iterator[list[str]]:
    """The shell commands of code blocks, and those in code spans, as words."""
    for block in _BLOCK.findall(text):
        joined = re.sub(r"\\\n\s*", " ", block)
        for line in joined.splitlines():
            yield from _command(line.strip().removeprefix("$ "))
    for span in _SPAN.findall(_BLOCK.sub("\n", text)):
        yield from _command(span)


def _command(line: str) -> Iterator[list[str]]:
    if any(word in line.split() for word in SHELL_COMMANDS):
        words = shlex.split(line, comments=True)
        while words and _ASSIGNMENT.match(words[0]):
            yield ["set", words.pop(0).partition("=")[0]]
        if words and words[0] in SHELL_COMMANDS:
            yield [words[0].rpartition("/")[2], *words[1:]]


def _wrong_make(words: list[str]) -> Iterator[str]:
    targets = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
    for word in words:
        variable = _ASSIGNMENT.match(word)
        if variable:
            yield from _wrong_variable([variable[1]])
        elif word not in targets:
            yield f"make has no target {word!r}"


def _wrong_variable(words: list[str]) -> Iterator[str]:
    [name] = words
    if name not in SETTINGS | OTHER_VARIABLES and not re.search(rf"\b{name}\b", MAKEFILE):
        yield f"nothing reads {name}"


def _wrong_mlengine(words: list[str]) -> Iterator[str]:
    command: Any = typer.main.get_command(app)
    context, rest = None, words
    try:
        while True:
            context = command.make_context(command.name or "mlengine", list(rest), parent=context)
            rest = [*getattr(context, "_protected_args", ()), *context.args]
            if not (isinstance(command, TyperGroup) and rest):
                return
            _, command, rest = command.resolve_command(context, rest)
    except typer.Exit:  # --help
        return
    except typer.TyperException as error:
        yield f"mlengine {shlex.join(words)}: {error.format_message()}"


def _wrong_curl(words: list[str]) -> Iterator[str]:
    urls = [word for word in words if urlsplit(word).hostname in OUR_HOSTS]
    if not urls:
        yield f"curl {shlex.join(words)} asks nobody"
        return
    url = urlsplit(urls[0])
    body = _option(words, "-d", "--data", "--json")
    method = _option(words, "-X", "--request") or ("GET" if body is None else "POST")
    yield from _wrong_route(method, url.path or "/", list(parse_qs(url.query, keep_blank_values=True)))
    if body is not None and "--json" not in words and "application/json" not in " ".join(words).lower():
        yield f"{method} {url.path} needs a JSON content type"
    if body is not None:
        yield from _wrong_body(method, url.path, json.loads(body))


def _option(words: list[str], *names: str) -> str | None:
    return next((words[place + 1] for place, word in enumerate(words) if word in names), None)


def _operation(method: str, path: str) -> dict[str, Any] | None:
    """What the API's description says of a call, templates filled in or not."""
    for template, methods in PATHS.items():
        pattern = re.sub(r"\\{\w+\\}", r"[^/]+", re.escape(template))
        if re.fullmatch(pattern, bare(path)) and method.lower() in methods:
            found: dict[str, Any] = methods[method.lower()]
            return found
    return None


def _wrong_route(method: str, path: str, parameters: list[str]) -> Iterator[str]:
    operation = _operation(method, path)
    if operation is None:
        yield f"there is no {method} {path}"
        return
    known = {parameter["name"] for parameter in operation["parameters"]}
    yield from (f"{method} {path} knows no {name!r}" for name in parameters if name not in known)


def _wrong_body(method: str, path: str, body: dict[str, Any]) -> Iterator[str]:
    operation = _operation(method, path) or {}
    schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    known = SCHEMAS.get(schema.get("$ref", "").rpartition("/")[2], {}).get("properties", {})
    yield from (f"{method} {path} knows no member {name!r}" for name in body if name not in known)


def _wrong_commands(text: str) -> list[str]:
    checks: dict[str, Check] = {
        "make": _wrong_make,
        "mlengine": _wrong_mlengine,
        "curl": _wrong_curl,
        "set": _wrong_variable,
    }
    return [wrong for name, *words in _commands(text) for wrong in checks[name](words)]


def _wrong_routes(text: str) -> list[str]:
    named = [(method, path, re.findall(r"[?&](\w+)=", rest)) for method, path, rest in _ROUTE.findall(text)]
    calls = [route for route in named if f"{route[0]} {route[1]}" != EVENTS_ROUTE]
    wrong = [words for call in calls for words in _wrong_route(*call)]
    bare_paths = [span for span in _SPAN.findall(text) if re.fullmatch(r"/[\w{}/-]+", span)]
    nowhere = [path for path in bare_paths if not any(_operation(m, path) for m in ("GET", "POST"))]
    return wrong + [f"there is no route {path}" for path in nowhere if path != "/api/v1"]


def _wrong_settings(text: str) -> list[str]:
    spans = [span for span in _SPAN.findall(text) if re.fullmatch(r"[A-Z][A-Z0-9]*_[A-Z0-9_*]*", span)]
    known = SETTINGS | OTHER_VARIABLES
    return [f"there is no setting {span}" for span in spans if not any(fnmatch(name, span) for name in known)]


def _wrong_files(text: str, there: set[str]) -> list[str]:
    links = [link.strip() for link in _LINK.findall(text)]
    named = links + [span for span in _SPAN.findall(text) if _is_path(span)]
    return [f"there is no file {name}" for name in named if "/" + name.strip("/") not in there]


def _is_path(span: str) -> bool:
    if not _PATH.fullmatch(span) or span.startswith("application/"):
        return False
    is_made_here = any(fnmatch(span.split("/")[0], pattern.strip("/")) for pattern in IGNORED)
    return not is_made_here and ("/" in span or span.endswith(FILE_SUFFIXES))


def _wrong(text: str, there: set[str]) -> list[str]:
    return _wrong_commands(text) + _wrong_routes(text) + _wrong_settings(text) + _wrong_files(text, there)


@pytest.fixture(scope="module")
def there() -> set[str]:
    """Every end of every path in the repository: `/shared/web/call.py`, `/web/call.py`, `/call.py`."""
    found: set[str] = set()
    for folder, inner, files in os.walk(ROOT):
        inner[:] = [
            name for name in inner if name != ".git" and not any(fnmatch(name, p.strip("/")) for p in IGNORED)
        ]
        for name in (*inner, *files):
            parts = (Path(folder) / name).relative_to(ROOT).parts
            found |= {"/" + "/".join(parts[first:]) for first in range(len(parts))}
    return found


@pytest.mark.parametrize("file", README_FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_what_a_readme_shows_is_real(file: Path, there: set[str]) -> None:
    assert _wrong(file.read_text(), there) == []


def test_readme_shows_the_commands_to_start_with() -> None:
    commands = list(_commands(README_FILES[0].read_text()))
    assert ["make", "up"] in commands
    assert ["make", "test"] in commands
    assert {"curl", "mlengine"} <= {name for name, *_ in commands}


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("    make upp", "no target 'upp'"),
        ("Type `make no-such-thing` now.", "no target 'no-such-thing'"),
        ("    NO_SUCH_SETTING=1 make up", "nothing reads NO_SUCH_SETTING"),
        ("    .venv/bin/mlengine no-such-command", "No such command 'no-such-command'"),
        ("    mlengine predict AAPL --no-such-option", "No such option: --no-such-option"),
        ("    mlengine train --cv-folds many", "'--cv-folds'"),
        ("```sh\n$ mlengine runs shw 1\n```", "No such command 'shw'"),
        ("    curl http://127.0.0.1:8080/predictt", "no GET /predictt"),
        ("    curl 'http://127.0.0.1:8080/predict?symbl=AAPL'", "knows no 'symbl'"),
        ("    curl -X DELETE http://127.0.0.1:8080/models", "no DELETE /models"),
        ("    curl --json '{\"sym\": 1}' \\\n      http://localhost:8080/predict/batch", "no member 'sym'"),
        ("    curl -d '{\"symbols\": []}' http://localhost:8080/predict/batch", "needs a JSON content type"),
        ("Ask `GET /predict?sym=` for it.", "knows no 'sym'"),
        ("Only `/helth` is open.", "no route /helth"),
        ("Set `NOTHING_*`.", "no setting NOTHING_*"),
        ("See `shared/no_such_file.py`.", "no file shared/no_such_file.py"),
        ("See [the list](functions/catalog.yaml).", "no file functions/catalog.yaml"),
        ("Each has a `mian.py`.", "no file mian.py"),
    ],
)
def test_what_is_not_real_is_found(text: str, wrong: str, there: set[str]) -> None:
    [found] = _wrong(text, there)
    assert wrong in found
