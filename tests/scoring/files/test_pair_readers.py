"""Tables of pairs as people have them are read, scored and written in their own format."""

import io
import json
import sys
from pathlib import Path

import pandas as pd
import pytest
import tiny_pairs
from tiny_pairs import LengthJudge, read_cells

from soundjudge.errors import SoundjudgeError
from soundjudge.scoring.files.listed_pairs import list_pairs
from soundjudge.scoring.files.pair_reports import Details
from soundjudge.scoring.files.score_table import score_table


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    """a.wav to e.wav, of 0.1 to 0.5 s: scores 1 to 5."""
    return tiny_pairs.write_sounds(tmp_path / "sounds")


def write(path: Path, content: str) -> Path:
    path.write_text(content, encoding="utf-8")
    return path


def names(table: Path, folder: Path | None, **options: object) -> list[str]:
    """The files that a table's rows stand for."""
    return [path.name for path in list_pairs(table, folder, **options).paths]


def run(table: Path, sounds: Path, out: Path, **changed: object) -> Path:
    options = {"on_error": "fail", "resume": False, "batch_size": 2}
    score_table(
        LengthJudge,
        list_pairs(table, sounds),
        out,
        progress=lambda done, total: None,
        **(options | changed),
    )
    return out


@pytest.mark.parametrize(
    ("header", "audio", "text"),
    [
        ("name,caption", "name", "caption"),  # av-benchmark
        ("id,description", "id", "description"),  # Stable Audio
        ("Audio_Path,PROMPT", "Audio_Path", "PROMPT"),
        ("filename,text", "filename", "text"),
        ("wave_file_name,text", "wave_file_name", "text"),
    ],
)
def test_columns_are_found_by_their_usual_names(sounds, tmp_path, header, audio, text):
    table = write(tmp_path / "t.csv", f"{header}\na.wav,a dog\nb.wav,rain\n")
    pairs = list_pairs(table, sounds)
    assert (pairs.table.audio, pairs.table.text) == (audio, text)
    assert [pairs.table.pair(row) for row in (0, 1)] == [["a.wav", "a dog"], ["b.wav", "rain"]]


def test_our_own_names_win_and_otherwise_the_column_whose_sounds_are_there(sounds, tmp_path):
    table = write(tmp_path / "t.csv", "id,wav_file_name,text,caption\n1,a.wav,x,y\n")
    assert list_pairs(table, sounds).table.pair(0) == ["a.wav", "x"]
    table = write(tmp_path / "t.csv", "id,path,caption\nx7,a.wav,a dog\nx8,b.wav,rain\n")
    assert names(table, sounds) == ["a.wav", "b.wav"]


def test_an_ambiguity_is_an_error_that_shows_the_choice(sounds, tmp_path):
    table = write(tmp_path / "t.csv", "name,file,text\na,a.wav,x\n")
    with pytest.raises(SoundjudgeError, match="'name' or 'file': choose one by --audio-column"):
        list_pairs(table, sounds)
    assert names(table, sounds, audio_column="file") == ["a.wav"]
    table = write(tmp_path / "t.csv", "path,caption,prompt\na.wav,x,y\n")
    with pytest.raises(SoundjudgeError, match="'caption' or 'prompt': choose one by --text-column"):
        list_pairs(table, sounds)
    assert list_pairs(table, sounds, text_column="prompt").table.pair(0) == ["a.wav", "y"]
    with pytest.raises(SoundjudgeError, match="has no column 'words' .--text-column.: it has"):
        list_pairs(table, sounds, text_column="words")
    table = write(tmp_path / "t.csv", "sound,words\na.wav,x\n")
    with pytest.raises(SoundjudgeError, match="name one of 'sound', 'words' by --text-column"):
        list_pairs(table, sounds, audio_column="sound")
    with pytest.raises(
        SoundjudgeError,
        match=r"no column of sounds under .* and none of texts under a usual name \(text, .*: "
        "name one of 'sound', 'words' by --audio-column and one by --text-column",
    ):
        list_pairs(table, sounds)
    assert names(table, sounds, audio_column="sound", text_column="words") == ["a.wav"]


def test_names_without_extension_are_those_of_their_files(sounds, tmp_path):
    (sounds / "c.wav").rename(sounds / "c.1.FLAC")
    table = write(tmp_path / "t.csv", "name,caption\na,x\nc.1,y\nb.wav,z\n")
    assert names(table, sounds) == ["a.wav", "c.1.FLAC", "b.wav"]
    (sounds / "a.txt").write_text("no sound")
    assert names(table, sounds)[0] == "a.wav"
    (sounds / "a.mp3").write_bytes(b"")
    with pytest.raises(SoundjudgeError, match="row 1: 'a' may be a.mp3 or a.wav in .*extension"):
        names(table, sounds)


