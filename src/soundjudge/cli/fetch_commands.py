"""Commands for what is published: download it, make judges of it, list them, upload one."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from soundjudge.cli.console import tell

app = typer.Typer()

NewFolder = Annotated[Path, typer.Option("--output", "-o", help="The judge's folder, a new one.")]


@app.command()
def fetch(
    names: Annotated[
        list[str] | None, typer.Argument(help="Names from the catalog; none prints the catalog.")
    ] = None,
    params: Annotated[
        Path | None,
        typer.Option("--for", help="What this params.yaml lacks, to the paths that it names."),
    ] = None,
) -> None:
    """Download official weights, checked by their sha256; tmu2026 becomes a judge of that name."""
    from soundjudge.data.fetch import catalog, download

    targets = {name: catalog.find_entry(name).target for name in names or ()}
    if params is not None:
        from soundjudge.doctor import requirements

        lacking, others = requirements.plan_fetch(params)
        targets |= lacking
        for finding in others:
            need = finding.requirement
            tell(f"not fetched: {need.key} ({finding.path}), get it from {need.source}")
        if not lacking:
            tell(f"{params}: it lacks nothing of the catalog")
    elif not targets:
        for name, entry in catalog.CATALOG.items():
            amount = f"{entry.bytes / 1e6:7,.1f} MB"
            typer.echo(f"{name:22}  {amount}  {entry.description}; {entry.license}")
        return
    if len(targets) > 1:
        size = sum(catalog.find_entry(name).bytes for name in targets)
        tell(f"to fetch: {', '.join(targets)}; {size / 1e9:.2g} GB")
    for name, target in targets.items():
        if name == catalog.TMU:
            from soundjudge.scoring.published import installed

            installed.install_tmu(tell)
            continue
        entry = catalog.find_entry(name)
        if entry.companion:
            companion = catalog.find_entry(entry.companion)
            download.fetch(entry.companion, companion, target, tell)
        download.fetch(name, entry, target, tell)


@app.command()
def judges() -> None:
    """List the judges that --model takes by name: score id, license and size."""
    from soundjudge.scoring.published import installed

    lines = installed.list_judges(tell)
    for line in lines:
        typer.echo(line)
    if not lines:
        tell("none here yet: 'soundjudge fetch tmu2026' gets one")
    else:
        tell(f"in {installed.judges_folder()}: in Python name the folder")


@app.command()
def push(
    folder: Annotated[Path, typer.Argument(help="A judge's folder.")],
    repository: Annotated[str, typer.Argument(help="owner/name on the hub.")],
    private: Annotated[
        bool, typer.Option("--private", help="Make the repository private if it is created now.")
    ] = False,
    branch: Annotated[str | None, typer.Option(help="A branch, if not main.")] = None,
    redistribution_allowed: Annotated[
        bool,
        typer.Option(
            "--redistribution-allowed",
            help="Confirm that you may pass on what the licenses leave open.",
        ),
    ] = False,
) -> None:
    """Upload a judge to the Hugging Face hub, where others load it by owner/name."""
    from soundjudge.scoring.judge.judge_folder import JudgeFolder, read_card
    from soundjudge.scoring.judge.manifest import read_manifest

    judge = JudgeFolder(read_manifest(folder), folder)
    judge.check_files()
    card = read_card(folder)
    tell(f"{judge.score_id}: {judge.manifest.size()}; license: {card.license or 'not stated'}")
    for line in card.licenses:
        tell(f"- {line}")
    address = judge.push_to_hub(
        repository,
        private=private or None,
        branch=branch,
        redistribution_allowed=redistribution_allowed,
    )
    typer.echo(address)


@app.command("import-tmu")
def import_tmu(
    model: Annotated[Path, typer.Argument(help="The published model.pt.")],
    out: NewFolder,
    llm: Annotated[
        Path | None,
        typer.Option(
            help="Folder with config.json and tokenizer.json of Qwen2.5-0.5B-Instruct; "
            "without it they are fetched (7 MB)."
        ),
    ] = None,
    beats: Annotated[
        Path | None,
        typer.Option(help="A BEATs .pt to compare with; the weights are those of model.pt."),
    ] = None,
    long: Annotated[
        Literal["windows", "cut"],
        typer.Option(
            help="A sound of more than 10 s: all windows, or cut as the published system."
        ),
    ] = "windows",
    beats_out: Annotated[
        Path | None, typer.Option(help="Also write its BEATs here, for encoders.audio.")
    ] = None,
) -> None:
    """Make a judge of the published TMU weights (CC-BY-NC-4.0)."""
    from soundjudge.scoring.published import installed, tmu

    manifest, comparisons = tmu.import_tmu(
        model,
        out,
        llm=llm or installed.fetch_tokenizer(tell),
        beats=beats,
        long=long,
        beats_out=beats_out,
    )
    tell(f"{manifest.score_id}: {out}")
    for line in comparisons:
        tell(line)


@app.command("import-clap")
def import_clap(
    source: Annotated[
        str, typer.Argument(help="A folder or .pt file, or hf://owner/name@revision of the hub.")
    ],
    out: NewFolder,
    license_name: Annotated[
        str, typer.Option("--license", help="License of the weights, for the model card.")
    ] = "other",
) -> None:
    """Make a judge of a CLAP, without training: its cosine as a score with an id."""
    from transformers.utils import logging

    from soundjudge.scoring.published import clap_judge

    logging.disable_progress_bar()  # of writing one file
    manifest = clap_judge.import_clap(source, out, license_name)
    tell(f"{manifest.score_id}: {out}")
