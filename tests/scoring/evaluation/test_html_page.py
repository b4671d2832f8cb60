"""The page of an evaluation: its numbers, its pictures, and that it needs nothing else."""

import json
import re
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pytest
from html_elements import Elements
from tiny_evaluation import FIT, evaluated_split
from typer.testing import CliRunner

from soundjudge.cli import app
from soundjudge.scoring.ensemble.intervals import Intervals
from soundjudge.scoring.evaluation import html_page
from soundjudge.scoring.evaluation.coverage import Coverage


def show(*splits, **options):
    with TemporaryDirectory() as folder:
        html_page.write_page(
            splits, Path(folder) / "page.html", **({"title": "Agreement"} | options)
        )
        html = (Path(folder) / "page.html").read_text(encoding="utf-8")
    return html, Elements(html)


def test_the_page_shows_every_number_of_a_split_and_asks_for_nothing():
    one = evaluated_split()
    html, page = show(one, note="simulated ratings", fit=FIT)
    assert page.asks_for_nothing(html)
    assert "Simulated ratings: these numbers show how the tool works" in page.text
    for numbers in one.metrics.values():
        for name in ("srcc", "lcc", "ktau"):
            assert f"{numbers[name]:.3f}"[1:] in page.text
    assert f"{one.ceilings.deconvolved.srcc:.3f}"[1:] in page.text
    for row in one.slices["ensemble"]:
        assert row["value"] in page.text
        if "bias_lo" in row:
            low, high = (
                f"{row[key]:+.2f}".replace("-", "\u2212") for key in ("bias_lo", "bias_hi")
            )
            assert f"{low} to {high}" in page.text
    for name in ("ceiling_ktau", "ceiling_lcc_deconvolved"):
        low, high = (f"{one.ceiling_metrics[f'{name}_{end}']:.3f}"[1:] for end in ("lo", "hi"))
        assert f"({low} to {high})" in page.text
    assert "hold no error of either estimate" in page.text
    labels = page.attributes("svg", "aria-label")
    assert "Scores of ensemble against mean ratings, test" in labels
    assert {"ensemble minus a, with interval", "b, weight with interval"} <= set(labels)
    links = [link[1:] for link in page.attributes("a", "href")]
    targets = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
    assert links and set(links) <= targets
    # Zero is marked where differences are shown, and nowhere else.
    assert html.count('stroke-dasharray="3 3"') == 2
    rivals = [r["srcc"] for r in one.slices[one.best_member] if "srcc" in r]
    assert html.count('class="ring"') == len(rivals)


def test_an_interval_lies_where_its_axis_says_and_the_ceiling_is_a_band():
    one = evaluated_split()
    html, _ = show(one)
    rows = [*one.metrics.values()]
    ends = [r[f"srcc_{e}"] for r in rows for e in ("lo", "hi")]
    first = re.search(r'class="interval" x1="([\d.]+)%" x2="([\d.]+)%"', html)
    band = re.search(r'class="band" x="([\d.]+)%" width="([\d.]+)%"', html)
    # Positions are linear in SRCC: two ends of one interval fix the axis, the band must be on it.
    low, high = (rows[0][f"srcc_{end}"] for end in ("lo", "hi"))
    x1, x2 = map(float, first.groups())
    ceilings = sorted((one.ceilings.classical.srcc, one.ceilings.deconvolved.srcc))
    expected = [x1 + (c - low) * (x2 - x1) / (high - low) for c in ceilings]
    start, width = map(float, band.groups())
    assert [start, start + width] == pytest.approx(expected, abs=0.5)
    assert 0 <= x1 < x2 <= 100 and min(ends) < max(ceilings)


def test_the_parts_of_an_error_fill_its_bar():
    html, _ = show(evaluated_split())
    bars = re.findall(r'class="part-\d" x="([\d.]+)%" width="([\d.]+)%"', html)
    assert len(bars) == 3 * 3
    for start in range(0, 9, 3):
        widths = [float(width) for _, width in bars[start : start + 3]]
        assert sum(widths) == pytest.approx(100, abs=0.05)
        assert float(bars[start + 2][0]) == pytest.approx(widths[0] + widths[1], abs=0.05)


def test_a_scatter_counts_every_pair_in_its_cell_and_ratings_rise_upwards():
    one = evaluated_split()
    plot = html_page.scatter(one)
    frame = one.comparison.frame
    across = (frame["ensemble"] - plot.axis.low) / (plot.axis.high - plot.axis.low)
    columns = np.minimum(np.floor(20 * across), 19)
    rows = np.minimum(np.floor(2 * frame["average_score"]), 19)
    expected = Counter(zip(5 * columns, 95 - 5 * rows, strict=True))
    most = max(expected.values())
    shown = {(left, top): share for left, top, share in plot.cells}
    assert shown == {place: pytest.approx(count / most) for place, count in expected.items()}