def test_names_start_from_the_tables_folder_unless_another_is_named(sounds):
    table = write(sounds / "t.tsv", "file\ttext\na.wav\tx\n")
    assert list_pairs(table).paths == [sounds / "a.wav"]
    table = write(sounds.parent / "t.tsv", f"file\ttext\n{sounds / 'a.wav'}\tx\n")
    assert list_pairs(table).paths == [sounds / "a.wav"]


def test_kaldis_files_are_read_by_their_ids(sounds, tmp_path, monkeypatch):
    data = tmp_path / "data"
    data.mkdir()
    write(data / "wav.scp", f"u2 {sounds}/b.wav\nu1  sounds/a.wav\n")
    write(data / "text", "u1 a dog barks\nu2 rain\n")
    monkeypatch.chdir(tmp_path)
    out = run(data, None, tmp_path / "out.csv")
    assert read_cells(out)[0] == ["id", "wav_file_name", "text", "pred_score"]
    assert [row[::3] for row in read_cells(out)[1:]] == [["u2", "2.0000"], ["u1", "1.0000"]]
    for content, reason in (
        ("u1 a\n", "text lacks 1 ids, the first is u2"),
        ("u1 a\nu2 b\nu3 c\n", "wav.scp lacks 1 ids, the first is u3"),
        ("u1 a\nu2\n", "line 2: 'u2' has no value"),
        ("u1 a\nu1 b\n", "line 2: 'u1' stands twice"),
    ):
        write(data / "text", content)
        with pytest.raises(SoundjudgeError, match=reason):
            list_pairs(data)
    write(data / "text", "u1 a\n")
    write(data / "wav.scp", "u1 sox x.mp3 -t wav - |\n")
    with pytest.raises(SoundjudgeError, match="u1 is a command, which is not run"):
        list_pairs(data)


def test_a_folder_of_texts_goes_with_a_folder_of_sounds(sounds, tmp_path):
    texts = tmp_path / "texts"
    texts.mkdir()
    for name in "abcde":
        write(texts / f"{name}.txt", f"sound {name}\n")
    out = run(texts, sounds, tmp_path / "out.csv")
    assert read_cells(out)[1] == ["a", "sound a", "1.0000"]
    assert [row[2] for row in read_cells(out)[1:]] == [f"{n}.0000" for n in range(1, 6)]
    (texts / "c.txt").unlink()
    with pytest.raises(SoundjudgeError, match="1 sounds of .* no .txt file .*first is c.wav"):
        list_pairs(texts, sounds)
    with pytest.raises(SoundjudgeError, match="holds neither .txt files nor wav.scp"):
        list_pairs(sounds)


def test_json_lines_keep_every_byte_and_get_a_key(sounds, tmp_path):
    first = (
        '{"audio_path": "a.wav", "caption": "un \u00e9t\u00e9", "n": 1.50, "tags": [1, {"a": 2}]}'
    )
    second = '{"caption": "rain",   "audio_path": "b.wav", "seed": null }'
    table = write(tmp_path / "t.jsonl", f"{first}\n\n{second}\n")
    out = run(table, sounds, tmp_path / "out.jsonl")
    lines = out.read_text(encoding="utf-8").splitlines()
    assert lines[0] == first[:-1] + ', "pred_score": 1.0000}'
    assert lines[1] == second[:-1].rstrip() + ', "pred_score": 2.0000}'
    whole = out.read_bytes()
    out.write_bytes(whole[:-5])  # killed in the middle of the second line
    assert run(table, sounds, out, resume=True).read_bytes() == whole


