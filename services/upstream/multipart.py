"""Bodies of type `multipart/form-data` (RFC 7578): fields, and an upload as a file among them."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.upstream.contents import Upload

#: What browsers write for these in names, so that none ends where it should not (WHATWG HTML, 4.10.21.8).
_ESCAPES = str.maketrans({'"': "%22", "\r": "%0D", "\n": "%0A"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Multipart:
    """A form with an upload in it, which is read as it is sent, and may be sent again.

    Args:
        fields: Every field but the file, in order.
        boundary: Stands between the parts, and in none of them.
        before: All that comes before the upload's bytes.
        upload: The file.
        after: All that comes behind them.
    """

    fields: tuple[tuple[str, str], ...]
    boundary: str
    before: bytes
    upload: Upload
    after: bytes

    @property
    def content_type(self) -> str:
        """What the request says of it."""
        return f"multipart/form-data; boundary={self.boundary}"

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.before) + self.upload.size + len(self.after)


def form_with_file(fields: Sequence[tuple[str, str]], name: str, upload: Upload) -> Multipart:
    """The form of these fields, the file last.

    Args:
        fields: Names and values.
        name: The file's field.
        upload: The file; it goes under its own type, and its field's name as the name of a file.
    """
    boundary = secrets.token_hex(16)
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{_name(each)}"\r\n\r\n{value}\r\n'
        for each, value in fields
    ]
    file = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="{_name(name)}"; filename="{_name(name)}"\r\n'
        f"Content-Type: {upload.content_type or 'application/octet-stream'}\r\n\r\n"
    )
    return Multipart(
        fields=tuple(fields),
        boundary=boundary,
        before="".join([*parts, file]).encode(),
        upload=upload,
        after=f"\r\n--{boundary}--\r\n".encode(),
    )


def _name(text: str) -> str:
    return text.translate(_ESCAPES)
