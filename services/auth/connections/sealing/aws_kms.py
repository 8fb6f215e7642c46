"""The key provider `aws-kms`: data keys are encrypted by Amazon's Key Management Service under a key of the operator.

Each is bound to its own id by the encryption context, without which KMS does not decrypt it; CloudTrail shows that too.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from aiobotocore.config import AioConfig
from botocore.exceptions import BotoCoreError, ClientError

from services.auth.connections.sealing.key_providers import Wrapped, unavailable
from services.auth.connections.sealing.kms_settings import NAME
from shared import aws, observability

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.auth.connections.sealing.kms_settings import KmsSettings

log = observability.logger()

_PURPOSE = "penstock-data-key"
_TIMEOUT_S = 3.0
#: For all tries of one call: less than callers give a call of ours.
_PATIENCE_S = 5.0


class AwsKms:
    """Wraps data keys by KMS's `Encrypt`, and unwraps them by its `Decrypt`.

    Args:
        settings: Where the key is.
    """

    name = NAME

    def __init__(self, settings: KmsSettings) -> None:
        self._settings = settings
        self._resources = AsyncExitStack()
        self._client: Any = None
        self._opening = asyncio.Lock()

    async def wrap(self, key: bytes, *, data_key_id: str) -> Wrapped:
        """A data key, to be kept.

        Raises:
            Unavailable: KMS is away, or refuses.
        """
        answer = await self._ask(
            "encrypt", KeyId=self._settings.key, Plaintext=key, EncryptionContext=_context(data_key_id)
        )
        return Wrapped(provider=NAME, master_key=answer["KeyId"], text=answer["CiphertextBlob"])

    async def unwrap(self, wrapped: Wrapped, *, data_key_id: str) -> bytes:
        """The data key that was wrapped for this id.

        Raises:
            Unavailable: KMS is away, or refuses.
        """
        answer = await self._ask(
            "decrypt",
            KeyId=wrapped.master_key,
            CiphertextBlob=wrapped.text,
            EncryptionContext=_context(data_key_id),
        )
        return answer["Plaintext"]

    async def close(self) -> None:
        """Ends the connections."""
        await self._resources.aclose()

    async def _ask(self, operation: str, **arguments: Any) -> Mapping[str, Any]:
        try:
            async with asyncio.timeout(_PATIENCE_S):
                client = await self._opened()
                return await getattr(client, operation)(**arguments)
        except ClientError as error:  # what an operator can mend without a new start of ours, or what passes
            code = error.response.get("Error", {}).get("Code", "")
            log.warning("key_provider_refused", provider=NAME, operation=operation, code=code, key=self._settings.key)
            raise unavailable(f"the key provider {NAME} refuses: {code}; an operator has to see to its key") from None
        except (BotoCoreError, TimeoutError, OSError) as error:
            log.warning("key_provider_away", provider=NAME, operation=operation, error=type(error).__name__)
            raise unavailable(f"the key provider {NAME} does not answer; the call may be repeated") from None

    async def _opened(self) -> Any:
        async with self._opening:
            if self._client is None:
                session = await aws.session_for("kms")
                self._client = await self._resources.enter_async_context(
                    session.create_client(
                        "kms",
                        region_name=self._settings.region,
                        endpoint_url=self._settings.endpoint or None,
                        config=AioConfig(
                            connect_timeout=_TIMEOUT_S,
                            read_timeout=_TIMEOUT_S,
                            retries={"total_max_attempts": 2, "mode": "standard"},
                        ),
                    )
                )
            return self._client


def _context(data_key_id: str) -> Mapping[str, str]:
    return {"purpose": _PURPOSE, "id": data_key_id}
