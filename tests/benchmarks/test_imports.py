"""Benchmarks run seldom: what they import of the package must be there all the same."""

import ast
import importlib
import re
from pathlib import Path

import pytest
from repository import ROOT


@pytest.mark.parametrize("script", sorted((ROOT / "benchmarks").glob("*.py")), ids=lambda p: p.stem)
def test_what_a_benchmark_imports_of_the_package_is_there(script: Path) -> None:
    for node in ast.walk(ast.parse(script.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("soundjudge"):
            module = importlib.import_module(node.module)
            for alias in node.names:
                if not hasattr(module, alias.name):
                    importlib.import_module(f"{node.module}.{alias.name}")


PAGES = sorted(set((ROOT / "benchmarks").glob("*.md")) - {ROOT / "benchmarks/README.md"})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_figures_of_a_page_name_the_code_that_made_them(page: Path) -> None:
    scripts = re.findall(r"python (benchmarks/\w+\.py)", page.read_text(encoding="utf-8"))
    assert scripts and all((ROOT / script).is_file() for script in scripts)
