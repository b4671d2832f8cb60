"""The pages beside the README: generated ones are current and complete, the others true."""

import importlib.util
import re
import shlex
import tomllib
from dataclasses import dataclass, is_dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import yaml
from repository import ROOT
from typer.testing import CliRunner

from soundjudge.cli import app
from soundjudge.labels.files import screening_report
from soundjudge.recipes import FREE_NAMES
from soundjudge.scoring.evaluation import systems

SPEC = importlib.util.spec_from_file_location("generate", ROOT / "docs/generate.py")
generate = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(generate)

PAGES = [ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
CONTRIBUTING = PAGES[0].read_text(encoding="utf-8")


@dataclass
class Example:
    beside: float  # rating points
    folded: tuple[  # cosine
        float, float
    ]
    below: float
    """seconds
    of a window"""
    bare: int


@dataclass
class Inherited(Example):
    """Has no field of its own."""


def leaves(values: object, above: str = "") -> set[str]:
    """Dotted names of all settings; NAME stands for any name that a user gives."""
    if not isinstance(values, dict) or not values:
        return {above}
    below = {key: f"{above}.{'NAME' if above in FREE_NAMES else key}".lstrip(".") for key in values}
    return {leaf for key, inner in values.items() for leaf in leaves(inner, below[key])}


@pytest.mark.parametrize("name", generate.PAGES)
def test_a_generated_page_is_current(name: str) -> None:
    assert (ROOT / "docs" / name).read_text(encoding="utf-8") == generate.PAGES[name](), "make docs"


def test_every_key_is_explained_in_params_yaml_or_on_its_page() -> None:
    written = generate.comments()
    keys = {}
    for section in generate.sections():
        told = generate.explanations(section)
        for name in section.names:
            for field, hint in generate.fields(section.type).items():
                if not is_dataclass(hint):
                    keys[f"{name}.{field}"] = told.get(field) or [
                        text for name in section.names if (text := written.get(f"{name}.{field}"))
                    ]
    assert not [key for key, texts in keys.items() if not texts]
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    listed = {leaf.removesuffix(".NAME") for leaf in leaves(params)}
    assert not [key for key in listed - set(keys) if not written[key]]


def test_a_key_that_params_yaml_explains_is_not_on_the_page(monkeypatch) -> None:
    section = generate.Section(Example, ["example"])
    assert generate.explanations(section) == {
        "beside": "rating points",
        "folded": "cosine",
        "below": "seconds of a window",
    }
    comments = {"example.beside": "rating points, 0 to 10", "example.folded": "x"}
    monkeypatch.setattr(generate, "comments", lambda: comments)
    assert set(generate.explanations(section)) == {"folded", "below"}


@pytest.mark.parametrize(
    ("cls", "field", "comment"),
    [
        (Example, "beside", "rating points"),
        (Example, "folded", "cosine"),
        (Example, "below", "seconds of a window"),
        (Example, "bare", ""),
        (Inherited, "beside", "rating points"),
    ],
)
def test_the_comment_of_a_field_stands_beside_or_below_it(
    cls: type, field: str, comment: str
) -> None:
    assert generate.field_comment(cls, field) == comment


@pytest.mark.parametrize(
    ("hint", "words"),
    [
        (Literal["a", "b"], "`a` or `b`"),
        (int | None, "whole number or null"),
        (tuple[str, ...], "list: text"),
        (tuple[float, float], "list of length 2: number"),
        (dict[str, Path], "mapping of names: path"),
        (Example | None, "[section](#anexample) or null"),
    ],
)
def test_a_type_is_described_in_the_words_of_yaml(hint: object, words: str) -> None:
    assert generate.describe_type(hint, {Example: "an.example"}) == words


def test_the_map_has_every_file_with_a_caption() -> None:
    lines = (ROOT / "docs/map.md").read_text(encoding="utf-8").splitlines()
    captions = dict(re.fullmatch(r"- \[.*\]\(\.\./(.*?)\): (.*)", line).groups()
                    for line in lines if line.startswith("- "))  # fmt: skip
    files = {path.relative_to(ROOT).as_posix() for path in (ROOT / "src").rglob("*.py")}
    assert set(captions) == files
    assert all(captions.values())


def test_the_glossary_is_in_order_and_gives_the_source_of_every_term() -> None:
    lines = (ROOT / "docs/glossary.md").read_text(encoding="utf-8").splitlines()
    terms = [line for line in lines if line.startswith("- ")]
    names = [re.match(r"- \*\*(.+?)\*\*: \S.* \(.+\)$", line).group(1) for line in terms]
    assert len(set(names)) == len(names) >= 40
    assert names == sorted(names, key=str.casefold)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_what_a_page_links_to_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)#]+)\)", text)
    assert not [t for t in targets if "://" not in t and not (page.parent / t).exists()]
    anchors = {re.sub(r"[^a-z_-]", "", h.lower()) for h in re.findall(r"^## (.*)$", text, re.M)}
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= anchors


