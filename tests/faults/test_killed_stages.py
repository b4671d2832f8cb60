"""Stages and downloads, killed or out of room at each write, as commands in test_every_write.py."""

from collections.abc import Iterator
from contextlib import chdir
from functools import partial
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import repository
import tiny_hub
import tiny_last_fit
from test_every_write import check_every_write

from soundjudge.data.fetch import download
from soundjudge.data.fetch.entries import Entry, Mirror, RemoteFile
from soundjudge.doctor import consistency
from soundjudge.scoring.judge import package

MEMBERS = ("clapscore", "regress", "finetune")
INPUTS = (
    "params.yaml", "stages", "final", "metrics/evaluate.md", "checkpoints/ensemble.json",
    "checkpoints/encoders", *(f"checkpoints/{name}" for name in MEMBERS), "data/prepared",
    "data/targets", "data/test_labels", "data/predictions/ensemble",
)  # fmt: skip
PREDICTED = "data/final/predictions"
STAGES: dict[str, tuple[str, tuple[str, ...]]] = {
    "targets": ("final/targets.py", ()),
    "compare": (
        "final/compare.py",
        ("data/predictions/members", "data/final/targets", f"{PREDICTED}/members"),
    ),
    "package": (
        "final/package.py",
        ("metrics/final.md", PREDICTED, *(f"checkpoints/final/{name}" for name in MEMBERS)),
    ),
    "refit": ("stages/refit.py", ("data/predictions/members/one",)),
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("project")
    tiny_last_fit.write_project(root)
    for name in ("stages", "final"):
        (root / name).symlink_to(repository.ROOT / name)
    return root


def run_stage(project: Path, name: str, out: Path) -> None:
    """The stage in a folder with links to its inputs; what it starts runs in this process."""
    script, inputs = STAGES[name]
    for link in (*INPUTS, *inputs):
        if not (out / link).is_symlink():
            (out / link).parent.mkdir(parents=True, exist_ok=True)
            (out / link).symlink_to(project / link)
    with chdir(out):
        repository.run_script(script, *(["regress"] if name == "refit" else []))


@pytest.mark.parametrize("kind", ["kill", "full disk"])
@pytest.mark.parametrize("name", STAGES)
def test_a_stage_leaves_whole_files_at_every_write(project, tmp_path, monkeypatch, name, kind):
    def run_here(command: list[str], **_: object) -> CompletedProcess[str]:
        repository.run_script(command[1], *command[2:])
        return CompletedProcess(command, 0)

    monkeypatch.setattr("subprocess.run", run_here)
    monkeypatch.setattr(consistency, "check_params", lambda: None)  # it writes nothing
    monkeypatch.setattr(package, "SAME_SCORE", 10.0)  # the predictions are random
    run = partial(run_stage, project, name)
    check_every_write(run, tmp_path, kind, is_new=True, keeps_hidden=name == "refit")


WEIGHTS = bytes(range(256)) * 20
ENTRY = Entry(
    description="a model",
    mirrors=(Mirror(repository="someone/clap"),),
    files=(
        RemoteFile(name="config.json", bytes=10),
        RemoteFile(name="model.safetensors", bytes=5_000),
    ),
    license="Apache-2.0",
    path=Path("official/clap"),
)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[tiny_hub.LoopbackHub]:
    with tiny_hub.connected(monkeypatch, tmp_path) as hub:
        hub.files["someone/clap"] = {"config.json": b"{}", "model.safetensors": WEIGHTS}
        yield hub


@pytest.mark.parametrize("kind", ["kill", "full disk"])
def test_a_download_leaves_whole_files_at_every_write(hub, tmp_path, kind):
    def run(out: Path) -> None:
        download.fetch("clap", ENTRY, out / ENTRY.path, str)

    check_every_write(run, tmp_path, kind, is_new=True, keeps_hidden=True)
