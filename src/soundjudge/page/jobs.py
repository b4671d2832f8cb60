"""Jobs of the local page: one thread does them one after another, a short queue waits."""

import logging
import queue
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

from soundjudge.errors import SoundjudgeError
from soundjudge.page.limits import BUSY, Limits, RefusalError

Progress = Callable[[int, int], None]
FAULT = "this is a fault of soundjudge: its terminal says more"


@dataclass(kw_only=True)
class Result:
    """What a job gives: for the page, to download, and pictures by their names."""

    page: dict[str, object]
    csv: str
    pictures: dict[str, bytes] = field(default_factory=dict)


Work = Callable[[Progress], Result]


@dataclass(kw_only=True)
class Job:
    """One request for scores; only the worker changes it."""

    id: str
    state: Literal["waiting", "running", "done", "failed"] = "waiting"
    done: int = 0
    total: int = 0
    error: str = ""
    result: Result | None = None

    def status(self) -> dict[str, object]:
        """For the page."""
        page = None if self.result is None else self.result.page
        return {
            "state": self.state,
            "done": self.done,
            "total": self.total,
            "error": self.error,
            "result": page,
        }


class JobQueue:
    """A worker thread, the work that waits for it, and the latest results."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._waiting: queue.Queue[tuple[Job, Work, Callable[[], None]] | None] = queue.Queue(
            limits.waiting
        )
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="judge", daemon=True)

    def start(self) -> None:
        """Starts the worker."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the worker after the job that it does, and clears away what waits."""
        with self._lock:
            while not self._waiting.empty():
                item = self._waiting.get_nowait()
                if item is not None:
                    item[2]()
        self._waiting.put(None)

    def submit(self, work: Work, clean: Callable[[], None]) -> Job:
        """Queues work; `clean` is called when it is over. RefusalError where too many wait."""
        job = Job(id=secrets.token_urlsafe(16))
        with self._lock:
            try:
                self._waiting.put_nowait((job, work, clean))
            except queue.Full:
                raise RefusalError(
                    f"{self._limits.waiting} requests wait already: try again in a minute", BUSY
                ) from None
            self._jobs[job.id] = job
            finished = [i for i, j in self._jobs.items() if j.state in ("done", "failed")]
            for old in finished[: max(0, len(self._jobs) - self._limits.kept)]:
                del self._jobs[old]
        return job

    def find(self, job_id: str) -> Job | None:
        """The job of that id, unless it is forgotten."""
        with self._lock:
            return self._jobs.get(job_id)

    def _run(self) -> None:
        while (item := self._waiting.get()) is not None:
            job, work, clean = item
            job.state = "running"
            try:
                job.result = work(partial(_advance, job))
                job.state = "done"
            except SoundjudgeError as error:
                job.error, job.state = str(error), "failed"
            except Exception:  # noqa: BLE001  one request's fault must not end the page
                logging.getLogger(__name__).exception("a request failed")
                job.error, job.state = FAULT, "failed"
            finally:
                clean()


def _advance(job: Job, done: int, total: int) -> None:
    job.done, job.total = done, total
