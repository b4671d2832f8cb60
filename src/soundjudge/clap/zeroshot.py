"""The cosine of a CLAP as it is, as a member: what no rating has changed.

Members that learn from ratings trust encoders that know the rated sounds, and may fail on others.
"""

from pathlib import Path

from soundjudge.clap.encoders.encoder import ClapEncoder
from soundjudge.clap.encoders.source import ClapSource
from soundjudge.errors import SoundjudgeError
from soundjudge.runtime import artifacts
from soundjudge.runtime.member_record import MemberRecord, write_member

KIND = "zeroshot"


def save_zeroshot(folder: Path, source: ClapSource, clap: ClapEncoder) -> None:
    """Writes into member.json which CLAP it is; `clap` is that of `source`.

    Raises SoundjudgeError for an encoder of sound or of text alone.
    """
    if not isinstance(clap.dimensions, int):
        raise SoundjudgeError(
            f"zeroshot.path is {source.path}, of sound or of text alone: name a CLAP there."
        )
    with artifacts.atomic_folder(folder) as temporary:
        reference = source.reference(clap.name())
        write_member(temporary, MemberRecord(kind=KIND, encoders={"clap": (reference,)}))
