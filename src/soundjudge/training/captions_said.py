"""What a trained model says of held-out clips, beside what people said of them.

Letters: N = clips, M = audio tokens, D = encoder width.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from soundjudge import artifacts
from soundjudge.data.shards import Rows
from soundjudge.model.lalm import Lalm
from soundjudge.training import captioning_metrics
from soundjudge.training.pairs import Pairs, gathered

SHOWN = 20
"clips on the page: from the best to the worst, evenly"


@dataclass(frozen=True, kw_only=True)
class Generation:
    """Section `caption.generation` of params.yaml."""

    clips: int  # held-out clips that are captioned, at most
    num_beams: int  # beginnings that are followed at once; 1: the likeliest next word each time
    max_tokens: int  # of a caption
    batch_size: int  # clips at once

    def __post_init__(self) -> None:
        if self.clips < 2:
            raise ValueError(f"clips is {self.clips}; captions are measured on 2 clips or more.")
        for name in ("num_beams", "max_tokens", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1.")


@dataclass(frozen=True, kw_only=True)
class Clips:
    """Clips with all captions that people gave them."""

    clip_ids: tuple[str, ...]  # (N,)
    references: tuple[tuple[str, ...], ...]  # (N,) of one or more


def drawn(held_out: Pairs, count: int, seed: int) -> Clips:
    """At most `count` of the clips, drawn at random, in their order; ValueError if below 2."""
    if len(held_out.clip_ids) < 2:
        raise ValueError(
            "caption.validation_splits hold one captioned clip: captions are measured against "
            "those of other clips, so name splits with 2 or more."
        )
    order = np.random.default_rng(seed).permutation(len(held_out.clip_ids))
    chosen = np.sort(order[:count])
    return Clips(
        clip_ids=tuple(held_out.clip_ids[clip] for clip in chosen),
        references=tuple(
            tuple(held_out.texts_of(np.flatnonzero(held_out.clip == clip))) for clip in chosen
        ),
    )


def report(
    lalm: Lalm, features: Rows, clips: Clips, generation: Generation, path: Path
) -> dict[str, float]:
    """Captions the clips, writes the page for people to `path`, and returns `measured`."""
    said = say(lalm, features, clips, generation)
    with artifacts.atomic_file(path) as temporary:
        temporary.write_text(page(said, clips), encoding="utf-8")
    return measured(said, clips)


def say(lalm: Lalm, features: Rows, clips: Clips, generation: Generation) -> list[str]:
    """A caption of each clip by beam search: (N,)."""
    said: list[str] = []
    for start in range(0, len(clips.clip_ids), generation.batch_size):
        batch = clips.clip_ids[start : start + generation.batch_size]
        said += lalm.generate(
            gathered(features, batch),
            max_tokens=generation.max_tokens,
            num_beams=generation.num_beams,
        )
    return said


def measured(said: list[str], clips: Clips) -> dict[str, float]:
    """Mean CIDEr-D (0 to 10) and token F1 (0 to 1), and both by another clip's references.

    The latter are what knowing the language is worth; the distance to them is what hearing adds.
    """
    half = len(said) // 2
    others = (*clips.references[half:], *clips.references[:half])
    return {
        "captioned_clips": len(said),
        "cider_d": float(captioning_metrics.cider_d(said, clips.references).mean()),
        "cider_d_other_clip": float(captioning_metrics.cider_d(said, others).mean()),
        "token_f1": float(captioning_metrics.token_f1(said, clips.references).mean()),
        "token_f1_other_clip": float(captioning_metrics.token_f1(said, others).mean()),
    }


def page(said: list[str], clips: Clips) -> str:
    """Markdown for people: captions beside their distinct references, the best ones first."""
    scores = captioning_metrics.cider_d(said, clips.references)  # (N,)
    order = np.argsort(-scores, kind="stable")
    shown = order[np.unique(np.linspace(0, len(order) - 1, SHOWN).round().astype(int))]
    rows = []
    for i in shown:
        people = "<br>".join(_cell(text) for text in dict.fromkeys(clips.references[i]))
        rows.append(
            f"| {scores[i]:.2f} | {_cell(said[i])} | {people} | {_cell(clips.clip_ids[i])} |"
        )
    lines = [
        "# What the model says of held-out clips",
        "",
        f"{len(shown)} of {len(said)} clips, from the best to the worst CIDEr-D (0 to 10).",
        "",
        "| CIDEr-D | model | people | clip |",
        "|---|---|---|---|",
        *rows,
    ]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    """A text that a table of Markdown takes as it is."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
