"""Sequences stand as written, padded on the right."""

import pytest
import torch
from tiny_lalm import llm_folder
from torch import nn

from soundjudge.model.lalm import prompt
from soundjudge.model.lalm.llm import load_tokenizer

IDS = prompt.TokenIds(audio_start=90, audio_end=91, score=92, eos=9)
TEXTS = [[1, 2, 3], [4]]


def spell(sequences, row):
    """One row as a list, "A" at an audio token and "-" at padding."""
    marks = []
    for id, audio, mask in zip(
        sequences.ids[row], sequences.audio_mask[row], sequences.mask[row], strict=True
    ):
        marks.append("A" if audio else id.item() if mask else "-")
    return marks


def test_a_score_is_read_behind_text_and_sound():
    sequences = prompt.scoring_sequences(TEXTS, IDS, 2, "text_first")
    assert spell(sequences, 0) == [1, 2, 3, 90, "A", "A", 91, 92, 9]
    assert spell(sequences, 1) == [4, 90, "A", "A", 91, 92, 9, "-", "-"]
    assert sequences.score_positions[1].tolist() == [7, 5]


def test_the_published_length_is_the_text_and_104():
    assert prompt.scoring_sequences([[1] * 7], IDS, 100, "text_first").lengths.tolist() == [111]


def test_the_sound_may_come_first():
    sequences = prompt.scoring_sequences(TEXTS, IDS, 2, "audio_first")
    assert spell(sequences, 0) == [90, "A", "A", 91, 1, 2, 3, 92, 9]
    assert spell(sequences, 1) == [90, "A", "A", 91, 4, 92, 9, "-", "-"]
    assert sequences.score_positions[1].tolist() == [7, 5]


def test_texts_that_share_a_sound_follow_it_and_count_from_its_end():
    sequences = prompt.shared_prefix_sequences([[1, 2], [3], [], [4, 5, 6]], 2, IDS, 1)
    sound = [90, 90, 91]  # [AUDIO_START], an audio token with any id, [AUDIO_END]
    assert sequences.ids.tolist() == [
        [*sound, 1, 2, 92, 3, 92],
        [*sound, 92, 4, 5, 6, 92],
    ]
    assert sequences.audio_mask.tolist() == [[False, True] + [False] * 6] * 2
    assert sequences.text_index.tolist() == [[0, 0, 0, 1, 1, 1, 2, 2], [0, 0, 0, 1, 2, 2, 2, 2]]
    assert sequences.position_ids.tolist() == [[0, 1, 2, 3, 4, 5, 3, 4], [0, 1, 2, 3, 3, 4, 5, 6]]
    rows, positions = sequences.score_positions
    assert rows.tolist() == [0, 0, 1, 1]
    assert positions.tolist() == [5, 7, 3, 7]


def test_a_text_that_shares_a_sound_sees_it_and_itself_alone():
    sequences = prompt.shared_prefix_sequences([[1], [], [], []], 2, IDS, 1)
    visible = sequences.attention_mask == 0
    assert visible.shape == (2, 1, 6, 6)
    assert visible[0, 0].int().tolist() == [
        [1, 0, 0, 0, 0, 0],  # the sound
        [1, 1, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0],
        [1, 1, 1, 1, 0, 0],  # the first text
        [1, 1, 1, 1, 1, 0],
        [1, 1, 1, 0, 0, 1],  # the second text, empty: [SCORE] alone
    ]
    # The last position of the second row is padding: nothing before it attends to it.
    assert sequences.text_index[1].tolist() == [0, 0, 0, 1, 2, -1]
    assert not visible[1, 0, :5, 5].any()
    assert bool(visible.any(3).all())  # a position that attends to nothing would give NaN


def test_texts_that_do_not_go_evenly_with_the_sounds_are_refused():
    with pytest.raises(AssertionError, match="3 texts do not go evenly with 2 sounds"):
        prompt.shared_prefix_sequences([[1], [2], [3]], 2, IDS, 1)


def test_a_caption_follows_its_sound_and_ends():
    sequences = prompt.caption_sequences(TEXTS, IDS, 2)
    assert spell(sequences, 1) == [90, "A", "A", 91, 4, 9, "-", "-"]
    assert sequences.ids[0][sequences.text_mask[0]].tolist() == [1, 2, 3, 9]
    assert sequences.ids[1][sequences.text_mask[1]].tolist() == [4, 9]


def test_a_caption_opens_with_the_sound_alone():
    sequences = prompt.generation_prefix(2, IDS, 2)
    assert spell(sequences, 1) == [90, "A", "A", 91]


def test_an_empty_text_leaves_the_sound():
    assert spell(prompt.scoring_sequences([[]], IDS, 1, "text_first"), 0) == [90, "A", 91, 92, 9]


def test_positions_count_what_is_no_padding():
    position_ids = prompt.scoring_sequences(TEXTS, IDS, 2, "text_first").position_ids
    assert position_ids[0].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8]
    assert position_ids[1, :7].tolist() == [0, 1, 2, 3, 4, 5, 6]


def test_audio_tokens_take_their_places_row_by_row():
    sequences = prompt.scoring_sequences(TEXTS, IDS, 2, "text_first")
    table = nn.Embedding(100, 1)
    nn.init.zeros_(table.weight)
    audio = torch.tensor([[[10.0], [11.0]], [[20.0], [21.0]]])
    embeddings = prompt.embed_sequences(sequences, table, audio).squeeze(2)
    assert embeddings[0].tolist() == [0, 0, 0, 0, 10, 11, 0, 0, 0]
    assert embeddings[1].tolist() == [0, 0, 20, 21, 0, 0, 0, 0, 0]


def test_audio_tokens_and_embeddings_learn_from_the_sequence():
    table = nn.Embedding(100, 1)
    audio = torch.ones(1, 2, 1, requires_grad=True)
    prompt.embed_sequences(
        prompt.scoring_sequences([[1]], IDS, 2, "text_first"), table, audio
    ).sum().backward()
    assert audio.grad.flatten().tolist() == [1, 1]
    assert table.weight.grad[[1, 90, 91, 92, 9]].flatten().tolist() == [1, 1, 1, 1, 1]
    assert table.weight.grad.sum() == 5


def test_the_new_tokens_follow_the_tokenizers_last(tmp_path):
    tokenizer = load_tokenizer(llm_folder(tmp_path))
    words = len(tokenizer)
    prompt.add_tokens(tokenizer)
    ids = prompt.token_ids(tokenizer)
    assert (ids.audio_start, ids.audio_end, ids.score) == (words, words + 1, words + 2)
    assert ids.eos == tokenizer.eos_token_id


def test_a_tokenizer_without_an_end_is_refused(tmp_path):
    tokenizer = load_tokenizer(llm_folder(tmp_path))
    tokenizer.eos_token = None
    with pytest.raises(AssertionError, match="eos_token"):
        prompt.token_ids(tokenizer)
