"""The cosine of a CLAP as it is, as a member that no rating has changed.

Members that learn from ratings trust encoders that know the rated sounds, and may fail on others.

reads   the CLAP of zeroshot
writes  checkpoints/zeroshot/
"""

from pathlib import Path

from soundjudge import params
from soundjudge.clap.encoders import checkpoints
from soundjudge.clap.encoders.source import ClapSource
from soundjudge.errors import SoundjudgeError
from soundjudge.runtime import artifacts
from soundjudge.runtime.member_record import MemberRecord, write_member

CHECKPOINT = Path("checkpoints/zeroshot")


def main() -> None:
    source = params.load("zeroshot", ClapSource)
    clap = checkpoints.load_encoder(source, "cpu")
    if not isinstance(clap.dimensions, int):
        raise SoundjudgeError(
            f"zeroshot.path is {source.path}, of sound or of text alone: name a CLAP there."
        )
    with artifacts.atomic_folder(CHECKPOINT) as temporary:
        reference = source.reference(clap.name())
        write_member(temporary, MemberRecord(kind="zeroshot", encoders={"clap": (reference,)}))


if __name__ == "__main__":
    main()
