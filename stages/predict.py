"""One member's scores of every validation and test pair.

reads   checkpoints/<folder of the member>/, the encoders it names,
        data/prepared/ clips, shards and rated pairs, data/clap_features/, predict.features
writes  data/predictions/members/<member>/{validation,test}.csv and checkpoint.json, which
        says what was scored with; of regress encoder_blocks.csv, validation with shuffled features;
        the last fit names other folders for both
"""

import sys
from pathlib import Path

from soundjudge import params
from soundjudge.data.clips.clip_store import ClipStore
from soundjudge.data.tables import tables
from soundjudge.model.frontend.frontend import AudioFrontend
from soundjudge.runtime import artifacts, devices
from soundjudge.scoring.members import encoder_blocks, members, predict
from soundjudge.scoring.members.encodings import RegressorMember
from soundjudge.scoring.members.pipeline_encodings import PipelineEncodings

PREPARED, CLAP_FEATURES = Path("data/prepared"), Path("data/clap_features")
CHECKPOINTS = Path("checkpoints")
PREDICTIONS = Path("data/predictions/members")
SPLITS = ("validation", "test")


def main(name: str, checkpoints: Path = CHECKPOINTS, predictions: Path = PREDICTIONS) -> None:
    devices.make_deterministic()
    prediction = params.load("predict", predict.PredictionSection)
    checkpoint = checkpoints / params.load(f"ensemble.members.{name}", str)
    device = devices.resolve_device(params.load("device", str))

    clips = ClipStore(PREPARED)
    rated = tables.read_table(PREPARED / "rated.parquet", tables.RATED)
    encoder = params.load("encoders.audio", Path)
    frontend = params.load("features.frontend", AudioFrontend)
    stored = PipelineEncodings(clips, CLAP_FEATURES, prediction.features, encoder, frontend)
    window = prediction.window_seconds
    loader = members.MemberLoader(root=Path(), device=device, window_seconds=window, stored=stored)
    member = loader.member(checkpoint)

    with artifacts.atomic_folder(predictions / name) as folder:
        for split in SPLITS:
            pairs = rated[rated["split"] == split]
            scores = predict.predict(member, clips, pairs, prediction)
            tables.write_table(scores, folder / f"{split}.csv", tables.PREDICTIONS)
        if isinstance(member, RegressorMember):
            encoder_blocks.write_blocks(
                member.model,
                clips,
                rated[rated["split"] == "validation"],
                prediction.batch_size,
                folder,
            )
        predict.write_provenance(folder, checkpoint)


if __name__ == "__main__":
    main(sys.argv[1], *map(Path, sys.argv[2:]))
