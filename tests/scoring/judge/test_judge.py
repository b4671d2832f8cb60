"""The packaged judge: whole, repeatable, and the same as its parts."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tiny_judge
import torch
from optional_packages import soundfile

import soundjudge
from soundjudge.errors import SoundjudgeError
from soundjudge.runtime import artifacts
from soundjudge.runtime.member_record import MemberRecord, read_member, write_member
from soundjudge.scoring.ensemble import ensemble
from soundjudge.scoring.judge import package
from soundjudge.scoring.judge.judge import Judge
from soundjudge.scoring.judge.manifest import read_manifest
from soundjudge.scoring.members import members
from soundjudge.scoring.members.predict import raw_scores


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("repository")
    tiny_judge.build(root / "checkpoints/judge", root)
    return root


@pytest.fixture(scope="module")
def loaded(root: Path) -> Judge:
    return Judge.from_pretrained(root / "checkpoints/judge", device="cpu")


@pytest.fixture
def copied(root: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(root / "checkpoints/judge", tmp_path / "judge"))


def test_the_judge_is_in_the_package():
    assert soundjudge.Judge is Judge


def test_a_judge_needs_nothing_outside_of_its_folder(root, loaded, copied):
    moved = Judge.from_pretrained(str(copied), device="cpu")
    waves, texts = tiny_judge.pairs(5)
    assert moved.score_waves(waves, texts, 5) == loaded.score_waves(waves, texts, 5)


def test_the_judge_scores_as_the_ensemble_of_its_checkpoints_does(root, loaded):
    blend = tiny_judge.ensemble(root)
    loader = members.MemberLoader(
        root=root, device=torch.device("cpu"), window_seconds=tiny_judge.SECONDS
    )
    parts = [loader.member(root / path) for path in tiny_judge.CHECKPOINTS.values()]
    waves, texts = tiny_judge.pairs(9)
    expected = ensemble.apply_ensemble(
        blend, raw_scores(parts, waves, texts, tiny_judge.PREDICTION)
    )
    assert expected.std() > 0.1
    assert loaded.score_waves(waves, texts, 3) == pytest.approx(expected, abs=1e-4)


def test_a_score_depends_neither_on_batch_size_nor_on_order_nor_on_batch_mates(loaded):
    waves, texts = tiny_judge.pairs(14)
    alone = [loaded.score_waves([w], [t], 1)[0] for w, t in zip(waves, texts, strict=True)]
    assert np.std(alone) > 0.1
    for batch_size in (3, 14, 100):
        assert loaded.score_waves(waves, texts, batch_size) == pytest.approx(alone, abs=1e-4)
    order = np.random.default_rng(0).permutation(14)
    shuffled = loaded.score_waves([waves[i] for i in order], [texts[i] for i in order], 5)
    assert shuffled == pytest.approx([alone[i] for i in order], abs=1e-4)


@pytest.mark.parametrize(
    "text",
    [
        "\n a dog barks\r\n",
        "a  dog\tbarks",
        "a\u00a0dog\r\nbarks",
        "\ufeffa dog barks\u200b",
        "a dog\u3000barks",
    ],
)
def test_white_space_and_what_nobody_sees_at_its_edges_do_not_change_a_score(loaded, text):
    waves, _ = tiny_judge.pairs(1)
    assert loaded.score_waves(waves, [text], 1) == loaded.score_waves(waves, ["a dog barks"], 1)


@pytest.mark.parametrize("text", ["", " \n", "\u200b", "\ufeff \u200e"])
def test_a_text_of_which_nothing_is_seen_is_empty(loaded, text):
    with pytest.raises(SoundjudgeError, match="a text is empty"):
        loaded.score((tiny_judge.noise(1.0, 1), 16_000), text)


@pytest.mark.parametrize("batch_size", [0, -1, 2.5, "4", None])
def test_a_batch_of_no_size_is_a_sentence(loaded, batch_size):
    with pytest.raises(SoundjudgeError, match=r"batch_size is .*: give a whole number from 1 on"):
        loaded.score_pairs([(tiny_judge.noise(1.0, 1), 16_000)], ["a dog"], batch_size)


def test_a_judge_says_which_texts_a_member_cuts(loaded):
    longest = "a " * 8  # the language models' max_text_tokens; CLAP reads 28
    assert loaded.cut_texts(["a dog", longest, longest + "dog", longest * 9]) == [
        False, False, True, True
    ]  # fmt: skip
    assert loaded.cut_texts([]) == []


def test_the_same_call_gives_the_same_bits(loaded):
    waves, texts = tiny_judge.pairs(6)
    assert loaded.score_waves(waves, texts, 4) == loaded.score_waves(waves, texts, 4)


def test_a_file_and_its_samples_get_one_score(loaded, tmp_path):
    wave = tiny_judge.noise(1.0, 3)
    soundfile.write(tmp_path / "a.wav", wave, 16_000, subtype="FLOAT")
    by_path = loaded.score(tmp_path / "a.wav", "a dog")
    assert 0 <= by_path <= 10
    assert loaded.score(str(tmp_path / "a.wav"), "a dog") == by_path
    assert loaded.score((wave, 16_000), "a dog") == pytest.approx(by_path, abs=1e-4)
    assert loaded.score(wave, "a dog", sample_rate=16_000) == pytest.approx(by_path, abs=1e-4)
    stereo = np.stack([wave, wave], axis=1)
    assert loaded.score((stereo, 16_000), "a dog") == pytest.approx(by_path, abs=1e-4)
    assert loaded.score_pairs([tmp_path / "a.wav"], ["a dog"]) == [by_path]


def test_score_pairs_keeps_the_order_of_the_pairs(loaded):
    waves, texts = tiny_judge.pairs(7)
    sounds = [(wave, 16_000) for wave in waves]
    expected = loaded.score_waves(waves, texts, 7)
    for batch_size in (2, 32):
        scores = loaded.score_pairs(sounds, texts, batch_size=batch_size)
        assert scores == pytest.approx(expected, abs=1e-4)
    assert loaded.score_pairs([], []) == []


def test_pairs_that_are_none_are_refused(loaded):
    with pytest.raises(SoundjudgeError, match="1 sounds and 2 texts: give one text per sound"):
        loaded.score_pairs([(np.ones(100), 16_000)], ["a", "b"])
    with pytest.raises(SoundjudgeError, match="texts is one text: give a list"):
        loaded.score_pairs([(np.ones(100), 16_000)], "a")
    with pytest.raises(SoundjudgeError, match="text is empty"):
        loaded.score((np.ones(100), 16_000), "  ")
    with pytest.raises(ValueError):
        loaded.score("nowhere.wav", "a dog")


def test_members_share_one_encoder_and_encode_a_batch_once(copied, monkeypatch):
    loaded = Judge.from_pretrained(copied, device="cpu")
    one, two = loaded.members["one"], loaded.members["two"]
    assert one.encoder is two.encoder
    calls = []
    beats = type(one.encoder.encoder)
    forward = beats.forward
    monkeypatch.setattr(beats, "forward", lambda *a, **k: calls.append(1) or forward(*a, **k))
    waves, texts = tiny_judge.pairs(2)
    loaded.score_waves(waves, texts, 100)
    assert len(calls) == 1


def test_a_member_without_weight_is_not_even_loaded(copied):
    weights = {"weights": [0.5, 0.5, 0.0, 0.0]}
    tiny_judge.forge(copied, lambda values: values["ensemble"].update(weights))
    half = Judge.from_pretrained(copied, device="cpu")
    assert list(half.members) == ["clapscore", "regress"]
    assert 0 <= half.score((tiny_judge.noise(1.0, 1), 16_000), "a dog") <= 10


def test_two_packagings_of_the_same_checkpoints_have_the_same_bytes(root, tmp_path):
    again = tiny_judge.build(tmp_path / "judge", root)
    assert artifacts.sha256(again) == artifacts.sha256(root / "checkpoints/judge")


def test_the_folder_holds_each_encoder_once_and_no_pickle(root):
    folder = root / "checkpoints/judge"
    names = {path.name for path in (folder / "encoders").iterdir()}
    assert names == {"audio", "clap"}
    kinds = {path.suffix for path in folder.rglob("*") if path.is_file()}
    assert kinds <= {".json", ".safetensors", ".md", ".jinja", ".txt"}


def test_an_encoder_that_two_members_found_at_two_paths_is_packaged_once(tmp_path):
    """The score id is that of two members with one path: both judges score alike."""
    tiny_judge.write_checkpoints(tmp_path)
    found = tmp_path / "checkpoints/encoders/clap"
    shutil.copytree(found, tmp_path / "elsewhere")
    checkpoints = {"first": tmp_path / tiny_judge.CHECKPOINTS["regress"]}
    record = read_member(checkpoints["first"])
    (clap,) = record.encoders["clap"]
    moved = replace(clap, path="elsewhere", sha256=artifacts.sha256(found / "model.safetensors"))
    ids = set()
    for name, reference in (("same", clap), ("moved", moved)):
        second = Path(shutil.copytree(checkpoints["first"], tmp_path / name))
        write_member(second, replace(record, encoders={"clap": (reference,)}))
        blend = replace(
            tiny_judge.ensemble(tmp_path),
            members=("first", "second"), mean=(0.0, 0.0), std=(1.0, 1.0), weights=(0.5, 0.5),
        )  # fmt: skip
        manifest = package.build_judge(
            tmp_path / f"judge-{name}", ensemble=blend, root=tmp_path, window_seconds=1.0,
            checkpoints=checkpoints | {"second": second}, packaging=tiny_judge.PACKAGING, report="",
        )  # fmt: skip
        assert [path.name for path in (tmp_path / f"judge-{name}/encoders").iterdir()] == ["clap"]
        ids.add(manifest.score_id)
    assert len(ids) == 1


def test_the_score_id_changes_with_the_weights_of_the_ensemble(root, tmp_path):
    first = read_manifest(root / "checkpoints/judge")
    assert first.score_id == f"tiny@1.0+{first.fingerprint()}"
    weights = replace(first.ensemble, weights=(0.25, 0.25, 0.2, 0.3))
    assert replace(first, ensemble=weights).fingerprint() != first.fingerprint()


def test_the_card_tells_the_id_the_members_and_that_ratings_were_simulated(root):
    card = (root / "checkpoints/judge/README.md").read_text()
    for words in ("license: mit", "tiny@1.0+", "| regress | regress | 0.250 |", "All free."):
        assert words in card
    assert "## Agreement with listeners (simulated ratings)" in card


def test_an_incomplete_or_changed_copy_is_an_error(copied):
    weights = copied / "members/one/model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(SoundjudgeError, match="is not the file that was packaged"):
        Judge.from_pretrained(copied)
    weights.write_bytes(content[:-1])
    with pytest.raises(SoundjudgeError, match=r"model\.safetensors has \d+ bytes"):
        Judge.from_pretrained(copied)
    weights.unlink()
    with pytest.raises(SoundjudgeError, match=r"model\.safetensors is missing"):
        Judge.from_pretrained(copied)


def test_a_folder_without_a_judge_says_how_to_make_one(tmp_path):
    with pytest.raises(SoundjudgeError, match="dvc repro package"):
        Judge.from_pretrained(tmp_path)
    with pytest.raises(SoundjudgeError, match="dvc repro package"):
        Judge.from_pretrained(tmp_path / "nowhere")


def test_a_hub_id_that_cannot_be_fetched_is_one_sentence(in_folder):
    with pytest.raises(SoundjudgeError, match="neither a folder here nor a judge"):
        Judge.from_pretrained("someone/no-such-judge")


def test_judge_json_is_read_strictly(copied):
    manifest = artifacts.read_json(copied / "judge.json")
    for change, reason in (
        ({"format": 2}, "package that judge again"),
        ({"windows": 3}, "windows"),
    ):
        (copied / "judge.json").write_text(json.dumps(manifest | change))
        with pytest.raises(ValueError, match=reason):
            Judge.from_pretrained(copied)


def test_a_window_longer_than_a_member_hears_is_refused(root):
    loader = members.MemberLoader(root=root, device=torch.device("cpu"), window_seconds=5.0)
    for path in tiny_judge.CHECKPOINTS.values():
        with pytest.raises(SoundjudgeError, match=r"scores 1\.2 s at most"):
            loader.member(root / path)


def test_a_checkpoint_of_an_unknown_kind_or_without_its_encoder_is_refused(tmp_path):
    loader = members.MemberLoader(root=tmp_path, device=torch.device("cpu"), window_seconds=1.0)
    with pytest.raises(SoundjudgeError, match=r"holds no member\.json"):
        loader.member(tmp_path)
    write_member(tmp_path, MemberRecord(kind="oracle"))
    with pytest.raises(SoundjudgeError, match="'oracle', not 'clapscore' or"):
        loader.member(tmp_path)
    write_member(tmp_path, MemberRecord(kind="regress"))
    with pytest.raises(SoundjudgeError, match="regress does not say where its clap is"):
        loader.member(tmp_path)


def test_a_judge_that_does_not_repeat_the_pipeline_is_not_packaged():
    package.check_score(5.0, 5.0005, "a.wav")
    with pytest.raises(SoundjudgeError, match=r"a\.wav 5\.0, the pipeline 5\.1"):
        package.check_score(5.0, 5.1, "a.wav")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_a_score_does_not_depend_on_its_batch(root, loaded):
    fast = Judge.from_pretrained(root / "checkpoints/judge", device="cuda")
    waves, texts = tiny_judge.pairs(14)
    alone = [fast.score_waves([w], [t], 1)[0] for w, t in zip(waves, texts, strict=True)]
    assert fast.score_waves(waves, texts, 14) == pytest.approx(alone, abs=1e-4)
    assert alone == pytest.approx(loaded.score_waves(waves, texts, 14), abs=1e-3)


def test_scores_are_paired_by_position_and_do_not_depend_on_torchs_state(loaded, copied):
    judge = loaded
    waves, texts = tiny_judge.pairs(4)
    sounds = [(wave, 16_000) for wave in waves]
    expected = judge.score_pairs(sounds, texts)
    frame = pd.DataFrame({"sound": sounds, "text": texts}).iloc[::-1]
    assert judge.score_pairs(frame["sound"], frame["text"]) == expected[::-1]
    assert judge.score_pairs(iter(sounds), iter(texts)) == expected
    halves = [(torch.from_numpy(wave).bfloat16(), 16_000) for wave in waves]
    rounded = [(half.float().numpy(), 16_000) for half, _ in halves]
    assert judge.score_pairs(halves, texts) == judge.score_pairs(rounded, texts)
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with torch.autocast("cpu", torch.bfloat16), torch.device("meta"):
            assert judge.score_pairs(sounds, texts) == expected
            again = Judge.from_pretrained(copied, device="cpu")
            assert again.score_pairs(sounds, texts) == expected
    finally:
        torch.set_default_dtype(before)


class Count:
    """How many items each call of a method was given."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, cls: type, name: str) -> None:
        self.items: list[int] = []
        method = getattr(cls, name)

        def counted(member, listed, *rest):
            self.items.append(len(listed))
            return method(member, listed, *rest)

        monkeypatch.setattr(cls, name, counted)