def test_parquet_keeps_its_types_and_can_be_resumed(sounds, tmp_path):
    frame = pd.DataFrame({"name": list("abcde"), "prompt": ["x"] * 5, "seed": range(5)})
    frame["when"] = pd.Timestamp("2026-11-29")
    frame.to_parquet(tmp_path / "t.parquet")
    out = tmp_path / "out.parquet"
    with pytest.raises(KeyboardInterrupt):
        score_table(
            lambda: LengthJudge(dies_after=2),
            list_pairs(tmp_path / "t.parquet", sounds),
            out,
            on_error="fail",
            resume=False,
            batch_size=2,
            progress=lambda done, total: None,
        )
    assert not out.exists()
    run(tmp_path / "t.parquet", sounds, out, resume=True)
    scored = pd.read_parquet(out)
    pd.testing.assert_frame_equal(scored.drop(columns="pred_score"), frame)
    assert scored["pred_score"].tolist() == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert sorted(path.name for path in tmp_path.glob("out*")) == ["out.parquet"]
    before = out.read_bytes()
    assert run(tmp_path / "t.parquet", sounds, out, resume=True).read_bytes() == before
    (sounds / "c.wav").unlink()
    for policy, count in (("nan", 5), ("skip", 4)):
        run(tmp_path / "t.parquet", sounds, out, on_error=policy, overwrite=True)
        assert len(pd.read_parquet(out)) == count
        assert pd.read_parquet(out)["pred_score"].notna().sum() == 4


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet"])
@pytest.mark.parametrize("policy", ["skip", "nan"])
def test_every_format_is_resumed_and_retries_what_had_no_score(sounds, tmp_path, suffix, policy):
    columns = {"path": [f"{name}.wav" for name in "abcde"], "text": ['a "dog",\tx'] * 5}
    frame, table = pd.DataFrame(columns), tmp_path / f"t{suffix}"
    if suffix == ".parquet":
        frame.to_parquet(table)
    elif suffix == ".jsonl":
        frame.to_json(table, orient="records", lines=True)
    else:
        frame.to_csv(table, index=False, sep="\t" if suffix == ".tsv" else ",")
    details = Details(members=True, spread=True, interval=True, windows=True, flags=True)
    whole = run(table, sounds, tmp_path / f"whole{suffix}", details=details)
    good = (sounds / "c.wav").read_bytes()
    (sounds / "c.wav").write_bytes(b"no sound")
    out = run(table, sounds, tmp_path / f"out{suffix}", on_error=policy, details=details)
    (sounds / "c.wav").write_bytes(good)
    run(table, sounds, out, resume=True, details=details)
    assert out.read_bytes() == whole.read_bytes()


def test_details_are_columns_with_four_decimals(sounds, tmp_path):
    table = write(tmp_path / "t.csv", "path,text\na.wav,x\nb.wav,y\n")
    details = Details(members=True, spread=True, interval=True, windows=True, flags=True)
    rows = read_cells(run(table, sounds, tmp_path / "out.csv", details=details))
    added = ["pred_score", "member_length", "spread", "interval_lo", "interval_hi"]
    assert rows[0][2:] == [*added, "windows", "flags"]
    numbers = ["1.0000", "1.0000", "0.2500", "0.5000", "1.5000"]
    assert rows[1][2:] == [*numbers, "0-0.1:1.0000", "short"]
    assert rows[2][7:] == ["0-0.2:2.0000", ""]


def test_a_table_with_a_column_that_is_added_is_refused(sounds, tmp_path):
    table = write(tmp_path / "t.csv", "path,text,spread\na.wav,x,1\n")
    with pytest.raises(SoundjudgeError, match="has a column 'spread' already"):
        run(table, sounds, tmp_path / "out.csv", details=Details(spread=True))


@pytest.mark.parametrize(
    "content",
    ["path,text\na.wav,x\n", "path\ttext\na.wav\tx\n", '{"path": "a.wav", "text": "x"}\n'],
)
def test_standard_input_is_known_by_its_first_line(sounds, monkeypatch, content):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content.encode())))
    pairs = list_pairs(Path("-"), sounds)
    assert pairs.table.pair(0) == ["a.wav", "x"]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'path,text\n"a.wav,x\n')))
    with pytest.raises(SoundjudgeError, match="standard input, line 2"):
        list_pairs(Path("-"), sounds)


def test_missing_sounds_are_counted_before_the_judge_is_loaded(sounds, tmp_path):
    table = write(tmp_path / "t.csv", "path,text\na.wav,x\ny.wav,x\nz.wav,x\n")

    def load() -> LengthJudge:
        raise AssertionError("the judge was loaded")

    arguments = {"resume": False, "batch_size": 2, "progress": lambda done, total: None}
    with pytest.raises(SoundjudgeError, match=r"row 2: .*y.wav is missing; 2 of 3 sounds are"):
        score_table(
            load, list_pairs(table, sounds), tmp_path / "o.csv", on_error="fail", **arguments
        )
    assert not (tmp_path / "o.csv").exists()


