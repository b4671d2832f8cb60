"""What commands that score share: their options, the judge, and what is told of it."""

import gc
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from soundjudge.scoring.judge.judge import Judge

FAILED_ROWS = 1
"""Exit code of a run that ended, but could not score every row or has unmet needs."""

JUDGE = "checkpoints/judge"

Model = Annotated[
    str,
    typer.Option(
        envvar="SOUNDJUDGE_MODEL",
        help="A judge's folder, hf://owner/name@revision of the hub, or a name of `judges`.",
    ),
]
NoVerify = Annotated[
    bool, typer.Option("--no-verify", help="Trust the judge's files: compute no sha256.")
]


Precision = Annotated[
    Literal["fp32", "bf16"],
    typer.Option(
        "--precision", help="Of matrix products; bf16 is faster on a GPU and gives other scores."
    ),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")]
BatchSize = Annotated[int, typer.Option(min=1, help="Pairs at once: memory and speed.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]
Members = Annotated[bool, typer.Option("--members", help="Each member's score, 0 to 10.")]
Spread = Annotated[
    bool, typer.Option("--spread", help="How far the members' scores lie apart, in points.")
]
Interval = Annotated[
    bool,
    typer.Option(
        "--interval",
        help="The interval of the listeners' mean rating; the model card has its coverage.",
    ),
]
Windows = Annotated[bool, typer.Option("--windows", help="The score over time of a long sound.")]


def load_judge(
    model: str, device: str, no_verify: bool, precision: Literal["fp32", "bf16"]
) -> "Judge":
    """The judge that --model names."""
    # Of a cold start, a fifth is the search for garbage among objects that imports make and keep.
    gc.disable()
    try:
        from soundjudge.data.hub import hub
        from soundjudge.scoring.judge.judge import Judge
        from soundjudge.scoring.judge.loading import find_folder

        # What does not say that it is of the hub is not looked up there: a typo downloads nothing.
        name = model if model.startswith(hub.SCHEME) else find_folder(model)
        return Judge.from_pretrained(name, device, verify=not no_verify, precision=precision)
    finally:
        gc.freeze()
        gc.enable()


def tell_note(judge: "Judge") -> None:
    """Says on standard error, once per run, what must be told beside every score."""
    if judge.precision != "fp32":
        typer.echo(precision_sentence(judge), err=True)
    if judge.note:
        typer.echo(f"{judge.note}: that is what this judge has learned from", err=True)


def precision_sentence(judge: "Judge") -> str:
    """What must be known of scores that were not computed in fp32."""
    import torch

    sentence = (
        f"{judge.precision}: these are not the scores of {judge.manifest.score_id}, from which "
        "they differ by hundredths; cite the id that ends in -bf16"
    )
    mkldnn = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    is_fast = mkldnn and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    if judge.device.type == "cpu" and not is_fast:
        sentence += "; this processor has no products of bf16, and is slower than in fp32"
    return sentence
