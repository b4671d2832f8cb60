"""The published TMU weights as a judge of one member, whose scores are taken as they are."""

from pathlib import Path

from soundjudge import artifacts
from soundjudge.model import checkpoint, tmu
from soundjudge.model.beats import save_beats_folder
from soundjudge.scoring import judge, package
from soundjudge.scoring.calibration import Calibration
from soundjudge.scoring.ensemble import Ensemble

MEMBER = "tmu"
ENCODER = "encoders/beats"
# Weight 1, no shift, no stretch: a member's score is that of the judge.
AS_IT_IS = Ensemble(
    members=(MEMBER,),
    mean=(0.0,),
    std=(1.0,),
    weights=(1.0,),
    calibration=Calibration(method="linear", scores=(0.0, 10.0), ratings=(0.0, 10.0)),
)
PACKAGING = package.Packaging(
    name="tmu-xacle2026",
    version="1.0",
    licence="cc-by-nc-4.0",
    data=(
        "The weights of the TMU system of the XACLE challenge 2026, as its authors published them: "
        "captions and CLAP pseudo-labels of AudioCaps and VGGSound, then the ratings of XACLE. "
        "Nothing was trained or calibrated here."
    ),
    notes=(
        "TMU weights: CC-BY-NC-4.0, not for commercial use",
        "BEATs: MIT",
        "the language model: the licence of its folder; Qwen2.5-0.5B-Instruct has Apache-2.0",
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


class ImportTmuError(ValueError):
    """A judge that cannot be written where it is wanted."""


def import_tmu(model: Path, beats: Path, llm: Path, out: Path) -> judge.Contents:
    """Writes the judge of the checkpoint `model` to `out`, which must not exist or be empty.

    `beats`, `llm`: see `tmu.load`. Raises ImportTmuError, TmuError, BeatsFileError or LlmError.
    """
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise ImportTmuError(f"{out} exists already: name another folder, or delete it.")
    lalm, encoder = tmu.load(model, beats, llm)
    with artifacts.atomic_folder(out) as folder:
        save_beats_folder(encoder, folder / ENCODER)
        checkpoint.save(folder / "members" / MEMBER, lalm, ENCODER, {})
        return package.seal(
            folder,
            fitted=AS_IT_IS,
            window_seconds=tmu.WINDOW_SECONDS,
            packaging=PACKAGING,
            report=REPORT,
        )
