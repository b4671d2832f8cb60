"""Errors that are for people: one sentence with the file, row or key and what to do about it.

Everything else that is raised is a fault of the program and traces back.
"""


class SoundjudgeError(ValueError):
    """Something that a user can mend; the message says what and how."""


class ParamsError(SoundjudgeError):
    """A parameter that is missing, unknown or of the wrong type; the message names its key."""


class HubError(SoundjudgeError):
    """The hub does not give a folder out, or can't be reached."""


class ReliabilityError(SoundjudgeError):
    """Ratings whose agreement cannot be measured."""


class AudioError(SoundjudgeError):
    """A sound that cannot be used; `reason` is one of a few fixed words, for tables."""

    def __init__(self, where: object, reason: str, detail: str) -> None:
        super().__init__(f"{where} is {reason}: {detail}")
        self.reason = reason
        self.detail = detail