@pytest.mark.slow
def test_a_grid_costs_one_encoding_per_sound_and_text(copied, monkeypatch):
    judge = Judge.from_pretrained(copied, device="cpu")
    waves, texts = tiny_judge.pairs(5)[0], [f"a dog and {word}" for word in tiny_judge.WORDS[2:8]]
    waves = [wave[:16_000] for wave in waves]  # of one window each
    counts = [
        Count(monkeypatch, type(judge.members[name]), method)
        for name in ("clapscore", "regress", "one")
        for method in ("encode_sounds", "encode_texts")
    ]
    beats = type(judge.members["one"].encoder.encoder)
    frames = Count(monkeypatch, beats, "frames")
    sounds = [(wave, 16_000) for wave in waves for _ in texts]
    grid = judge.score_pairs(sounds, texts * 5, batch_size=4)
    assert [sum(count.items) for count in counts] == [5, 6, 5, 6, 10, 12]  # `one` and `two`
    assert sum(frames.items) == 5
    # In another call and in another order nothing is encoded again.
    turned = judge.score_pairs(sounds[::-1], (texts * 5)[::-1], batch_size=7)
    assert turned[::-1] == pytest.approx(grid, abs=1e-4)
    assert sum(frames.items) == 5
    alone = [judge.score(s, t) for s, t in zip(sounds, texts * 5, strict=True)]
    assert grid == pytest.approx(alone, abs=1e-4)
    assert np.std(grid) > 0.1


