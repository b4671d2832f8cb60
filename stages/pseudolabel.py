"""Makes matched and mismatched pairs, each with the teacher's score.

reads   data/prepared/ captions, clips and the texts of rated pairs, data/embeddings/
writes  data/pseudo/pairs.parquet, metrics/pseudolabel.json,
        metrics/details/pseudolabel.json, plots/pseudolabel/scores.png
"""

from pathlib import Path

from soundjudge import params
from soundjudge.data.arrays.array_store import ArrayStore
from soundjudge.data.tables import tables
from soundjudge.labels.pairs import negatives, pseudolabels, unit_vectors
from soundjudge.labels.texts import text_overlap
from soundjudge.reporting import plotting
from soundjudge.runtime import artifacts, devices

PREPARED = Path("data/prepared")
EMBEDDINGS = Path("data/embeddings")
PAIRS = Path("data/pseudo/pairs.parquet")
METRICS = Path("metrics/pseudolabel.json")
PLOTS = Path("plots/pseudolabel")
HEADLINE = ["matched", "mismatched", "matched_score", "mismatched_score", "auc"]
HEADLINE += ["captions_excluded"]


def main() -> None:
    devices.make_deterministic()
    config = params.load("pseudolabel", negatives.NegativeConfig)
    device = devices.process_state(params.load("device", str)).device

    captions = tables.read_table(PREPARED / "captions.parquet", tables.CAPTIONS)
    clips = tables.read_table(PREPARED / "clips.parquet", tables.CLIPS)
    rated = tables.read_table(PREPARED / "rated.parquet", tables.RATED)
    audio_embeddings = ArrayStore(EMBEDDINGS / "clips")
    text_embeddings = ArrayStore(EMBEDDINGS / "captions")
    unit_vectors.check_unit_vectors(audio_embeddings)
    unit_vectors.check_unit_vectors(text_embeddings)

    captions = captions.assign(words=text_overlap.normalize_texts(captions["text"]))
    rated = rated.assign(words=text_overlap.normalize_texts(rated["text"]))
    repeated = text_overlap.repeats_rated_text(captions["words"], rated, config.exclude_rated)
    pairs = negatives.build_pairs(captions[~repeated], clips, text_embeddings, config, device)
    scored = pseudolabels.score_pairs(pairs, audio_embeddings, text_embeddings)

    labeled = pseudolabels.add_silent_pairs(scored, clips, config.num_silent, config.seed)
    tables.write_table(labeled, PAIRS, tables.PAIRS)
    with artifacts.atomic_folder(PLOTS) as folder:
        plotting.save_figure(pseudolabels.plot_scores(scored, ""), folder / "scores.png")
    overlap = text_overlap.count_overlap(captions["words"], rated)
    teacher = artifacts.read_json(EMBEDDINGS / "teacher.json")
    summary = pseudolabels.summarize_pairs(scored) | teacher
    summary["silent"] = len(labeled) - len(scored)
    numbers = {**summary, "overlap": overlap, "captions_excluded": int(repeated.sum())}
    artifacts.write_metrics(METRICS, numbers, HEADLINE)


if __name__ == "__main__":
    main()
