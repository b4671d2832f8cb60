"""A tokenizer of GPT-2's kind, small enough to build in every test: "!" is token 0, as in GPT-2."""

from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GPT2TokenizerFast

CORPUS = ["a dog barks at the rain", "rain falls on a roof", "the bell rings twice!! then stops"]


def tokenizer() -> GPT2TokenizerFast:
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet, show_progress=False)
    core.train_from_iterator(CORPUS, trainer)
    core.add_special_tokens([AddedToken("<|endoftext|>", special=True)])
    end = "<|endoftext|>"
    return GPT2TokenizerFast(
        tokenizer_object=core, unk_token=end, bos_token=end, eos_token=end, model_max_length=1024
    )


def write(folder: Path) -> Path:
    tokenizer().save_pretrained(folder)
    return folder
