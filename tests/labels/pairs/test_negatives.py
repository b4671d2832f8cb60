"""Matched and mismatched pairs: who may meet whom, and that neither order nor blocks matter."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from soundjudge.data.arrays import array_store
from soundjudge.data.arrays.array_store import ArrayStore
from soundjudge.data.corpora import vggsound
from soundjudge.errors import SoundjudgeError
from soundjudge.labels.pairs import caption_index, negatives, neighbors
from soundjudge.labels.pairs.negatives import NegativeConfig
from soundjudge.labels.texts import text_overlap

DEFAULTS = {
    "num_random": 1.0,
    "num_hard": 1.0,
    "hard_similarity_range": (0.3, 0.95),
    "pool": None,
    "seed": 3,
}
CLIPS = 40


def config(**changes: object) -> NegativeConfig:
    return NegativeConfig(**(DEFAULTS | changes))


class Corpus:
    """Captions, clips, and text embeddings whose cosines are those of angles."""

    def __init__(self, folder: Path, lines: list[tuple], degrees: dict[str, float]) -> None:
        """Lines of caption id, clip id, text and, if need be, split, samples, label."""
        full = [(*line, *("train", line[1], None)[len(line) - 3 :]) for line in lines]
        names = ["caption_id", "clip_id", "text", "split", "sha256", "label"]
        self.all = pd.DataFrame(full, columns=names)
        self.all["words"] = text_overlap.normalize_texts(self.all["text"].astype("str"))
        self.captions = self.all[["caption_id", "clip_id", "text", "label", "words"]]
        self.clips = self.all[["clip_id", "split", "sha256"]].drop_duplicates()
        self.degrees = degrees
        self.embeddings = self.write_embeddings(folder / "text", list(self.all["caption_id"]))

    def write_embeddings(self, folder: Path, ids: list[str]) -> ArrayStore:
        angles = np.radians([self.degrees[name] for name in ids])
        block = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
        array_store.write_rows(folder, ids, [block] if ids else [])
        return ArrayStore(folder)

    def pairs(self, **changes: object) -> pd.DataFrame:
        selected = config(**changes)
        return negatives.build_pairs(self.captions, self.clips, self.embeddings, selected, "cpu")

    def mismatched(self, pairs: pd.DataFrame) -> pd.DataFrame:
        """The mismatched pairs with the columns of their captions and clips."""
        mismatched = pairs[~pairs["matched"]].astype({"clip_id": "str", "caption_id": "str"})
        theirs = self.all.drop(columns="clip_id").set_index("caption_id")
        clips = self.clips.set_index("clip_id").add_prefix("clip_")
        return mismatched.join(theirs, on="caption_id").join(clips, on="clip_id")

    def cosine(self, one: str, other: str) -> float:
        return float(np.cos(np.radians(self.degrees[one] - self.degrees[other])))


def random_corpus(folder: Path, seed: int = 0, clips: int = CLIPS, splits: int = 1) -> Corpus:
    """Clips with one to three captions; some texts are repeated, some clips have equal samples."""
    rng = np.random.default_rng(seed)
    lines, degrees, angles = [], {}, {}
    for clip in range(clips):
        sound, split = f"sound{clip // 2 if clip % 7 == 1 else clip}", f"split{clip % splits}"
        for number in range(1 + clip % 3):
            text = f"text {rng.integers(1.5 * clips)}"
            name = f"caption{clip:02}-{number}"
            written = text.upper() + "!" if rng.random() < 0.3 else text
            label = f"label{clip % 4}" if clip % 5 else None
            lines.append((name, f"clip{clip:02}", written, split, sound, label))
            degrees[name] = angles.setdefault(text, float(rng.uniform(0, 360)))
    return Corpus(folder, lines, degrees)


def test_every_caption_is_a_matched_pair_once(tmp_path):
    corpus = random_corpus(tmp_path)
    pairs = corpus.pairs()
    matched = pairs[pairs["matched"]][["clip_id", "caption_id"]]
    expected = corpus.captions[["clip_id", "caption_id"]].sort_values(["clip_id", "caption_id"])
    assert matched.to_numpy().tolist() == expected.to_numpy().tolist()
    assert pairs["kind"].isna().tolist() == pairs["matched"].tolist()
    order = pairs[["clip_id", "caption_id"]].astype("str")
    assert order.equals(order.sort_values(["clip_id", "caption_id"], ignore_index=True))
    assert not order.duplicated().any()


@pytest.mark.slow
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    seed=st.integers(0, 10_000),
    splits=st.integers(1, 3),
    num_random=st.sampled_from([0.0, 0.3, 1.0, 1.9]),
    num_hard=st.sampled_from([0.0, 1.0, 2.5]),
    num_same_label=st.sampled_from([0.0, 0.7, 2.0]),
    pool=st.sampled_from([None, 5, 20]),
)
def test_no_mismatched_text_is_the_clips_own_a_paraphrase_of_another_split_or_met_twice(
    tmp_path_factory, seed, splits, num_random, num_hard, num_same_label, pool
):
    corpus = random_corpus(tmp_path_factory.mktemp("corpus"), seed, splits=splits)
    try:
        pairs = corpus.pairs(
            num_random=num_random,
            num_hard=num_hard,
            num_same_label=num_same_label,
            pool=pool,
            hard_similarity_range=(0.3, 0.99),
            seed=seed,
        )
    except SoundjudgeError as error:  # a few of these corpora have too few texts
        assert "too few random" in str(error)
        reject()
    mismatched = corpus.mismatched(pairs)
    assert not mismatched.duplicated(["clip_id", "words"]).any()
    assert (mismatched["split"] == mismatched["clip_split"]).all()
    sounds, clips = ({}, {})
    for line in corpus.all.to_dict("records"):
        sounds.setdefault((line["split"], line["sha256"]), []).append(line)
        clips.setdefault(line["clip_id"], []).append(line)
    for line in mismatched.to_dict("records"):
        name = line["caption_id"]
        mine, own = sounds[line["split"], line["clip_sha256"]], clips[line["clip_id"]]
        assert line["words"] not in {one["words"] for one in mine}
        assert max(corpus.cosine(one["caption_id"], name) for one in mine) <= 0.99 + 1e-6
        if line["kind"] == "hard":
            assert max(corpus.cosine(one["caption_id"], name) for one in own) >= 0.3 - 1e-6
        if line["kind"] == "same_label":
            assert line["label"] in {one["label"] for one in own}
    for split, lines in corpus.all.groupby("split"):
        counts = mismatched[mismatched["split"] == split]["kind"].value_counts()
        assert counts["random"] == np.rint(len(lines) * num_random)
        assert counts["hard"] <= np.rint(len(lines) * num_hard)
        assert counts["same_label"] <= np.rint(len(lines) * num_same_label)


def test_a_fraction_is_spread_over_the_captions():
    rng = np.random.default_rng(0)
    numbers = caption_index.allocate(273_000, 1.9, rng)
    assert numbers.sum() == 518_700
    assert np.bincount(numbers).tolist() == [0, 27_300, 245_700]
    assert numbers[:1000].sum() == pytest.approx(1900, abs=60)
    assert caption_index.allocate(5, 2.0, rng).tolist() == [2] * 5
    assert caption_index.allocate(5, 0.0, rng).tolist() == [0] * 5
    assert caption_index.allocate(0, 1.5, rng).tolist() == []


def test_a_random_text_is_met_about_as_often_as_it_is_said(tmp_path):
    lines = [(f"k{n:03}", f"c{n:03}", f"text {n}") for n in range(200)]
    corpus = Corpus(tmp_path, lines, {f"k{n:03}": 60.0 * n for n in range(200)})
    pairs = corpus.pairs(num_random=3.0, num_hard=0.0, hard_similarity_range=(-1.0, 0.95))
    met = corpus.mismatched(pairs)["caption_id"].value_counts()
    # Each goes on beyond those of its own angle, which are a sixth.
    assert (len(met), met.sum()) == (200, 600)
    assert met.max() <= 9


def test_a_hard_counterpart_is_the_nearest_within_the_band(tmp_path):
    lines = [(name, f"clip {name}", f"text {name}") for name in "abcde"]
    # From a: b is a paraphrase (cos 10 = .98), c is hard (cos 30 = .87), d less (cos 60), e far.
    degrees = {"a": 0.0, "b": 10.0, "c": 30.0, "d": 60.0, "e": 170.0}
    corpus = Corpus(tmp_path, lines, degrees)
    hard = corpus.mismatched(corpus.pairs(num_random=0.0)).set_index("clip_id")["caption_id"]
    assert hard.to_dict() == {"clip a": "c", "clip b": "c", "clip c": "b", "clip d": "c"}


def test_a_paraphrase_of_the_clips_other_caption_is_not_hard(tmp_path):
    lines = [("a", "one", "text a"), ("b", "one", "text b"), ("c", "two", "c"), ("d", "three", "d")]
    corpus = Corpus(tmp_path, lines, {"a": 0.0, "b": 40.0, "c": 38.0, "d": -60.0})
    mismatched = corpus.mismatched(corpus.pairs(num_random=0.0))
    # c is nearer to a, but says what b says
    assert mismatched[mismatched["clip_id"] == "one"]["caption_id"].tolist() == ["d"]


def test_two_clips_of_the_same_samples_do_not_get_each_others_captions(tmp_path):
    lines = [
        ("a", "one", "text a", "train", "same"),
        ("b", "two", "text b", "train", "same"),
        ("c", "three", "text c", "train", "other"),
    ]
    corpus = Corpus(tmp_path, lines, {"a": 0.0, "b": 40.0, "c": 60.0})
    for changes in ({"num_random": 1.0, "num_hard": 0.0}, {"num_random": 0.0, "num_hard": 1.0}):
        mismatched = corpus.mismatched(corpus.pairs(**changes)).set_index("clip_id")["caption_id"]
        assert mismatched.drop("three").to_dict() == {"one": "c", "two": "c"}


def test_captions_of_the_same_label_are_those_of_other_clips_of_the_class(tmp_path):
    lines = [
        ("a", "one", "text a", "train", "1", "dog"),
        ("b", "two", "text b", "train", "2", "dog"),
        ("c", "three", "text c", "train", "3", "cat"),
        ("d", "four", "text d", "validation", "4", "dog"),
        ("e", "five", "text e", "train", "5", None),
        ("f", "six", "text f", "train", "6", None),
    ]
    degrees = {name: 60.0 * number for number, name in enumerate("abcdef")}
    corpus = Corpus(tmp_path, lines, degrees)
    pairs = corpus.pairs(num_random=0.0, num_hard=0.0, num_same_label=2.0)
    mismatched = corpus.mismatched(pairs)
    assert mismatched.set_index("clip_id")["caption_id"].to_dict() == {"one": "b", "two": "a"}
    assert set(mismatched["kind"]) == {"same_label"}


def test_the_reader_of_vggsound_gives_captions_their_label(tmp_path):
    (tmp_path / "vggsound.csv").write_text('abc,30,"dog barking, howling",train\nxyz,0,,test\n')
    (tmp_path / "VGGSound_AudioSetCaps_caption.csv").write_text(
        "id,caption\nYabc_000030,a dog\nxyz_000000,rain\n"
    )
    captions = vggsound.read_vggsound(tmp_path, max_characters=100).captions
    assert captions["label"].iloc[0] == "dog barking, howling"
    assert captions["label"].isna().tolist() == [False, True]


def test_neither_the_order_of_rows_nor_of_embeddings_nor_the_blocks_change_the_pairs(
    tmp_path, monkeypatch
):
    corpus = random_corpus(tmp_path, splits=2)
    selected = config(num_random=1.5, num_hard=2.0, num_same_label=1.0)
    expected = negatives.build_pairs(
        corpus.captions, corpus.clips, corpus.embeddings, selected, "cpu"
    )
    assert set(expected["kind"].dropna()) == {"random", "hard", "same_label"}
    shuffled = corpus.captions.sample(frac=1, random_state=5)
    clips = corpus.clips.sample(frac=1, random_state=6)
    embeddings = corpus.write_embeddings(tmp_path / "other", list(shuffled["caption_id"])[::-1])
    for module, name, size in (
        (neighbors, "QUERY_BLOCK", 7),
        (neighbors, "CANDIDATE_BLOCK", 11),
        (caption_index, "PAIRS_PER_BLOCK", 5),
    ):
        monkeypatch.setattr(module, name, size)
    again = negatives.build_pairs(shuffled, clips, embeddings, selected, "cpu")
    pd.testing.assert_frame_equal(again, expected)


def test_another_seed_draws_other_pairs_and_the_same_seed_the_same(tmp_path):
    corpus = random_corpus(tmp_path)
    assert corpus.pairs(seed=1).equals(corpus.pairs(seed=1))
    assert not corpus.pairs(seed=1).equals(corpus.pairs(seed=2))


def test_the_hard_ones_do_not_change_when_more_random_ones_are_asked_for(tmp_path):
    corpus = random_corpus(tmp_path)
    few, many = (corpus.pairs(num_random=number) for number in (0.0, 2.0))
    assert few[few["kind"] == "hard"].to_numpy().tolist() == (
        many[many["kind"] == "hard"].to_numpy().tolist()
    )


def test_too_few_captions_are_refused_and_just_enough_are_not(tmp_path):
    lines = [(name, f"clip {name}", f"text {name}") for name in "abc"]
    corpus = Corpus(tmp_path, lines, {"a": 0.0, "b": 100.0, "c": 200.0})
    with pytest.raises(SoundjudgeError, match=r"split train: clip a .* 3 distinct texts .* lower"):
        corpus.pairs(num_random=3.0, num_hard=0.0)
    assert len(corpus.pairs(num_random=2.0, num_hard=0.0)) == 9  # each clip with each text


def test_one_clip_alone_has_no_mismatched_caption(tmp_path):
    lines = [("a", "one", "text a"), ("b", "one", "text b")]
    corpus = Corpus(tmp_path, lines, {"a": 0.0, "b": 100.0})
    with pytest.raises(SoundjudgeError, match="one gets too few random"):
        corpus.pairs(num_hard=0.0)
    with pytest.raises(SoundjudgeError, match="no text lies within"):
        corpus.pairs(num_random=0.0, num_hard=1.0)
    assert len(corpus.pairs(num_random=0.0, num_hard=0.0)) == 2


def test_texts_that_all_say_the_same_are_refused(tmp_path):
    lines = [(name, f"clip {name}", f"text {name}") for name in "abc"]
    corpus = Corpus(tmp_path, lines, dict.fromkeys("abc", 5.0))
    with pytest.raises(
        SoundjudgeError, match=r"closer than 0\.95 .* raise pseudolabel\.hard_similarity_range"
    ):
        corpus.pairs(num_hard=0.0)


def test_captions_without_labels_cannot_be_of_the_same(tmp_path):
    lines = [(name, f"clip {name}", f"text {name}") for name in "abc"]
    corpus = Corpus(tmp_path, lines, {"a": 0.0, "b": 100.0, "c": 200.0})
    with pytest.raises(SoundjudgeError, match="no caption has a label"):
        corpus.pairs(num_same_label=1.0)


def test_a_caption_of_an_unknown_clip_and_one_without_embedding_are_named(tmp_path):
    corpus = random_corpus(tmp_path)
    with pytest.raises(SoundjudgeError, match="'clip00'.* run the stage prepare again"):
        negatives.build_pairs(
            corpus.captions, corpus.clips.iloc[1:], corpus.embeddings, config(), "cpu"
        )
    embeddings = corpus.write_embeddings(tmp_path / "less", list(corpus.captions["caption_id"])[1:])
    with pytest.raises(SoundjudgeError, match="has no row 'caption00-0'"):
        negatives.build_pairs(corpus.captions, corpus.clips, embeddings, config(), "cpu")


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"num_random": -1.0}, "num_random"),
        ({"num_hard": -0.5}, "num_hard"),
        ({"num_same_label": -1.0}, "num_same_label"),
        ({"hard_similarity_range": (0.9, 0.3)}, "hard_similarity_range"),
        ({"pool": 0}, "pool"),
    ],
)
def test_impossible_rules_are_refused_by_name(changes, word):
    with pytest.raises(SoundjudgeError, match=word):
        config(**changes)


def test_without_captions_there_are_no_pairs(tmp_path):
    corpus = Corpus(tmp_path, [], {})
    pairs = corpus.pairs()
    assert list(pairs.columns) == ["clip_id", "caption_id", "matched", "kind"]
    assert len(pairs) == 0
