"""How far the scores of the last fit agree with those of the selection run, without any rating.

reads   data/final/predictions/members/, data/predictions/members/, checkpoints/ensemble.json,
        data/final/targets/pairs.json, data/prepared/levels.json, metrics/evaluate.md
writes  data/final/predictions/ensemble.csv, metrics/final.md
"""

from pathlib import Path

from soundjudge.data.clips import clip_levels
from soundjudge.data.tables import tables
from soundjudge.runtime import artifacts
from soundjudge.scoring.ensemble.ensemble import ENSEMBLE, read_ensemble
from soundjudge.scoring.ensemble.matching import PAIR
from soundjudge.scoring.last_fit import report

BLEND, PREPARED = Path("checkpoints/ensemble.json"), Path("data/prepared")
MEMBERS = Path("data/final/predictions/members"), Path("data/predictions/members")
PAIRS, EVALUATION = Path("data/final/targets/pairs.json"), Path("metrics/evaluate.md")
PREDICTIONS, REPORT = Path("data/final/predictions/ensemble.csv"), Path("metrics/final.md")


def main() -> None:
    fitted = read_ensemble(BLEND)
    silent = set(clip_levels.read_levels(PREPARED).silent)
    last, selection = (report.read_scores(folder, fitted, silent) for folder in MEMBERS)
    blend = last[[*PAIR, ENSEMBLE]].rename(columns={ENSEMBLE: "pred_score"})
    tables.write_table(blend, PREDICTIONS, tables.PREDICTIONS)
    pairs, evaluation = report.read_pair_counts(PAIRS), artifacts.read_text(EVALUATION)
    text = report.report_text(last, selection, pairs, evaluation)
    with artifacts.atomic_file(REPORT) as page:
        page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
