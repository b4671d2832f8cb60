"""The top-level plots of dvc.yaml draw what stages write."""

import yaml
from repository import ROOT

DVC = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
PLOTS = {
    name: config
    for plot in DVC["plots"]
    for name, config in (plot if isinstance(plot, dict) else {plot: {}}).items()
}
TRAININGS = ["tune_clap", "caption", "pretrain", "finetune"]


def outputs(stage: str) -> list[str]:
    outs = DVC["stages"][stage].get("do", DVC["stages"][stage]).get("outs", ())
    return [next(iter(out)) if isinstance(out, dict) else out for out in outs]


def test_every_folder_of_plots_is_drawn() -> None:
    folders = {out for stage in DVC["stages"] for out in outputs(stage) if out.startswith("plots/")}
    plotted = {name for name in PLOTS if name.startswith("plots/")} | {
        f"plots/{t}" for t in TRAININGS
    }
    drawn = {folder.removesuffix("/${key}") for folder in folders} - {"plots/print"}  # PDFs
    assert drawn == plotted


def test_a_training_is_drawn_over_its_steps_and_the_members_of_one_in_one_plot() -> None:
    for name in TRAININGS:
        files = [f"plots/{name}/history.csv"]
        columns: str | list[str] = ["loss", "validation"]
        if "members" in PARAMS[name]:
            files = [f"plots/{name}/{key}/history.csv" for key in PARAMS[name]["members"]]
            columns = "validation"
        assert PLOTS[name]["x"] == "steps"
        assert PLOTS[name]["y"] == dict.fromkeys(files, columns)
        label = columns if isinstance(columns, str) else ", ".join(columns)
        assert PLOTS[name]["y_label"] == label  # of several columns DVC would write "y"


def test_the_judge_is_the_artifact() -> None:
    assert DVC["artifacts"]["judge"]["path"] in outputs("package")
