"""CallbackSecretService: the secret and the key pair that sign a tenant's callbacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.webhooks.v1 import webhooks_pb2, webhooks_pb2_grpc

from shared.rpc.call import current_tenant

if TYPE_CHECKING:
    import grpc

    from services.webhooks.signing import TenantSecrets


class CallbackSecretServicer(webhooks_pb2_grpc.CallbackSecretServiceServicer):
    """Answers for the caller's tenant.

    Args:
        secrets: Knows every tenant's.
    """

    def __init__(self, secrets: TenantSecrets) -> None:
        self._secrets = secrets

    async def GetCallbackSecret(  # noqa: N802  gRPC's name
        self, request: webhooks_pb2.GetCallbackSecretRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> webhooks_pb2.CallbackSecret:
        """The tenant's secret, and the public half of its key pair."""
        del request, context
        tenant = current_tenant()
        return webhooks_pb2.CallbackSecret(
            secret=self._secrets.secret(tenant), public_key=self._secrets.public_key(tenant)
        )
