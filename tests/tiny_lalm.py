"""A language model of two small layers with a vocabulary of a few words, in the official format."""

import functools
import tempfile
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

from soundjudge.model.frontend.frontend import AudioFrontend
from soundjudge.model.lalm.checkpoint import load_lalm
from soundjudge.model.lalm.lalm import Lalm
from soundjudge.model.lalm.lalm_config import LalmConfig
from soundjudge.model.likelihood import likelihood
from soundjudge.model.likelihood.likelihood import Likelihood, LikelihoodConfig

WORDS = ["<eos>", "<pad>", "<unk>", "a", "dog", "barks", "rain", "on", "roof", "car", "and"]
SPARE_ROWS = 5  # official folders also have more embeddings than tokens
FEATURE_DIM = 6
FRONTEND = AudioFrontend(audio_tokens=4, window_seconds=1.0)
CONFIG = LalmConfig(
    projector_hidden=12,
    projector_dropout=0.1,
    head=(10, 10, 4),
    head_dropout=0.1,
    max_text_tokens=8,
    order="text_first",
    attention="eager",
)


def llm_folder(folder: Path, tied: bool = True, kind: str = "qwen2") -> Path:
    """A folder with random weights; the same for the same `tied` and `kind` of model."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in _llm_files(tied, kind).items():
        (folder / name).write_bytes(content)
    return folder


@functools.cache
def _llm_files(tied: bool, kind: str) -> dict[str, bytes]:
    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<eos>", pad_token="<pad>", unk_token="<unk>"
    )
    config = AutoConfig.for_model(
        kind,
        vocab_size=len(WORDS) + SPARE_ROWS,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=4,
        max_position_embeddings=128,
        initializer_range=0.5,
        tie_word_embeddings=tied,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(config)
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        fast.save_pretrained(folder)
        return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def lalm(folder: Path, config: LalmConfig = CONFIG, tied: bool = True) -> Lalm:
    """A small untrained audio language model in evaluation mode; `folder` gets its LLM."""
    torch.manual_seed(1)
    return Lalm.from_llm(llm_folder(folder, tied), config, FRONTEND, FEATURE_DIM).eval()


def features(batch: int, seed: int = 0) -> torch.Tensor:
    """Random features (batch, 4, 6)."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, FRONTEND.audio_tokens, FEATURE_DIM, generator=generator)


def save_likelihood(
    folder: Path,
    captioner: Path,
    references: dict[str, torch.Tensor],
    config: LikelihoodConfig,
    prior_floor: float = -50.0,
) -> None:
    """A likelihood member of a captioner's checkpoint; `references` are features (M, D) by clip."""
    stacked = torch.stack(list(references.values()))
    member = Likelihood(load_lalm(captioner), stacked, config, prior_floor)
    likelihood.save_likelihood(folder, captioner, list(references), member)
