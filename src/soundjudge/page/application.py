"""The local page: sounds and texts in, scores out, by one judge, until it is stopped."""

import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from soundjudge.errors import SoundjudgeError
from soundjudge.html import rendering
from soundjudge.page import judging, uploads
from soundjudge.page.guards import LOOPBACK, Guard
from soundjudge.page.jobs import Job, JobQueue, Work
from soundjudge.page.limits import NO_ROOM, UNUSABLE, Limits, RefusalError
from soundjudge.scoring.judge.judge import Judge
from soundjudge.scoring.systems.system_statistics import TIE

STATIC: list[str | tuple[str, str]] = [("soundjudge.page", "static"), ("soundjudge.html", "static")]
Prepare = Callable[[FormData, Path], Awaitable[Work]]


def create_application(
    judge: Judge,
    *,
    host: str = "127.0.0.1",
    names: Collection[str] = (),
    limits: Limits | None = None,
) -> Starlette:
    """The application; `names`: what it may be called in a browser, beside `host`."""
    limits = limits or Limits()
    page = _Page(judge, limits)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        page.jobs.start()
        yield
        page.jobs.stop()

    return Starlette(
        routes=[
            Route("/", page.index),
            Route("/scores", page.score_grid, methods=["POST"]),
            Route("/tables", page.score_table, methods=["POST"]),
            Route("/jobs/{job}", page.status),
            Route("/jobs/{job}/scores.csv", page.csv),
            Route("/jobs/{job}/{picture}", page.picture),
            Mount("/static", StaticFiles(packages=STATIC)),
        ],
        middleware=[Middleware(Guard, host=host, names=names, limits=limits)],
        exception_handlers={
            RefusalError: _refusal_response,
            HTTPException: _error_response,
            OSError: _not_stored,
        },
        lifespan=lifespan,
    )


class _Page:
    """The answers of the page."""

    def __init__(self, judge: Judge, limits: Limits) -> None:
        self.judge, self.limits = judge, limits
        self.jobs = JobQueue(limits)

    async def index(self, _: Request) -> Response:
        intervals = self.judge.intervals
        return HTMLResponse(
            rendering.render(
                "serve.html",
                "soundjudge.page",
                score_id=self.judge.score_id,
                note=rendering.note_sentence(self.judge.note),
                intervals=intervals,
                limits=self.limits,
                difference=f"{TIE if intervals is None else intervals.difference:.3g}",
            )
        )

    async def score_grid(self, request: Request) -> Response:
        async def prepare(form: FormData, folder: Path) -> Work:
            texts = uploads.texts_of(form, self.limits)
            sounds = await uploads.save_sounds(form, folder, texts, self.limits)
            return lambda progress: judging.judge_grid(
                self.judge, sounds, texts, self.limits, progress
            )

        return await self._submit(request, prepare)

    async def score_table(self, request: Request) -> Response:
        async def prepare(form: FormData, folder: Path) -> Work:
            table, files = await uploads.save_table(form, folder, self.limits)
            return lambda progress: judging.judge_table(
                self.judge, table, files, self.limits, progress
            )

        return await self._submit(request, prepare)

    async def _submit(self, request: Request, prepare: Prepare) -> Response:
        # What cannot be removed from a broken disk must not end the worker.
        folder = TemporaryDirectory(prefix="soundjudge-", ignore_cleanup_errors=True)
        try:
            async with request.form(
                max_files=4 * self.limits.sounds,
                max_fields=4 * self.limits.texts,
                max_part_size=16 * self.limits.characters,
            ) as form:
                work = await prepare(form, Path(folder.name))
            job = self.jobs.submit(work, folder.cleanup)
        except BaseException:  # a cancelled upload, too, leaves no file behind
            await run_in_threadpool(folder.cleanup)
            raise
        return JSONResponse({"job": job.id}, status_code=202)

    async def status(self, request: Request) -> Response:
        return JSONResponse(self._job(request).status())

    async def csv(self, request: Request) -> Response:
        result = self._job(request).result
        if result is None:
            raise HTTPException(404, "there are no scores yet")
        headers = {"content-disposition": 'attachment; filename="scores.csv"'}
        return Response(result.csv, media_type="text/csv; charset=utf-8", headers=headers)

    async def picture(self, request: Request) -> Response:
        result = self._job(request).result
        picture = None if result is None else result.pictures.get(request.path_params["picture"])
        if picture is None:
            raise HTTPException(404, "there is no such picture")
        return Response(picture, media_type="image/png")

    def _job(self, request: Request) -> Job:
        job = self.jobs.find(request.path_params["job"])
        if job is None:
            raise HTTPException(404, "these scores are forgotten: send the sounds again")
        return job


async def _refusal_response(_: Request, error: Exception) -> Response:
    assert isinstance(error, RefusalError), "Starlette sends what it was asked to"
    return JSONResponse({"error": str(error)}, error.status)


async def _error_response(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException), "Starlette sends what it was asked to"
    # 400 is what a form that cannot be parsed, or has too many parts, raises.
    status = UNUSABLE if error.status_code == 400 else error.status_code
    return JSONResponse({"error": error.detail}, status, headers=error.headers)


async def _not_stored(_: Request, error: Exception) -> Response:
    """The disk of temporary files is full, gone or read-only: the sender learns no path of it."""
    logging.getLogger(__name__).error(
        "an upload cannot be stored: %s; free space, or serve again with TMPDIR set to a folder "
        "that has some",
        error,
    )
    sentence = "this machine has no room for uploads: ask who runs this page to make some"
    return JSONResponse({"error": sentence}, NO_ROOM)


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
