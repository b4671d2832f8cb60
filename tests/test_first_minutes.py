"""A newcomer's first ten minutes: the pages' commands as written, and the output that they show."""

import json
import re
import shlex
import shutil
from contextlib import chdir
from pathlib import Path

import numpy as np
import pytest
import tiny_judge
from optional_packages import soundfile
from repository import ROOT
from typer.testing import CliRunner, Result

from soundjudge.cli import app
from soundjudge.labels.files import screening_report
from soundjudge.scoring.evaluation import systems
from soundjudge.scoring.judge.manifest import read_manifest

README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = ("score.md", "limits.md")
JUDGE = ROOT / "checkpoints/judge"
PACKAGED = ROOT / "metrics/package.json"


def bash_lines(page: str, *, having: str = "") -> list[list[str]]:
    """The words of each line of a page's shell blocks: of all, or of those with some text."""
    found = re.findall(r"^ *```bash\n(.*?)^ *```$", page, re.MULTILINE | re.DOTALL)
    return [shlex.split(line) for block in found if having in block for line in block.splitlines()]


def run(words: list[str]) -> Result:
    """A line of a page, in this process; a file behind > gets what it prints."""
    program, *arguments = words
    assert program == "soundjudge", words
    target = None
    if ">" in arguments:
        *arguments, _, target = arguments
    result = CliRunner().invoke(app, arguments)
    if target is not None:
        Path(target).write_text(result.stdout, encoding="utf-8")
    return result


def shown_outputs() -> list[tuple[str, str]]:
    """Each command of a page that is followed by its output, and that output."""
    pages = [README, *(page.read_text("utf-8") for page in sorted((ROOT / "docs").glob("*.md")))]
    pattern = r"^```bash\n(.*?)^```\n\n```text\n(.*?)^```$"
    found = [pair for page in pages for pair in re.findall(pattern, page, re.M | re.S)]
    return [(commands.splitlines()[-1], output) for commands, output in found]


def test_the_score_id_that_pages_show_is_that_of_the_packaged_judge() -> None:
    packaged = json.loads(PACKAGED.read_text(encoding="utf-8"))["score_id"]
    shown = [line for _, output in shown_outputs() for line in output.splitlines() if "@" in line]
    assert len(shown) >= 2 and set(shown) == {packaged}


def numbers_apart(text: str) -> tuple[str, list[float]]:
    """The words of an output, and its numbers of four decimals: stable to about 1e-3."""
    return re.sub(r"\d+\.\d{4}\b", "#", text), [float(n) for n in re.findall(r"\d+\.\d{4}\b", text)]


@pytest.mark.parametrize(("command", "output"), shown_outputs(), ids=lambda text: text[:30])
@pytest.mark.slow
def test_a_page_shows_what_its_command_prints(command: str, output: str) -> None:
    if not JUDGE.is_dir():
        pytest.skip("the pipeline has not run here: there is no checkpoints/judge")
    packaged = json.loads(PACKAGED.read_text(encoding="utf-8"))["score_id"]
    if read_manifest(JUDGE).score_id != packaged:
        pytest.skip("the judge here is another machine's than the one that README was written on")
    with chdir(ROOT):
        result = run(shlex.split(command))
    assert result.exit_code == 0, result.output
    words, numbers = numbers_apart(result.stdout + result.stderr)
    shown_words, shown_numbers = numbers_apart(output)
    assert words == shown_words
    assert numbers == pytest.approx(shown_numbers, abs=1e-3)


def test_the_figures_in_the_pages_texts_are_those_of_the_evaluation() -> None:
    details = json.loads((ROOT / "metrics/details/evaluate.json").read_text(encoding="utf-8"))
    test, intervals = details["test"], details["intervals"]["test"]
    pages = {name: " ".join((ROOT / "docs" / name).read_text("utf-8").split()) for name in PAGES}
    (ceiling,) = re.findall(r"SRCC of (\.\d+) to (\.\d+) with", " ".join(README.split()))
    (covered,) = re.findall(r"test split ([\d.]+) % \[([\d.]+), ([\d.]+)\] lie", pages["score.md"])
    (error,) = re.findall(r"listeners' means is ([\d.]+) points", pages["limits.md"])
    expected = [
        *(test["ceiling"][f"ceiling_srcc{suffix}"] for suffix in ("_deconvolved", "")),
        *(100 * intervals[key] for key in ("coverage", "coverage_lo", "coverage_hi")),
        test["ensemble"]["mse"] ** 0.5,
    ]
    for number, text in zip(expected, [*ceiling, *covered, error], strict=True):
        assert float(text) == pytest.approx(number, abs=0.51 * 10 ** -len(text.partition(".")[2]))


