"""Encoders in the published sizes and formats with random weights, at the paths of params.yaml.

    cd PROJECT; python benchmarks/random_weights.py

To measure size, speed and memory without the real weights; scores mean nothing. The tokenizers are
the sample's, their vocabularies filled up to the published size.
"""

import json
from collections.abc import Callable
from pathlib import Path

import torch
import transformers

from soundjudge.clap.encoders import laion
from soundjudge.doctor import requirements
from soundjudge.model.audio.beats.beats import Beats, save_beats
from soundjudge.model.audio.beats.layers import BeatsConfig

SEED = 2026
SAMPLE = Path(__file__).resolve().parent.parent / "checkpoints/sample"
ROBERTA_TOKENS = 50_265
QWEN_TOKENS, QWEN_ROWS = 151_665, 151_936  # the published table has rows that no token uses


def write_beats(path: Path) -> int:
    """BEATs iter3+ before fine-tuning, in Microsoft's format."""
    config = BeatsConfig(
        deep_norm=True, relative_position_embedding=True, max_distance=800, gru_rel_pos=True
    )
    model = Beats(config)
    save_beats(model, path)
    return count_parameters(model)


def write_clap(folder: Path) -> int:
    """laion/clap-htsat-unfused: the defaults of transformers are its sizes."""
    model = transformers.ClapModel(transformers.ClapConfig())
    assert model.config.text_config.vocab_size >= ROBERTA_TOKENS
    model.save_pretrained(folder)
    transformers.ClapFeatureExtractor(**laion.FRONTEND, truncation="rand_trunc").save_pretrained(
        folder
    )
    write_tokenizer(SAMPLE / "clap", folder, ROBERTA_TOKENS)
    return count_parameters(model)


def write_llm(folder: Path) -> int:
    """Qwen2.5-0.5B-Instruct, in bf16 as it is published."""
    config = transformers.Qwen2Config(
        vocab_size=QWEN_ROWS,
        hidden_size=896,
        intermediate_size=4864,
        num_hidden_layers=24,
        num_attention_heads=14,
        num_key_value_heads=2,
        max_position_embeddings=32_768,
        rope_parameters={"rope_type": "default", "rope_theta": 1_000_000.0},
        tie_word_embeddings=True,
    )
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    model.save_pretrained(folder)
    write_tokenizer(SAMPLE / "llm", folder, QWEN_TOKENS)
    return count_parameters(model)


def write_tokenizer(source: Path, folder: Path, size: int) -> None:
    """A tokenizer that splits texts as `source` does and knows `size` tokens."""
    content = json.loads((source / "tokenizer.json").read_text(encoding="utf-8"))
    words = content["model"]["vocab"]
    words.update({f"unused{row}": row for row in range(len(words), size)})
    (folder / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
    settings = (source / "tokenizer_config.json").read_text(encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(settings, encoding="utf-8")


def count_parameters(model: torch.nn.Module) -> int:
    """The number of weights."""
    return sum(parameter.numel() for parameter in model.parameters())


WRITERS: dict[str, Callable[[Path], int]] = {
    "encoders.audio": write_beats,
    "encoders.clap": write_clap,
    "encoders.llm": write_llm,
}


def main() -> None:
    for finding in requirements.unmet_requirements(
        requirements.find_requirements(Path("params.yaml"))
    ):
        make = WRITERS.get(finding.requirement.key)
        if make is not None:
            torch.manual_seed(SEED)
            finding.path.parent.mkdir(parents=True, exist_ok=True)
            count = make(finding.path)
            print(f"{finding.path}: {count / 1e6:.1f} million random weights")


if __name__ == "__main__":
    main()
