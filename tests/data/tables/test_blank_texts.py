"""A text of which nothing can be seen is an empty one, before hours of training."""

import pandas as pd
import pytest
from tiny_corpora import prepare_corpora, raw_folder, rejection_reasons, write_text

from soundjudge.data.tables import schema
from soundjudge.data.tables.schema import Table
from soundjudge.data.tables.texts import clean_text, is_blank
from soundjudge.errors import SoundjudgeError

BLANK = ["", " ", "\t\n", "\u200b", "\u200b\u200d", " \u2060 ", "\ufeff", "\u00ad", "\u202e\u00a0"]
SEEN = ["a", "7", "!", "\u00e4", "\u5e7b", "\u200ba\u200b", "\U0001f469\u200d\U0001f467", "\u0301"]
TABLE = Table(name="texts", columns={"text": "str"})


@pytest.mark.parametrize("text", BLANK)
@pytest.mark.parametrize("dtype", ["str", "string", "object", "category"])
def test_a_blank_text_is_refused_with_its_row_by_tables_and_models_alike(text, dtype):
    frame = pd.DataFrame({"text": pd.Series(["a dog", text, "rain", text], dtype=dtype)})
    told = r"t\.csv, row 2: text is empty \(2 such rows\): fill it in"
    with pytest.raises(SoundjudgeError, match=told):
        schema.check_table(frame, TABLE, "t.csv")
    assert is_blank(text)
    with pytest.raises(SoundjudgeError, match="a text is empty"):
        clean_text(text)


@pytest.mark.parametrize("text", SEEN)
def test_a_text_of_which_something_can_be_seen_is_a_text(text):
    schema.check_table(pd.DataFrame({"text": ["a dog", text]}), TABLE, "t.csv")
    assert not is_blank(text)
    assert clean_text(text)


def test_prepare_rejects_invisible_captions_and_refuses_invisible_rated_texts(in_folder):
    raw = raw_folder()
    captions = raw / "vggsound/VGGSound_AudioSetCaps_caption.csv"
    captions.write_text(captions.read_text().replace("Rain", "\u200b"), encoding="utf-8")
    prepare_corpora(max_rejected_fraction=1.0)
    assert rejection_reasons()["vggsound/two_000007"] == "empty caption"
    lists = raw / "xacle/meta_data/validation.csv"
    write_text(lists, lists.read_text().replace("a bell", "\u200d"))
    with pytest.raises(SoundjudgeError, match=r"validation\.csv, row 1: text is empty \(2 such"):
        prepare_corpora("again")
