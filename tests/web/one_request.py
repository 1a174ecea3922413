"""`python one_request.py <main.py> <method> <target> [body] < absent`: a function's first request.

Loads the function as functions-framework does, in an environment where the packages named on standard
input (a JSON list) seem not to be installed. Prints one line of JSON: the status of the answer, and the
packages that were imported until then, the standard library's left out.
"""

import asyncio
import json
import os
import sys
from collections.abc import Iterable, MutableMapping
from importlib.abc import MetaPathFinder
from typing import Any


class Absent(MetaPathFinder):
    """Hides packages that are installed where the tests run, but not where the function does."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset(names)

    def find_spec(self, fullname: str, path: object, target: object = None) -> None:
        if fullname.partition(".")[0] in self._names:
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)


async def ask(source: str, method: str, target: str, body: bytes) -> int:
    import functions_framework.aio

    app = functions_framework.aio.create_asgi_app("main", source, "http")
    path, _, query = target.partition("?")
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": body}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    headers = [(b"x-api-key", os.environ["ADMIN_API_KEY"].encode()), (b"content-type", b"application/json")]
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": headers,
    }
    await app(scope, receive, send)
    return int(sent[0]["status"])


def packages() -> set[str]:
    names = {name.partition(".")[0] for name in sys.modules} - sys.stdlib_module_names
    return {name for name in names if not name.startswith("_sysconfigdata")}  # the interpreter's own


if __name__ == "__main__":
    _, source, method, target, *rest = sys.argv
    at_start = packages()
    sys.meta_path.insert(0, Absent(json.load(sys.stdin)))
    status = asyncio.run(ask(source, method, target, "".join(rest).encode()))
    print(json.dumps({"status": status, "packages": sorted(packages() - at_start)}))  # noqa: T201 - its output
