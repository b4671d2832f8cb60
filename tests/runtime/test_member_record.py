"""member.json: written and read alike, strictly, with a remedy in every error."""

import json

import pytest

from soundjudge.errors import SoundjudgeError
from soundjudge.runtime.member_record import (
    EncoderReference,
    MemberRecord,
    read_member,
    write_member,
)

RECORD = MemberRecord(
    kind="regress",
    encoders={
        "clap": (
            EncoderReference(path="official/clap", backend="transformers", name="clap@1"),
            EncoderReference(path=None, sha256="12"),
        )
    },
    settings={"mean": 7.5, "head": [4, 1], "llm": {"layers": 2}},
    training={"best_epoch": 3},
)


def test_a_record_comes_back_equal(tmp_path):
    write_member(tmp_path, RECORD)
    assert read_member(tmp_path) == RECORD
    assert read_member(tmp_path, "lalm", "regress") == RECORD


def test_a_folder_without_a_record_or_of_another_kind_is_refused(tmp_path):
    with pytest.raises(SoundjudgeError, match=r"holds no member\.json: .* train it first"):
        read_member(tmp_path)
    write_member(tmp_path, RECORD)
    with pytest.raises(SoundjudgeError, match="'regress', not 'clapscore' or 'lalm': name another"):
        read_member(tmp_path, "clapscore", "lalm")


def test_a_record_of_another_format_is_refused_with_a_remedy(tmp_path):
    old = {"kind": "regress", "clap": ["official/clap"], "more_sha256": []}
    (tmp_path / "member.json").write_text(json.dumps(old))
    with pytest.raises(SoundjudgeError, match=r"clap is not a known key.*train that member again"):
        read_member(tmp_path)


def test_encoders_that_are_not_named_are_an_error(tmp_path):
    assert [reference.path for reference in RECORD.references("clap")] == ["official/clap", None]
    with pytest.raises(SoundjudgeError, match="a regress does not say where its audio is"):
        RECORD.references("audio")


def test_an_encoder_lies_below_the_root(tmp_path):
    assert RECORD.references("clap")[0].locate(tmp_path) == tmp_path / "official/clap"
    with pytest.raises(AssertionError, match="own copy"):
        RECORD.references("clap")[1].locate(tmp_path)