def test_details_agree_with_the_score_and_with_what_members_say(loaded):
    waves, texts = tiny_judge.pairs(7)
    sounds = [(wave, 16_000) for wave in waves]
    details = loaded.score_pairs(sounds, texts, details=True)
    assert [pair.value for pair in details] == pytest.approx(loaded.score_pairs(sounds, texts))
    blend = loaded.manifest.ensemble
    raw = raw_scores(list(loaded.members.values()), waves, texts, tiny_judge.PREDICTION)
    # The calibration of tiny_judge is 5 + 2 z, by hand, and all weights are equal.
    expected = 5 + 2 * (raw - np.array(blend.mean)) / np.array(blend.std)
    for pair, row in zip(details, expected, strict=True):
        assert list(pair.members) == list(blend.members)
        assert list(pair.members.values()) == pytest.approx(row.clip(0, 10), abs=1e-3)
        assert pair.spread == pytest.approx(row.std(), abs=1e-3)
        assert pair.interval is None  # nothing was learned of this judge


def test_windows_cover_a_long_sound_and_have_their_own_scores(loaded):
    long = tiny_judge.noise(2.7, 4)  # windows of 1.2 s; a rest of .3 s is left out
    (pair,) = loaded.score_pairs([(long, 16_000)], ["a dog barks"], details=True)
    assert [(window.start, window.end) for window in pair.windows] == [(0.0, 1.2), (1.2, 2.4)]
    for window in pair.windows:
        part = long[round(window.start * 16_000) : round(window.end * 16_000)]
        assert window.value == pytest.approx(loaded.score((part, 16_000), "a dog barks"), abs=1e-4)
    halves = np.mean([window.value for window in pair.windows])
    assert pair.value == pytest.approx(halves, abs=1e-3)  # this calibration is a line


