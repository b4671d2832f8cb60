"""What a trained model says of held-out clips, beside what people said of them.

Letters: N = clips, M = audio tokens, D = encoder width.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from soundjudge.data.arrays.array_store import ArrayStore
from soundjudge.model.lalm.lalm import Lalm
from soundjudge.runtime import artifacts
from soundjudge.training.captions import caption_metrics
from soundjudge.training.lalm.training_pairs import TrainingPairs, gather_features

SHOWN_CLIPS = 20
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
class ReferenceCaptions:
    """Clips with all captions that people gave them."""

    clip_ids: tuple[str, ...]  # (N,)
    references: tuple[tuple[str, ...], ...]  # (N,) of one or more


def sample_clips(validation_pairs: TrainingPairs, count: int, seed: int) -> ReferenceCaptions:
    """At most `count` of the clips, drawn at random, in their order; ValueError if below 2."""
    if len(validation_pairs.clip_ids) < 2:
        raise ValueError(
            "caption.validation_splits hold one captioned clip: captions are measured against "
            "those of other clips, so name splits with 2 or more."
        )
    order = np.random.default_rng(seed).permutation(len(validation_pairs.clip_ids))
    chosen = np.sort(order[:count])
    return ReferenceCaptions(
        clip_ids=tuple(validation_pairs.clip_ids[clip] for clip in chosen),
        references=tuple(
            tuple(validation_pairs.texts_of(np.flatnonzero(validation_pairs.clip == clip)))
            for clip in chosen
        ),
    )


def write_report(
    lalm: Lalm, features: ArrayStore, clips: ReferenceCaptions, generation: Generation, path: Path
) -> dict[str, float]:
    """Captions the clips, writes the page for people to `path`, and returns `measured`."""
    said = generate_captions(lalm, features, clips, generation)
    with artifacts.atomic_file(path) as temporary:
        temporary.write_text(caption_page(said, clips), encoding="utf-8")
    return score_captions(said, clips)


def generate_captions(
    lalm: Lalm, features: ArrayStore, clips: ReferenceCaptions, generation: Generation
) -> list[str]:
    """A caption of each clip by beam search: (N,)."""
    said: list[str] = []
    for start in range(0, len(clips.clip_ids), generation.batch_size):
        batch = clips.clip_ids[start : start + generation.batch_size]
        said += lalm.generate(
            gather_features(features, batch),
            max_tokens=generation.max_tokens,
            num_beams=generation.num_beams,
        )
    return said


def score_captions(said: list[str], clips: ReferenceCaptions) -> dict[str, float]:
    """Mean CIDEr-D (0 to 10) and token F1 (0 to 1), and both by another clip's references.

    The latter are what knowing the language is worth; the distance to them is what hearing adds.
    """
    half = len(said) // 2
    others = (*clips.references[half:], *clips.references[:half])
    return {
        "captioned_clips": len(said),
        "cider_d": float(caption_metrics.cider_d(said, clips.references).mean()),
        "cider_d_other_clip": float(caption_metrics.cider_d(said, others).mean()),
        "token_f1": float(caption_metrics.token_f1(said, clips.references).mean()),
        "token_f1_other_clip": float(caption_metrics.token_f1(said, others).mean()),
    }


def caption_page(said: list[str], clips: ReferenceCaptions) -> str:
    """Markdown for people: captions beside their distinct references, the best ones first."""
    scores = caption_metrics.cider_d(said, clips.references)  # (N,)
    order = np.argsort(-scores, kind="stable")
    shown = order[np.unique(np.linspace(0, len(order) - 1, SHOWN_CLIPS).round().astype(int))]
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
