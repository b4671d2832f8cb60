"""Figures of texts are those that were measured, and nothing claims more than was measured."""

import ast
import functools
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from repository import ROOT

CITED = re.compile(r"\b((?:benchmarks|metrics)/\w+\.md)\b")
# A decimal number of prose: no version, no file name, no section of a standard.
FIGURE = re.compile(r"(?<![\w.`/-])[+-]?(\d*\.\d+)(?![\w`]|\.\d)")
MEASURED = re.compile(r"(?<![\w.])(?:\d[\d,]*)?\.?\d+")
README = (ROOT / "README.md").read_text(encoding="utf-8")
EVALUATION = json.loads((ROOT / "metrics/details/evaluate.json").read_text(encoding="utf-8"))
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
CODE = sorted((ROOT / "src").rglob("*.py"))
# What a run prints of members that were trained once.
PRINTED = [ROOT / "README.md", *(ROOT / "metrics").glob("[ef]*.md"), ROOT / "metrics/evaluate.html"]
# Pages on members of one training each; those of several seeds may compare.
OF_ONE_TRAINING = [
    ROOT / f"benchmarks/{name}.md" for name in ("ensembles", "fusion", "foreign_words")
]


def text_units(code: list[Path] = CODE) -> Iterator[tuple[Path, str]]:
    """Paragraphs, list items and rows of pages; paragraphs of docstrings; comments."""
    for page in PAGES:
        for unit in re.split(r"\n\s*\n|\n(?=\s*[-*] |\d+\. |\| )", page.read_text("utf-8")):
            yield page, unit
    for path in code:
        source = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield from ((path, unit) for unit in re.split(r"\n\s*\n", node.value))
        for comment in re.finditer(r"(?:^ *#.*\n)+|#.*\n", source, re.MULTILINE):
            yield path, re.sub(r"^ *#", "", comment[0], flags=re.MULTILINE)
    params = ROOT / "params.yaml"
    yield from ((params, line.partition("#")[2]) for line in params.read_text("utf-8").splitlines())


# Parsing all code takes half a second, in each process that collects this file.
CODE_WITH_PAGES = [path for path in CODE if CITED.search(path.read_text(encoding="utf-8"))]
CITING = [(path, unit) for path, unit in text_units(CODE_WITH_PAGES) if CITED.search(unit)]


@functools.cache
def all_units() -> list[tuple[Path, str]]:
    return list(text_units())


def figures(unit: str) -> list[str]:
    return FIGURE.findall(re.sub(r"`[^`]*`|\(http\S+|sections? [\d.]+", "", unit))


def is_measured(figure: str, page: str) -> bool:
    """Whether a number of the page is the figure, or is rounded to it."""
    digits = len(figure.partition(".")[2])
    numbers = {float(number.replace(",", "")) for number in MEASURED.findall(page)}
    return any(abs(number - float(figure)) <= 0.5001 * 10**-digits for number in numbers)


@pytest.mark.parametrize(
    ("figure", "page", "is_there"),
    [
        (".71", "| 0.709 |", True),
        (".71", "| 0.704 |", False),
        ("0.014", "at most 0.0136 points", True),
        ("2.92", "2.918 [2.555", True),
        (".5", "version 0.4.0", False),
        ("1.5", "1,500 pairs", False),
    ],
)
def test_a_figure_is_found_where_a_page_has_it_or_more_of_its_digits(figure, page, is_there):
    assert is_measured(figure, page) == is_there


@pytest.mark.parametrize(
    ("path", "unit"), CITING, ids=[f"{p.stem}-{n}" for n, (p, _) in enumerate(CITING)]
)
def test_the_figures_of_a_text_are_on_the_page_that_it_cites(path: Path, unit: str) -> None:
    pages = "\n".join((ROOT / name).read_text("utf-8") for name in CITED.findall(unit))
    assert not [figure for figure in figures(unit) if not is_measured(figure, pages)], path


INTERVAL = re.compile(r"\[[-+]?\d*\.\d+, ?[-+]?\d*\.\d+\]|± ?\d*\.\d")


def test_a_figure_with_an_interval_or_a_spread_names_the_page_that_measured_it():
    told = [
        unit
        for path, unit in all_units()
        if path.suffix == ".md" and path.name != "params.md" and INTERVAL.search(unit)
    ]
    table = [unit for unit in told if re.match(r"\| `\w+`: ", unit)]  # checked by itself, below
    assert len(table) >= 6 and len(told) > len(table) + 5
    assert not [unit for unit in told if not CITED.search(unit) and unit not in table]


