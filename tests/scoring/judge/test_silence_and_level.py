"""A judge's answer to silence, and its indifference to the volume, both on record in judge.json."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny_judge

from soundjudge.data.clips.clip_levels import ClipLevels
from soundjudge.errors import SoundjudgeError
from soundjudge.scoring.judge import package
from soundjudge.scoring.judge.judge import Judge
from soundjudge.scoring.judge.manifest import JudgeManifest, read_manifest

LEVELS = ClipLevels(silence_dbfs=-60.0, level_dbfs=-26.0, silent=())


def build(root: Path, folder: Path, silent_score: float | None, levels: ClipLevels | None) -> Judge:
    package.build_judge(
        folder,
        ensemble=replace(tiny_judge.ensemble(root), silent_score=silent_score),
        checkpoints={name: root / path for name, path in tiny_judge.CHECKPOINTS.items()},
        root=root,
        window_seconds=tiny_judge.SECONDS,
        packaging=tiny_judge.PACKAGING,
        report="",
        levels=levels,
    )
    return Judge.from_pretrained(folder, device="cpu")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("repository")
    tiny_judge.write_checkpoints(root)
    return root


@pytest.fixture(scope="module")
def ruled(root: Path) -> Judge:
    return build(root, root / "ruled", 0.5, LEVELS)


@pytest.fixture(scope="module")
def plain(root: Path) -> Judge:
    return build(root, root / "plain", None, None)


def test_silence_and_near_silence_get_the_score_of_the_rule_whatever_the_text(ruled):
    faint = 0.0009 * np.sign(tiny_judge.noise(1.0, 1))
    for wave in (np.zeros(16_000), faint, np.zeros(60_000)):
        assert ruled.score((wave, 16_000), "a dog") == 0.5
        assert ruled.score((wave, 16_000), "silence") == 0.5
    assert ruled.score((np.append(np.zeros(8_000), tiny_judge.noise(0.5, 1)), 16_000), "a") != 0.5


def test_the_batch_mates_of_silence_keep_their_scores(ruled):
    waves, texts = tiny_judge.pairs(5)
    alone = ruled.score_waves(waves, texts, 5)
    zeros = np.zeros(16_000, np.float32)
    mixed = ruled.score_waves([waves[0], zeros, *waves[1:]], [texts[0], "a", *texts[1:]], 6)
    assert mixed == pytest.approx([alone[0], 0.5, *alone[1:]], abs=1e-4)


def test_an_empty_text_is_refused_for_silence_too(ruled):
    with pytest.raises(SoundjudgeError, match="text is empty"):
        ruled.score((np.zeros(16_000), 16_000), " ")


def test_the_volume_does_not_change_a_score(ruled, plain):
    waves, texts = tiny_judge.pairs(6)
    expected = ruled.score_waves(waves, texts, 6)
    for change in (0.5, 0.1, 0.02):
        quieter = [wave * np.float32(change) for wave in waves]
        assert ruled.score_waves(quieter, texts, 6) == pytest.approx(expected, abs=1e-3)
    quiet = plain.score_waves([wave * np.float32(0.1) for wave in waves], texts, 6)
    assert np.abs(np.array(quiet) - plain.score_waves(waves, texts, 6)).max() > 0.05


def test_without_a_rule_silence_has_the_members_score_and_it_is_finite(plain):
    assert 0 <= plain.score((np.zeros(16_000), 16_000), "a dog") <= 10


def test_rule_and_level_stand_in_the_score_id_and_in_the_card(root, ruled, plain):
    manifest = read_manifest(root / "ruled")
    assert (manifest.silence_dbfs, manifest.level_dbfs) == (-60.0, -26.0)
    assert manifest.ensemble.silent_score == 0.5
    changes = [
        {"silence_dbfs": -50.0},
        {"level_dbfs": -20.0},
        {"level_dbfs": None},
        {"ensemble": replace(manifest.ensemble, silent_score=0.0)},
    ]
    prints = {replace(manifest, **change).fingerprint() for change in changes}
    assert len(prints | {manifest.fingerprint()}) == 5
    card = " ".join((root / "ruled/README.md").read_text().split())
    assert "below -60 dBFS scores 0.5, whatever its text." in card
    assert "to a root mean square of -26 dBFS" in card
    card = (root / "plain/README.md").read_text()
    assert "dBFS" not in card


def test_a_judge_without_rule_and_level_says_nothing_of_them_so_that_older_ids_stay(root, plain):
    text = (root / "plain/judge.json").read_text()
    for name in ("silence_dbfs", "level_dbfs", "silent_score"):
        assert name not in text


def test_a_rule_without_a_level_of_silence_is_refused(root, plain):
    manifest: JudgeManifest = plain.manifest
    with pytest.raises(SoundjudgeError, match="need silence_dbfs"):
        replace(manifest, level_dbfs=-26.0)
    with pytest.raises(SoundjudgeError, match="need silence_dbfs"):
        replace(manifest, ensemble=replace(manifest.ensemble, silent_score=0.0))


@pytest.mark.parametrize("name", ["silence_dbfs", "level_dbfs"])
@pytest.mark.parametrize("level", [0.0, 1e9])
def test_a_level_that_is_not_below_full_scale_is_refused(ruled, name, level):
    with pytest.raises(SoundjudgeError, match=f"{name} is .*below 0"):
        replace(ruled.manifest, **{name: level})
