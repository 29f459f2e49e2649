"""Who may come in: the studio's own page, on this machine or with the token."""

import hmac
import secrets
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from aiohttp import web

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})

#: The page is made of files of this server alone; nothing else may frame, load or name it.
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
        " connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none';"
        " frame-ancestors 'none'"
    ),
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
    "Server": "voice-runner",
}

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Gate:
    """Stands before every request to a studio that listens at `host`.

    On the loopback the `Host` must name the loopback, since a foreign name may have been made to
    point here. Anywhere else `token` is asked for: once in the address, then in a cookie.
    """

    def __init__(self, host: str) -> None:
        self.token = "" if host in _LOOPBACK else secrets.token_urlsafe(24)
        self._is_open_to_host = _is_open if self.token else _names_loopback
        self._cookie = ""

    def stand_before(self, app: web.Application, port: int) -> None:
        """Let nothing of `app`, which is served at `port`, be reached but through this gate."""
        # To a browser all ports of a machine are one place for cookies.
        self._cookie = f"voice-runner-studio-{port}"
        app.middlewares.append(self._check)
        app.on_response_prepare.append(_add_headers)

    @web.middleware
    async def _check(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        if refusal := self._refusal(request):
            return web.Response(status=403, text=f"{refusal}\n")
        response = await handler(request)
        if self.token and "token" in request.query and not response.prepared:
            response.set_cookie(self._cookie, self.token, httponly=True, samesite="Strict")
        return response

    def _refusal(self, request: web.Request) -> str:
        if not self._is_open_to_host(request.host):
            return "this studio is not at that address"
        if not _is_own(request.headers.get("Origin"), request):
            return "only the studio's own page may do that"
        if self.token and not self._has_token(request):
            return "open the address that `runner serve` has printed, with its token"
        return ""

    def _has_token(self, request: web.Request) -> bool:
        given = (request.query.get("token"), request.cookies.get(self._cookie))
        own = self.token.encode()
        return any(
            hmac.compare_digest((one or "").encode(errors="surrogateescape"), own) for one in given
        )


def _is_own(origin: str | None, request: web.Request) -> bool:
    """Tell whether `origin` is the page's; a browser sends none when it opens an address."""
    if origin is None:
        return "Upgrade" not in request.headers
    scheme, _, netloc = origin.partition("://")
    return scheme in ("http", "https") and netloc.casefold() == request.host.casefold()


def _is_open(_: str) -> bool:
    return True


def _names_loopback(host: str) -> bool:
    try:
        return urlsplit(f"//{host}").hostname in _LOOPBACK
    except ValueError:
        return False


async def _add_headers(_: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(HEADERS)
