"""GET /docs and /openapi.json: the whole API, described."""

from starlette.responses import FileResponse, RedirectResponse, Response

from shared.web import Call, Function
from shared.web.documentation import asset, page, specification

function = Function("docs")


@function.get("/")
async def root(_: Call) -> Response:
    """Leads to the documentation."""
    return RedirectResponse("/docs")


@function.get("/docs")
async def docs(call: Call) -> Response:
    """The API's documentation, with forms to try it."""
    if call.path.endswith("/"):  # from there, the page's relative links lead nowhere
        return RedirectResponse("../docs")
    return page(call.instance.replay_clock)


@function.get("/docs/assets/{file}")
async def docs_asset(_: Call, file: str) -> Response:
    """A script or style sheet of the documentation."""
    return FileResponse(asset(file))


@function.get("/openapi.json")
async def openapi(_: Call) -> Response:
    """The OpenAPI 3.1 description of the whole API."""
    return specification()


main = function.entry_point()
