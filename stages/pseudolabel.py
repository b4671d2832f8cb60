"""Makes matched and mismatched pairs, each with the teacher's score.

reads   data/prepared/ captions, clips and the texts of rated pairs, data/embeddings/
writes  data/pseudo/pairs.parquet, metrics/pseudolabel.json, plots/pseudolabel/scores.png
"""

from pathlib import Path

from soundjudge import artifacts, figures, params
from soundjudge.data import tables
from soundjudge.data.rows import Rows
from soundjudge.labels import negatives, pseudolabels, vectors, wording
from soundjudge.training import devices

PREPARED = Path("data/prepared")
EMBEDDINGS = Path("data/embeddings")
PAIRS = Path("data/pseudo/pairs.parquet")
METRICS = Path("metrics/pseudolabel.json")
PLOTS = Path("plots/pseudolabel")


def main() -> None:
    devices.deterministic()
    choice = params.load("pseudolabel", negatives.Negatives)
    device = devices.process(params.load("device", str)).device

    captions = tables.read(PREPARED / "captions.parquet", tables.CAPTIONS)
    clips = tables.read(PREPARED / "clips.parquet", tables.CLIPS)
    rated = tables.read(PREPARED / "rated.parquet", tables.RATED)
    heard, said = Rows(EMBEDDINGS / "clips"), Rows(EMBEDDINGS / "captions")
    vectors.check(heard)
    vectors.check(said)

    captions = captions.assign(words=wording.words(captions["text"]))
    rated = rated.assign(words=wording.words(rated["text"]))
    repeated = wording.repeats(captions["words"], rated, choice.exclude_rated)
    pairs = negatives.pairs(captions[~repeated], clips, said, choice, device)
    scored = pseudolabels.clap_scores(pairs, heard, said)

    tables.write(scored, PAIRS, tables.PAIRS)
    with artifacts.atomic_folder(PLOTS) as folder:
        figures.save(pseudolabels.histogram(scored, ""), folder / "scores.png")
    overlap = wording.overlap(captions["words"], rated)
    summary = pseudolabels.summary(scored) | artifacts.read_json(EMBEDDINGS / "teacher.json")
    excluded = int(repeated.sum())
    artifacts.write_json(METRICS, {**summary, "overlap": overlap, "captions_excluded": excluded})


if __name__ == "__main__":
    main()
