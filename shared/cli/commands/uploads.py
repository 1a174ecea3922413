"""`models upload` and `models uploads`: models that were trained elsewhere."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from shared.cli.client import Client, Document, path_part
from shared.cli.following import UPLOAD, follow
from shared.cli.problem import problem, wrong_usage
from shared.cli.session import Session, command, group

MAX_DIRECT_BYTES: Final = 30_000_000
"""Of a file in the request itself; larger ones go to an address of their own."""

FORMATS: Final = {
    ".onnx": "onnx",
    ".txt": "lightgbm",
    ".json": "xgboost-json",
    ".ubj": "xgboost-ubj",
    ".skops": "skops",
}

PICKLES: Final = frozenset({".pkl", ".pickle", ".joblib", ".dill", ".cloudpickle"})

UploadId = Annotated[str, typer.Argument(help="An upload's id, as 'mlengine models uploads' lists it.")]


def register(models: typer.Typer) -> None:
    command(models, "upload")(upload)
    uploads_app = typer.Typer(help="What was uploaded: list, show.")
    group(uploads_app)(uploads)
    command(uploads_app, "show")(show)
    models.add_typer(uploads_app, name="uploads")


def upload(
    session: Session,
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The model's file.")],
    name: Annotated[str, typer.Option(help="What the model is called.")],
    schema: Annotated[
        Path, typer.Option(exists=True, dir_okay=False, help="Its columns in order: a JSON list.")
    ],
    examples: Annotated[
        Path,
        typer.Option(
            exists=True, dir_okay=False, help="At least three: a JSON list of 'inputs' and 'probabilities'."
        ),
    ],
    classes: Annotated[
        list[str], typer.Option("--class", help="A class; all, in the order of the model's probabilities.")
    ],
    format: Annotated[
        str | None, typer.Option(help=f"{', '.join(FORMATS.values())}. Else by the file's name.")
    ] = None,
    threshold: Annotated[
        float, typer.Option(min=0, max=1, help="From which probability on the second class is predicted.")
    ] = 0.5,
    description: Annotated[str, typer.Option(help="What it is for.")] = "",
    tags: Annotated[list[str] | None, typer.Option("--tag", help="A word to find it by.")] = None,
    is_shared: Annotated[bool, typer.Option("--shared", help="Give it to everybody (operators).")] = False,
    is_followed: Annotated[
        bool, typer.Option("--follow/--no-follow", help="Wait until it is converted.")
    ] = True,
) -> None:
    """Upload a model that was trained elsewhere: ONNX, LightGBM, XGBoost or skops."""
    metadata = {
        "name": name,
        "format": format or _format(file),
        "columns": _read(schema),
        "classes": classes,
        "threshold": threshold,
        "description": description,
        "tags": tags or [],
        "shared": is_shared,
        "examples": _read(examples),
    }
    content = file.read_bytes()
    send = _sent if len(content) <= MAX_DIRECT_BYTES else _put
    taken = send(session.client, metadata, content)
    upload_id = taken["upload_id"]
    session.output.note(f"Upload {upload_id} is {taken['status']}.")
    if is_followed:
        _finish(session, follow(session, UPLOAD, upload_id))
    else:
        session.output.show(taken, lambda _: ())
        session.output.suggest(f"mlengine models uploads show {upload_id} --follow")


def uploads(
    session: Session,
    limit: Annotated[int, typer.Option(min=1, max=200, help="At most so many.")] = 20,
    cursor: Annotated[str | None, typer.Option(help="Go on where the last answer ended.")] = None,
) -> None:
    """List the uploads, newest first."""
    document = session.client.get("/models/uploads", limit=limit, cursor=cursor)
    from shared.cli.views.uploads import uploads as view

    session.output.show_page(document, view)


def show(
    session: Session,
    upload_id: UploadId,
    is_followed: Annotated[bool, typer.Option("--follow", help="Wait until it is converted.")] = False,
) -> None:
    """Show one upload: what it has become, or why it was refused."""
    if is_followed:
        _finish(session, follow(session, UPLOAD, upload_id))
        return
    from shared.cli.views.uploads import upload as view

    session.output.show(UPLOAD.status(session.client, upload_id), view)


def _finish(session: Session, ended: Document) -> None:
    """Show how an upload ended; unless it is a version now, the command fails."""
    from shared.cli.views.uploads import upload as view

    session.output.show(ended, view)
    if ended["status"] != "succeeded":
        session.fail()
    session.output.suggest(f"mlengine activate {ended['version_id']} --reason '...'")


def _sent(client: Client, metadata: dict[str, Any], content: bytes) -> Document:
    """With the file in the request, as a form."""
    said = json.dumps(metadata).encode()
    boundary = hashlib.sha256(said + content).hexdigest()  # equal calls are equal bytes
    body = b"".join(
        (
            _part(boundary, 'name="metadata"', said),
            _part(boundary, 'name="file"; filename="model"', content),
            f"--{boundary}--\r\n".encode(),
        )
    )
    return client.post_file("/models/upload", body, f"multipart/form-data; boundary={boundary}")


def _part(boundary: str, disposition: str, content: bytes) -> bytes:
    head = f"--{boundary}\r\ncontent-disposition: form-data; {disposition}\r\n\r\n"
    return head.encode() + content + b"\r\n"


def _put(client: Client, metadata: dict[str, Any], content: bytes) -> Document:
    """With the file at an address of its own."""
    announced = {"size_bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    begun = client.post("/models/uploads", {"metadata": metadata, **announced})
    client.put_to(begun["url"], content, begun["headers"])
    return client.post(f"/models/uploads/{path_part(begun['upload_id'])}/complete")


def _format(file: Path) -> str:
    ending = file.suffix.lower()
    found = FORMATS.get(ending)
    if ending in PICKLES:
        from shared.uploads.formats import HOW_PICKLE

        raise wrong_usage(f"{file.name} is called as pickles are. {HOW_PICKLE}")
    if found is None:
        known = ", ".join(FORMATS.values())
        raise wrong_usage(f"{file.name} doesn't say what it is: give --format, one of {known}.")
    return found


def _read(file: Path) -> Any:
    try:
        return json.loads(file.read_bytes())
    except ValueError as error:
        raise problem("not-json", "Not JSON", f"{file} must be a JSON list: {error}.") from error
