"""Two random towers with projections, small enough to build in every test."""

import tiny_clap
import torch
from torch import nn
from transformers import BertConfig, BertModel

from soundjudge.clap.encoders.aisfx import AisfxNetwork
from soundjudge.clap.encoders.sentence_transformer import SentenceEncoder
from soundjudge.clap.encoders.sound_categories import SoundCategories
from soundjudge.clap.encoders.towers import TowersClap
from soundjudge.clap.encoders.yamnet import WIDTHS, YamnetNetwork


def categories() -> SoundCategories:
    """Random ones, for the classes of `clap`."""
    return _random(SoundCategories(("BELLS", "RAIN", "WATER"), classes=5, phrases=2, width=16))


def tags() -> SoundCategories:
    """Random ones, for the classes of the tagger of `clap`."""
    return _random(SoundCategories(("Bark", "Rain"), 7, phrases=3, width=16, temperature=0.05))


def _random(own: SoundCategories) -> SoundCategories:
    for weights in own.state_dict().values():
        nn.init.normal_(weights)
    return own


def _tagger() -> YamnetNetwork:
    tagger = YamnetNetwork([4] * len(WIDTHS), classes=7)
    for layer in tagger.convolutions:
        nn.init.kaiming_normal_(layer.weight)
    return tagger


def clap(seed: int = 0, *, with_categories: bool = False, with_tags: bool = False) -> TowersClap:
    """`with_tags`: with the second audio tower and its categories, too."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        text_model = BertModel(
            BertConfig(
                vocab_size=124,
                hidden_size=16,
                num_hidden_layers=1,
                num_attention_heads=2,
                intermediate_size=16,
                max_position_embeddings=32,
                pad_token_id=1,
            )
        )
        network = AisfxNetwork((2, 3, 4, 6), (3, 2) if with_categories else ())
        tagger = _tagger() if with_tags else None
        for name, weights in (*network.named_parameters(), *text_model.named_parameters()):
            if "norm" not in name.lower() and ".bn" not in name:
                nn.init.normal_(weights, std=0.3)  # so that sounds and texts differ
        encoder = SentenceEncoder(text_model, tiny_clap.tokenizer())
        return TowersClap(
            network,
            nn.Linear(6 + 4 + 7 if with_tags else 6, 5),
            encoder,
            nn.Linear(16, 5),
            categories=categories() if with_categories else None,
            tagger=tagger,
            tags=tags() if with_tags else None,
        )
