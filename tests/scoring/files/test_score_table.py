"""Tables of pairs are scored row by row; a killed run is resumed, a bad sound is never a number."""

import csv
import os
from pathlib import Path

import pandas as pd
import pytest
import tiny_pairs
from tiny_pairs import LengthJudge, read_cells, spoil

from soundjudge.data.user_files import delimited
from soundjudge.errors import SoundjudgeError
from soundjudge.scoring.files.listed_pairs import list_pairs
from soundjudge.scoring.files.score_table import score_table
from soundjudge.scoring.files.system_means import SystemMeans
from soundjudge.scoring.judge.pair_score import PairScore


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    return tiny_pairs.write_sounds(tmp_path / "sounds")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return tiny_pairs.write_table(tmp_path / "table.csv")


def score(table: Path, sounds: Path, out: Path, judge: LengthJudge, **changed: object) -> object:
    options = {"on_error": "fail", "resume": False, "batch_size": 2}
    pairs = list_pairs(table, sounds)
    return score_table(
        lambda: judge,
        pairs,
        out,
        inputs=[table],
        progress=lambda done, total: None,
        **(options | changed),
    )


def test_a_table_gets_its_scores_in_order_with_all_its_columns(table, sounds, tmp_path):
    out = tmp_path / "out.csv"
    summary = score(table, sounds, out, LengthJudge())
    assert (summary.rows, summary.resumed, summary.failed) == (5, 0, 0)
    assert read_cells(out)[0] == ["id", "wav_file_name", "text", "pred_score"]
    assert [row[:3] for row in read_cells(out)] == read_cells(table)
    assert [float(row[3]) for row in read_cells(out)[1:]] == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert not (tmp_path / "out.csv.errors.csv").exists()


@pytest.mark.parametrize(
    ("column", "cells", "means"),
    [
        # Scores are 1 to 5: a has 1 and 4, b has 2 and 5, c has 3.
        ("model_id", ["a", "b", "c", "a", "b"], {"b": 3.5, "c": 3.0, "a": 2.5}),
        ("System", ["a", "a", "b", "b", "b"], {"b": 4.0, "a": 1.5}),
        ("generator", ["", "a", "a", "a", ""], {"a": 3.0, "": 3.0}),
        ("model_id", ["a"] * 5, None),  # one system
        ("model_id", ["a", "b", "c", "d", "e"], None),  # names of rows
        ("mood", ["a", "b", "a", "b", "a"], None),
    ],
)
def test_several_systems_of_a_table_have_a_mean_each(sounds, tmp_path, column, cells, means):
    table = tmp_path / "systems.csv"
    rows = [f"{name}.wav,x,{cell}\n" for name, cell in zip("abcde", cells, strict=True)]
    table.write_text(f"wav_file_name,text,{column}\n" + "".join(rows))
    summary = score(table, sounds, tmp_path / "out.csv", LengthJudge())
    assert summary.mean == 3.0
    if means is None:
        assert summary.systems is None
    else:
        assert summary.systems.column == column
        assert summary.systems.means == means
        assert list(summary.systems.means.values()) == sorted(means.values(), reverse=True)


def test_means_of_many_systems_are_told_in_a_line():
    means = {f"s{n}": 9.0 - n for n in range(10)}
    (line,) = SystemMeans(column="model_id", means=means).sentence().splitlines()
    assert line.startswith("mean by model_id: s0 9.0000, s1 8.0000, ")
    assert "s7 2.0000 and 2 more; `soundjudge report`" in line


@pytest.mark.parametrize("cut", [0, 7])
def test_a_killed_run_goes_on_where_it_stopped(table, sounds, tmp_path, cut):
    whole, out = tmp_path / "whole.csv", tmp_path / "out.csv"
    score(table, sounds, whole, LengthJudge())
    with pytest.raises(KeyboardInterrupt):
        score(table, sounds, out, LengthJudge(dies_after=4))
    assert len(read_cells(out)) == 1 + 4
    # A kill may come in the middle of a line, too.
    out.write_bytes(out.read_bytes()[: len(out.read_bytes()) - cut])
    judge = LengthJudge()
    summary = score(table, sounds, out, judge, resume=True)
    assert summary.resumed == (3 if cut else 4)
    assert judge.scored == 5  # all others, and old rows again: is it the same judge?
    assert out.read_bytes() == whole.read_bytes()


