"""Generated captions of validation clips, their metrics, and a page beside their references.

Letters: N = clips, M = audio tokens, D = encoder width.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from soundjudge.data.arrays.array_store import ArrayStore
from soundjudge.errors import SoundjudgeError
from soundjudge.model.lalm.lalm import Lalm
from soundjudge.ranges import LARGEST_BATCH, LARGEST_COUNT, check_range
from soundjudge.runtime import artifacts
from soundjudge.training.caption import caption_metrics
from soundjudge.training.lalm.training_pairs import TrainingPairs, gather_features

SHOWN_CLIPS = 20
"clips on the page, at even ranks from the best to the worst"


@dataclass(frozen=True, kw_only=True)
class Generation:
    """Section `caption.generation` of params.yaml."""

    clips: int = 64  # captioned clips, at most
    num_beams: int = 4  # of the beam search; 1 = greedy
    max_tokens: int = 24  # per caption
    batch_size: int = 64  # clips per batch

    def __post_init__(self) -> None:
        check_range(self, "clips", least=2, most=LARGEST_COUNT, unit=", as CIDEr-D needs")
        check_range(self, "num_beams", least=1, most=1_000)
        check_range(self, "max_tokens", "batch_size", least=1, most=LARGEST_BATCH)


@dataclass(frozen=True, kw_only=True)
class ReferenceCaptions:
    """Clips with all their captions."""

    clip_ids: tuple[str, ...]  # (N,)
    references: tuple[tuple[str, ...], ...]  # (N,) of one or more


def sample_clips(pairs: TrainingPairs, count: int, seed: int) -> ReferenceCaptions:
    """A random sample of at most `count` clips, in order; SoundjudgeError if there is only one."""
    if len(pairs.clip_ids) < 2:
        raise SoundjudgeError(
            "caption.validation_splits hold one captioned clip: captions are measured against "
            "those of other clips, so name splits with 2 or more."
        )
    order = np.random.default_rng(seed).permutation(len(pairs.clip_ids))
    sample = np.sort(order[:count])
    return ReferenceCaptions(
        clip_ids=tuple(pairs.clip_ids[clip] for clip in sample),
        references=tuple(
            tuple(pairs.texts_of(np.flatnonzero(pairs.clip == clip))) for clip in sample
        ),
    )


def write_report(
    lalm: Lalm, features: ArrayStore, clips: ReferenceCaptions, generation: Generation, path: Path
) -> dict[str, float]:
    """Captions the clips, writes `caption_page` to `path` and returns `score_captions`."""
    captions = generate_captions(lalm, features, clips, generation)
    with artifacts.atomic_file(path) as temporary:
        temporary.write_text(caption_page(captions, clips), encoding="utf-8")
    return score_captions(captions, clips)


def generate_captions(
    lalm: Lalm, features: ArrayStore, clips: ReferenceCaptions, generation: Generation
) -> list[str]:
    """A caption of each clip by beam search: (N,)."""
    captions: list[str] = []
    for start in range(0, len(clips.clip_ids), generation.batch_size):
        batch = clips.clip_ids[start : start + generation.batch_size]
        captions += lalm.generate(
            gather_features(features, batch),  # (B, M, D)
            max_tokens=generation.max_tokens,
            num_beams=generation.num_beams,
        )
    return captions


def score_captions(captions: list[str], clips: ReferenceCaptions) -> dict[str, float]:
    """Mean CIDEr-D (0 to 10) and token F1 (0 to 1), by each clip's and by another's references.

    The scores by another clip's references show what fluent language alone is worth.
    """
    half = len(captions) // 2
    others = (*clips.references[half:], *clips.references[:half])
    return {
        "captioned_clips": len(captions),
        "cider_d": float(caption_metrics.cider_d(captions, clips.references).mean()),
        "cider_d_other_clip": float(caption_metrics.cider_d(captions, others).mean()),
        "token_f1": float(caption_metrics.token_f1(captions, clips.references).mean()),
        "token_f1_other_clip": float(caption_metrics.token_f1(captions, others).mean()),
    }


def caption_page(captions: list[str], clips: ReferenceCaptions) -> str:
    """Markdown with captions beside their distinct references, the best first."""
    scores = caption_metrics.cider_d(captions, clips.references)  # (N,)
    order = np.argsort(-scores, kind="stable")
    shown = order[np.unique(np.linspace(0, len(order) - 1, SHOWN_CLIPS).round().astype(int))]
    rows = []
    for i in shown:
        references = "<br>".join(_cell(text) for text in dict.fromkeys(clips.references[i]))
        caption, clip_id = _cell(captions[i]), _cell(clips.clip_ids[i])
        rows.append(f"| {scores[i]:.2f} | {caption} | {references} | {clip_id} |")
    lines = [
        "# Generated captions of validation clips",
        "",
        f"{len(shown)} of {len(captions)} clips, from the best to the worst CIDEr-D (0 to 10).",
        "",
        "| CIDEr-D | generated caption | reference captions | clip |",
        "|---|---|---|---|",
        *rows,
    ]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    """A text escaped for a cell of a Markdown table."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
