"""The judge of the last fit, with the selection run's weights, calibration and report.

reads   checkpoints/final/ members, the encoders they name, checkpoints/ensemble.json,
        data/predictions/ensemble/intervals.json, metrics/final.md, one pair of data/prepared/ and
        of data/final/predictions/
writes  checkpoints/final/judge/
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
from soundjudge.scoring.last_fit import naming
from soundjudge.scoring.members import m2d_reference, predict

CHECKPOINTS, ENSEMBLE = Path("checkpoints/final"), Path("checkpoints/ensemble.json")
PREPARED, PREDICTIONS = Path("data/prepared"), Path("data/final/predictions")
INTERVALS, REPORT = Path("data/predictions/ensemble/intervals.json"), Path("metrics/final.md")


def main() -> None:
    packaging = params.load("package", Packaging)
    prediction = params.load("predict", predict.PredictionSection)
    members = params.load("ensemble.members", dict[str, str])
    device = params.load("device", str)
    checkpoints = {name: CHECKPOINTS / path for name, path in members.items()}
    for name, checkpoint in checkpoints.items():
        predict.check_provenance(PREDICTIONS / "members" / name, checkpoint)
    pair = tables.read_table(PREDICTIONS / "ensemble.csv", tables.PREDICTIONS).iloc[0]
    wave = ClipStore(PREPARED).wave(tables.rated_clip_id(pair["wav_file_name"]))

    with artifacts.atomic_folder(CHECKPOINTS / "judge") as folder:
        package.build_judge(
            folder,
            ensemble=read_ensemble(ENSEMBLE),
            checkpoints=checkpoints,
            root=Path(),
            window_seconds=prediction.window_seconds,
            packaging=naming.final_packaging(packaging),
            report=artifacts.read_text(REPORT),
            intervals=read_intervals(INTERVALS),
            note=naming.final_note(params.load("note", str)),
            levels=clip_levels.read_levels(PREPARED),
        )
        own = m2d_reference.first_m2d(checkpoints.values(), Path())
        judge = Judge.from_pretrained(folder, device, m2d=own)
        (score,) = judge.score_waves([wave], [pair["text"]], batch_size=1)
        package.check_score(score, pair["pred_score"], pair["wav_file_name"])


if __name__ == "__main__":
    main()