def test_each_batch_is_on_the_disk_before_the_next_is_scored(table, sounds, tmp_path, monkeypatch):
    out, flushed = tmp_path / "out.csv", []

    def note_flush(handle):
        if out.exists() and os.path.samestat(os.fstat(handle), out.stat()):
            flushed.append(len(read_cells(out)) - 1)

    monkeypatch.setattr(os, "fsync", note_flush)
    score(table, sounds, out, LengthJudge(), batch_size=2)
    assert {2, 4, 5} <= {*flushed}


def test_resuming_a_finished_table_changes_nothing(table, sounds, tmp_path):
    out = tmp_path / "out.csv"
    score(table, sounds, out, LengthJudge())
    before = out.read_bytes()
    assert score(table, sounds, out, LengthJudge(), resume=True).resumed == 5
    assert out.read_bytes() == before


def test_without_resume_a_table_is_scored_afresh(table, sounds, tmp_path):
    out = tmp_path / "out.csv"
    out.write_text("anything\n")
    judge = LengthJudge()
    with pytest.raises(SoundjudgeError, match="out.csv exists already: .*--overwrite"):
        score(table, sounds, out, judge)
    assert out.read_text() == "anything\n"
    score(table, sounds, out, judge, overwrite=True)
    assert judge.scored == 5
    assert len(read_cells(out)) == 1 + 5


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda text: text.replace("b.wav", "z.wav"), "row 2 .* not what the table has"),
        (lambda text: text.replace("id,", "nr,"), "has other columns"),
        (lambda text: text.replace(",1.0000\n", ",1.7\n"), "1.7 for a.wav, but this judge"),
        (lambda text: text.replace(",5.0000\n", ",5.5\n"), "5.5 for e.wav, but this judge"),
        (lambda text: text.replace(",3.0000\n", ",3.5\n"), "3.5 for c.wav, but this judge"),
        (lambda text: text.replace(",2.0000\n", ",x\n"), "'x' is no score"),
        (lambda text: text.replace(",2.0000\n", ",1_0\n"), "'1_0' is no score"),
        (lambda text: text + text.splitlines()[1] + '\nline",9.0\n', "row 6"),
        (lambda text: text.replace(",2.0000\n", ",2,0\n"), "row 2 has 5 fields"),
    ],
)
def test_an_output_that_is_not_this_runs_is_not_resumed(table, sounds, tmp_path, change, reason):
    out = tmp_path / "out.csv"
    score(table, sounds, out, LengthJudge())
    out.write_text(change(out.read_text()))
    with pytest.raises(SoundjudgeError, match=reason):
        score(table, sounds, out, LengthJudge(), resume=True)


@pytest.mark.parametrize("content", [b"\xff\xfe\n", b'a,"' + b"x" * 200_000 + b"\n"])
def test_an_unreadable_output_is_named(table, sounds, tmp_path, content):
    out = tmp_path / "out.csv"
    out.write_bytes(content)
    with pytest.raises(SoundjudgeError, match=r"out.csv .*choose another output"):
        score(table, sounds, out, LengthJudge(), resume=True)
    assert out.read_bytes() == content


@pytest.mark.parametrize("content", [None, b"\xff\xfe\n", b"", b"row,reason\nx,y\n"])
@pytest.mark.parametrize("policy", ["skip", "nan"])
def test_a_run_goes_on_without_the_report_of_the_first(table, sounds, tmp_path, policy, content):
    spoil(sounds)
    out, report = tmp_path / "out.csv", tmp_path / "out.csv.errors.csv"
    score(table, sounds, out, LengthJudge(), on_error=policy)
    written, reasons = out.read_bytes(), report.read_bytes()
    if content is None:
        report.unlink()
    else:
        report.write_bytes(content)
    assert score(table, sounds, out, LengthJudge(), on_error=policy, resume=True).failed == 2
    assert (out.read_bytes(), report.read_bytes()) == (written, reasons)


