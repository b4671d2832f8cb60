"""The picture of a study: in print, in gray, and the same bytes every time."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from soundjudge.labels.files import study_files
from soundjudge.labels.ratings.panel import Panel
from soundjudge.labels.study import study
from soundjudge.labels.study.held_out import StudyConfig
from soundjudge.labels.study.study import Study
from soundjudge.reporting import plotting


def result():
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {"screening": [c.screening for c in study.EVERY], "target": [c.target for c in study.EVERY]}
    )
    for name in ("srcc", "difference"):
        table[name] = rng.uniform(0.3, 0.6, len(table))
        table[f"{name}_lo"], table[f"{name}_hi"] = table[name] - 0.1, table[name] + 0.2
    panel = Panel(
        ratings=900, listeners=30, pairs=90, ratings_per_listener=30, ratings_per_pair=10, groups=1
    )
    default = study.DEFAULT
    return Study(
        panel=panel, config=StudyConfig(), table=table, default=default, chosen=default, verdict=""
    )


def test_every_candidate_is_drawn_with_its_interval_and_without_color():
    figure = study_files.plot_study(result())
    for axes, name in zip(figure.axes, ("srcc", "difference"), strict=True):
        drawn = list(axes.containers)
        assert len(drawn) == 4
        table = result().table
        for bars, method in zip(drawn, ("none", "rating", "listener", "both"), strict=True):
            line, _, (reach,) = bars.lines
            own = table[table["screening"] == method]
            assert line.get_xdata().tolist() == own[name].tolist()
            ends = [segment[:, 0].tolist() for segment in reach.get_segments()]
            np.testing.assert_allclose(ends, own[[f"{name}_lo", f"{name}_hi"]])
            for color in (line.get_color(), line.get_markerfacecolor()):
                assert len(set(to_rgb(color))) == 1
    shapes = {bars.lines[0].get_marker() for bars in figure.axes[0].containers}
    assert len(shapes) == 4  # told apart by more than shade


@pytest.mark.slow
def test_a_figure_is_written_as_png_and_pdf_with_the_same_bytes_every_time(tmp_path):
    for name in ("first", "second"):
        plotting.save_for_print(study_files.plot_study(result()), tmp_path / name)
    for suffix, head in ((".png", b"\x89PNG"), (".pdf", b"%PDF")):
        first, second = ((tmp_path / f"{n}{suffix}").read_bytes() for n in ("first", "second"))
        assert first == second
        assert first.startswith(head)
        assert b"CreationDate" not in first
