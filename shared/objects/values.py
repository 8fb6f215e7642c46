"""What is told of objects."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectInfo:
    """An object without its bytes.

    Args:
        size: Bytes.
        content_type: As it was put.
        sha256: The digest that the store itself has made of the bytes; empty where it was never asked to.
        modified: When it was put or copied, to the second.
    """

    size: int
    content_type: str
    sha256: bytes
    modified: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedPut:
    """The request that puts one object; whoever has it may send it.

    Args:
        url: Where to.
        headers: To be sent exactly so, beside `Content-Length`: the store refuses other bytes, another size or type.
    """

    url: str = field(repr=False)
    headers: Mapping[str, str]