@pytest.mark.parametrize("policy", ["skip", "nan"])
@pytest.mark.parametrize("later", ["fail", "skip", "nan"])
def test_a_mended_sound_is_tried_again_and_its_score_stands_in_its_place(
    table, sounds, tmp_path, policy, later
):
    whole, out = tmp_path / "whole.csv", tmp_path / "out.csv"
    score(table, sounds, whole, LengthJudge())
    good = {name: (sounds / name).read_bytes() for name in ("c.wav", "e.wav")}
    spoil(sounds)
    score(table, sounds, out, LengthJudge(), on_error=policy)
    for name, content in good.items():
        (sounds / name).write_bytes(content)
    summary = score(table, sounds, out, LengthJudge(), on_error=later, resume=True)
    assert (summary.resumed, summary.failed) == (3, 0)
    assert out.read_bytes() == whole.read_bytes()
    assert not (tmp_path / "out.csv.errors.csv").exists()


def test_a_rerun_on_a_bad_table_leaves_the_finished_output(table, sounds, tmp_path):
    out = tmp_path / "out.csv"
    score(table, sounds, out, LengthJudge())
    before = out.read_bytes()
    (sounds / "a.wav").unlink()
    with pytest.raises(SoundjudgeError, match="row 1: .*a.wav is missing"):
        score(table, sounds, out, LengthJudge(), overwrite=True)
    assert out.read_bytes() == before


STRANGE = [
    "dog\u2028barks", "rain\u0085", "a\u2029b", "lone\rreturn", "two\r\nlines", "tab\there",
    "\x0bx\x0c\x1c\x1d\x1e", '"', " blanks ", "\u200b\ufeff!", "7.50", "=1+1",
]  # fmt: skip


def write_strange_table(path: Path) -> Path:
    names = ["a.wav", "b.wav", "c.wav", "d.wav", "e.wav"]
    rows = [[names[n % 5], text] for n, text in enumerate(STRANGE)]
    with path.open("w", newline="", encoding="utf-8") as file:
        delimited.write_rows(file, [["wav_file_name", "text"], *rows])
    return path


@pytest.mark.parametrize("dies_after", [2, 6, 11])
def test_any_text_survives_a_killed_run(sounds, tmp_path, dies_after):
    table, out = write_strange_table(tmp_path / "table.csv"), tmp_path / "out.csv"
    with pytest.raises(KeyboardInterrupt):
        score(table, sounds, out, LengthJudge(dies_after), batch_size=1)
    assert score(table, sounds, out, LengthJudge(), resume=True).resumed == dies_after
    header, rows = delimited.read_rows(out)
    assert header == ["wav_file_name", "text", "pred_score"]
    assert [row[1] for row in rows] == STRANGE
    assert [row[2] for row in rows[:5]] == ["1.0000", "2.0000", "3.0000", "4.0000", "5.0000"]


def test_an_output_that_a_spreadsheet_saved_is_resumed(table, sounds, tmp_path):
    whole, out = tmp_path / "whole.csv", tmp_path / "out.csv"
    score(table, sounds, whole, LengthJudge())
    with pytest.raises(KeyboardInterrupt):
        score(table, sounds, out, LengthJudge(dies_after=4))
    rows = [[cell.replace(".0000", "") for cell in row] for row in read_cells(out)]
    rows = [[row[0].lstrip("0") or "0", *row[1:]] for row in rows]  # 007 is 7 to it
    for mark, delimiter, quoting in [("", ";", 0), ("\ufeff", ",", 1), ("\ufeff", "\t", 0)]:
        with out.open("w", newline="", encoding="utf-8") as file:
            file.write(mark)
            csv.writer(file, delimiter=delimiter, quoting=quoting).writerows(rows)
        assert score(table, sounds, out, LengthJudge(), resume=True).resumed == 4
        assert out.read_bytes() == whole.read_bytes()


