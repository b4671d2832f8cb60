"""`soundjudge report`: systems and prompts in, a page and perhaps its numbers as JSON out."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from soundjudge.data.user_files import outputs
from soundjudge.errors import SoundjudgeError
from soundjudge.html.rendering import note_sentence
from soundjudge.page.report_page import report_html
from soundjudge.runtime import artifacts
from soundjudge.scoring.systems import system_files, system_scores, system_statistics
from soundjudge.scoring.systems.system_files import Prompts
from soundjudge.scoring.systems.system_report import OF_TABLES, SystemReport, report_systems
from soundjudge.scoring.systems.system_scores import OnMissing, Progress, SystemScores

if TYPE_CHECKING:
    from soundjudge.scoring.judge.judge import Judge


def write_report(
    paths: Sequence[Path],
    prompts: Path,
    out: Path,
    *,
    load_judge: "Callable[[], Judge]",
    load_clap: "Callable[[], Judge] | None",
    progress: Progress,
    on_missing: OnMissing = "fail",
    audio_column: str | None = None,
    text_column: str | None = None,
    embed_megabytes: float = 20.0,
    listen: int = 10,
    resamples: int = 2000,
    seed: int = 0,
    batch_size: int = 32,
    json: bool = False,
    overwrite: bool = False,
) -> SystemReport:
    """Checks all files, then loads the judge, scores and writes `out`. Raises SoundjudgeError.

    `audio_column` of the prompts says what their sounds are called. The page holds at most
    `embed_megabytes` of sounds, more become links; it plays `listen` lost prompts per system.
    `json`: all numbers stand beside the page, too.
    """
    inputs = [prompts, *(path for path in paths if not path.is_dir())]
    with outputs.locked_output(out, inputs, (".html",), overwrite=overwrite) as target:
        numbers = target.with_suffix(".json")
        if json and numbers.exists() and not overwrite:
            raise SoundjudgeError(f"{numbers} exists already: --overwrite replaces it")
        all_prompts = system_files.read_prompts(prompts, audio_column, text_column)
        system_statistics.check_count(len(all_prompts.ids))  # before minutes of scoring
        systems = system_files.read_systems(paths, all_prompts)
        if on_missing == "fail":
            system_files.check_complete(systems, all_prompts)
        of_tables = systems[0].scores is not None
        of_clap = None if load_clap is None else load_clap()  # a bad one fails before any scoring
        judge = None if of_tables else load_judge()
        score = partial(
            system_scores.score_systems,
            on_missing=on_missing,
            batch_size=batch_size,
            progress=progress,
        )
        scores, clap = score(judge, systems, all_prompts), None
        if of_clap is not None:
            scored_prompts = Prompts(ids=scores.ids, texts=scores.texts, path=prompts)
            clap = (
                of_clap.score_id,
                _check_complete(score(of_clap, systems, scored_prompts), scores),
            )
        report = report_systems(
            scores,
            prompts,
            score_id=OF_TABLES if judge is None else judge.score_id,
            note="" if judge is None else note_sentence(judge.note),
            clap=clap,
            resamples=resamples,
            seed=seed,
        )
        html = report_html(report, target, embed_megabytes=embed_megabytes, listen=listen)
        with artifacts.atomic_file(target) as temporary:
            temporary.write_text(html, encoding="utf-8")
        if json:
            artifacts.write_json(numbers, report.contents())
    return report


def clap_judge(source: str, device: str) -> "Judge":
    """The judge of a folder that `import-clap` wrote, or of any CLAP that it reads."""
    from soundjudge.scoring.judge.judge import Judge  # scores in tables need no torch
    from soundjudge.scoring.judge.manifest import MANIFEST

    if (Path(source) / MANIFEST).is_file():
        return Judge.from_pretrained(Path(source), device)
    return Judge.from_clap(source, device)


def _check_complete(clap: SystemScores, scores: SystemScores) -> SystemScores:
    """A CLAPScore of what is scored already: of all of it."""
    if clap.ids != scores.ids:
        raise SoundjudgeError(
            f"{clap.left_out[0].reason}: a CLAPScore needs the sounds of all scores"
        )
    return clap
