"""Prompts and systems as users have them, and the sentences about what does not fit."""

from pathlib import Path

import pytest

from soundjudge.errors import SoundjudgeError
from soundjudge.scoring.systems import system_files


@pytest.fixture
def prompts(tmp_path: Path) -> system_files.Prompts:
    return system_files.read_prompts(write(tmp_path / "prompts.csv", "id,text\n1,rain\n2,a dog\n"))


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def folder(path: Path, *names: str) -> Path:
    for name in names:
        file = path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"sound")
    return path


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "id,text\n1,rain\n2,a dog\n"),
        ("a.csv", "name,caption\n1,rain\n2,a dog\n"),
        ("a.tsv", "audio_id\tprompt\n1\train\n2\ta dog\n"),
        ("a.jsonl", '{"id": 1, "text": "rain"}\n{"id": 2, "text": "a dog"}\n'),
    ],
)
def test_prompts_are_read_as_people_write_them(tmp_path, name, text):
    prompts = system_files.read_prompts(write(tmp_path / name, text))
    assert (prompts.ids, prompts.texts) == (["1", "2"], ["rain", "a dog"])


def test_a_choice_of_columns_is_shown_and_not_guessed(tmp_path):
    path = write(tmp_path / "p.csv", "id,caption,prompt\n1,rain,a\n")
    with pytest.raises(SoundjudgeError, match="'caption' or 'prompt': choose one by --text-column"):
        system_files.read_prompts(path)
    assert system_files.read_prompts(path, text_column="caption").texts == ["rain"]
    with pytest.raises(
        SoundjudgeError, match="no column 'x' \\(--text-column\\): it has 'id', 'caption'"
    ):
        system_files.read_prompts(path, text_column="x")


@pytest.mark.parametrize(
    "text", ["id,text\n1,rain\n1,a dog\n", "id,text\n1,\n", "id,text\n", "a\n1\n"]
)
def test_prompts_that_are_none_are_refused(tmp_path, text):
    with pytest.raises(SoundjudgeError):
        system_files.read_prompts(write(tmp_path / "p.csv", text))


def test_a_sound_is_found_by_its_name_with_or_without_suffix_in_any_subfolder(tmp_path):
    path = write(tmp_path / "p.csv", "id,text\n1,rain\nb.flac,a dog\nsub/3,wind\n")
    prompts = system_files.read_prompts(path)
    files = folder(tmp_path / "a", "1.wav", "b.flac", "sub/3.ogg", "notes.txt", ".hidden.wav")
    (system,) = system_files.read_systems([files], prompts)
    assert {i: p.name for i, p in system.sounds.items()} == {
        "1": "1.wav",
        "b.flac": "b.flac",
        "sub/3": "3.ogg",
    }
    assert system.extra == ()


def test_two_sounds_of_one_prompt_are_named(tmp_path, prompts):
    with pytest.raises(SoundjudgeError, match=r"1\.mp3 and 1\.wav for the prompt '1': keep one"):
        system_files.read_systems([folder(tmp_path / "a", "1.wav", "1.mp3", "2.wav")], prompts)


def test_missing_and_extra_sounds_are_named(tmp_path, prompts):
    lacking = system_files.read_systems([folder(tmp_path / "a", "1.wav")], prompts)
    with pytest.raises(SoundjudgeError, match="a has no sound for 1 of 2 prompts: 2; add them"):
        system_files.check_complete(lacking, prompts)
    more = system_files.read_systems([folder(tmp_path / "b", "1.wav", "2.wav", "9.wav")], prompts)
    with pytest.raises(SoundjudgeError, match="b has 1 sounds of no prompt in .*: 9.wav; remove"):
        system_files.check_complete(more, prompts)


def test_a_name_in_another_spelling_is_pointed_at(tmp_path, prompts):
    system = system_files.read_systems([folder(tmp_path / "a", "1.wav", "0002.wav")], prompts)
    with pytest.raises(SoundjudgeError, match="it has '0002'"):
        system_files.check_complete(system, prompts)


def test_a_folder_without_sounds_is_no_system(tmp_path, prompts):
    with pytest.raises(SoundjudgeError, match="holds no sounds"):
        system_files.read_systems([folder(tmp_path / "a", "readme.txt")], prompts)


def test_a_table_brings_its_scores_and_its_texts_must_be_those_of_the_prompts(tmp_path, prompts):
    table = write(
        tmp_path / "a.csv", "wav_file_name,text,pred_score\n2.wav,a dog,7\n1.wav,rain,3\n"
    )
    (system,) = system_files.read_systems([table], prompts)
    assert system.scores == {"1": 3.0, "2": 7.0}
    other = write(
        tmp_path / "b.csv", "wav_file_name,text,pred_score\n2.wav,a cat,7\n1.wav,rain,3\n"
    )
    with pytest.raises(SoundjudgeError, match="row 1: the text of 2 is not that of"):
        system_files.read_systems([other], prompts)


def test_a_table_may_have_the_usual_names_of_columns_that_score_table_takes(tmp_path, prompts):
    header, rows = "system,file,caption,pred_score\n", "x,2.wav,a dog,7\nx,1.wav,rain,3\n"
    (system,) = system_files.read_systems([write(tmp_path / "a.csv", header + rows)], prompts)
    assert system.scores == {"1": 3.0, "2": 7.0}
    other = write(tmp_path / "b.csv", header + rows.replace("a dog", "a cat"))
    with pytest.raises(SoundjudgeError, match="row 1: the text of 2 is not that of"):
        system_files.read_systems([other], prompts)
    two = write(tmp_path / "c.csv", "file,path,pred_score\n2.wav,2.wav,7\n1.wav,1.wav,3\n")
    with pytest.raises(SoundjudgeError, match="column 'wav_file_name' is missing"):
        system_files.read_systems([two], prompts)


def test_scores_of_a_table_are_not_compared_with_a_folder(tmp_path, prompts):
    table = write(tmp_path / "a.csv", "wav_file_name,pred_score\n2.wav,7\n1.wav,3\n")
    with pytest.raises(SoundjudgeError, match="one judge must score all"):
        system_files.read_systems([table, folder(tmp_path / "b", "1.wav")], prompts)


def test_systems_of_one_name_are_told_apart(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = [Path("x/out"), Path("y/out")]
    assert system_files.system_names(names) == ["x/out", "y/out"]
    assert system_files.system_names([Path("out/v1.5"), Path("a.csv")]) == ["v1", "a"]
    Path("out/v1.5").mkdir(parents=True)
    assert system_files.system_names([Path("out/v1.5"), Path("a.csv")]) == ["v1.5", "a"]
    assert system_files.system_names([Path("a"), Path("a")]) == ["a (1)", "a (2)"]