def test_flags_name_what_is_to_be_known(loaded):
    quiet, loud = np.zeros(16_000), np.full(16_000, 3.0)
    pairs = loaded.score_pairs([quiet, loud], ["a dog", "a " * 9], sample_rate=16_000, details=True)
    assert [pair.flags for pair in pairs] == [("silent",), ("clipped", "cut_text")]
    assert pairs[0].flag_sentences() == ["silent: its peak is below -60 dBFS"]


def test_a_judge_that_cuts_scores_the_beginning_and_says_so(copied):
    tiny_judge.forge(copied, lambda values: values.update(long="cut"))
    judge = Judge.from_pretrained(copied, device="cpu")
    long = tiny_judge.noise(2.7, 4)
    cut, whole = (
        judge.score_pairs([(wave, 16_000)] * 2, ["a dog", "rain"], details=True)
        for wave in (long, long[:19_200])
    )
    assert [pair.value for pair in cut] == [pair.value for pair in whole]
    assert (cut[0].flags, whole[0].flags) == (("cut_sound",), ())


def test_threads_may_share_a_judge(loaded):
    waves, texts = tiny_judge.pairs(6)
    sounds = [(wave, 16_000) for wave in waves]
    expected = loaded.score_pairs(sounds, texts)
    with ThreadPoolExecutor(4) as pool:
        runs = [pool.submit(loaded.score_pairs, sounds, texts) for _ in range(8)]
        assert all(run.result() == pytest.approx(expected, abs=1e-4) for run in runs)
    assert torch.get_default_dtype() == torch.float32