def test_a_sound_that_was_deleted_since_does_not_stop_a_run(table, sounds, tmp_path):
    out = tmp_path / "out.csv"
    with pytest.raises(KeyboardInterrupt):
        score(table, sounds, out, LengthJudge(dies_after=4))
    (sounds / "d.wav").unlink()
    assert score(table, sounds, out, LengthJudge(), resume=True).resumed == 4
    for name in ("a.wav", "b.wav", "c.wav", "e.wav"):
        (sounds / name).unlink()
    with pytest.raises(SoundjudgeError, match="cannot be held to this judge.*are gone"):
        score(table, sounds, out, LengthJudge(), resume=True)


def test_a_second_run_on_the_same_output_is_refused(table, sounds, tmp_path):
    out = tmp_path / "out.csv"

    class SecondRun(LengthJudge):
        def score_sounds(self, *arguments: object) -> list[PairScore]:
            with pytest.raises(SoundjudgeError, match=r"another run \(process \d+\) is writing"):
                score(table, sounds, out, LengthJudge(), resume=True)
            return super().score_sounds(*arguments)

    score(table, sounds, out, SecondRun())
    assert [row[3] for row in read_cells(out)[1:]] == [f"{n}.0000" for n in range(1, 6)]
    assert not (tmp_path / "out.csv.lock").exists()


@pytest.mark.parametrize("name", ["./out.csv.errors.csv", "table.csv"])
def test_neither_output_is_written_over_the_table(sounds, tmp_path, name):
    table = tiny_pairs.write_table(tmp_path / name)
    (tmp_path / "link.csv").symlink_to(table)
    before = table.read_bytes()
    for out in (tmp_path / "out.csv", tmp_path / "link.csv")[name == "table.csv" :]:
        with pytest.raises(SoundjudgeError, match="is one of the files that are read"):
            score(table, sounds, out, LengthJudge(), overwrite=True)
    assert table.read_bytes() == before


@pytest.mark.parametrize(
    ("listed", "hint"),
    [
        ("sub\\a.wav", "sub/a.wav is there: write / in place of"),
        ("a.wav ", "but 'a.wav' is there"),
        ("A.WAV", "but 'a.wav' is there"),
        ("cafe\u0301.wav", "but 'caf\u00e9.wav' is there"),
    ],
)
def test_a_name_in_another_spelling_is_told(sounds, tmp_path, listed, hint):
    (sounds / "sub").mkdir()
    for name in ("sub/a.wav", "caf\u00e9.wav"):
        (sounds / name).write_bytes((sounds / "a.wav").read_bytes())
    table = tmp_path / "table.csv"
    table.write_text(f"wav_file_name,text\n{listed},a dog\n")
    with pytest.raises(SoundjudgeError, match=hint):
        score(table, sounds, tmp_path / "out.csv", LengthJudge())


def test_tables_with_tabs_and_json_lines_are_scored(sounds, tmp_path):
    tabs, lines = tmp_path / "t.tsv", tmp_path / "t.jsonl"
    tabs.write_text("wav_file_name\ttext\nb.wav\ta, b\n")
    lines.write_text('{"wav_file_name": "b.wav", "text": "a, b"}\n')
    for table in (tabs, lines):
        out = tmp_path / f"{table.suffix[1:]}.csv"
        score(table, sounds, out, LengthJudge())
        assert out.read_text() == 'wav_file_name,text,pred_score\nb.wav,"a, b",2.0000\n'


def test_blank_lines_in_an_output_do_not_matter(table, sounds, tmp_path):
    out = tmp_path / "out.csv"
    score(table, sounds, out, LengthJudge())
    whole = out.read_bytes()
    out.write_bytes(whole + b"\n\n")
    assert score(table, sounds, out, LengthJudge(), resume=True).resumed == 5
    assert out.read_bytes() == whole


