"""Makes matched and mismatched pairs, each with the teacher's score.

reads   data/prepared/captions.parquet, data/embeddings/
writes  data/pseudo/pairs.parquet, metrics/pseudolabel.json, plots/pseudolabel/scores.png
"""

from pathlib import Path

from soundjudge import artifacts, figures, params
from soundjudge.data import tables
from soundjudge.data.shards import Rows
from soundjudge.labels import negatives, pseudolabels
from soundjudge.training import devices

CAPTIONS = Path("data/prepared/captions.parquet")
EMBEDDINGS = Path("data/embeddings")
PAIRS = Path("data/pseudo/pairs.parquet")
METRICS = Path("metrics/pseudolabel.json")
PLOTS = Path("plots/pseudolabel")


def main() -> None:
    devices.deterministic()
    choice = params.load("pseudolabel", negatives.Negatives)
    device = devices.process(params.load("device", str)).device

    captions = tables.read(CAPTIONS, tables.CAPTIONS)
    heard, said = Rows(EMBEDDINGS / "clips"), Rows(EMBEDDINGS / "captions")
    pairs = negatives.pairs(captions, said.gather, choice, device)
    scored = pseudolabels.clap_scores(pairs, heard.gather, said.gather)

    tables.write(scored, PAIRS, tables.PAIRS)
    with artifacts.atomic_folder(PLOTS) as folder:
        figures.save(pseudolabels.histogram(scored, ""), folder / "scores.png")
    artifacts.write_json(METRICS, pseudolabels.summary(scored))


if __name__ == "__main__":
    main()
