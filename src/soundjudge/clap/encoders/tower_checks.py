"""Whether a folder of towers says and holds what can be opened: one sentence if not."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from soundjudge.clap.encoders.aisfx import CHANNELS
from soundjudge.clap.encoders.packaged_weights import PackagedWeights
from soundjudge.clap.encoders.yamnet import WIDTHS
from soundjudge.errors import SoundjudgeError
from soundjudge.runtime import artifacts

ATTRIBUTIONS = "attributions"  # what licenses ask to be told wherever a copy goes

MAX_WIDTH = 4096  # aisfx has 512; more is nonsense, and fills the memory


def check_widths(path: Path, widths: Sequence[object]) -> None:
    """Raises SoundjudgeError unless widths are numbers from 1 to MAX_WIDTH."""
    for width in widths:
        if type(width) is not int or not 1 <= width <= MAX_WIDTH:
            raise SoundjudgeError(f"{path}: a width is {width!r}, it must be 1 to {MAX_WIDTH}.")


def audio_widths(path: Path, audio: Mapping[str, Any]) -> tuple[list[int], list[int]]:
    """Channels of the audio tower and classes of its classifiers; SoundjudgeError for others."""
    channels, classes = audio["channels"], audio.get("classes", [])
    if len(channels) != len(CHANNELS):
        raise SoundjudgeError(f"{path}: channels must be {len(CHANNELS)} widths.")
    check_widths(path, [*channels, *classes])
    return channels, classes


def tagger_widths(path: Path, tagger: Mapping[str, Any]) -> tuple[list[int], int]:
    """Channels of YAMNet's layers and its classes; SoundjudgeError for others."""
    widths, classes = tagger["widths"], tagger["classes"]
    if len(widths) != len(WIDTHS):
        raise SoundjudgeError(f"{path}: widths of the tagger must be {len(WIDTHS)}.")
    check_widths(path, [*widths, classes])
    return widths, classes


def read_attributions(path: Path) -> list[str]:
    """What the licenses of the towers that were written beside `path` ask to be told: lines."""
    lines = artifacts.read_json_object(path).get(ATTRIBUTIONS, [])
    if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
        raise SoundjudgeError(f"{path}: {ATTRIBUTIONS} is {lines!r}, no list of lines.")
    return lines


def check_record(path: Path, record: object, packaged: PackagedWeights) -> None:
    """Raises SoundjudgeError unless the folder was written for these weights of a package."""
    if record != packaged.record():
        raise SoundjudgeError(
            f"{path} refers to {record}, and this version of soundjudge knows "
            f"{packaged.record()} alone: fit the projections again, or take the version of "
            "soundjudge that wrote them."
        )


def check_weights(path: Path, stored: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """Raises SoundjudgeError unless `stored` has the names and shapes expected, and is finite."""
    if wrong := sorted(stored.keys() ^ expected.keys()):
        raise SoundjudgeError(f"{path} does not hold what towers.json says: see {wrong[:3]}.")
    for name, weights in stored.items():
        if weights.shape != expected[name].shape:
            shapes = f"{tuple(weights.shape)}, not {tuple(expected[name].shape)}"
            raise SoundjudgeError(f"{path}: {name} has the shape {shapes}.")
        if not weights.isfinite().all():
            raise SoundjudgeError(f"{path}: {name} is not finite: take a whole copy of the file.")
