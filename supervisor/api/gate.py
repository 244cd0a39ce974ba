"""What every request passes before a route sees it, and every answer on its way out.

In this order: whose name was called (a page elsewhere must not reach a service on loopback through a name
that it controls), who calls (the token), from where a browser was sent, how much is coming.
"""

import hashlib
import hmac
import re
import socket
from typing import Any
from urllib.parse import unquote

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from supervisor.addresses import Address
from supervisor.api.problems import Problem, failure, response_to, unavailable
from supervisor.api.telling import Teller
from supervisor.errors import StoreUnavailable
from supervisor.payload import LIMIT

LARGEST_BODY = 6 * LIMIT + 64 * 1024
"""Bytes of a request's body: a payload with each of its bytes written as \\uXXXX, and what is around it."""

SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (
        b"content-security-policy",
        b"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)

_WHOLE_URL = re.compile(rb"https?://([^/]*)(/.*)?\Z", re.IGNORECASE | re.DOTALL)
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::([0-9]{1,5}))?\Z")
_LOCAL = frozenset({"localhost", "127.0.0.1", "[::1]"})
_ANYWHERE = frozenset({"0.0.0.0", "::"})  # noqa: S104 - to recognise it
_READING = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_OPEN_TO_ALL = "/healthz"
_STREAM = "/api/events"
ASKED_FOR_HEAD = "asyncworker.head"
"""In the scope of a request that was HEAD, for a route that would stream for ever."""


class Gate:
    """The outermost layer of the application."""

    def __init__(self, app: ASGIApp, address: Address | None, token: str | None, teller: Teller) -> None:
        self._app = app
        self._teller = teller
        self._token = None if token is None else _digest(token)
        self._names = set(_LOCAL)
        if address is not None and address.host in _ANYWHERE:
            self._names.add(socket.gethostname().lower())
        elif address is not None:
            self._names.add(_bracketed(address.host))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        answer = _Answer(send)
        scope = _with_path_alone(scope)
        try:
            self._check(scope, Headers(scope=scope))
            await self._app(_as_get(scope), receive, answer.send)
        except ClientDisconnect:
            return
        except Exception as error:  # noqa: BLE001  (whatever it is, the client gets no part of it)
            problem = _meant(error)
            if problem is None or answer.started:
                self._teller.failed(scope["method"], _shown(scope["path"]), error)
            # Where a part is on its way already, an answer without an end tells the client the truth.
            if not answer.started:
                await response_to(problem or failure())(scope, receive, answer.send)

    def _check(self, scope: Scope, headers: Headers) -> None:
        if not self._is_ours(headers.get("host", ""), scope):
            raise Problem(400, "The Host header names no host of this service.", [("Host", "is not ours")])
        if scope["path"] != _OPEN_TO_ALL:
            self._check_token(headers)
        if scope["method"] not in _READING:
            self._check_origin(headers, scope)
        length = headers.get("content-length", "0")
        if length.isdigit() and int(length) > LARGEST_BODY:
            raise too_large()

    def _is_ours(self, host: str, scope: Scope) -> bool:
        """On the Unix socket the port means nothing: no browser comes that way."""
        found = _HOST.match(host.lower())
        if found is None:
            return False
        name, given = found[1], found[2]
        ip, port = scope.get("server") or (None, None)
        if port is None:
            return name in _LOCAL
        if int(given or 80) != port:
            return False
        return name in self._names or name == _bracketed(ip or "")

    def _check_token(self, headers: Headers) -> None:
        if self._token is None:
            return
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            detail = "This needs a token, as Authorization: Bearer."
            raise Problem(401, detail, headers={"WWW-Authenticate": 'Bearer realm="asyncworker"'})
        if not hmac.compare_digest(_digest(given.strip()), self._token):
            challenge = 'Bearer realm="asyncworker", error="invalid_token"'
            raise Problem(401, "This is not the token.", headers={"WWW-Authenticate": challenge})

    def _check_origin(self, headers: Headers, scope: Scope) -> None:
        """A browser says where a request comes from; anything else says nothing."""
        site = headers.get("sec-fetch-site", "none")
        origin = headers.get("origin")
        scheme, _, host = (origin or "").partition("://")
        ours = origin is None or (scheme in ("http", "https") and self._is_ours(host, scope))
        if site not in ("same-origin", "none") or not ours:
            raise Problem(403, "Pages of other sites may not change anything here.")


class _Answer:
    """Adds the headers that every answer has, and knows whether it has begun."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.started = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            headers = list(message.get("headers", ()))
            present = {name.lower() for name, _ in headers}
            headers += [(name, value) for name, value in SECURITY_HEADERS if name not in present]
            message = {**message, "headers": headers}
        await self._send(message)


def _with_path_alone(scope: Scope) -> Scope:
    """Where the target is a whole URL, its host counts, and not that of the header (RFC 9112, 3.2.2)."""
    found = _WHOLE_URL.match(scope["raw_path"])
    if found is None:
        return scope
    path = found[2] or b"/"
    headers = [(name, text) for name, text in scope["headers"] if name != b"host"]
    return {
        **scope,
        "path": unquote(path.decode("ascii")),
        "raw_path": path,
        "headers": [*headers, (b"host", found[1])],
    }


def _meant(error: Exception) -> Problem | None:
    """What the client is to be told; None where it is a mistake of ours."""
    if isinstance(error, StoreUnavailable):
        return unavailable()  # what has happened is for the log: it names files
    return error if isinstance(error, Problem) else None


def too_large() -> Problem:
    return Problem(413, "A payload may have 1 MiB as compact JSON, and a request with it six times as much.")


def _as_get(scope: Scope) -> dict[str, Any]:
    """HEAD is GET without a body, which uvicorn leaves out by itself; a stream would never end."""
    if scope["method"] == "HEAD" and not streams(scope["path"]):
        return {**scope, "method": "GET", ASKED_FOR_HEAD: True}
    return dict(scope)


def streams(path: str) -> bool:
    """Whether an answer from there never ends, and so has no head to be asked for alone."""
    return path == _STREAM


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("latin-1", "replace")).digest()


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _shown(path: str) -> str:
    return path[:200]
