"""Where the towers of a `TowersClap` come from: packages, or the folder that `save` wrote."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from soundjudge.clap.encoders import tower_checks
from soundjudge.clap.encoders.aisfx import AisfxNetwork
from soundjudge.clap.encoders.packaged_weights import AISFX, MINILM, YAMNET
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
    packaged = {AUDIO: AISFX, TEXT: MINILM} | ({} if tagger is None else {TAGGER: YAMNET})
    for part, package in packaged.items():
        tower_checks.check_record(path, config[part], package)
    audio_model, text_model = load_packaged_towers()
    return Towers(
        audio_model=audio_model,
        tagger=None if tagger is None else load_packaged_tagger(),
        text_model=text_model,
        attributions=[package.attribution for package in packaged.values()],
    )
