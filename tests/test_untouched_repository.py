"""A test that would write into the repository fails, whatever it catches."""

import contextlib
import os
from pathlib import Path

import pytest
from repository import ROOT
from untouched_repository import RepositoryChanged

from soundjudge.runtime import artifacts

NEW = ROOT / "checkpoints/new"


@pytest.mark.parametrize(
    "change",
    [
        lambda tmp_path: NEW.write_text("new"),
        lambda tmp_path: NEW.mkdir(),
        lambda tmp_path: os.close(os.open(NEW, os.O_CREAT)),
        lambda tmp_path: tmp_path.rename(NEW),
        lambda tmp_path: NEW.symlink_to(tmp_path),
        lambda tmp_path: (ROOT / "README.md").unlink(),
        lambda tmp_path: artifacts.write_json(NEW, {}),
    ],
    ids=["write", "mkdir", "open", "rename", "symlink", "unlink", "write_json"],
)
def test_a_change_of_the_repository_is_an_error_that_nothing_catches(change, tmp_path):
    with (
        pytest.raises(RepositoryChanged, match="checkpoints|README"),
        contextlib.suppress(Exception),
    ):
        change(tmp_path)
    assert not NEW.exists() and (ROOT / "README.md").is_file()


def test_a_relative_path_and_a_link_lead_into_the_repository_too(tmp_path, monkeypatch):
    (tmp_path / "link").symlink_to(ROOT)
    for path in (tmp_path / "link/new", Path(os.path.relpath(ROOT / "new"))):
        with pytest.raises(RepositoryChanged):
            path.write_text("new")


def test_a_folder_that_becomes_a_link_leads_into_the_repository_from_then_on(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "new").write_text("new")
    (folder / "new").unlink()
    folder.rmdir()
    folder.symlink_to(ROOT)
    with pytest.raises(RepositoryChanged):
        (folder / "new").write_text("new")
    folder.unlink()
    folder.mkdir()
    (folder / "new").write_text("new")


def test_reading_and_other_folders_are_free(tmp_path):
    assert (ROOT / "README.md").read_text()
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/file").write_text("text")
    os.close(os.open("/dev/null", os.O_WRONLY))
