"""The published TMU weights as a judge of one member, whose scores are not calibrated."""

from pathlib import Path

from soundjudge.data.user_files.outputs import optional_output
from soundjudge.model.audio.beats.beats import save_beats, save_beats_folder
from soundjudge.model.lalm import checkpoint
from soundjudge.runtime import artifacts
from soundjudge.scoring.ensemble.ensemble import identity_ensemble
from soundjudge.scoring.judge import package
from soundjudge.scoring.judge.card import Packaging
from soundjudge.scoring.judge.judge_folder import check_new_folder
from soundjudge.scoring.judge.manifest import JudgeManifest, Long
from soundjudge.scoring.published import tmu_checkpoint

MEMBER = "tmu"
ENCODER = "encoders/beats"
PACKAGING = Packaging(
    name="tmu-xacle2026",
    version="1.0",
    license="cc-by-nc-4.0",
    data=(
        "The weights of the TMU system of the XACLE challenge 2026, as its authors published them: "
        "captions and CLAP pseudo-labels of AudioCaps and VGGSound, then the ratings of XACLE. "
        "Nothing was trained or calibrated here."
    ),
    notes=(
        "TMU weights: CC-BY-NC-4.0, not for commercial use",
        "BEATs: MIT",
        "the language model: the license of its folder; Qwen2.5-0.5B-Instruct has Apache-2.0",
    ),
)
REPORT = """\
## Differences from the published system

A sound of 10 s or less with its text gets the published score, (x + 1) * 5. What differs:

- scores are clipped to 0..10, the published ones are not;
{long}
- the published system, given several pairs at once, lets a score depend on the length of the other
  texts; here it never does, and is that of the pair alone;
- a special token that is spelled in a text, such as [SCORE], is read as text;
- blanks and line ends at the edges of a text are left out;
- sounds of another rate than 16 kHz are resampled by soxr, not by torchaudio.
"""


# What the report says of a sound of more than 10 s.
LONG: dict[Long, str] = {
    "windows": """\
- a sound of 11 s or more is scored whole, window by window, where the published system cuts it;""",
    "cut": "- a sound is cut at 10 s, as in the published system;",
}


def import_tmu(
    model: Path,
    out: Path,
    *,
    llm: Path,
    beats: Path | None = None,
    long: Long = "windows",
    beats_out: Path | None = None,
) -> tuple[JudgeManifest, tuple[str, ...]]:
    """Writes the judge of the checkpoint `model` to `out`, which must not exist or be empty.

    Also returns a sentence on each file of weights that was given beside the checkpoint.
    `llm`, `beats`: see `tmu_checkpoint.load_tmu`. `long`: whether a sound of more than 10 s is
    scored in windows, or cut as in the published system. `beats_out`: a file for the encoder in
    Microsoft's layout, as params.yaml takes it. Raises SoundjudgeError for files that do not fit.
    """
    check_new_folder(out)
    with optional_output(beats_out, [model, beats], ".pt", overwrite=False) as encoder:
        tmu = tmu_checkpoint.load_tmu(model, beats, llm)
        if encoder is not None:
            save_beats(tmu.encoder, encoder)
    with artifacts.atomic_folder(out) as folder:
        check_new_folder(out)  # again: another run may have made it since
        save_beats_folder(tmu.encoder, folder / ENCODER)
        checkpoint.save_lalm(folder / "members" / MEMBER, tmu.lalm, ENCODER, {})
        manifest = package.build_judge(
            folder,
            ensemble=identity_ensemble(MEMBER),
            window_seconds=tmu_checkpoint.WINDOW_SECONDS,
            packaging=PACKAGING,
            report=REPORT.format(long=LONG[long]),
            long=long,
        )
    return manifest, tmu.comparisons
