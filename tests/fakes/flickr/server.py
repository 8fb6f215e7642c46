"""The server at the far end of Flickr: REST, upload and replace, in Flickr's own shapes."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode
from xml.sax.saxutils import quoteattr

from aiohttp import BodyPartReader, web
from oauthlib.oauth1 import ResourceEndpoint

from tests.fakes.flickr.accounts import Accounts, permits
from tests.fakes.flickr.faults import KINDS, Fault
from tests.fakes.flickr.methods import Caller
from tests.fakes.flickr.more_methods import METHODS
from tests.fakes.flickr.oauth import OAuth
from tests.fakes.flickr.validator import Validator, problem_of
from tests.fakes.flickr.world import ApiError, World

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from tests.fakes.flickr.accounts import AccessToken

_FORM = "application/x-www-form-urlencoded"
_HOUR_S = 3600.0


class NotSignedError(Exception):
    """A request did not pass; the message is the `oauth_problem`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One call as it came."""

    verb: str
    method: str
    params: Mapping[str, str]
    headers: Mapping[str, str]
    file: bytes | None = None


@dataclass(slots=True)
class FlickrFarEnd:
    """Where it is, what it knows, what it was asked, and how it is to misbehave.

    Args:
        per_hour: Calls that one access token may make in an hour.
    """

    per_hour: int = 3600
    url: str = ""
    accounts: Accounts = field(default_factory=Accounts)
    world: World = field(default_factory=World)
    asked: list[Asked] = field(default_factory=list)
    #: Calls that came, by method, those that met a fault or did not pass too.
    calls: Counter[str] = field(default_factory=Counter)
    faults: list[Fault] = field(default_factory=list)
    #: Lets go of what slow answers hold back.
    release: asyncio.Event = field(default_factory=asyncio.Event)
    #: Bytes of huge answers that went out, and answers whose caller hung up.
    sent_bytes: int = 0
    hung_up: int = 0
    _made: dict[str, list[float]] = field(default_factory=dict)

    @property
    def urls(self) -> tuple[str, ...]:
        """The entries of `PENSTOCK_UPSTREAM_URLS` that lead here."""
        return tuple(f"flickr.{name}={self.url}/services/{name}/" for name in ("rest", "upload", "replace"))

    def misbehave(self, kind: str, *, method: str = "", times: int = 1, **options: Any) -> None:
        """Has the next calls answered in a way of `faults.KINDS`."""
        self.faults.append(Fault(kind=kind, method=method, times=times, options=options))

    def fault_for(self, method: str) -> Fault | None:
        """The fault that a call meets, which has one time less then."""
        found = next((each for each in self.faults if each.fits(method)), None)
        if found is not None:
            found.times -= 1
        return found

    def pause_s(self, token: str) -> int | None:
        """How long until the token may call again; None where it may call now, which counts then."""
        now = time.monotonic()
        made = [at for at in self._made.get(token, []) if at > now - _HOUR_S]
        if len(made) >= self.per_hour:
            return int(made[0] + _HOUR_S - now) + 1
        self._made[token] = [*made, now]
        return None


class _Handlers:
    """How each path behaves."""

    def __init__(self, far: FlickrFarEnd) -> None:
        self._far = far
        self._endpoint = ResourceEndpoint(Validator(far.accounts))

    def routes(self) -> list[web.RouteDef]:
        return [
            web.route("*", "/services/rest/", self.rest),
            web.post("/services/upload/", self.upload),
            web.post("/services/replace/", self.upload),
            web.get("/control/calls", self.told_calls),
            web.post("/control/faults", self.take_fault),
        ]

    async def rest(self, request: web.Request) -> web.StreamResponse:
        form = await request.post() if request.method == "POST" else request.query
        params = {name: str(value) for name, value in form.items()}
        name = params.get("method", "")
        self._note(request, name, params)
        fault = self._far.fault_for(name)
        if fault is not None:
            return await KINDS[fault.kind](self._far, request, fault.options)
        body = (await request.read()).decode() if request.method == "POST" else None
        try:
            token = self._token(request, body)
            refusal = self._throttled(token)
            return refusal or web.json_response({**self._call(name, params, token, request.method), "stat": "ok"})
        except NotSignedError as error:
            return web.Response(status=401, text=f"oauth_problem={error}&debug_sbs={request.method}")
        except ApiError as error:
            return web.json_response({"stat": "fail", "code": error.code, "message": error.message})

    def _call(self, name: str, params: Mapping[str, str], token: AccessToken, verb: str) -> Mapping[str, Any]:
        if params.get("format") != "json" or params.get("nojsoncallback") != "1":
            raise ApiError(111, f'Format "{params.get("format")}" not found')
        found = METHODS.get(name)
        if found is None:
            raise ApiError(112, f'Method "{name}" not found')
        self._check_permission(token, found.permission)
        if found.is_write and verb != "POST":
            raise ApiError(3, "This method requires an HTTP POST request")
        user = self._far.accounts.users[token.nsid]
        return found.answer(Caller(user, self._far.accounts, self._far.world), params)

    async def upload(self, request: web.Request) -> web.StreamResponse:
        fields, file = await _form(request)
        params = dict(fields)
        name = f"flickr.{request.path.split('/')[2]}"
        self._note(request, name, params, file)
        fault = self._far.fault_for(name)
        if fault is not None:
            return await KINDS[fault.kind](self._far, request, fault.options)
        try:
            token = self._token(request, urlencode(fields))  # every field but the file is signed
            self._check_permission(token, "write")
            refusal = self._throttled(token)
            return refusal or _xml("ok", self._put(name, params, file, token.nsid))
        except NotSignedError as error:
            return web.Response(status=401, text=f"oauth_problem={error}&debug_sbs={request.method}")
        except ApiError as error:
            return _xml("fail", f'<err code="{error.code}" msg={quoteattr(error.message)} />')

    def _put(self, name: str, params: Mapping[str, str], file: bytes | None, nsid: str) -> str:
        world = self._far.world
        if file is None:
            raise ApiError(2, "No photo specified")
        if not file:
            raise ApiError(4, "Filesize was zero")
        if name == "flickr.replace":
            photo = world.photo(params.get("photo_id", ""), owner=nsid)
            photo.content = file
            photo.version += 1
            return f'<photoid secret="{photo.secret}" originalsecret="{photo.secret}">{photo.id}</photoid>'
        photo = world.add_photo(nsid, params.get("title", ""), tags=params.get("tags", ""), content=file)
        photo.is_public = params.get("is_public", "1") == "1"
        return f"<photoid>{photo.id}</photoid>"

    def _note(self, request: web.Request, name: str, params: Mapping[str, str], file: bytes | None = None) -> None:
        asked = Asked(verb=request.method, method=name, params=params, headers=request.headers.copy(), file=file)
        self._far.asked.append(asked)
        self._far.calls[name] += 1

    def _token(self, request: web.Request, form: str | None) -> AccessToken:
        """Whose call it is, as oauthlib's server side finds it signed.

        Raises:
            NotSignedError: It is not.
            ApiError: It is, with a token that is none.
        """
        headers = dict(request.headers)
        if form is not None:
            headers["Content-Type"] = _FORM
        url = f"{request.scheme}://{request.host}{request.raw_path}"
        passes, signed = self._endpoint.validate_protected_resource_request(url, request.method, form or "", headers)
        if passes:
            return self._far.accounts.access_tokens[signed.resource_owner_key]
        problem = problem_of(signed)
        if problem == "token_rejected":
            raise ApiError(98, "Invalid auth token")
        raise NotSignedError(problem)

    def _throttled(self, token: AccessToken) -> web.Response | None:
        pause_s = self._far.pause_s(token.token)
        if pause_s is None:
            return None
        return web.Response(status=429, text="Too Many Requests", headers={"Retry-After": str(pause_s)})

    def _check_permission(self, token: AccessToken, wanted: str) -> None:
        if not permits(token.permission, wanted):
            raise ApiError(
                99, f"Insufficient permissions. Method requires {wanted} privileges; {token.permission} granted."
            )

    async def told_calls(self, _: web.Request) -> web.Response:
        """What came, for who drives it from outside."""
        return web.json_response(dict(self._far.calls))

    async def take_fault(self, request: web.Request) -> web.Response:
        """A fault, from outside: kind, method, times, options."""
        told = await request.json()
        self._far.faults.append(Fault(**told))
        return web.json_response({})


async def _form(request: web.Request) -> tuple[Sequence[tuple[str, str]], bytes | None]:
    """The fields of a form, and the file in it."""
    fields: list[tuple[str, str]] = []
    file = None
    async for part in await request.multipart():
        assert isinstance(part, BodyPartReader)
        if part.filename is None:
            fields.append((part.name or "", await part.text()))
        else:
            file = bytes(await part.read())
    return fields, file


def _xml(stat: str, inner: str) -> web.Response:
    text = f'<?xml version="1.0" encoding="utf-8" ?>\n<rsp stat="{stat}">\n{inner}\n</rsp>\n'
    return web.Response(text=text, content_type="text/xml")


def application(far: FlickrFarEnd) -> web.Application:
    """The server's application, to which more routes can be added."""
    app = web.Application(client_max_size=256 * 1024 * 1024)
    app.add_routes(_Handlers(far).routes())
    app.add_routes(OAuth(far.accounts).routes())
    return app


@asynccontextmanager
async def flickr_far_end(
    *, per_hour: int = 3600, port: int = 0, more_routes: Sequence[web.RouteDef] = ()
) -> AsyncGenerator[FlickrFarEnd]:
    """Runs it on loopback, on a free port unless told."""
    far = FlickrFarEnd(per_hour)
    app = application(far)
    app.add_routes(more_routes)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    far.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield far
    finally:
        far.release.set()
        await runner.cleanup()
