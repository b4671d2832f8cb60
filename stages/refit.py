"""A member without each generator: its scores of validation, for folds that hold out generators.

reads   data/targets/, data/prepared/ clips, shards and rated pairs, data/clap_features/,
        predict.features, and what made checkpoints/<member>/
writes  data/predictions/members/refit/<member>.csv
"""

import shutil
import subprocess
import sys
from pathlib import Path

from soundjudge import params
from soundjudge.data.clips.clip_store import ClipStore
from soundjudge.data.tables import tables
from soundjudge.model.frontend.frontend import AudioFrontend
from soundjudge.runtime import devices
from soundjudge.runtime.work import work_folder
from soundjudge.scoring.ensemble import refits
from soundjudge.scoring.members import members, predict
from soundjudge.scoring.members.pipeline_encodings import PipelineEncodings

TARGETS, PREPARED, CHECKPOINTS = Path("data/targets"), Path("data/prepared"), Path("checkpoints")
CLAP_FEATURES = Path("data/clap_features")
REFITS = Path("data/predictions/members") / refits.FOLDER


def main(name: str) -> None:
    devices.make_deterministic()
    prediction = params.load("predict", predict.PredictionSection)
    device = devices.resolve_device(params.load("device", str))
    train = tables.read_table(TARGETS / "train.csv", tables.TARGETS)
    rated = tables.read_table(PREPARED / "rated.parquet", tables.RATED)
    validation, clips = rated[rated["split"] == "validation"], ClipStore(PREPARED)
    inputs = [TARGETS, CHECKPOINTS / name, PREPARED / "rated.parquet", PREPARED / "clips.parquet"]
    work = work_folder("refit", [name, prediction], inputs)
    encoder = params.load("encoders.audio", Path)
    frontend = params.load("features.frontend", AudioFrontend)
    stored = PipelineEncodings(clips, CLAP_FEATURES, prediction.features, encoder, frontend)
    window = prediction.window_seconds
    loader = members.MemberLoader(root=Path(), device=device, window_seconds=window, stored=stored)
    parts = []
    for number, (generator, others) in enumerate(refits.held_out_generators(train, rated)):
        folder = work / str(number)
        scored = folder / "scores.csv"
        if not scored.is_file():  # else of a run that was stopped
            refits.write_targets(folder / "targets", TARGETS, others)
            subprocess.run([sys.executable, *refits.fit_command(name, folder)], check=True)
            member = loader.member(folder / "checkpoint")
            scores = predict.predict(member, clips, validation, prediction)
            tables.write_table(scores.assign(generator=generator), scored, refits.REFITS)
            shutil.rmtree(folder / "checkpoint")
        parts.append(tables.read_table(scored, refits.REFITS))
    tables.write_table(refits.join_refits(parts), REFITS / f"{name}.csv", refits.REFITS)
    if parts:
        shutil.rmtree(work)


if __name__ == "__main__":
    main(sys.argv[1])