def write_systems() -> None:
    """What the pages on generators assume: a judge, two systems' sounds, prompts, takes."""
    tiny_judge.build(Path("checkpoints/judge"), Path())
    for copy in ("clap-judge", "final/judge"):
        shutil.copytree("checkpoints/judge", Path("checkpoints", copy))
    folders = ("wav", "tango2", "audiogen", ".")
    takes = ("take1", "take2", "take3", "dog")
    names = {"wav": "ab", "tango2": "abcd", "audiogen": "abcd", ".": takes}
    seed = 0
    for folder in folders:
        Path(folder).mkdir(exist_ok=True)
        for name in names[folder]:
            seed += 1
            soundfile.write(Path(folder, f"{name}.wav"), tiny_judge.noise(1.0, seed), 16_000)
    for table in ("pairs.csv", "test.csv"):
        Path(table).write_text("wav_file_name,text\na.wav,a dog barks\nb.wav,rain\n")
    Path("prompts.csv").write_text("id,text\na,a dog barks\nb,rain\nc,a bell\nd,a car\n")
    Path("captions.txt").write_text("a dog barks\nrain\n")


def write_ratings() -> None:
    """A listening test of 60 pairs by eight listeners, its means, and three tables of scores."""
    rng = np.random.default_rng(0)
    truth = rng.uniform(0, 10, 60)
    ratings, means = ["wav_file_name,text,listener_id,score"], ["wav_file_name,text,average_score"]
    for pair, value in enumerate(truth):
        scores = np.clip(np.round(value + rng.normal(size=4)), 0, 10)
        for who, score in zip(rng.choice(8, 4, replace=False), scores, strict=True):
            ratings.append(f"{pair}.wav,text {pair},l{who},{score:.0f}")
        means.append(f"{pair}.wav,text {pair},{scores.mean()}")
    Path("ratings.csv").write_text("\n".join(ratings) + "\n")
    Path("average.csv").write_text("\n".join(means) + "\n")
    for number, name in enumerate(("scores", "a", "b", "c"), start=1):
        lines = [f"{p}.wav,text {p},{v + number * rng.normal()}" for p, v in enumerate(truth)]
        Path(f"{name}.csv").write_text("\n".join(["wav_file_name,text,pred_score", *lines]) + "\n")


@pytest.mark.slow
@pytest.mark.parametrize("page", ["README.md", "docs/score_your_generator.md"])
def test_the_commands_of_who_scores_a_generator_run_in_their_order(
    in_folder: Path, page: str
) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    lines = [
        words for block in ("score-table pairs", "report tango2", "rank ")
        for words in bash_lines(text, having=block)
    ]  # fmt: skip
    write_systems()
    ran = []
    for words in {tuple(words): words for words in lines}.values():
        if words[1] == "serve":
            continue  # it never ends; tests/page serve it
        result = run(words)
        assert result.exit_code == 0, (words, result.output)
        assert "tiny@1.0+" in result.stderr
        ran.append(words[1])
    assert {"score-table", "report", "rank"} <= set(ran)
    assert len(Path("scores.csv").read_text().splitlines()) == 3
    assert "<audio" in Path("report.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_commands_of_who_has_a_listening_test_run_in_their_order(
    in_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(screening_report, "RESAMPLES", 5)  # else seconds
    monkeypatch.setattr(systems, "CEILING_RESAMPLES", 5)
    write_ratings()
    Path("average.csv").unlink()  # which one of the commands writes
    lines = bash_lines(README, having="soundjudge reliability")
    assert [words[1] for words in lines] == [
        "reliability", "study", "screen", "standardize", "standardize", "evaluate", "compare",
    ]  # fmt: skip
    for words in lines:
        result = run(words)
        assert result.exit_code == 0, (words, result.output)
    assert (in_folder / "report/reliability.json").is_file()
    assert len((in_folder / "targets.csv").read_text().splitlines()) == 61


def test_the_commands_of_who_enters_the_challenge_run_in_their_order(in_folder: Path) -> None:
    page = (ROOT / "docs/xacle2027.md").read_text(encoding="utf-8")
    write_systems()
    shutil.copytree(ROOT / "recipes", "recipes")
    shutil.copy(ROOT / "params.yaml", "params.yaml")
    recipe, doctor, fetch = (w for w in bash_lines(page, having="recipe") if w[0] == "soundjudge")
    assert run(recipe).exit_code == 0 and "finetune:" in Path("params.yaml").read_text()
    missing = run(doctor)
    assert missing.exit_code == 1 and "data/raw/xacle" in missing.output
    offline = run(fetch)  # tests reach no hub
    assert offline.exit_code == 2 and "HF_HUB_OFFLINE is set" in offline.stderr
    for words in bash_lines(page, having="submission"):
        result = run(words)
        assert result.exit_code == 0, (words, result.output)
    assert Path("submission.zip").is_file()
