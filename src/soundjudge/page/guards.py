"""Who may ask the local page for what, checked before anything is read.

A page of another site can make a browser send requests here. Its own name may even lead to this
machine (DNS rebinding), so the Host must be a name that this page was started under; and what
changes something must come from this page itself (Origin).
"""

import ipaddress
from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from soundjudge.page.limits import TOO_LARGE, Limits, RefusalError

LOOPBACK = ("localhost", "127.0.0.1", "::1")
SECURITY_HEADERS = {
    "content-security-policy": "default-src 'self'; media-src 'self' blob:; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
}


class Guard:
    """Lets through what has a fitting Host, Origin and size, and adds headers to the answers."""

    def __init__(self, app: ASGIApp, host: str, names: Collection[str], limits: Limits) -> None:
        self.app, self.limits = app, limits
        self.names = {name.lower() for name in (*LOOPBACK, *names, host)}
        # An address as a name cannot be rebound; where all may connect, any of ours may be used.
        self.any_address = host in ("0.0.0.0", "::")  # noqa: S104

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(SECURITY_HEADERS)
            await send(message)

        refusal = self._refusal(scope["method"], headers)
        if refusal is not None:
            answer = JSONResponse({"error": str(refusal)}, refusal.status)
            await answer(scope, receive, send_with_headers)
            return
        received = 0

        async def receive_within_limit() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self.limits.bytes:
                raise self._too_large()
            return message

        await self.app(scope, receive_within_limit, send_with_headers)

    def _refusal(self, method: str, headers: Headers) -> RefusalError | None:
        host = headers.get("host", "")
        if not self._is_ours(host):
            return RefusalError(
                f"this page is not served as {host!r}: name it by --allow-host to allow that", 403
            )
        if method not in ("GET", "HEAD") and not _is_same_origin(headers, host):
            return RefusalError("the request comes from another page than this one", 403)
        length = headers.get("content-length", "0")
        return self._too_large() if int(length or 0) > self.limits.bytes else None

    def _is_ours(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
            if name in self.names:
                return True
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return self.any_address

    def _too_large(self) -> RefusalError:
        return RefusalError(
            f"this is more than {self.limits.megabytes:g} MB: send less at once, or start the page "
            "with a larger --max-megabytes",
            TOO_LARGE,
        )


def _is_same_origin(headers: Headers, host: str) -> bool:
    """Whether the sender is a page of ours, or no browser."""
    origin = headers.get("origin")
    if origin is not None:
        return origin in (f"http://{host}", f"https://{host}")
    return headers.get("sec-fetch-site", "none") in ("same-origin", "none")
