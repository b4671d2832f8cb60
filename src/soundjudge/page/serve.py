"""`soundjudge serve`: the local page on a socket, until it is stopped."""

import socket
from collections.abc import Callable, Collection
from contextlib import suppress

import uvicorn

from soundjudge.errors import SoundjudgeError
from soundjudge.page.application import create_application
from soundjudge.page.guards import LOOPBACK
from soundjudge.page.limits import Limits
from soundjudge.scoring.judge.judge import Judge


def serve(
    load_judge: Callable[[], Judge],
    *,
    host: str,
    port: int,
    names: Collection[str],
    limits: Limits,
    tell: Callable[[str], None],
) -> None:
    """Opens the socket, loads the judge, and answers until interrupted. Raises SoundjudgeError."""
    with open_socket(host, port) as opened:
        judge = load_judge()
        application = create_application(judge, host=host, names=names, limits=limits)
        shown = f"[{host}]" if ":" in host else host
        tell(f"{judge.score_id}: http://{shown}:{opened.getsockname()[1]} (Ctrl-C ends it)")
        if host not in LOOPBACK:
            tell("anyone who reaches this machine can use this page: it asks for no password")
        config = uvicorn.Config(
            application,
            log_level="warning",
            access_log=False,
            server_header=False,
            ws="none",
            limit_concurrency=64,
            timeout_graceful_shutdown=2,
        )
        with suppress(KeyboardInterrupt):  # which is how a user ends it
            uvicorn.Server(config).run(sockets=[opened])


def open_socket(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 is any free one. Raises SoundjudgeError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise SoundjudgeError(
            f"{host}, port {port} cannot be served: {error.strerror or error}; choose another "
            "--port or --host"
        ) from error