def test_a_bad_sound_ends_the_run_and_after_mending_it_goes_on(table, sounds, tmp_path):
    out, report = tmp_path / "out.csv", tmp_path / "out.csv.errors.csv"
    good = (sounds / "d.wav").read_bytes()
    (sounds / "d.wav").write_bytes(b"no sound")
    with pytest.raises(SoundjudgeError, match=r"table\.csv row 4: .*d\.wav.*--resume"):
        score(table, sounds, out, LengthJudge())
    assert len(read_cells(out)) == 1 + 3  # what was before it in the batch is kept
    assert [row[:2] for row in read_cells(report)] == [["row", "wav_file_name"], ["4", "d.wav"]]
    (sounds / "d.wav").write_bytes(good)
    assert score(table, sounds, out, LengthJudge(), resume=True).resumed == 3
    assert len(read_cells(out)) == 1 + 5
    assert not report.exists()


@pytest.mark.parametrize("policy", ["skip", "nan"])
@pytest.mark.parametrize("dies_after", [0, 2, 1000])
def test_bad_sounds_are_reported_and_never_a_number(table, sounds, tmp_path, policy, dies_after):
    spoil(sounds)
    out, report = tmp_path / "out.csv", tmp_path / "out.csv.errors.csv"
    if dies_after < 1000:
        with pytest.raises(KeyboardInterrupt):
            score(table, sounds, out, LengthJudge(dies_after), on_error=policy)
    summary = score(table, sounds, out, LengthJudge(), on_error=policy, resume=True)
    assert summary.failed == 2
    scores = {row[1]: row[3] for row in read_cells(out)[1:]}
    kept = {"a.wav": "1.0000", "b.wav": "2.0000", "d.wav": "4.0000"}
    assert scores == (kept if policy == "skip" else kept | {"c.wav": "", "e.wav": ""})
    assert [row[1] for row in read_cells(out)[1:]] == sorted(scores)
    assert [(row[0], row[1]) for row in read_cells(report)[1:]] == [("3", "c.wav"), ("5", "e.wav")]
    assert all(row[3] for row in read_cells(report))


def test_a_table_that_cannot_be_scored_is_refused_before_anything_is_written(sounds, tmp_path):
    out = tmp_path / "out.csv"
    for content, reason in (
        ("wav_file_name,words\na.wav,x\n", "no column of texts under a usual name"),
        ("wav_file_name,text\n", "no rows"),
        ("wav_file_name,text,pred_score\na.wav,x,1\n", "pred_score"),
        ("wav_file_name,text\na.wav,\n", "row 1"),
    ):
        table = tmp_path / "table.csv"
        table.write_text(content)
        with pytest.raises(SoundjudgeError, match=reason):
            score(table, sounds, out, LengthJudge())
    table.write_text("wav_file_name,text\na.wav,x\n")
    with pytest.raises(SoundjudgeError, match="is one of the files that are read"):
        score(table, sounds, table, LengthJudge())
    with pytest.raises(SoundjudgeError, match="is no folder"):
        score(table, sounds / "nowhere", out, LengthJudge())
    assert not out.exists()


def test_a_rerun_without_resume_keeps_the_rows_of_a_killed_run_on_parquet(table, sounds, tmp_path):
    parquet, out = tmp_path / "t.parquet", tmp_path / "out.parquet"
    pd.read_csv(table, dtype=str).to_parquet(parquet)
    with pytest.raises(KeyboardInterrupt):
        score(parquet, sounds, out, LengthJudge(dies_after=4))
    rows = (tmp_path / "out.parquet.partial.csv").read_bytes()
    with pytest.raises(SoundjudgeError, match="partial.csv has rows of an earlier run: --resume"):
        score(parquet, sounds, out, LengthJudge())
    assert (tmp_path / "out.parquet.partial.csv").read_bytes() == rows
    assert score(parquet, sounds, out, LengthJudge(), resume=True).resumed == 4


def test_a_file_beside_the_output_that_is_no_report_is_kept(table, sounds, tmp_path):
    out, notes = tmp_path / "out.csv", tmp_path / "out.csv.errors.csv"
    notes.write_text("my notes\n")
    with pytest.raises(SoundjudgeError, match="no report of this command: move it"):
        score(table, sounds, out, LengthJudge())
    assert notes.read_text() == "my notes\n" and not out.exists()
    notes.write_text("row,wav_file_name,text,reason\n1,a.wav,x,gone\n")  # of an earlier run
    assert score(table, sounds, out, LengthJudge()).failed == 0
    assert not notes.exists()