def test_the_files_of_the_checklists_are_there() -> None:
    named = re.findall(r"`((?:src|tests|stages|docs|recipes)/[\w./-]*)`", CONTRIBUTING)
    assert len(named) > 10
    assert not [name for name in named if not (ROOT / name).exists()]
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z-]+)", CONTRIBUTING)) <= targets


def test_the_changelog_begins_with_the_version_of_the_package_or_what_comes_after_it() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    versions = re.findall(r"^## (\S+)$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    released = [version for version in versions if version != "Unreleased"]
    assert released[0] == project["version"]


def test_the_page_on_dvc_names_the_one_stage_that_reads_all_params() -> None:
    checking = [
        path.stem
        for path in (ROOT / "stages").glob("*.py")
        if "check_params" in path.read_text("utf-8")
    ]
    assert checking == ["prepare"]
    page = (ROOT / "docs/dvc.md").read_text(encoding="utf-8")
    assert "`doctor` reads all of `params.yaml`, in seconds. So does `prepare`" in page


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_dvc_brings_files_back_without_those_of_a_last_fit_that_has_not_run(page: Path) -> None:
    blocks = re.findall(r"^```bash\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    commands = [line for block in blocks for line in block.splitlines()]
    bring = [line for line in commands if re.match(r"dvc (pull|checkout)\b", line)]
    assert not [line for line in bring if "--allow-missing" not in line]


@pytest.mark.parametrize(
    "name", [".github/workflows/ci.yml", ".pre-commit-config.yaml", "CITATION.cff"]
)
def test_the_files_for_hosts_can_be_read(name: str) -> None:
    assert yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", sorted((ROOT / ".github/ISSUE_TEMPLATE").iterdir()), ids=str)
def test_an_issue_asks_for_the_doctor(path: Path) -> None:
    labels = [part["attributes"]["label"] for part in yaml.safe_load(path.read_text())["body"]]
    assert "soundjudge doctor" in labels


def write_ratings(path: Path) -> None:
    """Ten listeners, two of them at random, of whom four rate each of 90 sounds without texts."""
    rng = np.random.default_rng(0)
    lines = ["wav_file_name,listener_id,score"]
    for pair, truth in enumerate(rng.uniform(0, 10, 90)):
        for who in rng.choice(10, 4, replace=False):
            score = rng.integers(0, 11) if who < 2 else np.clip(truth + rng.normal(), 0, 10)
            lines.append(f"{pair}.wav,l{who},{score:.0f}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_scores(*paths: Path) -> None:
    """Scores of those 90 sounds by metrics that know nothing."""
    for seed, path in enumerate(paths):
        scores = np.random.default_rng(seed).uniform(0, 10, 90)
        lines = [f"{pair}.wav,{score:.4f}" for pair, score in enumerate(scores)]
        path.write_text("\n".join(["wav_file_name,pred_score", *lines]) + "\n", encoding="utf-8")


@pytest.mark.slow
def test_every_command_of_the_page_on_listening_tests_runs_in_its_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (ROOT / "docs/listening_test.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```bash\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    commands = [shlex.split(line) for block in blocks for line in block.splitlines()]
    assert {words[1] for words in commands} == {
        "reliability", "study", "screen", "standardize", "evaluate", "compare",
    }  # fmt: skip
    monkeypatch.setattr(screening_report, "RESAMPLES", 5)  # else seconds
    monkeypatch.setattr(systems, "CEILING_RESAMPLES", 5)
    monkeypatch.chdir(tmp_path)
    write_ratings(Path("ratings.csv"))
    write_scores(Path("scores.csv"), Path("a.csv"), Path("b.csv"))
    for program, *words in commands:
        assert program == "soundjudge"
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 0, (words, result.output)
        assert Path(words[words.index("-o") + 1]).is_file()
        assert ("take the two as a range" in result.output) == ("--ratings" in words)
    named = re.findall(r"`(dropped\.csv|listeners\.csv|reliability\.json)`", page)
    assert {path.name for path in Path("report").iterdir()} >= {*named}
    header = Path("targets.csv").read_text().splitlines()[0]
    assert header == "wav_file_name,mean_score,spo_score,latent_score,latent_se,ratings"
    assert "latent" not in Path("targets_spo.csv").read_text().splitlines()[0]
