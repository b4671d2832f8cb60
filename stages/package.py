"""Everything that scoring needs in one folder, with a model card, proved on one pair.

reads   checkpoints/ members and ensemble.json, the encoders they name, metrics/evaluate.md and its
        details, one pair of data/prepared/ and of data/predictions/ensemble/, its intervals.json
writes  checkpoints/judge/, metrics/package.json
"""

from pathlib import Path

from soundjudge import params
from soundjudge.data.clips import clip_levels
from soundjudge.data.clips.clip_store import ClipStore
from soundjudge.data.tables import tables
from soundjudge.runtime import artifacts
from soundjudge.scoring.ensemble.ensemble import read_ensemble
from soundjudge.scoring.ensemble.intervals import read_intervals
from soundjudge.scoring.judge import package
from soundjudge.scoring.judge.card import Packaging
from soundjudge.scoring.judge.judge import Judge
from soundjudge.scoring.members import m2d_reference, predict

CHECKPOINTS, ENSEMBLE = Path("checkpoints"), Path("checkpoints/ensemble.json")
PREPARED, PREDICTIONS = Path("data/prepared"), Path("data/predictions")
REPORT, DETAILS = Path("metrics/evaluate.md"), Path("metrics/details/evaluate.json")
JUDGE, SCORE_ID = Path("checkpoints/judge"), Path("metrics/package.json")


def main() -> None:
    packaging = params.load("package", Packaging)
    prediction = params.load("predict", predict.PredictionSection)
    members = params.load("ensemble.members", dict[str, str])
    checkpoints = {name: CHECKPOINTS / path for name, path in members.items()}
    for name, checkpoint in checkpoints.items():
        predict.check_provenance(PREDICTIONS / "members" / name, checkpoint)
    pair = tables.read_table(PREDICTIONS / "ensemble/validation.csv", tables.PREDICTIONS).iloc[0]
    wave = ClipStore(PREPARED).wave(tables.rated_clip_id(pair["wav_file_name"]))

    with artifacts.atomic_folder(JUDGE) as folder:
        package.build_judge(
            folder,
            ensemble=read_ensemble(ENSEMBLE),
            checkpoints=checkpoints,
            root=Path(),
            window_seconds=prediction.window_seconds,
            packaging=packaging,
            report=artifacts.read_text(REPORT),
            intervals=read_intervals(PREDICTIONS / "ensemble/intervals.json"),
            note=params.load("note", str),
            levels=clip_levels.read_levels(PREPARED),
            evaluation=artifacts.read_json(DETAILS),
        )
        own = m2d_reference.first_m2d(checkpoints.values(), Path())
        judge = Judge.from_pretrained(folder, params.load("device", str), m2d=own)
        (score,) = judge.score_waves([wave], [pair["text"]], batch_size=1)
        package.check_score(score, pair["pred_score"], pair["wav_file_name"])
    artifacts.write_json(SCORE_ID, {"score_id": judge.score_id})


if __name__ == "__main__":
    main()
