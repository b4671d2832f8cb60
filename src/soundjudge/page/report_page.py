"""The report of systems as one HTML page that needs nothing else: no script, no request.

The sounds that it plays are inside itself, or links into the folders beside it."""

import base64
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from soundjudge.html import figures, rendering
from soundjudge.scoring.systems import system_statistics
from soundjudge.scoring.systems.system_report import SystemReport

SIGNIFICANT = 0.05
MEDIA_TYPES = {
    ".wav": "audio/wav",
    ".flac": "audio/flac",
    ".ogg": "audio/ogg",
    ".oga": "audio/ogg",
    ".opus": "audio/ogg",
    ".mp3": "audio/mpeg",
    ".m4a": "audio/mp4",
    ".mp4": "audio/mp4",
    ".aac": "audio/aac",
    ".webm": "audio/webm",
}


def report_html(report: SystemReport, page: Path, *, embed_megabytes: float, listen: int) -> str:
    """The page, which will be the file `page`.

    `listen`: prompts per system whose sounds are played. `embed_megabytes`: see `link_sounds`.
    """
    scores, rows = report.scores, report.to_listen(listen)
    links = link_sounds(
        (sound for row in rows for sound in scores.sounds[row]), page, embed_megabytes
    )
    means = [summary.mean for summary in report.summaries]
    axis = figures.score_axis(scores.values)
    histograms = [figures.histogram(column, axis) for column in scores.values.T]
    return rendering.render(
        "report.html",
        "soundjudge.page",
        report=report,
        headline=headline(report),
        rows=rows,
        shown=set(rows),
        listen=listen,
        links=links,
        means_axis=figures.interval_axis(means),
        differences_axis=figures.interval_axis(
            [d.difference for d in report.differences], zero=True
        ),
        axis=axis,
        histograms=histograms,
        highest_bin=max(map(max, histograms)),
        meanings=_flag_meanings() if report.flag_counts() else {},
        tie=system_statistics.TIE,
        significant=SIGNIFICANT,
    )


def _flag_meanings() -> dict[str, str]:
    from soundjudge.scoring.judge.pair_score import FLAG_MEANINGS  # scores in tables need no torch

    return FLAG_MEANINGS


def headline(report: SystemReport) -> str:
    """What the numbers say, in one or two sentences."""
    summaries, count = report.summaries, len(report.scores.ids)
    if len(summaries) == 1:
        mean = summaries[0].mean
        return (
            f"{summaries[0].name} scores {mean.value:.2f} on {count} prompts "
            f"(95 % interval {mean.lo:.2f} to {mean.hi:.2f})."
        )
    if len(summaries) == 2:
        (test,) = report.differences
        estimate = test.difference
        first, second = test.first, test.second
        if estimate.value < 0:
            first, second = second, first
        low, high = sorted((abs(estimate.lo), abs(estimate.hi)))
        size = f"{abs(estimate.value):.2f} points, {rendering.p_text(test.p_holm)}"
        if test.p_holm >= SIGNIFICANT:
            return f"{count} prompts do not tell {first} and {second} apart (difference {size})."
        return (
            f"{first} scores higher than {second} on the same {count} prompts, by {size} "
            f"(95 % interval {low:.2f} to {high:.2f})."
        )
    significant = sum(test.p_holm < SIGNIFICANT for test in report.differences)
    best = max(summaries, key=lambda summary: summary.mean.value)
    rivals = [
        test.second if test.first == best.name else test.first
        for test in report.differences
        if best.name in (test.first, test.second) and test.p_holm >= SIGNIFICANT
    ]
    apart = f", but is not told apart from {' and '.join(rivals)}" if rivals else ""
    return (
        f"{best.name} has the highest mean on {count} prompts{apart}. {significant} of "
        f"{len(report.differences)} differences between systems hold after Holm's correction."
    )


@dataclass(frozen=True, kw_only=True)
class SoundLinks:
    """The address of each sound."""

    addresses: dict[Path, str]  # of those that are there
    embedded: bool
    megabytes: float  # of all sounds


def link_sounds(paths: Iterable[Path], page: Path, embed_megabytes: float) -> SoundLinks:
    """All sounds as base64 if they have at most `embed_megabytes` together; else relative links."""
    sizes = {path: path.stat().st_size for path in dict.fromkeys(paths) if path.is_file()}
    megabytes = sum(sizes.values()) / 1e6
    embedded = megabytes <= embed_megabytes
    folder = page.resolve().parent
    addresses = {p: _data(p) if embedded else _relative(p.resolve(), folder) for p in sizes}
    return SoundLinks(addresses=addresses, embedded=embedded, megabytes=megabytes)


def _data(path: Path) -> str:
    kind = MEDIA_TYPES.get(path.suffix.lower(), "application/octet-stream")
    return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode('ascii')}"


def _relative(path: Path, folder: Path) -> str:
    """Quoted to the last character: a name may hold what ends an address, or begins a scheme."""
    return quote(Path(os.path.relpath(path, folder)).as_posix())
