"""One member's scores of every validation and test pair.

reads   checkpoints/<folder of the member>/, the encoders it names,
        data/prepared/ clips, shards and rated pairs
writes  data/predictions/members/<member>/{validation,test}.csv and checkpoint.json, which
        says what was scored with; of regress encoder_blocks.csv, validation with shuffled features
"""

import sys
from pathlib import Path

from soundjudge import params
from soundjudge.data.clips.clip_store import ClipStore
from soundjudge.data.tables import tables
from soundjudge.runtime import artifacts, devices
from soundjudge.scoring.members import encoder_blocks, members, predict
from soundjudge.scoring.members.encodings import RegressorMember

PREPARED = Path("data/prepared")
CHECKPOINTS = Path("checkpoints")
PREDICTIONS = Path("data/predictions/members")
SPLITS = ("validation", "test")


def main(name: str) -> None:
    prediction = params.load("predict", predict.PredictionConfig)
    checkpoint = CHECKPOINTS / params.load(f"ensemble.members.{name}", str)
    device = devices.resolve_device(params.load("device", str))

    clips = ClipStore(PREPARED)
    rated = tables.read_table(PREPARED / "rated.parquet", tables.RATED)
    window = prediction.window_seconds
    loader = members.MemberLoader(root=Path(), device=device, window_seconds=window)
    member = loader.member(checkpoint)

    with artifacts.atomic_folder(PREDICTIONS / name) as folder:
        for split in SPLITS:
            pairs = rated[rated["split"] == split]
            scores = predict.predict(member, clips, pairs, prediction)
            tables.write_table(scores, folder / f"{split}.csv", tables.PREDICTIONS)
        if isinstance(member, RegressorMember):
            encoder_blocks.write_blocks(
                member.regressor,
                clips,
                rated[rated["split"] == "validation"],
                prediction.batch_size,
                folder,
            )
        predict.write_provenance(folder, checkpoint)


if __name__ == "__main__":
    main(sys.argv[1])
