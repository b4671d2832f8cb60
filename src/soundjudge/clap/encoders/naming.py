"""What an encoder's name covers beside its weights: the configuration and the tokenizer.

Rows are stored and found by the name, so whatever moves an embedding must change it. What can't
move one is left out, for a name must survive a copy, and a library that writes more into it.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from soundjudge.clap.encoders import deltas
from soundjudge.runtime.model_folder import RETURNED

# Keys of a configuration that say where it is from, how weights began or how a pass is reported.
IDLE_KEYS = {*RETURNED, "transformers_version", "_name_or_path", "architectures", "dtype",
             "torch_dtype", "id2label", "label2id"}  # fmt: skip
IDLE_PARTS = ("drop", "initializer", "logit_scale")


def short_digest(settings: object, weights: deltas.Weights) -> str:
    """8 digits of a sha256 of what a model's configuration says, as JSON, and of its weights."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    digest.update(deltas.weights_digest(weights).encode())
    return digest.hexdigest()[:8]


def model_settings(config: Any) -> dict[str, Any]:  # noqa: ANN401  transformers' PreTrainedConfig
    """What a configuration says beside its class's defaults, without what moves no embedding."""
    settings: dict[str, Any] = _without_idle(config.to_diff_dict())
    return settings


def _without_idle(values: Any) -> Any:  # noqa: ANN401
    if not isinstance(values, Mapping):
        return values
    return {
        str(key): _without_idle(value)
        for key, value in values.items()
        if key not in IDLE_KEYS and not any(part in str(key) for part in IDLE_PARTS)
    }


def tokenizer_settings(tokenizer: Any) -> list[Any]:  # noqa: ANN401  transformers types none
    """How texts become tokens: rules, words, longest text, the sides that are filled and cut."""
    rules = json.loads(tokenizer.backend_tokenizer.to_str())
    for key in ("truncation", "padding"):  # of the last batch
        rules.pop(key, None)
    limits = [tokenizer.model_max_length, tokenizer.padding_side, tokenizer.truncation_side]
    return [rules, *limits]
