"""member.json: what a trained checkpoint is, and which encoders it shares with others."""

from dataclasses import asdict, dataclass, field
from pathlib import Path

from soundjudge import params
from soundjudge.errors import ParamsError, SoundjudgeError
from soundjudge.runtime import artifacts

MEMBER_FILE = "member.json"


@dataclass(frozen=True, kw_only=True)
class EncoderReference:
    """An encoder outside of the member's folder."""

    path: str | None
    "from the root, which is the repository or a judge's folder; null = the user's own copy"
    sha256: str | None = None
    "that the file of weights must have; null = any"
    backend: str | None = None
    "what runs the encoder, where there is a choice"
    name: str | None = None
    "that the encoder must give itself; null = any"

    def locate(self, root: Path) -> Path:
        """Where the encoder lies, below `root`."""
        assert self.path is not None, "only its user knows where their own copy lies"
        return root / self.path


@dataclass(frozen=True, kw_only=True)
class MemberRecord:
    """The contents of member.json."""

    kind: str
    encoders: dict[str, tuple[EncoderReference, ...]] = field(default_factory=dict)
    "by the kind of encoder: clap or audio"
    settings: dict[str, object] = field(default_factory=dict)
    "what loading needs beside the weights"
    training: dict[str, object] = field(default_factory=dict)
    "of the training, such as the epoch of the weights"

    def references(self, kind: str) -> tuple[EncoderReference, ...]:
        """The encoders of one kind, at least one; SoundjudgeError if there is none."""
        if not self.encoders.get(kind):
            raise SoundjudgeError(
                f"{MEMBER_FILE} of a {self.kind} does not say where its {kind} is: train it again"
            )
        return self.encoders[kind]


def write_member(folder: Path, record: MemberRecord) -> None:
    """Writes member.json."""
    artifacts.write_json(folder / MEMBER_FILE, asdict(record), digits=None)


def read_member(folder: Path, *kinds: str) -> MemberRecord:
    """Reads member.json strictly; SoundjudgeError if it is absent, or not of one of `kinds`."""
    path = folder / MEMBER_FILE
    if not path.is_file():
        raise SoundjudgeError(
            f"{folder} holds no {MEMBER_FILE}: it is no trained member, train it first"
        )
    try:
        record = params.build(MemberRecord, artifacts.read_json(path), f"{path}: ")
    except ParamsError as error:
        raise SoundjudgeError(
            f"{error}. Another version of soundjudge wrote this file: train that member again"
        ) from error
    if kinds and record.kind not in kinds:
        raise SoundjudgeError(
            f"{path}: kind is {record.kind!r}, not {' or '.join(map(repr, kinds))}: name another "
            "checkpoint"
        )
    return record
