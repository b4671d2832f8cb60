"""The stages around CLAP, one after the other on a few clips."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tiny_clap
import tiny_m2d
import torch
import yaml
from repository import STAGES, run_script, run_stage
from tiny_clips import write_clips

from soundjudge.clap.clapscore import clapscore
from soundjudge.clap.encoders.transformers_clap import TransformersClap
from soundjudge.clap.regression import regressor
from soundjudge.data.arrays.array_store import ArrayStore, write_rows
from soundjudge.data.clips import clip_store
from soundjudge.data.corpora.clip_writer import Clip
from soundjudge.data.tables import tables
from soundjudge.errors import SoundjudgeError
from soundjudge.runtime import artifacts
from soundjudge.runtime.member_record import read_member
from soundjudge.scoring.ensemble import refits

CAPTIONS = [f"k{row}" for row in range(6)]
WORDS = ["a dog barks", "rain falls", "a bell rings", "a cat", "engine", "a bell then rain"]

PARAMS = yaml.safe_load("""
device: cpu
predict: {window_seconds: 1.0, batch_size: 8, features: data/none}
encoders: {clap: {path: checkpoints/clap, backend: transformers, sha256: null}, audio: none}
features: {frontend: {audio_tokens: 4, window_seconds: 1.0}}
note: simulated
tune_clap:
  target: spo
  trainable: projections
  list_size: 4
  mse_tau: 0.0
  margin: 0.1
  margin_weight: 0.5
  class_balance: null
  encode_batch_size: 8
  seed: 3
  optimization:
    optimizer: adam
    learning_rate: 1.0e-3
    weight_decay: 0.0
    epochs: 2
    batch_size: 1
    warmup_steps: 0
    final_lr_ratio: 0.0
    clip_norm: null
    patience: null
    precision: fp32
    checkpoint_minutes: 10
clap_features: {batch_size: 8, engine: local, workers: null}
fusion: {extra_encoders: []}
regress: {extra_encoders: [checkpoints/clap2], c: 0.5, epsilon: 0.08, gamma: scale, batch_size: 8}
embed: {batch_size: 8, precision: fp32, dtype: float32, engine: local, workers: null}
pseudolabel:
  num_random: 1.5
  num_hard: 1
  num_same_label: 0
  hard_similarity_range: [-1.0, 1.0]
  pool: null
  exclude_rated: []
  seed: 0
