"""Benchmarks run seldom: what they import of the package must be there all the same."""

import ast
import importlib
import re
import shutil
import subprocess
from pathlib import Path
from types import ModuleType

import pytest
from repository import ROOT


@pytest.mark.parametrize("script", sorted((ROOT / "benchmarks").glob("*.py")), ids=lambda p: p.stem)
def test_what_a_benchmark_takes_of_the_package_is_there(script: Path) -> None:
    nodes = list(ast.walk(ast.parse(script.read_text(encoding="utf-8"))))
    modules = {}
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("soundjudge"):
            module = importlib.import_module(node.module)
            for alias in node.names:
                if not hasattr(module, alias.name):
                    importlib.import_module(f"{node.module}.{alias.name}")
                if isinstance(value := getattr(module, alias.name), ModuleType):
                    modules[alias.asname or alias.name] = value
    assigned = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    assigned |= {node.arg for node in nodes if isinstance(node, ast.arg)}
    for node in nodes:
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            module = modules.get(node.value.id) if node.value.id not in assigned else None
            assert module is None or hasattr(module, node.attr), f"{node.value.id}.{node.attr}"


PAGES = sorted(set((ROOT / "benchmarks").glob("*.md")) - {ROOT / "benchmarks/README.md"})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_figures_of_a_page_name_the_code_that_made_them(page: Path) -> None:
    scripts = re.findall(r"python (benchmarks/\w+\.py)", page.read_text(encoding="utf-8"))
    assert scripts and all((ROOT / script).is_file() for script in scripts)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_names_the_commit_of_its_figures(page: Path) -> None:
    second = page.read_text(encoding="utf-8").split("\n\n")[1]
    assert re.fullmatch(r"Figures of commit [0-9a-f]{7}( and changes)?\.", second)


def test_a_section_with_a_table_names_its_command_and_the_commit_of_its_figures() -> None:
    page = (ROOT / "benchmarks/README.md").read_text(encoding="utf-8")
    parts = re.split(r"^## (?=\w+\.py)", page, flags=re.MULTILINE)[1:]  # before them is the index
    sections = [part for part in parts if "|---" in part]
    assert len(sections) > 5
    for section in sections:
        assert re.search(r"Figures of commit [0-9a-f]{7}\.", section), section[:40]
        assert re.search(r"^(?:\w+=\S+ )?python benchmarks/\w+\.py", section, re.MULTILINE)


def test_the_commits_of_figures_are_in_the_history() -> None:
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("not a clone")
    texts = [page.read_text(encoding="utf-8") for page in (ROOT / "benchmarks").glob("*.md")]
    named = {name for text in texts for name in re.findall(r"Figures of commit (\w+)", text)}
    shallow = [git, "rev-parse", "--is-shallow-repository"]
    run = subprocess.run(shallow, cwd=ROOT, capture_output=True, text=True, check=True)
    if run.stdout.strip() == "true":
        pytest.skip("a clone without its history")
    for name in sorted(named):
        subprocess.run([git, "cat-file", "-e", f"{name}^{{commit}}"], cwd=ROOT, check=True)
