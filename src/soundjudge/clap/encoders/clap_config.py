"""Numbers of a foreign CLAP's configuration that its weights do not show: checked before use."""

import math
from collections.abc import Iterator
from typing import Any

from soundjudge.clap.encoders.spectrogram import FeatureExtractor
from soundjudge.errors import SoundjudgeError

MAX_SPEC_SIZE = 4096  # official ones have 256; the tower's input is a square of this


def check_config(config: Any) -> None:  # noqa: ANN401  transformers' ClapConfig
    """Raises SoundjudgeError for numbers by which a pass through the towers makes no sense."""
    audio, text = config.audio_config, config.text_config
    for name, number in _numbers(config.to_dict()):
        if not math.isfinite(number):
            raise SoundjudgeError(f"{name} is {number}: a finite number is needed")
    if not 1 <= audio.spec_size <= MAX_SPEC_SIZE:
        raise SoundjudgeError(f"spec_size is {audio.spec_size}: it must be 1 to {MAX_SPEC_SIZE}")
    strides, patch = audio.patch_stride, audio.patch_size
    strides = strides if isinstance(strides, list | tuple) else [strides]
    if not all(isinstance(stride, int) and 1 <= stride <= patch for stride in strides):
        raise SoundjudgeError(
            f"patch_stride is {audio.patch_stride}: whole numbers of 1 to {patch} are needed, "
            "which is patch_size"
        )
    if text.num_attention_heads < 1:
        raise SoundjudgeError(f"num_attention_heads is {text.num_attention_heads}: 1 or more")
    for part in (audio, text):
        if part.chunk_size_feed_forward:  # it saves memory alone
            raise SoundjudgeError(
                f"chunk_size_feed_forward is {part.chunk_size_feed_forward}: write 0"
            )


def check_window(extractor: FeatureExtractor, config: Any) -> None:  # noqa: ANN401
    """Raises SoundjudgeError if the audio tower cannot encode the front end's spectrogram."""
    if extractor.feature_size != config.num_mel_bins:
        raise SoundjudgeError(
            f"the front end makes {extractor.feature_size} mel bands, "
            f"the audio tower takes {config.num_mel_bins}: take both from one checkpoint."
        )
    width = config.spec_size * (config.spec_size // config.num_mel_bins)
    if extractor.frames > width:
        raise SoundjudgeError(
            f"a window of {extractor.max_length_s} s has {extractor.frames} frames, "
            f"the audio tower takes at most {width}: shorten max_length_s or lengthen hop_length."
        )


def _numbers(values: object, name: str = "the configuration") -> Iterator[tuple[str, float]]:
    """All numbers in nested mappings and lists, with the innermost name."""
    if isinstance(values, dict):
        for key, value in values.items():
            yield from _numbers(value, str(key))
    elif isinstance(values, list | tuple):
        for value in values:
            yield from _numbers(value, name)
    elif isinstance(values, int | float):
        yield name, values
