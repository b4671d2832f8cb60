"""Reports on the ratings of any listening test: reliability, and the study of targets."""

from pathlib import Path

from soundjudge.data.user_files.outputs import optional_output
from soundjudge.labels import rating_reports
from soundjudge.labels.files import rating_files
from soundjudge.labels.files.rating_files import Tell
from soundjudge.labels.ratings import panel, rating_arrays
from soundjudge.labels.scales import Scale
from soundjudge.labels.study import study, study_plots
from soundjudge.labels.study.study import Study, StudyConfig
from soundjudge.reporting import plotting
from soundjudge.runtime import artifacts


def study_file(
    path: Path,
    config: StudyConfig,
    *,
    scale: Scale | None = None,
    out: Path | None = None,
    plots: Path | None = None,
    overwrite: bool = False,
    tell: Tell = rating_files.tell_nothing,
) -> Study:
    """The study of a file's ratings; JSON in `out`, study.png and study.pdf in the folder `plots`.

    Raises SoundjudgeError.
    """
    with optional_output(out, [path], ".json", overwrite=overwrite) as target:
        ratings = rating_files.read_arrays(path, scale)
        result = study.study_ratings(ratings, rating_reports.SETTINGS, config, where=str(path))
        for sentence in result.notes():
            tell(sentence)
        if target:
            artifacts.write_json(target, result.as_json())
        if plots is not None:
            plots.mkdir(parents=True, exist_ok=True)
            plotting.save_for_print(study_plots.plot_study(result), plots / "study")
    return result


def reliability_file(
    path: Path,
    *,
    resamples: int,
    seed: int,
    scale: Scale | None = None,
    out: Path | None = None,
    overwrite: bool = False,
    tell: Tell = rating_files.tell_nothing,
) -> dict[str, float]:
    """Counts of a file's ratings and their agreement with intervals, also as JSON in `out`.

    Raises SoundjudgeError.
    """
    with optional_output(out, [path], ".json", overwrite=overwrite) as target:
        ratings = rating_files.read_ratings(path, scale)
        design = panel.describe_panel(rating_arrays.rating_arrays(ratings))
        for sentence in design.notes():
            tell(sentence)
        numbers = rating_reports.reliability_numbers(
            ratings, design, resamples=resamples, seed=seed
        )
        if target:
            artifacts.write_json(target, numbers)
    return numbers
