"""`penstock uploads`: what is too large for params."""

from __future__ import annotations

import mimetypes
from pathlib import Path

import click

from penstock_sdk.command.grammar import Noun
from penstock_sdk.command.session import Session, pass_session


@click.group(cls=Noun, examples=("penstock uploads put photo.jpg",))
def uploads() -> None:
    """Files for jobs whose params would be too large: up to 100 MiB, kept for 7 days."""


@uploads.command(
    examples=(
        "penstock uploads put photo.jpg",
        "penstock uploads put report.bin --content-type application/octet-stream --resume upl_0198c6f2",
        'penstock jobs submit http http.put -p url=https://example.com/a -p upload="$(penstock uploads put a.bin -q)"',
    )
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--content-type", metavar="TYPE", help="By the file's name unless told.")
@click.option("--resume", "upload_id", metavar="UPLOAD_ID", help="Go on with one that was begun.")
@click.option("-q", "--ids", "ids", is_flag=True, help="Print nothing but the id.")
@pass_session
def put(session: Session, file: Path, *, content_type: str | None, upload_id: str | None, ids: bool) -> None:
    """Upload a file; jobs then name its id."""
    kind = content_type or mimetypes.guess_type(file.name)[0]
    made = session.penstock.uploads.upload(file, kind, upload_id=upload_id)
    session.output.one(
        made, said=made.id if ids else f"{made.id}  {made.state}  {made.size} bytes  {made.content_type}"
    )
