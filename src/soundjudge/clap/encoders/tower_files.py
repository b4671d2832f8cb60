"""Where the towers of a `TowersClap` come from: packages, or the folder that `save` wrote."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from soundjudge.clap.encoders import tower_checks
from soundjudge.clap.encoders.aisfx import AisfxNetwork
from soundjudge.clap.encoders.packaged_weights import AISFX, MINILM, YAMNET, PackagedWeights
from soundjudge.clap.encoders.sentence_transformer import SentenceEncoder
from soundjudge.clap.encoders.yamnet import YamnetNetwork

TEXT_FOLDER = "text"
AUDIO, TAGGER, TEXT = "audio", "tagger", "text"  # keys of towers.json


@dataclass(frozen=True, kw_only=True)
class Towers:
    """The networks; out of a folder the audio towers lack their weights."""

    audio_model: AisfxNetwork
    tagger: YamnetNetwork | None
    text_model: SentenceEncoder
    attributions: Sequence[str]

    @property
    def audio_width(self) -> int:
        """Width of the audio towers side by side: H."""
        return self.audio_model.width + (0 if self.tagger is None else self.tagger.width)

    @property
    def tag_classes(self) -> list[int]:
        """Classes of the tagger's one classifier; none without a tagger."""
        return [] if self.tagger is None else [self.tagger.classes]


def load_packaged_towers() -> tuple[AisfxNetwork, SentenceEncoder]:
    """aisfx and MiniLM out of their packages; SoundjudgeError with the command without them."""
    audio_folder, text_folder = AISFX.find(), MINILM.find()
    network = AisfxNetwork.from_checkpoint(audio_folder / "checkpoint.pth")
    return network, SentenceEncoder.load(text_folder)


def load_packaged_tagger() -> YamnetNetwork:
    """YAMNet out of its package; SoundjudgeError with the command without it."""
    return YamnetNetwork.from_tensor_bundle(
        YAMNET.find() / "variables/variables.data-00000-of-00001"
    )


def packages(*, with_tagger: bool) -> dict[str, PackagedWeights]:
    """The package of each tower, by its key in towers.json."""
    return {AUDIO: AISFX, TEXT: MINILM} | ({TAGGER: YAMNET} if with_tagger else {})


def describe_towers(audio_model: AisfxNetwork, tagger: YamnetNetwork | None) -> dict[str, Any]:
    """What towers.json says of towers whose weights lie beside it."""
    audio: dict[str, Any] = {"channels": list(audio_model.channels)}
    if audio_model.classes:
        audio["classes"] = list(audio_model.classes)
    own: dict[str, Any] = {AUDIO: audio, TEXT: {"folder": TEXT_FOLDER}}
    if tagger is not None:
        own[TAGGER] = {"widths": list(tagger.widths), "classes": tagger.classes}
    return own


def read_towers(path: Path, config: Mapping[str, Any]) -> Towers:
    """The towers that towers.json, `path`, names.

    What lies in model.safetensors beside it is yet to be filled in: without packages both audio
    towers.
    """
    tagger = config.get(TAGGER)
    if config[AUDIO].get("package") is None:
        return Towers(
            audio_model=AisfxNetwork(*tower_checks.audio_widths(path, config[AUDIO])),
            tagger=None
            if tagger is None
            else YamnetNetwork(*tower_checks.tagger_widths(path, tagger)),
            text_model=SentenceEncoder.load(path.parent / TEXT_FOLDER),
            attributions=tower_checks.read_attributions(path),
        )
    packaged = packages(with_tagger=tagger is not None)
    for part, package in packaged.items():
        tower_checks.check_record(path, config[part], package)
    audio_model, text_model = load_packaged_towers()
    return Towers(
        audio_model=audio_model,
        tagger=None if tagger is None else load_packaged_tagger(),
        text_model=text_model,
        attributions=[package.attribution for package in packaged.values()],
    )
