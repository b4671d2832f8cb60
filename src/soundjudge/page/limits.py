"""What the local page takes at most; beyond it, a request is refused with a sentence."""

from dataclasses import dataclass

from soundjudge.errors import SoundjudgeError

TOO_LARGE, UNUSABLE, BUSY, NO_ROOM = 413, 422, 503, 507  # HTTP status codes


class RefusalError(SoundjudgeError):
    """A request that cannot be done; the message says why, `status` is that of HTTP."""

    def __init__(self, sentence: str, status: int = UNUSABLE) -> None:
        super().__init__(sentence)
        self.status = status


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Sizes, lengths and counts of one request, and of all that wait."""

    megabytes: float = 200.0  # of one request, and of the sounds in a zip when unpacked
    sounds: int = 16  # dropped at once
    texts: int = 16
    pairs: int = 64  # sounds times texts
    seconds: float = 120.0  # of one sound
    characters: int = 1000  # of one text
    rows: int = 1000  # of a table
    waiting: int = 4  # requests in the queue
    kept: int = 12  # results that can be fetched; older ones are forgotten

    @property
    def bytes(self) -> int:
        """`megabytes` in bytes."""
        return round(self.megabytes * 1e6)
