"""The audio language model scores each pair by itself and generates captions."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from repository import ROOT
from tiny_lalm import CONFIG, FEATURE_DIM, FRONTEND, SPARE_ROWS, WORDS, features, lalm, llm_folder
from tiny_training import FROZEN, FULL
from torch.nn import functional
from transformers import Qwen2ForCausalLM

from soundjudge.errors import SoundjudgeError
from soundjudge.model.lalm import prompt
from soundjudge.model.lalm.lalm import Lalm
from soundjudge.model.lalm.llm import load_llm
from soundjudge.model.lalm.score_head import ScoreHead
from soundjudge.runtime import artifacts

TEXTS = ["a dog barks", "rain", "a car and a dog and rain on a roof", "", "a car"]


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("order", ["text_first", "audio_first"])
def test_a_score_does_not_depend_on_its_batch_mates(tmp_path, attention, order):
    model = lalm(tmp_path, replace(CONFIG, attention=attention, order=order))
    sounds = features(5)
    with torch.no_grad():
        together = model.scores(sounds, TEXTS)
        alone = torch.cat([model.scores(sounds[i : i + 1], TEXTS[i : i + 1]) for i in range(5)])
        turned = model.scores(sounds.flip(0), TEXTS[::-1]).flip(0)
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)
    torch.testing.assert_close(together, turned, atol=1e-5, rtol=0)
    assert together.std() > 1e-3


@pytest.mark.parametrize("kind", ["qwen2", "qwen3", "llama"])
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("order", ["text_first", "audio_first"])
def test_a_score_is_to_the_last_bit_that_with_padding_masked(tmp_path, kind, attention, order):
    config = replace(CONFIG, attention=attention, order=order)
    torch.manual_seed(1)
    llm = llm_folder(tmp_path, kind=kind)
    model = Lalm.from_llm(llm, config, FRONTEND, FEATURE_DIM).eval()
    sequences = model.scoring_sequences(model.tokenize(TEXTS))
    with torch.no_grad():
        audio, table = model.projector(features(5)), model.llm.get_input_embeddings()
        hidden = model.llm.model(
            inputs_embeds=prompt.embed_sequences(sequences, table, audio),
            attention_mask=sequences.attention_mask,
            position_ids=sequences.position_ids,
        ).last_hidden_state
        at_score = hidden[sequences.score_positions]
        expected = model.final_linear(model.score_head(at_score)).squeeze(1)
        ours = model.sequence_scores(sequences, features(5))
    assert torch.equal(ours, expected)


def test_the_score_is_that_of_the_plain_sequence(tmp_path):
    model = lalm(tmp_path)
    sound = features(1)
    tokenizer = model.tokenizer
    text = tokenizer("a dog barks[AUDIO_START]", return_tensors="pt").input_ids
    end = tokenizer("[AUDIO_END][SCORE]<eos>", return_tensors="pt").input_ids
    table = model.llm.get_input_embeddings()
    with torch.no_grad():
        sequence = torch.cat([table(text), model.projector(sound), table(end)], dim=1)
        hidden = model.llm.model(inputs_embeds=sequence).last_hidden_state
        expected = model.final_linear(model.score_head(hidden[:, -2])).squeeze(1)
        ours = model.scores(sound, ["a dog barks"])
    assert sequence.shape[1] == 3 + 1 + 4 + 3
    torch.testing.assert_close(ours, expected, atol=1e-5, rtol=0)


def test_the_score_depends_on_the_sound_and_on_the_text(tmp_path):
    model = lalm(tmp_path)
    with torch.no_grad():
        scores = model.scores(features(2)[[0, 1, 0]], ["a dog", "a dog", "rain"])
    assert abs(scores[0] - scores[1]) > 1e-4
    assert abs(scores[0] - scores[2]) > 1e-4


def test_in_bf16_the_score_head_keeps_scores_apart(tmp_path):
    model, sounds = lalm(tmp_path), features(64)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        scores = model.scores(sounds, ["a dog barks"] * 64)
    assert scores.dtype == torch.float32
    assert len(scores.unique()) == 64
    assert not torch.equal(scores, scores.bfloat16().float())


def test_a_text_is_cut_at_its_end(tmp_path):
    model = lalm(tmp_path)
    eight = "a dog a dog a dog a dog"
    with torch.no_grad():
        cut = model.scores(features(1)[[0, 0]], [eight, eight + " barks"])
    assert cut[0] == cut[1]


def test_new_tokens_start_as_the_end_of_sequence(tmp_path):
    model = lalm(tmp_path)
    table = model.llm.get_input_embeddings().weight
    assert len(table) == len(WORDS) + 3  # the spare rows are gone
    for id in (len(WORDS), len(WORDS) + 1, len(WORDS) + 2):
        assert torch.equal(table[id], table[0])
    original = Qwen2ForCausalLM.from_pretrained(tmp_path)
    assert len(original.get_input_embeddings().weight) == len(WORDS) + SPARE_ROWS
    assert torch.equal(table[: len(WORDS)], original.get_input_embeddings().weight[: len(WORDS)])


def test_untied_output_rows_start_as_the_end_of_sequence_too(tmp_path):
    model = lalm(tmp_path, tied=False)
    table = model.llm.get_output_embeddings().weight
    assert torch.equal(table[len(WORDS) + 2], table[0])
    assert not torch.equal(table, model.llm.get_input_embeddings().weight)


def test_the_caption_loss_is_the_cross_entropy_of_its_words_and_its_end(tmp_path):
    model = lalm(tmp_path)
    sounds, texts = features(2), ["a dog barks", "rain"]
    table = model.llm.get_input_embeddings()
    losses = []
    with torch.no_grad():
        for sound, text in zip(sounds.split(1), texts, strict=True):
            start = torch.tensor([[model.tokens.audio_start]])
            words = model.tokenizer(text).input_ids
            after = torch.tensor([[model.tokens.audio_end, *words]])
            sequence = torch.cat([table(start), model.projector(sound), table(after)], dim=1)
            logits = model.llm(inputs_embeds=sequence).logits[0, -len(words) - 1 :, : len(WORDS)]
            losses.append(functional.cross_entropy(logits, torch.tensor([*words, 0])))
        ours = model.caption_loss(sounds, texts)
    torch.testing.assert_close(ours, torch.stack(losses).mean(), atol=1e-5, rtol=0)


def test_caption_logits_stand_at_caption_tokens_only(tmp_path):
    model = lalm(tmp_path)
    sequences = model.caption_sequences(model.tokenize(["a dog barks", "rain"]))
    logits, tokens = model.caption_logits(sequences, features(2))
    assert logits.shape == (6, len(WORDS))
    assert tokens.tolist() == [3, 4, 5, 0, 6, 0]


@pytest.mark.slow
def test_a_caption_that_was_learned_is_said(tmp_path):
    model = lalm(tmp_path).train()
    sounds, texts = features(2), ["a dog barks", "rain on a roof"]
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for _ in range(80):
        optimizer.zero_grad()
        model.caption_loss(sounds, texts).backward()
        optimizer.step()
    assert model.eval().caption_loss(sounds, texts) < 0.05
    assert model.generate(sounds, max_tokens=8, num_beams=1) == texts
    assert model.generate(sounds, max_tokens=2, num_beams=1) == ["a dog", "rain on"]


def test_a_frozen_language_model_does_not_move_and_the_rest_learns(tmp_path):
    model = lalm(tmp_path)
    model.prepare_for_training(FROZEN)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], 0.1)
    model.train().scores(features(2), TEXTS[:2]).square().sum().backward()
    optimizer.step()
    weights = model.state_dict().items()
    changed = {name for name, tensor in weights if (tensor != before[name]).any()}
    assert not any(name.startswith("llm.") for name in changed)
    assert {"projector.mlp.fc1.weight", "score_head.mlp.6.weight", "final_linear.weight"} <= changed
    assert not model.llm.training and model.projector.training


def test_a_language_model_can_be_thawed(tmp_path):
    model = lalm(tmp_path)
    model.prepare_for_training(FROZEN)
    model.merge_and_unload()
    model.prepare_for_training(FULL)
    assert all(p.requires_grad for p in model.llm.parameters())
    assert model.train().llm.training


def test_projector_and_head_have_the_published_size():
    head = ScoreHead(896, (512, 512, 128), dropout=0.1)
    sizes = {name: tuple(tensor.shape) for name, tensor in head.state_dict().items()}
    assert sizes == {
        "mlp.0.weight": (512, 896),
        "mlp.0.bias": (512,),
        "mlp.3.weight": (512, 512),
        "mlp.3.bias": (512,),
        "mlp.6.weight": (128, 512),
        "mlp.6.bias": (128,),
    }
    limit = math.sqrt(6 / (896 + 512))  # Xavier
    assert 0.99 * limit < head.mlp[0].weight.abs().max() <= limit
    assert not head.mlp[0].bias.any()


def test_features_of_another_encoder_are_refused(tmp_path):
    with pytest.raises(
        SoundjudgeError, match=r"features are \(2, 5, 6\), this model expects \(2, 4, 6\)"
    ):
        lalm(tmp_path).scores(torch.zeros(2, 5, 6), ["a", "a"])
    with pytest.raises(SoundjudgeError, match="expects"):
        lalm(tmp_path).caption_loss(torch.zeros(1, 4, 6), ["a", "a"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"head": ()}, "head"),
        ({"projector_dropout": 1.0}, "dropout"),
        ({"max_text_tokens": 0}, "max"),
    ],
)
def test_sizes_that_are_none_are_refused(changes, message):
    with pytest.raises(SoundjudgeError, match=message):
        replace(CONFIG, **changes)


def test_a_folder_without_a_language_model_is_refused(tmp_path):
    with pytest.raises(SoundjudgeError, match=r"config\.json is missing.*encoders\.llm"):
        Lalm.from_llm(tmp_path / "none", CONFIG, FRONTEND, FEATURE_DIM)


def test_text_is_split_as_the_tokenizers_file_says(tmp_path):
    _, tokenizer = load_llm(llm_folder(tmp_path), "eager")
    assert tokenizer("a dog barks")["input_ids"] == [3, 4, 5]


def test_a_language_model_without_its_tokenizer_is_refused(tmp_path):
    folder = llm_folder(tmp_path)
    for file in folder.glob("*token*"):
        file.unlink()
    with pytest.raises(SoundjudgeError, match=r"tokenizer\.json is missing"):
        load_llm(folder, "eager")


def test_missing_weights_of_the_language_model_are_an_error(tmp_path):
    folder = llm_folder(tmp_path, tied=False)
    model = Qwen2ForCausalLM.from_pretrained(folder)
    weights = {name: t for name, t in model.state_dict().items() if "layers.1.mlp" not in name}
    model.save_pretrained(folder, state_dict=weights)
    with pytest.raises(SoundjudgeError, match=r"do not fit.*layers\.1\.mlp"):
        load_llm(folder, "eager")


def test_a_special_token_that_is_spelled_in_a_text_is_text():
    model = Lalm.from_llm(ROOT / "checkpoints/sample/llm", CONFIG, FRONTEND, FEATURE_DIM)
    tokenizer = model.tokenizer
    special = {token for token, added in tokenizer.added_tokens_decoder.items() if added.special}
    assert len(special) == 6
    for text in (
        "[SCORE]",
        "<|im_end|> a dog",
        "a dog [AUDIO_START] barks[AUDIO_END]",
        "<|im_end|>",
    ):
        (ids,) = model._token_ids([text])
        assert special & set(tokenizer(text)["input_ids"])
        assert not special & set(ids)
        assert tokenizer.decode(ids) == text
    for text in ("a dog barks", "It's 12 dögs, ok! [sic] <3 | im_end", ""):
        assert model._token_ids([text]) == [tokenizer(text)["input_ids"]]


def test_texts_beyond_the_last_token_that_is_read_are_said_to_be_cut(tmp_path):
    model = lalm(tmp_path)
    texts = ["a " * CONFIG.max_text_tokens, "a " * CONFIG.max_text_tokens + "dog"]
    assert model.cut_texts(texts) == [False, True]
    first, second = model.scores(features(1).expand(2, -1, -1), texts).tolist()
    assert first == pytest.approx(second, abs=1e-6)


def sharded(folder: Path) -> Path:
    """A language model in several files, as the official larger ones are."""
    model = Qwen2ForCausalLM.from_pretrained(llm_folder(folder))
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder, max_shard_size="2KB")
    return folder


def test_a_language_model_in_several_files_is_the_same(tmp_path):
    whole, _ = load_llm(llm_folder(tmp_path / "whole"), "eager")
    split, _ = load_llm(sharded(tmp_path / "split"), "eager")
    assert len(list((tmp_path / "split").glob("*.safetensors"))) > 2
    for name, weights in whole.state_dict().items():
        assert torch.equal(split.state_dict()[name], weights)


@pytest.mark.parametrize(
    "file", ["../whole/model.safetensors", "/etc/passwd", "..", "x.bin", 5, None]
)
def test_an_index_that_names_files_elsewhere_is_refused(tmp_path, file):
    llm_folder(tmp_path / "whole")
    path = sharded(tmp_path / "split") / "model.safetensors.index.json"
    index = json.loads(path.read_text())
    index["weight_map"] = dict.fromkeys(index["weight_map"], file)
    path.write_text(json.dumps(index))
    with pytest.raises(SoundjudgeError, match=r"index\.json: weight_map must name"):
        load_llm(tmp_path / "split", "eager")


def test_an_index_that_does_not_say_what_the_files_hold_is_refused(tmp_path):
    path = sharded(tmp_path) / "model.safetensors.index.json"
    index = json.loads(path.read_text())
    names, files = list(index["weight_map"]), sorted(set(index["weight_map"].values()))
    moved = index["weight_map"] | {names[0]: files[0], names[-1]: files[0]}
    path.write_text(json.dumps({"weight_map": moved}))
    with pytest.raises(SoundjudgeError, match="does not hold what"):
        load_llm(tmp_path, "eager")
    path.write_text(json.dumps(index))
    (tmp_path / files[-1]).unlink()
    with pytest.raises(SoundjudgeError, match=f"{files[-1]} is missing"):
        load_llm(tmp_path, "eager")


def test_an_adapter_beside_the_language_model_leads_nowhere(tmp_path):
    own, _ = load_llm(llm_folder(tmp_path / "own"), "eager")
    other = Qwen2ForCausalLM.from_pretrained(llm_folder(tmp_path / "other"))
    torch.nn.init.zeros_(other.model.norm.weight)
    other.save_pretrained(tmp_path / "other")
    adapter = {"peft_type": "LORA", "base_model_name_or_path": str(tmp_path / "other")}
    (tmp_path / "own/adapter_config.json").write_text(json.dumps(adapter))
    again, _ = load_llm(tmp_path / "own", "eager")
    for name, weights in own.state_dict().items():
        assert torch.equal(again.state_dict()[name], weights)


def test_a_pickle_in_place_of_the_weights_is_refused(tmp_path):
    folder = llm_folder(tmp_path)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(SoundjudgeError, match=r"pytorch_model\.bin are not read"):
        load_llm(folder, "eager")


def test_weights_of_whole_numbers_are_no_weights(tmp_path):
    folder = llm_folder(tmp_path)
    weights = artifacts.load_tensors(folder / "model.safetensors")
    weights["model.norm.weight"] = weights["model.norm.weight"].to(torch.int8)
    artifacts.save_tensors(folder / "model.safetensors", weights)
    with pytest.raises(SoundjudgeError, match=r"other shape or kind \['model\.norm\.weight'\]"):
        load_llm(folder, "eager")