""")


@pytest.fixture(autouse=True)
def own_determinism():
    yield
    torch.use_deterministic_algorithms(False)  # which every stage turns on


def stage(name: str, *arguments: str) -> None:
    run_stage(name, *arguments)


@pytest.fixture
def pipeline(in_folder: Path) -> Path:
    """A folder with what the stages before these have written."""
    rng = np.random.default_rng(0)
    names = [f"xacle/{number:05}.wav" for number in range(18)] + [
        f"audiocaps/c{n}" for n in range(6)
    ]
    sounds = [
        Clip(
            clip_id=name,
            corpus=name.split("/")[0],
            split="train",
            pcm=(3_000 * rng.normal(size=5_000 + 100 * row)).astype(np.int16),
        )
        for row, name in enumerate(names)
    ]
    prepared = Path("data/prepared")
    clips = write_clips(prepared, sounds, 100_000)
    tables.write_table(clips, prepared / "clips.parquet", tables.CLIPS)
    captions = pd.DataFrame(
        {
            "caption_id": [f"k{row}" for row in range(6)],
            "clip_id": names[18:],
            "corpus": "audiocaps",
            "text": WORDS,
        }
    )
    tables.write_table(captions, prepared / "captions.parquet", tables.CAPTIONS)
    rated = pd.DataFrame(
        {
            "wav_file_name": [f"{row:05}.wav" for row in range(18)],
            "text": [WORDS[row % 6].upper() for row in range(18)],
            "split": ["train"] * 15 + ["validation", "test", "test"],
            "model_id": None,
        }
    )
    tables.write_table(rated, prepared / "rated.parquet", tables.RATED)
    for split, rows in (("train", range(12)), ("validation", range(12, 18))):
        score = rng.uniform(2, 10, size=len(rows))
        frame = pd.DataFrame(
            {
                "wav_file_name": [f"{row:05}.wav" for row in rows],
                "text": [WORDS[row % 6] for row in rows],
                "mean_score": score,
                "spo_score": (score - 7) / 3,
                "latent_score": score,
                "latent_se": 1.0,
                "ratings": 4,
                "split": split,
            }
        )
        tables.write_table(frame, Path(f"data/targets/{split}.csv"), tables.TARGETS)
    artifacts.write_json(Path("data/targets/global.json"), {"mean": 7.0, "std": 3.0})
    for name, seed in (("clap", 0), ("clap2", 1)):
        clap = tiny_clap.clap(seed=seed, hop_length=320, max_length_s=1.0)
        clap.save(Path("checkpoints") / name)
    Path("params.yaml").write_text(yaml.safe_dump(PARAMS))
    return in_folder


@pytest.mark.slow
def test_the_stages_around_clap_run_and_write_the_same_bytes_again(pipeline):
    outputs = [Path(name) for name in ("checkpoints", "data", "metrics", "plots")]
    hashes = []
    for _ in range(2):
        for name in ("clap_features", "tune_clap", "regress", "embed", "pseudolabel"):
            stage(name)
        hashes.append([artifacts.sha256(path) for path in outputs])
    assert hashes[0] == hashes[1]

    pairs = tables.read_table(Path("data/pseudo/pairs.parquet"), tables.PAIRS)
    assert pairs["matched"].sum() == 6 and (~pairs["matched"]).sum() == 15
    assert pairs["kind"].value_counts().to_dict() == {"random": 9, "hard": 6}
    teacher = clapscore.load_clapscore(Path("checkpoints/clapscore"), "cpu")
    clips = clip_store.ClipStore(Path("data/prepared"))
    texts = [WORDS[int(caption[1:])] for caption in pairs["caption_id"]]
    scores = teacher.scores([clips.wave(clip) for clip in pairs["clip_id"]], texts)
    np.testing.assert_allclose(pairs["clap_score"], scores / 10, atol=1e-5)

    claps = [
        TransformersClap.load(Path(f"checkpoints/{name}"), "cpu") for name in ("clap", "clap2")
    ]
    member = regressor.load_regressor(Path("checkpoints/regress"), claps)
    assert np.isfinite(member.scores([clips.wave("audiocaps/c0")], ["a dog"])).all()
    assert set(artifacts.read_json(Path("metrics/tune_clap.json"))) == {
        "best_epoch",
        "validation_srcc",
    }
    assert len(pd.read_csv("plots/tune_clap/history.csv")) == 3
    name = artifacts.read_json(Path("metrics/details/pseudolabel.json"))["clapscore"]
    assert name == teacher.name() and name.startswith("clapscore/unfused-")
    assert read_member(Path("checkpoints/clapscore")).settings["name"] == name
    references = read_member(Path("checkpoints/regress")).encoders["clap"]
    assert [ref.path for ref in references] == ["checkpoints/clap", "checkpoints/clap2"]
    assert [ref.name for ref in references] == [clap.name() for clap in claps]


@pytest.mark.slow
def test_rated_clips_are_heard_once_for_all_stages(pipeline, monkeypatch):
    heard = []
    pool = TransformersClap.pool_mels

    def count(self, mels):
        heard.append(len(mels))
        return pool(self, mels)

    monkeypatch.setattr(TransformersClap, "pool_mels", count)
    for name in ("tune_clap", "regress"):
        stage(name)
    assert sum(heard) == 18 + 2 * 12  # by each stage for itself
    machine = regressor.load_machine(Path("checkpoints/regress"))
    expected = machine(machine.sounds, machine.texts)
    heard.clear()
    for name in ("clap_features", "tune_clap", "regress"):
        stage(name)
    assert sum(heard) == 2 * 18
    for folder in ("first", "extra"):
        for kind, keys in (("clips", 18), ("texts", 6)):
            (rows,) = Path("data/clap_features").glob(f"{folder}/*/*/*/{kind}")
            assert len(ArrayStore(rows)) == keys
    machine = regressor.load_machine(Path("checkpoints/regress"))
    assert machine(machine.sounds, machine.texts) == pytest.approx(expected, abs=1e-5)


def test_a_clap_that_gives_no_finite_vector_stops_the_stage(pipeline, monkeypatch):
    monkeypatch.setattr(TransformersClap, "pool_mels", lambda _, mels: mels.sum((1, 2)) / 0)
    with pytest.raises(SoundjudgeError, match=r"no finite vector for 'xacle/00000\.wav'"):
        stage("clap_features")
    assert not Path("data/clap_features").exists()


@pytest.mark.slow
def test_a_tuned_m2d_clap_teaches_from_its_differences_and_its_users_copy(pipeline):
    own = tiny_m2d.write(Path("checkpoints/m2d"))
    encoders = PARAMS["encoders"] | {"clap": {"path": "checkpoints/m2d"}}
    tuning = PARAMS["tune_clap"] | {"trainable": "both"}
    values = PARAMS | {"encoders": encoders, "tune_clap": tuning}
    Path("params.yaml").write_text(yaml.safe_dump(values))
    for name in ("tune_clap", "embed", "pseudolabel"):
        stage(name)
    names = {path.name for path in Path("checkpoints/clapscore").iterdir()}
    assert names == {"deltas.safetensors", "member.json"}
    teacher = clapscore.load_clapscore(Path("checkpoints/clapscore"), "cpu")
    assert artifacts.read_json(Path("data/embeddings/teacher.json")) == {
        "clapscore": teacher.name()
    }
    pairs = tables.read_table(Path("data/pseudo/pairs.parquet"), tables.PAIRS)
    clips = clip_store.ClipStore(Path("data/prepared"))
    texts = [WORDS[int(caption[1:])] for caption in pairs["caption_id"]]
    scores = teacher.scores([clips.wave(clip) for clip in pairs["clip_id"]], texts)
    np.testing.assert_allclose(pairs["clap_score"], scores / 10, atol=1e-5)
    (own / "portable_m2d.py").unlink()
    with pytest.raises(SoundjudgeError, match=r"checkpoints/m2d must hold portable_m2d\.py"):
        stage("embed")


def test_two_m2d_claps_stop_regress_before_anything_is_opened(pipeline):
    for number, name in enumerate(("one", "two")):
        folder = tiny_m2d.write(Path("checkpoints") / name, weights_seed=number)
        (folder / "portable_m2d.py").write_text("raise AssertionError('it was opened')")
    encoders = PARAMS["encoders"] | {"clap": {"path": "checkpoints/one"}}
    extra = PARAMS["regress"] | {"extra_encoders": ["checkpoints/two"]}
    values = PARAMS | {"encoders": encoders, "regress": extra}
    Path("params.yaml").write_text(yaml.safe_dump(values))
    with pytest.raises(SoundjudgeError, match="a judge can ask its user for one alone"):
        stage("regress")


@pytest.mark.parametrize("name", ["tune_clap", "regress"])
def test_an_id_of_the_hub_out_of_reach_stops_a_stage_with_the_command_that_downloads_it(
    pipeline, name
):
    encoders = PARAMS["encoders"] | {"clap": {"path": "someone/no-such-clap"}}
    Path("params.yaml").write_text(yaml.safe_dump(PARAMS | {"encoders": encoders}))
    shutil.rmtree("data/targets")  # it is said before anything is read
    command = "hf download someone/no-such-clap --local-dir checkpoints/official/no-such-clap"
    with pytest.raises(
        SoundjudgeError, match=f"{command}; then name checkpoints/official/no-such-clap"
    ):
        stage(name)


def write_embeddings(folder: Path) -> None:
    """What `embed` would have written, without its teacher."""
    rng = np.random.default_rng(0)
    for name, keys in (("clips", [f"audiocaps/c{n}" for n in range(6)]), ("captions", CAPTIONS)):
        block = rng.normal(size=(6, 8)).astype(np.float32)
        block /= np.linalg.norm(block, axis=1, keepdims=True)
        write_rows(folder / "data/embeddings" / name, keys, [block])
    artifacts.write_json(folder / "data/embeddings/teacher.json", {"clapscore": "random"})


def write_pseudolabel_params(**changes: object) -> None:
    """params.yaml with another section pseudolabel."""
    section = PARAMS["pseudolabel"] | changes
    Path("params.yaml").write_text(yaml.safe_dump(PARAMS | {"pseudolabel": section}))


def test_captions_with_the_text_of_a_rated_split_are_counted_and_left_out_if_asked(pipeline):
    write_embeddings(pipeline)
    write_pseudolabel_params(exclude_rated=["validation", "test"], num_random=1)
    stage("pseudolabel")
    # The last three of the 18 rated pairs have the texts 3, 4 and 5; one is of validation.
    pairs = tables.read_table(Path("data/pseudo/pairs.parquet"), tables.PAIRS)
    assert set(pairs["caption_id"]) == {"k0", "k1", "k2"}
    metrics = artifacts.read_json(Path("metrics/details/pseudolabel.json"))
    assert metrics["captions_excluded"] == 3
    assert metrics["overlap"]["validation"] == {
        "rated_texts": 1,
        "rated_texts_seen": 1,
        "captions_of_equal_words": 1,
        "captions_of_equal_word_sets": 1,
    }
    assert metrics["overlap"]["test"]["captions_of_equal_words"] == 2
    assert metrics["random"]["pairs"] == 3
    assert (pipeline / "plots/pseudolabel/scores.png").is_file()


def test_a_broken_embedding_stops_the_stage_before_anything_is_written(pipeline):
    write_embeddings(pipeline)
    block = np.full((6, 8), np.nan, np.float32)
    shutil.rmtree("data/embeddings/captions")
    write_rows(Path("data/embeddings/captions"), CAPTIONS, [block])
    with pytest.raises(ValueError, match="'k0' is no unit vector"):
        stage("pseudolabel")
    assert not Path("data/pseudo").exists()


def test_clips_of_the_same_samples_and_captions_of_the_same_text_share_an_embedding(pipeline):
    captions = tables.read_table(Path("data/prepared/captions.parquet"), tables.CAPTIONS)
    captions.loc[1, "text"] = captions.loc[0, "text"]
    tables.write_table(captions, Path("data/prepared/captions.parquet"), tables.CAPTIONS)
    clips = tables.read_table(Path("data/prepared/clips.parquet"), tables.CLIPS)
    first, second = (clips["clip_id"] == f"audiocaps/c{number}" for number in (0, 1))
    for column in ("shard", "offset", "samples", "sha256"):
        clips.loc[second, column] = clips.loc[first, column].iloc[0]
    tables.write_table(clips, Path("data/prepared/clips.parquet"), tables.CLIPS)
    clapscore.ClapScore(tiny_clap.clap(), 7.0, 3.0).save(Path("checkpoints/clapscore"))
    stage("embed")
    audio, text = (ArrayStore(Path("data/embeddings") / name) for name in ("clips", "captions"))
    assert (len(audio), audio.shape, len(text), text.shape) == (6, (5, 8), 6, (5, 8))
    assert audio.row_indices(["audiocaps/c0", "audiocaps/c1"]).tolist() == [0, 0]
    assert len(set(text.row_indices(["k0", "k1"]))) == 1
    assert not list(Path("work/embed").iterdir())


GENERATORS = ["g0", "g1", "g2"] * 4 + ["g0", "g1", "g3"] * 2  # g2 and g3 are in one split alone


def run_here(command: list[str], check: bool) -> None:
    """A command of the stage in this process, which has imported everything already."""
    _, script, *arguments = command
    assert check, "a refit that fails must stop the stage"
    run_script(script, *arguments)


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("subprocess.run", run_here)


def refitted(name: str, generators: Sequence[str] = GENERATORS) -> pd.DataFrame:
    """The stage refit of a member, in a folder whose pairs have generators."""
    frames = [tables.read_table(Path(f"data/targets/{split}.csv"), tables.TARGETS)
              for split in ("train", "validation")]  # fmt: skip
    rated = pd.concat(frames, ignore_index=True)[["wav_file_name", "text", "split"]]
    rated = rated.assign(model_id=list(generators))
    tables.write_table(rated, Path("data/prepared/rated.parquet"), tables.RATED)
    for folder in (STAGES, STAGES.parent / "final"):
        if not Path(folder.name).exists():
            Path(folder.name).symlink_to(folder)
    stage("refit", name)
    path = Path(f"data/predictions/members/refit/{name}.csv")
    return tables.read_table(path, refits.REFITS)


def without(table: pd.DataFrame, generator: str) -> list[float]:
    return table.loc[table["generator"] == generator, "pred_score"].to_list()


@pytest.mark.slow
def test_a_refit_without_a_generator_is_the_stage_regress_on_the_other_pairs(pipeline, in_process):
    stage("regress")
    before = artifacts.sha256(Path("checkpoints/regress"))
    scores = refitted("regress")
    assert artifacts.sha256(Path("checkpoints/regress")) == before
    assert not list(Path("work/refit").iterdir())
    assert list(scores["generator"].unique()) == ["g0", "g1"]

    path = Path("data/targets/train.csv")
    train = tables.read_table(path, tables.TARGETS)
    others = np.array(GENERATORS[:12]) != "g1"
    tables.write_table(train[others], path, tables.TARGETS)
    stage("regress")
    claps = [TransformersClap.load(Path(f"checkpoints/{n}"), "cpu") for n in ("clap", "clap2")]
    clips = clip_store.ClipStore(Path("data/prepared"))
    validation = tables.read_table(Path("data/targets/validation.csv"), tables.TARGETS)
    waves = [clips.wave(tables.rated_clip_id(name)) for name in validation["wav_file_name"]]
    member = regressor.load_regressor(Path("checkpoints/regress"), claps)
    expected = member.scores(waves, list(validation["text"]))
    assert without(scores, "g1") == pytest.approx(expected, abs=1e-5)
    assert without(scores, "g0") != pytest.approx(expected, abs=1e-3)


@pytest.mark.slow
def test_a_refit_that_was_stopped_goes_on_only_with_the_same_generators(pipeline, monkeypatch):
    stage("regress")
    calls: list[list[str]] = []

    def run_once(command: list[str], check: bool) -> None:
        calls.append(command)
        if len(calls) == 2:
            raise KeyboardInterrupt
        run_here(command, check)

    monkeypatch.setattr("subprocess.run", run_once)
    with pytest.raises(KeyboardInterrupt):
        refitted("regress")
    exchanged = [{"g0": "g1", "g1": "g0"}.get(name, name) for name in GENERATORS]
    resumed = refitted("regress", exchanged)
    shutil.rmtree("work")
    assert without(resumed, "g0") == without(refitted("regress", exchanged), "g0")


@pytest.mark.slow
def test_a_refit_of_clap_knows_no_rating_of_its_generator(pipeline, in_process):
    stage("tune_clap")
    artifacts.write_json(Path("metrics/tune_clap.json"), {"best_epoch": 1})
    scores = refitted("clapscore")
    path = Path("data/targets/train.csv")
    train = tables.read_table(path, tables.TARGETS)
    of_g1 = np.array(GENERATORS[:12]) == "g1"
    train.loc[of_g1, ["mean_score", "spo_score", "latent_score"]] = 0.5
    tables.write_table(train, path, tables.TARGETS)
    again = refitted("clapscore")
    assert without(scores, "g1") == without(again, "g1")
    assert without(scores, "g0") != without(again, "g0")
    assert not Path("plots/final").exists()

    artifacts.write_json(Path("metrics/tune_clap.json"), {"best_epoch": 0})
    untrained = refitted("clapscore")
    assert without(untrained, "g0") == without(untrained, "g1") != without(again, "g1")


@pytest.mark.slow
def test_a_refit_that_was_stopped_goes_on_after_the_generators_that_it_has(
    pipeline, in_process, monkeypatch
):
    stage("regress")
    whole = refitted("regress")
    commands = []

    def run_one(command, check):
        if commands:
            raise KeyboardInterrupt
        commands.append(command)
        run_here(command, check)

    monkeypatch.setattr("subprocess.run", run_one)
    with pytest.raises(KeyboardInterrupt):
        refitted("regress")
    commands.clear()
    assert refitted("regress").equals(whole)
    assert [Path(command[2]).parts[-2:] for command in commands] == [("1", "targets")]
