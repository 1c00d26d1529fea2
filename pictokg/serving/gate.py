"""What stands before every request: who may ask, how much, how long; and afterwards what was answered, and how fast."""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import Awaitable, Callable, Collection, Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pictokg.serving.limits import Limits
from pictokg.serving.logs import LOGGER
from pictokg.serving.metrics import Metrics
from pictokg.serving.problems import KIND, problem

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

METHODS = {"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"}
# The page loads nothing from elsewhere, and runs nothing that does not come from a file of ours.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = [
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
]


class RefusedError(Exception):
    """A request that is not let in."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


@dataclass
class _Exchange:
    """What is noted of one request."""

    start: float = field(default_factory=time.perf_counter)
    status: int = 0
    sent: int = 0


@dataclass
class Gate:
    """An ASGI app around another.

    Attributes:
        app: what answers.
        limits: sizes, numbers and times.
        metrics: where requests are counted.
        token: what `Authorization: Bearer` must say; None asks for none.
        hosts: names that the Host header may give, so that a page elsewhere cannot reach a service on loopback by
            a name of its own that resolves there; empty allows any.
        open_paths: prefixes of what is given without a token: the empty page and the health.
    """

    app: App
    limits: Limits
    metrics: Metrics
    token: str | None = None
    hosts: Collection[str] = ()
    open_paths: tuple[str, ...] = ("/health", "/page/")
    _at_work: int = 0
    _uploads: int = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or pass on what is none."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        exchange = _Exchange()
        headers = dict(scope["headers"])

        async def noted(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
                message["headers"] = [*message.get("headers", []), *HEADERS]
            else:
                exchange.sent += len(message.get("body", b""))
            await send(message)

        try:
            self._admit(scope, headers)
            if _is_upload(scope, headers):
                with self._upload():
                    await self._work(scope, await self._body(scope, headers, receive), receive, noted)
            else:
                await self._work(scope, await self._body(scope, headers, receive), receive, noted)
        except RefusedError as refused:
            if not exchange.status:  # else half of an answer is out, and the server will close the connection
                await _refuse(noted, refused)
        except Exception:
            LOGGER.exception("a request failed; this is a fault of the service")
            if not exchange.status:
                await _refuse(noted, RefusedError(500, "a fault of the service; its log says more"))
        finally:
            self._note(scope, exchange)

    def _admit(self, scope: Scope, headers: dict[bytes, bytes]) -> None:
        """Look at the headers alone."""
        host = headers.get(b"host", b"").decode("latin-1").lower()
        if self.hosts and _without_port(host) not in self.hosts:
            raise RefusedError(403, "this service does not answer to that host name; see --allow-host")
        origin = headers.get(b"origin", b"").decode("latin-1").lower()
        if origin and origin.partition("://")[2] != host:
            raise RefusedError(403, "requests from pages of other origins are not answered")
        path = scope["path"]
        if self.token and path != "/" and not path.startswith(self.open_paths):
            kind, _, given = headers.get(b"authorization", b"").partition(b" ")
            if kind.lower() != b"bearer" or not hmac.compare_digest(given.strip(), self.token.encode()):
                raise RefusedError(401, "send the service's token: Authorization: Bearer TOKEN")

    async def _body(self, scope: Scope, headers: dict[bytes, bytes], receive: Receive) -> bytes:
        """Read the whole body, as much and as long as is allowed."""
        if b"content-length" not in headers and b"transfer-encoding" not in headers:
            return b""
        most = self.limits.upload if _is_upload(scope, headers) else self.limits.body
        refusal = RefusedError(413, f"a request to {scope['path'][:100]} may have {most:,} bytes")
        announced = headers.get(b"content-length", b"0")
        if announced.isdigit() and int(announced[:18]) > most:
            raise refusal
        parts, size = [], 0
        try:
            async with asyncio.timeout(self.limits.seconds_to_send):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise RefusedError(400, "the client left before its request was whole")
                    parts.append(message.get("body", b""))
                    size += len(parts[-1])
                    if size > most:
                        raise refusal
                    if not message.get("more_body"):
                        return b"".join(parts)
        except TimeoutError:
            raise RefusedError(408, f"the request took over {self.limits.seconds_to_send:g} s to arrive") from None

    @contextmanager
    def _upload(self) -> Iterator[None]:
        """Hold the pictures of a few requests at once."""
        if self._uploads >= self.limits.uploads:
            raise RefusedError(503, "too many uploads at once; try again in a second")
        self._uploads += 1
        try:
            yield
        finally:
            self._uploads -= 1

    async def _work(self, scope: Scope, body: bytes, receive: Receive, send: Send) -> None:
        """Let the app answer, among a limited number of requests and for a limited time."""
        if self._at_work >= self.limits.requests:
            raise RefusedError(503, "too many requests are at work; try again in a second")
        replayed = False

        async def replay() -> MutableMapping[str, Any]:
            nonlocal replayed
            if replayed:
                return await receive()
            replayed = True
            return {"type": "http.request", "body": body, "more_body": False}

        self._at_work += 1
        self.metrics.at_work.inc()
        try:
            async with asyncio.timeout(self.limits.seconds_to_answer):
                await self.app(scope, replay, send)
        except TimeoutError:
            raise RefusedError(504, f"took over {self.limits.seconds_to_answer:g} s; ask for less") from None
        finally:
            self._at_work -= 1
            self.metrics.at_work.dec()

    def _note(self, scope: Scope, exchange: _Exchange) -> None:
        """Count and log a request."""
        route = getattr(scope.get("route"), "path", "other")
        method = scope["method"] if scope["method"] in METHODS else "other"
        seconds = time.perf_counter() - exchange.start
        self.metrics.observe(route, method, exchange.status, seconds)
        fields = {
            "method": scope["method"][:16],
            "path": scope["path"][:200],
            "route": route,
            "status": exchange.status,
            "milliseconds": round(seconds * 1000, 2),
            "bytes": exchange.sent,
            "client": (scope.get("client") or ("",))[0],
        }
        LOGGER.info("request", extra={"fields": fields})


def _is_upload(scope: Scope, headers: dict[bytes, bytes]) -> bool:
    """Whether a request may be large: only pictures of newcomers are."""
    return scope["path"] == "/newcomers" and headers.get(b"content-type", b"").startswith(b"multipart/form-data")


def _without_port(host: str) -> str:
    """The name in a Host header.

    >>> _without_port("localhost:8000"), _without_port("[::1]:8000"), _without_port("[::1]")
    ('localhost', '[::1]', '[::1]')
    """
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() else host


async def _refuse(send: Send, refused: RefusedError) -> None:
    status, body = problem(refused.status, str(refused))
    headers = [(b"content-type", KIND.encode()), (b"content-length", str(len(body)).encode())]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if status == 503:
        headers.append((b"retry-after", b"1"))
    if status in (408, 413):  # what is left of the request will not be read
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
