"""For each RPC a request that succeeds: tests of the whole table make what it asks for."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import urlsplit

from tests.e2e.api import Api
from tests.e2e.test_flickr import Browser
from tests.e2e.test_uploads import send
from tests.waiting import eventually

if TYPE_CHECKING:
    from tests.e2e.api import Answer
    from tests.e2e.mesh import Mesh

BYTES = b"conforming"
UPLOAD = {"size": len(BYTES), "sha256": hashlib.sha256(BYTES).hexdigest(), "contentType": "text/plain"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a request says.

    Args:
        path: Values of the variables of its path; `upstream` is `http` unless told.
        query: Behind the path.
        body: As JSON has it; None for none.
        headers: Beside the key.
    """

    path: Mapping[str, str] = field(default_factory=dict)
    query: str = ""
    body: object = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def at(self, template: str) -> str:
        """The path that it goes to."""
        values = {"upstream": "http", **self.path}
        path = re.sub(r"\{(\w+)\}", lambda variable: values[variable[1]], template)
        return f"{path}?{self.query}" if self.query else path


class World:
    """A tenant, and what its requests are about; each asks for a new one where it uses it up."""

    def __init__(self, mesh: Mesh) -> None:
        self.mesh = mesh
        self.api = Api(mesh.url, mesh.new_key("conforming"))
        self.operator = Api(mesh.url, mesh.operator_key)
        self._made = 0

    def ok(self, method: str, path: str, body: object = None) -> Any:
        answer = self.api.call(method, path, body)
        assert answer.status == 200, (path, answer.body)
        return answer.json

    def number(self) -> int:
        self._made += 1
        return self._made

    def job(self, **fields: Any) -> dict[str, Any]:
        """As a body: one that waits for an hour unless told otherwise."""
        later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
        url = {"url": f"{self.mesh.far_end}/anything"}
        return {"upstream": "http", "method": "http.get", "params": url, "notBefore": later, **fields}

    def waiting(self) -> str:
        return self.ok("POST", "/api/v1/jobs", self.job())["id"]

    def ended(self) -> str:
        job_id = self.ok("POST", "/api/v1/jobs", self.job(notBefore=None))["id"]
        assert self.api.wait(job_id)["state"] == "SUCCEEDED"
        return job_id

    def batch(self) -> str:
        return self.ok("POST", "/api/v1/batches", {"jobs": [self.job()]})["id"]

    def upload(self, *, sent: bool = False) -> str:
        made = self.ok("POST", "/api/v1/uploads", UPLOAD)
        assert not sent or send(made["put"], BYTES) == 200
        return made["id"]

    def operation(self) -> str:
        """Of jobs that there are none of, at its end."""
        begun = self.ok("POST", "/api/v1/jobs:cancel", {"filter": {"upstream": "flickr"}})
        assert self.ok("GET", f"/api/v1/{begun['name']}:wait?timeout=30s").get("done")
        return begun["name"].removeprefix("operations/")

    def connection(self) -> str:
        return self.ok("POST", "/api/v1/connections", self.secret())["id"]

    def secret(self) -> dict[str, Any]:
        bearer = {"bearer": {"token": "a-token-of-nobody"}}
        return {"upstream": "http", "displayName": "conforming", "hosts": ["127.0.0.1"], "secret": bearer}

    def key(self) -> str:
        return self.ok("POST", "/api/v1/keys", {"name": "conforming", "scopes": ["jobs:read"]})["key"]["id"]

    def tenant(self) -> str:
        name = f"conforming-{self.number()}"
        assert self.operator.call("POST", "/api/v1/tenants", {"name": name}).status == 200
        return name

    def endpoint(self) -> str:
        return self.ok("POST", "/api/v1/endpoints", self.hook())["endpoint"]["id"]

    def hook(self) -> dict[str, Any]:
        return {"url": f"{self.mesh.far_end}/status/200", "filter": {"eventTypes": ["job.succeeded"]}}

    def delivery(self) -> str:
        """One that has come."""
        endpoint = self.endpoint()
        self.ended()
        query = f"endpointId={endpoint}&state=DELIVERED"

        def found() -> list[dict[str, Any]]:
            return self.ok("GET", f"/api/v1/deliveries?{query}").get("deliveries", [])

        return asyncio.run(eventually(found, within=60, what="a delivery"))[0]["id"]

    def replay(self) -> str:
        return self.ok("POST", "/api/v1/deliveries:replay", self.replayed())["id"]

    def replayed(self) -> dict[str, Any]:
        return {"filter": {"endpointId": self.endpoint()}}

    def out_of_band(self) -> dict[str, str]:
        begun = self.ok("POST", "/api/v1/connections:authorize", {"provider": "flickr", "outOfBand": True})
        code = re.search(r"<b>([0-9-]+)</b>", self.mesh.flickr.click(begun["authorizationUrl"]))
        assert code is not None
        return {"state": begun["state"], "code": code[1]}

    def come_back(self) -> Wish:
        """As a browser that the provider has sent on."""
        begun = self.ok("POST", "/api/v1/connections:authorize", {"provider": "flickr"})
        browser = Browser(Api(self.mesh.url))
        sent_on = browser.open(begun["authorizationUrl"])
        back = urlsplit(self.mesh.flickr.click(sent_on.headers["location"]))
        cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
        return Wish(query=back.query, headers={"Accept": "text/html", "Cookie": cookies})

    def call(self, row_scope: str, verb: str, template: str, wish: Wish) -> Answer:
        """As whoever may."""
        caller = {"operator": self.operator, "none": Api(self.mesh.url)}.get(row_scope, self.api)
        return caller.call(verb, wish.at(template), wish.body, headers=dict(wish.headers))