@pytest.mark.parametrize("name", ["a" * 300, "a/" * 3000 + "a.wav", "x\\" + "a" * 300])
def test_a_name_that_no_file_can_have_is_a_missing_sound(sounds, tmp_path, name):
    table = write(tmp_path / "t.csv", f"path,text\n{name},x\na.wav,y\n")
    with pytest.raises(SoundjudgeError, match=r"row 1: .* is missing; 1 of 2 sounds are: add"):
        run(table, sounds, tmp_path / "o.csv")
    out = run(table, sounds, tmp_path / "o.csv", on_error="nan")
    assert [row[2] for row in read_cells(out)] == ["pred_score", "", "1.0000"]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("t.jsonl", "[1]\n", "line 1 is no object"),
        ("t.jsonl", "{}\n", "line 1 is no object"),
        ("t.jsonl", '{"path": "a.wav"\n', "line 1 is no JSON"),
        (
            "t.jsonl",
            '{"path": "a.wav", "text": "x"}\n{"path": "b.wav"}\n',
            "row 2: a text is empty",
        ),
        ("t.csv", "path,text\n,x\n", "row 1: path is empty"),
        ("t.parquet", "no", "not a readable Parquet file"),
        ("t.txt", "a dog", "does not say which sound it is of"),
        ("wav.scp", "u1 a.wav\n", "name the folder of wav.scp and text"),
        ("t.xlsx", "no", "a table of pairs ends in .csv, .tsv, .jsonl, .parquet"),
    ],
)
def test_what_is_no_table_of_pairs_is_a_sentence(sounds, tmp_path, name, content, reason):
    with pytest.raises(SoundjudgeError, match=reason):
        list_pairs(write(tmp_path / name, content), sounds)
    with pytest.raises(SoundjudgeError, match="does not exist"):
        list_pairs(tmp_path / "nowhere.csv", sounds)


def test_shards_are_the_table_in_order(sounds, tmp_path):
    table = tiny_pairs.write_table(tmp_path / "t.csv")
    shards = [list_pairs(table, sounds, shard=(number, 3)) for number in (1, 2, 3)]
    assert [len(shard.table.rows) for shard in shards] == [1, 2, 2]
    rows = [row for shard in shards for row in shard.table.rows]
    assert rows == list_pairs(table, sounds).table.rows
    assert shards[2].where(0).endswith("t.csv row 4")  # as in the whole table


def test_a_table_of_json_becomes_csv_where_the_output_says_so(sounds, tmp_path):
    line = {"path": "b.wav", "text": "a, b", "tags": ["x", 1]}
    table = write(tmp_path / "t.jsonl", json.dumps(line) + "\n")
    out = run(table, sounds, tmp_path / "out.csv")
    assert read_cells(out)[1] == ["b.wav", "a, b", '["x", 1]', "2.0000"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"audio": "a.wav", "text": ["a dog", "a cat"]}', r"'text' holds \[.*in row 1: give one"),
        ('{"audio": {"path": "a.wav"}, "text": "x"}', "'audio' holds .*name of one file"),
        ('{"audio": "a.wav", "text": "x", "text": "y"}', "has the key 'text' twice: remove one"),
    ],
)
def test_a_list_or_a_record_is_no_text_and_no_name(sounds, tmp_path, line, message):
    with pytest.raises(SoundjudgeError, match=message):
        list_pairs(write(tmp_path / "t.jsonl", line + "\n"), sounds)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("text", ["a dog", "a cat"]),
        ("wav_file_name", {"bytes": b"RIFF", "path": "a.wav"}),  # as datasets of the hub have it
        ("wav_file_name", b"a.wav"),
    ],
)
def test_a_list_or_bytes_in_parquet_are_no_text_and_no_name(sounds, tmp_path, column, value):
    row = {"wav_file_name": "a.wav", "text": "x", "other": [1, 2], "raw": b"1"}
    pd.DataFrame([row]).to_parquet(tmp_path / "good.parquet")
    assert names(tmp_path / "good.parquet", sounds) == ["a.wav"]
    pd.DataFrame([row | {column: value}]).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(SoundjudgeError, match=f"the column '{column}' holds "):
        list_pairs(tmp_path / "t.parquet", sounds)


@pytest.mark.parametrize("separator", [";", "|", "\t"])
def test_another_separator_is_named_with_the_remedy(sounds, tmp_path, separator):
    table = write(tmp_path / "t.csv", f"wav_file_name{separator}text\na.wav{separator}x\n")
    with pytest.raises(SoundjudgeError, match=r"separates its columns: use commas"):
        list_pairs(table, sounds)
    table = write(tmp_path / "t.tsv", "wav_file_name,text\na.wav,x\n")
    with pytest.raises(SoundjudgeError, match=r"',' separates its columns: use tabs"):
        list_pairs(table, sounds)