def test_without_raters_generators_or_an_ensemble_the_rest_is_shown():
    lonely = evaluated_split(systems=("guess",), raters=1, generators=("g0",))
    html, page = show(lonely)
    assert "No noise ceiling: " in page.text and 'class="band"' not in html
    assert "minus each member" not in page.text and "The ensemble" not in page.text
    assert (
        "SRCC of guess with listeners on the 60 pairs of test: " in page.text
        and "ring:" not in page.text
    )


@pytest.mark.slow
def test_names_of_the_user_stay_text():
    evil = "<script>alert(1)</script>"
    html, page = show(
        evaluated_split(systems=(evil, "ensemble"), generators=(evil, "g")), title=evil
    )
    assert page.asks_for_nothing(html) and evil in page.text


@pytest.mark.slow
def test_the_same_evaluation_gives_the_same_bytes():
    assert show(evaluated_split())[0] == show(evaluated_split.__wrapped__())[0]


def test_what_intervals_of_scores_hold_is_told():
    row = {
        "coverage": 0.9, "coverage_lo": 0.85, "coverage_hi": 0.94, "width": 5.0, "narrowest": 3.0,
        "widest": 7.0,
    }  # fmt: skip
    learned = Intervals(coverage=0.9, floor=1.0, slope=0.5, quantile=2.0, difference=3.0)
    covered = Coverage(rows={"validation": row, "test": row}, intervals=learned)
    _, page = show(evaluated_split(), fit=FIT, coverage=covered)
    assert "test: within its interval lies the mean rating of 90.0% of pairs" in page.text
    of_fitted, of_test = covered.sentences
    assert "fitted to these pairs, so this is no evidence" in of_fitted
    assert "fitted" not in of_test


def test_the_command_writes_the_page_and_over_nothing(tmp_path):
    pairs = [f"{n}.wav" for n in range(12)]
    rating = np.linspace(1, 9, 12)
    guess, reference = tmp_path / "guess.csv", tmp_path / "reference.csv"
    pd.DataFrame({"wav_file_name": pairs, "pred_score": rating[::-1] ** 2}).to_csv(
        guess, index=False
    )
    pd.DataFrame({"wav_file_name": pairs, "text": [*"uvwxyz"] * 2, "average_score": rating}).to_csv(
        reference, index=False
    )
    out = tmp_path / "page.html"
    command = ["evaluate", str(guess), "--reference", str(reference), "--report", str(out)]
    result = CliRunner().invoke(app, [*command, "--resamples", "100"])
    assert result.exit_code == 0, result.output
    html = out.read_text(encoding="utf-8")
    page = Elements(html)
    assert page.asks_for_nothing(html)
    assert "guess.csv against reference.csv" in page.text
    assert (
        "SRCC of pred_score with listeners on the 12 pairs of reference.csv: \u22121.000"
        in page.text
    )
    assert "pred_score runs to 81: calibrate them to 0 to 10" in page.text
    assert "choose --cluster text" in page.text
    again = CliRunner().invoke(app, [*command, "--resamples", "100"])
    assert again.exit_code == 2 and "exists already" in again.output
    cosines = pd.DataFrame({"wav_file_name": pairs, "pred_score": rating / 10})
    cosines.to_csv(guess, index=False)
    result = CliRunner().invoke(app, [*command, "--resamples", "100", "--overwrite"])
    assert "calibrate them to 0 to 10" in Elements(out.read_text(encoding="utf-8")).text
    noted = tmp_path / "noted.json"
    options = ["--note", "simulated ratings", "--overwrite", "-o", str(noted)]
    result = CliRunner().invoke(app, [*command, "--resamples", "100", *options])
    assert "Simulated ratings: these numbers show" in Elements(out.read_text(encoding="utf-8")).text
    assert json.loads(noted.read_text(encoding="utf-8"))["note"] == "simulated ratings"
    assert result.stderr.splitlines()[-1] == "simulated ratings"
    pd.DataFrame({"wav_file_name": pairs, "pred_score": rating}).to_csv(guess, index=False)
    perfect = CliRunner().invoke(app, [*command, "--resamples", "100", "--overwrite"])
    assert perfect.exit_code == 0, perfect.output  # an error of 0 has no parts
    assert "calibrate them" not in Elements(out.read_text(encoding="utf-8")).text
    few = tmp_path / "few.csv"
    pd.DataFrame({"wav_file_name": pairs[:3], "average_score": rating[:3]}).to_csv(few, index=False)
    pd.DataFrame({"wav_file_name": pairs[:3], "pred_score": rating[:3]}).to_csv(guess, index=False)
    small = ["evaluate", str(guess), "--reference", str(few), "--report", str(tmp_path / "s.html")]
    refused = CliRunner().invoke(app, small)
    assert refused.exit_code == 2 and "3 pairs are too few" in refused.output
    assert not (tmp_path / "s.html").exists()