Request: TypeAlias = Callable[[World], Wish]


def _at(**values: Callable[[World], str] | str) -> Request:
    """One without a body."""
    return lambda world: Wish(
        path={name: each if isinstance(each, str) else each(world) for name, each in values.items()}
    )


def _to(body: object, **values: Callable[[World], str] | str) -> Request:
    def request(world: World) -> Wish:
        told = body(world) if callable(body) else body
        return Wish(path=_at(**values)(world).path, body=told)

    return request


_NOTHING: Request = lambda _: Wish()  # noqa: E731  a request like those beside it
_FILTER = {"filter": {"upstream": "flickr"}}

#: By `Service.Rpc`; each is called anew for each form of its path.
REQUESTS: Mapping[str, Request] = {
    "JobService.SubmitJob": _to(World.job),
    "JobService.GetJob": _at(job_id=World.waiting),
    "JobService.WaitJob": _at(job_id=World.ended),
    "JobService.StreamJob": _at(job_id=World.ended),
    "JobService.ExplainJob": _at(job_id=World.waiting),
    "JobService.GetJobResult": _at(job_id=World.ended),
    "JobService.CancelJob": _to({}, job_id=World.waiting),
    "JobService.RetryJob": _to({}, job_id=World.ended),
    "JobService.SubmitBatch": _to(lambda world: {"jobs": [world.job()]}),
    "JobService.GetBatch": _at(batch_id=World.batch),
    "JobService.CancelBatch": _to({}, batch_id=World.batch),
    "UploadService.CreateUpload": _to(UPLOAD),
    "UploadService.GetUpload": _at(upload_id=World.upload),
    "UploadService.CompleteUpload": _to({}, upload_id=lambda world: world.upload(sent=True)),
    "UploadService.DeleteUpload": _at(upload_id=World.upload),
    "HistoryService.ListJobs": _NOTHING,
    "HistoryService.ExportJobs": _NOTHING,
    "HistoryService.GetStats": _NOTHING,
    "HistoryService.CancelJobs": _to(_FILTER),
    "HistoryService.RetryJobs": _to(_FILTER),
    "Operations.ListOperations": _NOTHING,
    "Operations.GetOperation": _at(operation_id=World.operation),
    "Operations.WaitOperation": _at(operation_id=World.operation),
    "Operations.CancelOperation": _to({}, operation_id=World.operation),
    "Operations.DeleteOperation": _at(operation_id=World.operation),
    "RetentionService.GetRetention": _NOTHING,
    "RetentionService.UpdateRetention": _to({"retention": {"indexedMetadata": ["order"]}}),
    "DataService.ExportData": _to({}),
    "DataService.EraseData": _to(lambda world: {"connectionId": world.connection()}),
    "QueueService.ListQueues": _NOTHING,
    "QueueService.GetQueue": _at(),
    "QueueService.PauseQueue": _to({"lane": "conforming.example"}),
    "QueueService.ResumeQueue": _to({"lane": "conforming.example"}),
    "QueueService.GetQueueSettings": _at(),
    "QueueService.SetQueueSettings": _to({}, upstream="flickr"),
    "QueueService.RecoverQueue": _to({}, upstream="flickr"),
    "UpstreamService.ListUpstreams": _NOTHING,
    "UpstreamService.GetUpstream": _at(),
    "CacheService.InvalidateCache": _NOTHING,
    "ConnectionService.ListProviders": _NOTHING,
    "ConnectionService.CreateConnection": _to(World.secret),
    "ConnectionService.AuthorizeConnection": _to({"provider": "flickr", "outOfBand": True}),
    "ConnectionService.CompleteConnection": _to(World.out_of_band),
    "ConnectionService.ReceiveCallback": World.come_back,
    "ConnectionService.ListConnections": _NOTHING,
    "ConnectionService.GetConnection": _at(connection_id=World.connection),
    "ConnectionService.UpdateConnection": _to({"displayName": "conforms"}, connection_id=World.connection),
    "ConnectionService.DeleteConnection": _at(connection_id=World.connection),
    "DataKeyService.ListDataKeys": _NOTHING,
    "DataKeyService.RotateDataKey": _to({}),
    "KeyService.CreateKey": _to({"name": "conforming", "scopes": ["jobs:read"]}),
    "KeyService.ListKeys": _NOTHING,
    "KeyService.GetKey": _at(key_id=World.key),
    "KeyService.RotateKey": _to({}, key_id=World.key),
    "KeyService.GetKeyUsage": _at(key_id=World.key),
    "KeyService.ListTopCallers": _NOTHING,
    "KeyService.RevokeKey": _at(key_id=World.key),
    "TenantService.CreateTenant": _to(lambda world: {"name": f"conforming-{world.number()}"}),
    "TenantService.ListTenants": _NOTHING,
    "TenantService.GetTenant": _at(tenant=World.tenant),
    "TenantService.SuspendTenant": _to({"reason": "a test"}, tenant=World.tenant),
    "TenantService.ResumeTenant": _to({}, tenant=World.tenant),
    "AuditService.ListAuditEntries": _NOTHING,
    "CallbackSecretService.GetCallbackSecret": _NOTHING,
    "EndpointService.CreateEndpoint": _to(World.hook),
    "EndpointService.ListEndpoints": _NOTHING,
    "EndpointService.GetEndpoint": _at(endpoint_id=World.endpoint),
    "EndpointService.UpdateEndpoint": _to({"description": "conforms"}, endpoint_id=World.endpoint),
    "EndpointService.DeleteEndpoint": _at(endpoint_id=World.endpoint),
    "EndpointService.EnableEndpoint": _to({}, endpoint_id=World.endpoint),
    "EndpointService.RotateEndpointSecret": _to({}, endpoint_id=World.endpoint),
    "EndpointService.GetEndpointSecret": _at(endpoint_id=World.endpoint),
    "EndpointService.TestEndpoint": _to({}, endpoint_id=World.endpoint),
    "EndpointService.GetEndpointStats": _at(endpoint_id=World.endpoint),
    "EndpointService.ListEventTypes": _NOTHING,
    "DeliveryService.ListDeliveries": _NOTHING,
    "DeliveryService.GetDelivery": _at(delivery_id=World.delivery),
    "DeliveryService.ReplayDelivery": _to({}, delivery_id=World.delivery),
    "DeliveryService.ReplayDeliveries": _to(World.replayed),
    "DeliveryService.ListReplays": _NOTHING,
    "DeliveryService.GetReplay": _at(replay_id=World.replay),
    "DeliveryService.CancelReplay": _to({}, replay_id=World.replay),
}
