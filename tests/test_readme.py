"""What the README and the pages of docs/ say can be run, is there, and does what they say."""

import importlib.util
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import tiny_judge
import yaml
from optional_packages import soundfile
from repository import ROOT
from typer.testing import CliRunner

from soundjudge.cli import app

README = (ROOT / "README.md").read_text(encoding="utf-8")
BENCHMARKS = (ROOT / "benchmarks/README.md").read_text(encoding="utf-8")
DVC = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]


def blocks(kind: str, page: str = README) -> list[str]:
    found = re.findall(r"^```(\w*)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    return [text for language, text in found if language == kind]


def commands() -> list[str]:
    """The lines of all pages' shell blocks, and what stands in their text as a command."""
    pages = [README, *(path.read_text(encoding="utf-8") for path in (ROOT / "docs").glob("*.md"))]
    found = []
    for page in pages:
        shells = re.findall(r"^( *)```bash\n(.*?)^ *```$", page, re.MULTILINE | re.DOTALL)
        found += [line.strip() for _, block in shells for line in block.splitlines() if line]
        found += re.findall(r"`((?:soundjudge|make|dvc|python) [^`]+)`", page)
    return list(dict.fromkeys(found))


def outputs() -> list[str]:
    """What the pipelines write, as paths without members' names."""
    last_fit = yaml.safe_load((ROOT / "final/dvc.yaml").read_text(encoding="utf-8"))["stages"]
    bodies = [stage.get("do", stage) for stage in (*DVC.values(), *last_fit.values())]
    listed = [o for b in bodies for kind in ("outs", "metrics", "plots") for o in b.get(kind, [])]
    return [(next(iter(o)) if isinstance(o, dict) else o).split("/$")[0] for o in listed]


def exists(name: str) -> bool:
    """In the repository, or written by the pipeline."""
    built = any(f"{name}/".startswith(f"{out}/") or out.startswith(f"{name}/") for out in outputs())
    return built or (ROOT / name).exists()


def tree() -> Iterator[tuple[str, str]]:
    """Path and caption of every line of the captioned tree."""
    (block,) = blocks("")
    folder = ""
    for line in block.splitlines():
        indent, name, caption = re.fullmatch(r"( *)(\S+)  +(\S.*)", line).groups()
        yield (folder if indent else "") + name, caption
        if not indent:
            folder = name


@pytest.mark.parametrize("command", commands())
def test_every_command_of_the_pages_can_be_run(command: str) -> None:
    words = shlex.split(command)
    if words[0] == "soundjudge":
        result = CliRunner().invoke(app, [words[1], "--help"])
        assert result.exit_code == 0
        flags = {word for word in words[2:] if re.fullmatch("--?[a-z-]+", word)}
        assert flags <= set(re.findall(r"(?<!\w)--?[a-z-]+", result.output))
        if words[1] == "recipe":
            assert words[2] in {"NAME", *(path.stem for path in (ROOT / "recipes").iterdir())}
    elif words[0] == "make":
        assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
    elif words[0] == "dvc":
        parser = pytest.importorskip("dvc.cli.parser", reason="dvc is an extra")
        names = [word for word in words[1:] if word not in DVC]
        with pytest.raises(SystemExit, match="^0$"):
            parser.get_main_parser().parse_args([*names, "--help"])
    elif words[:2] == ["python", "-m"]:
        assert importlib.util.find_spec(words[2]) is not None
    elif words[0] in ("python", "torchrun"):
        (script,) = [word for word in words if word.endswith(".py")]
        assert (ROOT / script).is_file()
    else:
        assert words[0] in (".", "git", "export", "$EDITOR"), "teach this test the command"


def test_the_torch_of_the_first_page_is_the_torch_of_the_constraints() -> None:
    page = (ROOT / "docs/first_score.md").read_text(encoding="utf-8")
    (version,) = re.findall(r"install (torch==\S+)", page)
    assert version in (ROOT / "constraints.txt").read_text().splitlines()


@pytest.mark.parametrize("page", [README, BENCHMARKS], ids=["README", "benchmarks"])
def test_every_file_that_a_page_names_is_there(page: str) -> None:
    folder = ROOT / "benchmarks" if page is BENCHMARKS else ROOT
    quoted = re.findall(r"`([\w./-]+/[\w./-]*|[\w-]+\.(?:py|yaml|md|txt))`", page)
    quoted += re.findall(r"\]\(([\w./-]+)\)", page)
    written = {"data/raw/", "work/ablation/", "ablation.md", ".venv/bin"}  # by users and scripts
    written |= {"wav/train/", "wav/validation/", "meta_data/train.csv"}  # inside a user's folder
    scripts = {path.name for path in (ROOT / "stages").iterdir()}
    missing = [
        name
        for name in quoted
        if name not in written | scripts
        and not exists(name.rstrip("/"))
        and not (folder / name).exists()
    ]
    assert not missing


def test_the_tree_names_what_is_there() -> None:
    assert not [name for name, _ in tree() if not exists(name.rstrip("/"))]


def test_the_tree_leaves_nothing_out() -> None:
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("not a clone")
    tracked = subprocess.run(
        [git, "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split("\n")
    paths = [Path(name).parts for name in tracked if name and not name.startswith(".")]
    top = {parts[0] for parts in paths}
    package = {parts[2] for parts in paths if parts[:2] == ("src", "soundjudge")}
    named = {name.rstrip("/") for name, _ in tree()}
    assert top - {"src"} <= named
    package -= {"__init__.py", "__main__.py", "py.typed"}
    assert {f"src/soundjudge/{name}" for name in package} <= named


def test_the_diagram_of_the_pipeline_has_every_stage_and_no_other() -> None:
    (diagram,) = blocks("mermaid")
    assert set(re.findall(r"[a-z_]+", diagram.split("\n", 1)[1])) == set(DVC)


def test_the_stages_are_listed_in_the_order_of_the_pipeline() -> None:
    (sentence,) = re.findall(r"The stages, in their order: ([^.]*)\.", README)
    assert re.findall(r"`(\w+)`", sentence) == list(DVC)


def test_the_sample_has_the_sizes_that_the_readme_says() -> None:
    sample = yaml.safe_load((ROOT / "data/sample/params.yaml").read_text(encoding="utf-8"))
    sizes = sample["compose"]["sizes"]
    train, validation, test = (f"{size:,}" for size in sizes["xacle"])
    text = README.replace("\n  ", " ")
    assert f"AudioCaps ({sum(sizes['audiocaps']):,} clips)" in text
    assert f"VGGSound ({sum(sizes['vggsound']):,})" in text
    assert f"XACLE ({train}, {validation} and {test} pairs" in text
    clips = (ROOT / "data/sample/clips/manifest.csv").read_text(encoding="utf-8")
    count = len(re.findall("^rc[0-9]+,", clips, re.MULTILINE))
    assert set(re.findall(r"(\d+) recordings", text)) == {str(count)}


@pytest.fixture
def judge_here(in_folder: Path) -> Path:
    """A folder with a tiny judge, a dog and a table, as the README assumes them."""
    tiny_judge.build(in_folder / "checkpoints/judge", in_folder)
    soundfile.write(in_folder / "dog.wav", tiny_judge.noise(1.0, 1), 16_000)
    (in_folder / "wav").mkdir()
    shutil.copy(in_folder / "dog.wav", in_folder / "wav/a.wav")
    (in_folder / "pairs.csv").write_text("wav_file_name,text\na.wav,a dog barks\n")
    return in_folder


def test_the_three_lines_of_the_library_score_a_sound(judge_here: Path) -> None:
    (lines,) = blocks("python")
    namespace: dict[str, object] = {}
    *before, last = lines.splitlines()
    exec("\n".join(before), namespace)  # noqa: S102  the README's own example
    assert 0 <= eval(last, namespace) <= 10  # noqa: S307
    judge = namespace["judge"]
    dog = (tiny_judge.noise(1.0, 1), 16_000)
    call = re.search(r"`(judge\.score_pairs\(.*?\))`", README).group(1)
    scores = eval(call, {"judge": judge, "sounds": ["dog.wav", dog], "texts": ["a dog", "rain"]})  # noqa: S307
    assert len(scores) == 2


def test_the_commands_of_the_readme_score_and_rank(judge_here: Path) -> None:
    block, _ = [block for block in blocks("bash") if "score-table" in block]
    table, _, rank, _ = (shlex.split(line)[1:] for line in block.splitlines())
    assert CliRunner().invoke(app, table).exit_code == 0
    header, row = (judge_here / "scores.csv").read_text().splitlines()
    assert header == "wav_file_name,text,pred_score"
    assert row.startswith("a.wav,a dog barks,")
    for take in rank[2:]:
        shutil.copy(judge_here / "dog.wav", judge_here / take)
    ranked = CliRunner().invoke(app, rank)
    assert ranked.exit_code == 0, ranked.output
    assert len(ranked.stdout.splitlines()) == 3
