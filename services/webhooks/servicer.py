"""CallbackSecretService: the secret that signs a tenant's callbacks."""

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
        """The tenant's secret."""
        del request, context
        return webhooks_pb2.CallbackSecret(secret=self._secrets.secret(current_tenant()))
