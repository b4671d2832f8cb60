import pandas as pd
import pytest

from soundjudge.errors import SoundjudgeError
from soundjudge.scoring.ensemble import matching


def test_one_clip_with_two_texts_is_told_apart_only_by_its_texts():
    left = pd.DataFrame({"wav_file_name": ["a", "a"], "text": ["x", "y"], "pred_score": [1.0, 2.0]})
    right = left.iloc[::-1].rename(columns={"pred_score": "average_score"})
    joined = matching.match_pairs(left, right, "left", "right")
    assert joined["pred_score"].tolist() == [2.0, 1.0]
    with pytest.raises(SoundjudgeError, match="a twice"):
        matching.match_pairs(left.drop(columns="text"), right, "left", "right")
