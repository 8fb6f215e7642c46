"""Flickr's OAuth 1.0a: a program asks, an account's owner says yes on a page, the program gets a token.

What was signed is judged by oauthlib's server side.
"""

from __future__ import annotations

from email.utils import formatdate
from html import escape
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from aiohttp import ClientSession, web
from oauthlib.oauth1 import AccessTokenEndpoint, RequestTokenEndpoint

from tests.fakes.flickr.accounts import OUT_OF_BAND, PERMISSIONS, new_token
from tests.fakes.flickr.validator import Validator, problem_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from oauthlib.common import Request

    from tests.fakes.flickr.accounts import Accounts

REQUEST_TOKEN = "/services/oauth/request_token"
AUTHORIZE = "/services/oauth/authorize"
ACCESS_TOKEN = "/services/oauth/access_token"


class _Recorded:
    """Keeps the request that an endpoint of oauthlib has judged last: its own answer does not say what was wrong."""

    request: Request | None = None

    def _create_request(self, *args: Any, **kwargs: Any) -> Request:
        self.request = None
        self.request = super()._create_request(*args, **kwargs)  # type: ignore[misc]  of the endpoint beside it
        return self.request


class _RequestTokens(_Recorded, RequestTokenEndpoint):
    pass


class _AccessTokens(_Recorded, AccessTokenEndpoint):
    pass


class OAuth:
    """The dance.

    Args:
        accounts: Who may dance.
    """

    def __init__(self, accounts: Accounts) -> None:
        self.accounts = accounts
        self._validator = Validator(accounts)
        self._request_tokens = _RequestTokens(self._validator, token_generator=new_token)
        self._access_tokens = _AccessTokens(self._validator, token_generator=new_token)

    def routes(self) -> list[web.RouteDef]:
        """What a server takes to offer it."""
        return [
            web.route("*", REQUEST_TOKEN, self.request_token),
            web.get(AUTHORIZE, self.page),
            web.post(AUTHORIZE, self.consent),
            web.route("*", ACCESS_TOKEN, self.access_token),
        ]

    def settings(self, url: str, **changes: Any) -> dict[str, Any]:
        """What an operator tells Penstock, beside what it ships for Flickr."""
        return {
            "request_token_url": f"{url}{REQUEST_TOKEN}",
            "authorize_url": f"{url}{AUTHORIZE}",
            "token_url": f"{url}{ACCESS_TOKEN}",
            **changes,
        }

    async def request_token(self, request: web.Request) -> web.Response:
        """Gives a program a token to send somebody to the page with."""
        headers, body, status = self._request_tokens.create_request_token_response(*await _told(request))
        if status != web.HTTPOk.status_code:
            return self._refused(self._request_tokens.request)
        return self._form(f"oauth_callback_confirmed=true&{body}", headers)

    async def page(self, request: web.Request) -> web.Response:
        """Asks the account's owner."""
        wish = self.accounts.request_token(request.query.get("oauth_token", ""))
        if wish is None:
            return web.Response(status=404, text="Oops! Flickr doesn't recognise the oauth_token.")
        users = "".join(
            f'<option value="{escape(user.nsid)}">{escape(user.username)}</option>'
            for user in self.accounts.users.values()
        )
        perms = escape(request.query.get("perms", ""))
        html = f'<form method="post"><select name="nsid">{users}</select> lets it {perms}<button>OK</button></form>'
        return web.Response(text=html, content_type="text/html")

    async def consent(self, request: web.Request) -> web.Response:
        """The owner says yes: the browser is sent back, or shown the code to carry over."""
        token, permission = request.query.get("oauth_token", ""), request.query.get("perms", "read")
        nsid = str((await request.post()).get("nsid", ""))
        if permission not in PERMISSIONS:
            return web.Response(status=400, text="unknown perms")
        try:
            verifier = self.accounts.allow(token, nsid, permission)
        except KeyError:
            return web.Response(status=404, text="no such token or user")
        callback = self.accounts.request_tokens[token].callback
        if callback == OUT_OF_BAND:
            return web.Response(text=f"<p>Your code is <b>{verifier}</b></p>", content_type="text/html")
        query = urlencode({"oauth_token": token, "oauth_verifier": verifier})
        raise web.HTTPFound(f"{callback}{'&' if '?' in callback else '?'}{query}")

    async def access_token(self, request: web.Request) -> web.Response:
        """Gives a program the token that somebody said yes to."""
        headers, body, status = self._access_tokens.create_access_token_response(*await _told(request))
        if status != web.HTTPOk.status_code or not body:
            return self._refused(self._access_tokens.request)
        return self._form(f"{body}&{urlencode(self._whose(body))}", headers)

    async def click(self, url: str, *, nsid: str) -> str:
        """What a person does: opens the page and says yes; answers where the browser is sent, or the page's text."""
        async with ClientSession() as session:
            async with session.get(url) as page:
                assert page.status == web.HTTPOk.status_code, await page.text()
            async with session.post(url, data={"nsid": nsid}, allow_redirects=False) as answer:
                return answer.headers.get("Location") or await answer.text()

    def _whose(self, body: str) -> Mapping[str, str]:
        token = dict(pair.split("=") for pair in body.split("&"))["oauth_token"]
        user = self.accounts.users[self.accounts.access_tokens[token].nsid]
        return {"fullname": user.fullname, "user_nsid": user.nsid, "username": user.username}

    def _refused(self, judged: Request | None) -> web.Response:
        told = {"oauth_problem": problem_of(judged), "debug_sbs": "secret-in-a-base-string"}
        return self._form(urlencode(told), {}, status=401)

    def _form(self, body: str, headers: Mapping[str, str], *, status: int = 200) -> web.Response:
        del headers
        date = formatdate(self.accounts.now(), usegmt=True)
        return web.Response(text=body, status=status, content_type="text/plain", headers={"Date": date})


async def _told(request: web.Request) -> tuple[str, str, str, Mapping[str, str]]:
    """A request as oauthlib takes it."""
    return str(request.url), request.method, await request.text(), dict(request.headers)


def app(oauth: OAuth) -> web.Application:
    """A server of the dance alone."""
    made = web.Application()
    made.add_routes(oauth.routes())
    return made
