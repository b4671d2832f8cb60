"""Outputs: never over an input, never over a file unasked, never two runs at once."""

import multiprocessing
import os
import signal
import stat
import time
from pathlib import Path

import pytest

from soundjudge.data.user_files.outputs import locked_output
from soundjudge.errors import SoundjudgeError
from soundjudge.runtime.artifacts import atomic_file

CSV = (".csv",)


def write(out: Path, inputs: tuple[Path, ...] = (), **choice: bool) -> None:
    with (
        locked_output(out, inputs, CSV, **({"overwrite": False} | choice)) as target,
        atomic_file(target) as temporary,
    ):
        temporary.write_text("new\n")


def test_missing_folders_are_made_and_nothing_but_the_output_stays(tmp_path):
    write(tmp_path / "a/b/out.csv")
    assert (tmp_path / "a/b/out.csv").read_text() == "new\n"
    assert [path.name for path in (tmp_path / "a/b").iterdir()] == ["out.csv"]


def test_an_existing_output_is_replaced_only_if_asked(tmp_path):
    out = tmp_path / "out.csv"
    out.write_text("old\n")
    with pytest.raises(SoundjudgeError, match=r"out\.csv exists already: .*--overwrite"):
        write(out)
    assert out.read_text() == "old\n"
    write(out, overwrite=True)
    assert out.read_text() == "new\n"


@pytest.mark.parametrize("kind", ["same", "dots", "symlink", "hardlink"])
def test_an_input_is_never_the_output_under_any_name(tmp_path, kind):
    path, out = tmp_path / "in.csv", tmp_path / "out.csv"
    path.write_text("old\n")
    (tmp_path / "x").mkdir()
    if kind == "symlink":
        out.symlink_to(path)
    elif kind == "hardlink":
        out.hardlink_to(path)
    else:
        out = {"same": path, "dots": tmp_path / "x/../in.csv"}[kind]
    with pytest.raises(SoundjudgeError, match="is one of the files that are read"):
        write(out, (path,), overwrite=True)
    assert path.read_text() == "old\n"


def test_the_target_of_a_link_is_written_and_permissions_stay(tmp_path):
    target, out = tmp_path / "disk/target.csv", tmp_path / "out.csv"
    target.parent.mkdir()
    target.write_text("old\n")
    target.chmod(0o640)
    out.symlink_to(target)
    write(out, overwrite=True)
    assert out.is_symlink()
    assert target.read_text() == "new\n"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


@pytest.mark.parametrize("name", ["out.txt", "out", "out.csv.gz", "out.parquet"])
def test_another_suffix_is_refused(tmp_path, name):
    with pytest.raises(SoundjudgeError, match=r"let it end in \.csv"):
        write(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_folder_or_a_file_in_the_way_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SoundjudgeError, match=r"is a folder: name a \.csv file in it"):
        write(tmp_path)
    with pytest.raises(SoundjudgeError, match="file is no folder: name another output"):
        write(tmp_path / "file/out.csv")


def hold(out: Path) -> None:
    with locked_output(out, [], CSV, overwrite=True):
        out.with_name("held").touch()
        time.sleep(60)


def test_a_second_run_is_refused_until_the_first_ends_however_it_ends(tmp_path):
    out = tmp_path / "out.csv"
    process = multiprocessing.get_context("fork").Process(target=hold, args=(out,))
    process.start()
    while not (tmp_path / "held").exists():
        time.sleep(0.01)
    with pytest.raises(SoundjudgeError, match=rf"another run \(process {process.pid}\) is writing"):
        write(out)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert (tmp_path / "out.csv.lock").exists()
    write(out)  # the lock of a dead run holds nobody
    assert not (tmp_path / "out.csv.lock").exists()


@pytest.mark.parametrize("out", [".", "", "..", "new/"])
def test_a_folder_without_a_name_of_its_own_is_no_output(tmp_path, monkeypatch, out):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "new").mkdir()
    with pytest.raises(SoundjudgeError, match=r"is a folder: name a \.csv file in it"):
        write(Path(out), overwrite=True)


def test_a_ring_of_links_is_a_sentence(tmp_path):
    (tmp_path / "a.csv").symlink_to(tmp_path / "b.csv")
    (tmp_path / "b.csv").symlink_to(tmp_path / "a.csv")
    with pytest.raises(SoundjudgeError, match=r"a\.csv is a link that leads to itself: remove it"):
        write(tmp_path / "a.csv", (tmp_path / "in.csv",))
