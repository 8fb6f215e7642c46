"""Uploads that params name: each is looked up, so that what is accepted can be called, and is known by its content."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from services.intake.canonical import join
from services.intake.domain import Attachment
from services.intake.params import ROOT
from shared import ids
from shared.errors import FieldViolation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from services.intake.catalogue import Method, Upstream
    from services.intake.domain import Draft
    from services.intake.uploads import Upload


class ReadyUploads(Protocol):
    """Knows uploads: `services.intake.uploads.Uploads`."""

    async def why_not_ready(self, tenant: str, upload_id: str) -> Upload | str:
        """The upload, READY; or why it is not.

        Raises:
            Unavailable: Nobody knows now.
        """
        ...


class Attacher:
    """Looks up the uploads that drafts name.

    Args:
        uploads: Knows them.
    """

    def __init__(self, uploads: ReadyUploads) -> None:
        self._uploads = uploads

    async def attach(self, drafts: Sequence[Draft], tenant: str, upstreams: Mapping[str, Upstream]) -> list[Draft]:
        """The drafts, with the uploads that they name, and a fault for each that is not READY.

        What names none, as most do, costs nothing.

        Args:
            drafts: In order.
            tenant: Whose uploads they may name.
            upstreams: The catalogue.

        Raises:
            Unavailable: The object store is away, or Redis.
        """
        named = [_named(draft, upstreams) for draft in drafts]
        wanted = sorted({upload_id for names in named for upload_id in names.values()})
        if not wanted:
            return list(drafts)
        found = await asyncio.gather(*(self._uploads.why_not_ready(tenant, upload_id) for upload_id in wanted))
        known = dict(zip(wanted, found, strict=True))
        return [_attached(draft, names, known) for draft, names in zip(drafts, named, strict=True)]


def _named(draft: Draft, upstreams: Mapping[str, Upstream]) -> dict[str, str]:
    """The upload that each param names; what is no id at all the method's schema judges."""
    method = _method(draft, upstreams)
    if method is None:
        return {}
    values = ((name, draft.params.get(name)) for name in method.upload_params)
    return {name: value for name, value in values if isinstance(value, str) and ids.is_upload_id(value)}


def _method(draft: Draft, upstreams: Mapping[str, Upstream]) -> Method | None:
    upstream = upstreams.get(draft.upstream)
    return upstream.method(draft.method) if upstream is not None else None


def _attached(draft: Draft, names: Mapping[str, str], known: Mapping[str, Upload | str]) -> Draft:
    attachments: list[Attachment] = []
    faults: list[FieldViolation] = []
    for name, upload_id in names.items():
        upload = known[upload_id]
        if isinstance(upload, str):
            faults.append(FieldViolation(join(ROOT, name), f"is {upload_id}, which {upload}"))
        else:
            attachments.append(Attachment(param=name, upload_id=upload_id, content=upload.content))
    return replace(draft, attachments=tuple(attachments), faults=(*draft.faults, *faults))
