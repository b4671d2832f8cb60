"""The published TMU weights as a judge of one member, whose scores are taken as they are."""

from pathlib import Path

from soundjudge.errors import SoundjudgeError
from soundjudge.model.audio.beats.beats import save_beats_folder
from soundjudge.model.lalm import checkpoint
from soundjudge.runtime import artifacts
from soundjudge.scoring.ensemble.calibration import Calibration
from soundjudge.scoring.ensemble.ensemble import Ensemble
from soundjudge.scoring.judge import judge, package
from soundjudge.scoring.judge.card import Packaging
from soundjudge.scoring.published import tmu_checkpoint

MEMBER = "tmu"
ENCODER = "encoders/beats"
# Weight 1, no shift, no stretch: a member's score is that of the judge.
IDENTITY_ENSEMBLE = Ensemble(
    members=(MEMBER,),
    mean=(0.0,),
    std=(1.0,),
    weights=(1.0,),
    calibration=Calibration(method="linear", scores=(0.0, 10.0), ratings=(0.0, 10.0)),
)
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
- a sound of 11 s or more is heard whole, window by window, where the published system cuts it;
- the published system, given several pairs at once, lets a score depend on the length of the other
  texts; here it never does, and is that of the pair alone;
- sounds of another rate than 16 kHz are resampled by soxr, not by torchaudio.
"""


def import_tmu(model: Path, beats: Path, llm: Path, out: Path) -> judge.JudgeManifest:
    """Writes the judge of the checkpoint `model` to `out`, which must not exist or be empty.

    `beats`, `llm`: see `tmu.load`. Raises ImportTmuError, TmuError, BeatsFileError or LlmError.
    """
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise SoundjudgeError(f"{out} exists already: name another folder, or delete it.")
    lalm, encoder = tmu_checkpoint.load_tmu(model, beats, llm)
    with artifacts.atomic_folder(out) as folder:
        save_beats_folder(encoder, folder / ENCODER)
        checkpoint.save_lalm(folder / "members" / MEMBER, lalm, ENCODER, {})
        return package.write_manifest(
            folder,
            fitted=IDENTITY_ENSEMBLE,
            window_seconds=tmu_checkpoint.WINDOW_SECONDS,
            packaging=PACKAGING,
            report=REPORT,
        )
