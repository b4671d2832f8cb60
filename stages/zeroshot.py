"""The cosine of a CLAP as it is, as a member that no rating has changed.

reads   the CLAP of zeroshot
writes  checkpoints/zeroshot/
"""

from pathlib import Path

from soundjudge import params
from soundjudge.clap.encoders import checkpoints
from soundjudge.clap.encoders.source import ClapSource
from soundjudge.clap.zeroshot import save_zeroshot

CHECKPOINT = Path("checkpoints/zeroshot")


def main() -> None:
    source = params.load("zeroshot", ClapSource)
    save_zeroshot(CHECKPOINT, source, checkpoints.load_encoder(source, "cpu"))


if __name__ == "__main__":
    main()
