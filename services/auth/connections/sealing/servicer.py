"""DataKeyService: protos to the domain and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.auth.v1 import data_keys_pb2, data_keys_pb2_grpc

from shared import observability
from shared.paging import Position, page_size
from shared.rpc.call import current_principal
from shared.times import timestamp

if TYPE_CHECKING:
    import grpc

    from services.auth.connections.sealing.data_key_store import DataKey
    from services.auth.connections.sealing.data_keys import DataKeys
    from services.auth.connections.sealing.resealing import Resealing
    from services.auth.connections.sealing.sealed_store import SealedStore
    from shared.paging import PageTokens

    Context = grpc.aio.ServicerContext[Any, Any]

log = observability.logger()

_State = data_keys_pb2.DataKey.State
_LIST = "data keys"


class DataKeyServicer(data_keys_pb2_grpc.DataKeyServiceServicer):
    """Answers operators about data keys.

    Args:
        keys: The data keys.
        store: Counts what each seals.
        resealing: Is woken by a rotation.
        page_tokens: What pages are asked for by.
    """

    def __init__(self, *, keys: DataKeys, store: SealedStore, resealing: Resealing, page_tokens: PageTokens) -> None:
        self._keys = keys
        self._store = store
        self._resealing = resealing
        self._page_tokens = page_tokens

    async def ListDataKeys(  # noqa: N802  gRPC's name
        self, request: data_keys_pb2.ListDataKeysRequest, context: Context
    ) -> data_keys_pb2.ListDataKeysResponse:
        """Answers with a page of the data keys, newest first."""
        del context
        size = page_size(request.page_size)
        after = self._page_tokens.read(request.page_token, bound_to=_LIST)
        keys = await self._keys.look()
        current = keys[0]
        if after is not None:
            keys = [key for key in keys if (key.created_at, key.id) < (after.created_at, after.id)]
        page = keys[:size]
        token = ""
        if len(keys) > size:
            last = Position(created_at=page[-1].created_at, id=page[-1].id)
            token = self._page_tokens.make(last, bound_to=_LIST)
        return data_keys_pb2.ListDataKeysResponse(
            data_keys=[await self._message(key, current) for key in page], next_page_token=token
        )

    async def RotateDataKey(  # noqa: N802  gRPC's name
        self, request: data_keys_pb2.RotateDataKeyRequest, context: Context
    ) -> data_keys_pb2.DataKey:
        """Makes another data key; the rest goes on in the background."""
        del request, context
        key = await self._keys.rotate()
        log.info("data_key_rotated", data_key=key.id, by=current_principal().id)
        self._resealing.wake()
        return await self._message(key, key)

    async def _message(self, key: DataKey, current: DataKey) -> data_keys_pb2.DataKey:
        return data_keys_pb2.DataKey(
            id=key.id,
            state=_State.CURRENT if key.id == current.id else _State.RETIRING,
            key_provider=key.wrapped.provider,
            created_at=timestamp(key.created_at),
            connections=await self._store.count_sealed_under(key.id),
        )
