"""The API's documentation: the generated OpenAPI file, and Swagger UI from its package's own files."""

from __future__ import annotations

import html
from importlib.util import find_spec
from pathlib import Path

from starlette.responses import HTMLResponse, Response

from shared.errors import NotFound, OwnError

OPENAPI_FILE = Path(__file__).with_name("openapi.json")

_ASSETS = frozenset({"swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png"})

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>ML Engine API</title>
<link rel="icon" href="docs/assets/favicon-32x32.png">
<link rel="stylesheet" href="docs/assets/swagger-ui.css">
</head>
<body>
%s<div id="ui"></div>
<script src="docs/assets/swagger-ui-bundle.js"></script>
<script>
SwaggerUIBundle({url: "openapi.json", dom_id: "#ui", deepLinking: true, tryItOutEnabled: true})
</script>
</body>
</html>
"""

_BANNER = """<p style="margin: 0; padding: 0.7em; background: #ffd866; font: bold 1em sans-serif">
This engine plays history (%s): no time that it tells is the real one.</p>
"""


def page(replay_clock: str | None = None) -> Response:
    """The documentation page; it loads nothing from elsewhere. In a replay it says so, on top."""
    return HTMLResponse(_PAGE % ("" if replay_clock is None else _BANNER % html.escape(replay_clock)))


def specification() -> Response:
    return Response(OPENAPI_FILE.read_bytes(), media_type="application/json")


def asset(file: str) -> Path:
    """The path of one of Swagger UI's files.

    Raises:
        NotFound: not one of those the page uses.
    """
    if file not in _ASSETS:
        raise NotFound(f"There is no file '{file}' here; /docs uses {', '.join(sorted(_ASSETS))}.")
    package = find_spec("flask_swagger_ui")
    if package is None or package.origin is None:
        raise OwnError("The package flask-swagger-ui isn't installed: install this function's requirements.")
    return Path(package.origin).with_name("dist") / file