def test_the_texts_that_cite_pages_are_found():
    assert sum(len(figures(unit)) for _, unit in CITING) > 50


def test_the_table_of_the_readme_is_the_evaluation():
    row = r"^\| `(\w+)`: .* \| (\S+) \[(\S+), (\S+)\] \| [^|]+ \| (\S+) \| (\S+) \| (\S+) \|$"
    rows = re.findall(row, README, re.MULTILINE)
    assert len(rows) >= 6
    keys = ("srcc", "srcc_lo", "srcc_hi", "lcc", "ktau", "mse")
    for (name, *cells), (key, cell) in (
        (row, pair) for row in rows for pair in zip(keys, row[1:], strict=True)
    ):
        assert is_measured(cell, f"{EVALUATION['test'][name][key]:.6f}"), (name, key, cells)
    ceiling = EVALUATION["test"]["ceiling"]
    low, high = re.search(r"SRCC of\s+(\S+) to (\S+) with these listeners", README).groups()
    assert is_measured(low, f"{ceiling['ceiling_srcc_deconvolved']:.6f}")
    assert is_measured(high, f"{ceiling['ceiling_srcc']:.6f}")


def test_the_seeds_of_the_readme_are_those_of_the_ablation():
    row = r"^\| `(\w+)`.* \| ([^|]+\]) \| {} \|$"
    of_readme = dict(re.findall(row.format(r"\S+ \| \S+ \| \S+"), README, re.MULTILINE))
    page = (ROOT / "benchmarks/ablation.md").read_text(encoding="utf-8")
    of_page = dict(re.findall(row.format(r"[^|]* \| \S+ \| \S+"), page, re.MULTILINE))
    assert len(of_readme) >= 6 and of_readme.items() <= of_page.items()


P_VALUE = re.compile(r"\bp(?:-value)?s?\b\s*(?:<|=|≤|:|of)?\s*(?:after Holm|0?\.\d)|\bHolm\b", re.I)
# A member or the ensemble, and what a single training of it cannot show.
CLAIM = re.compile(
    r"\b(?:significant(?:ly)?|outperforms?|beats?|surpass(?:es)?|(?:better|worse|higher|lower)\s+than"
    r"|above (?=`))",
    re.I,
)


@pytest.mark.parametrize(
    ("sentence", "is_claim"),
    [
        ("`a` has an SRCC of .58, p 0.007", True),
        ("`a` differs (p < .05)", True),
        ("p: after Holm.", True),
        ("`a` is better than `b`", True),
        ("`a` lies above `b`", True),
        ("`a` minus `b`: +0.131 [+0.087, +0.175]", False),
        ("per pair .5 points", False),
    ],
)
def test_claims_are_told_from_intervals(sentence, is_claim):
    assert bool(P_VALUE.search(sentence) or CLAIM.search(sentence)) == is_claim


def results(path: Path) -> str:
    """What a page says of trained members: of the README its section on results."""
    tags = re.compile(r"<style.*?</style>|<svg.*?</svg>|<[^>]+>", re.DOTALL)
    text = tags.sub(" ", path.read_text(encoding="utf-8"))
    return text.split("## Results on the sample")[1].split("\n## ")[0] if path == PAGES[0] else text


@pytest.mark.parametrize("path", [*PRINTED, *OF_ONE_TRAINING], ids=lambda path: path.name)
def test_nothing_of_one_training_is_claimed_by_a_p_value_or_a_comparative(path):
    assert P_VALUE.search(results(path)) is None
    assert CLAIM.search(results(path)) is None


def test_what_compares_members_says_that_each_is_one_training():
    sentence = "they hold nothing of the chance in a training"
    for name in ("metrics/evaluate.md", "metrics/evaluate.html"):
        assert sentence in (ROOT / name).read_text(encoding="utf-8")
    assert "one training of each member" in README


def test_no_text_says_of_calibration_or_tolerance_more_than_is_true():
    """The curve through the centers of isotonic steps has more than the least squared error."""
    texts = [" ".join(unit.split()) for _, unit in all_units()]
    assert not [text for text in texts if "nearest in squared" in text]
    (told,) = [text for text in texts if "have the least squared error of all" in text]
    assert "the curve a little more" in told
    limits = [text for text in texts if re.search(r"within 0?\.001\b", text) and "limit" in text]
    assert limits and all("and at worst" in text for text in limits)
