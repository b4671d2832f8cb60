"""Captioned clips to matched and mismatched pairs: the pairs that the teacher will label.

A mismatched pair joins a clip with the caption of another clip: drawn at random, or hard, which is
one whose text comes close to the clip's own caption. Texts closer still to one of the clip's own
captions may be paraphrases and are never taken; captions of equal text count as one.

C captions, U distinct texts, N couples, E embedding dimensions, B texts of a block, K nearest.
A couple is a clip and a text, as one number: clip * U + text.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

ROWS = 2048  # texts whose neighbours are sought at once
COLUMNS = 32_768  # texts they are compared with at once: 256 MB of similarities
COUPLES = 65_536  # couples whose similarities are taken at once
ROUNDS = 200  # draws of a random text after which there is none to be found

Integers = NDArray[np.int64]
Vectors = Callable[[Integers], NDArray[np.float32]]  # texts (N,) -> unit embeddings (N, E)


class NegativesError(ValueError):
    """Captions that cannot give the mismatched pairs asked for."""


@dataclass(frozen=True, kw_only=True)
class Negatives:
    """How many mismatched pairs a matched one gets, and which."""

    random: int  # a matched pair
    hard: int  # a matched pair, at most: fewer where no text lies in the band
    similarity: tuple[float, float]  # cosine of hard texts; above it, texts may mean the same
    seed: int

    def __post_init__(self) -> None:
        for name in ("random", "hard"):
            if getattr(self, name) < 0:
                raise NegativesError(f"{name} is {getattr(self, name)}: it must not be negative.")
        low, high = self.similarity
        if not -1 <= low < high <= 1:
            raise NegativesError(
                f"similarity is {low}, {high}: write two cosines, the lower first."
            )


class Captions:
    """A CAPTIONS table as numbers; its row order does not matter."""

    def __init__(
        self, captions: pd.DataFrame, embeddings: Callable[[list[str]], NDArray[np.float32]]
    ) -> None:
        ordered = captions.sort_values("caption_id", ignore_index=True)
        self.ids = ordered["caption_id"].to_numpy(dtype=object)  # (C,)
        clip, clip_ids = pd.factorize(ordered["clip_id"], sort=True)
        text, texts = pd.factorize(ordered["text"], sort=True)
        self.clip, self.text = clip.astype(np.int64), text.astype(np.int64)  # (C,)
        self.clip_ids = clip_ids.to_numpy(dtype=object)
        self.texts = len(texts)
        self.speaker = self.ids[np.unique(self.text, return_index=True)[1]]  # (U,) a caption a text
        self.own = np.unique(self.clip * self.texts + self.text)  # couples that match
        self.own_counts = np.bincount(self.own // self.texts, minlength=len(self.clip_ids))
        self.embeddings = embeddings

    def vectors(self, texts: Integers) -> NDArray[np.float32]:
        """Unit embeddings of texts: (N, E)."""
        return self.embeddings(list(self.speaker[texts]))

    def closest(self, couples: Integers) -> NDArray[np.float32]:
        """How close each couple's text comes to a caption of its clip: cosines (N,)."""
        closest = np.empty(len(couples), dtype=np.float32)
        starts = np.cumsum(self.own_counts) - self.own_counts  # of each clip within `own`
        for start in range(0, len(couples), COUPLES):
            clip, text = np.divmod(couples[start : start + COUPLES], self.texts)
            counts = self.own_counts[clip]
            first = np.cumsum(counts) - counts  # (N,) of each couple among the repeated
            places = np.arange(counts.sum()) + np.repeat(starts[clip] - first, counts)
            mine = self.vectors(self.own[places] % self.texts)
            theirs = self.vectors(text).repeat(counts, axis=0)
            cosines = np.einsum("ne,ne->n", mine, theirs)
            closest[start : start + COUPLES] = np.maximum.reduceat(cosines, first)
        return closest


def pairs(
    captions: pd.DataFrame,
    embeddings: Callable[[list[str]], NDArray[np.float32]],
    negatives: Negatives,
    device: str | torch.device,
) -> pd.DataFrame:
    """All pairs of a CAPTIONS table: clip_id, caption_id, matched; sorted, whatever its row order.

    `embeddings(caption_ids)` gives unit text embeddings (len, E); it is asked for them in blocks.
    """
    known = Captions(captions, embeddings)
    check_room(known, negatives)
    hard = hard_couples(known, negatives, device) if negatives.hard else known.own[:0]
    random = random_couples(known, negatives, hard)
    clip, text = np.divmod(np.concatenate([hard, random]), known.texts)
    made = pd.DataFrame(
        {
            "clip_id": np.concatenate([known.clip_ids[known.clip], known.clip_ids[clip]]),
            "caption_id": np.concatenate([known.ids, known.speaker[text]]),
            "matched": np.arange(len(known.ids) + len(clip)) < len(known.ids),
        }
    )
    return made.sort_values(["clip_id", "caption_id"], ignore_index=True)


def check_room(known: Captions, negatives: Negatives) -> None:
    """Refuses counts for which a clip would run out of texts."""
    wanted = np.bincount(known.clip) * (negatives.random + negatives.hard)
    if (wanted > known.texts - known.own_counts).any():
        raise NegativesError(
            f"a clip needs {int(wanted.max())} mismatched captions, and there are only "
            f"{known.texts} distinct texts: lower pseudolabel.random or .hard."
        )


def hard_couples(known: Captions, negatives: Negatives, device: str | torch.device) -> Integers:
    """Each caption's nearest texts within the band that suit its clip: couples, sorted."""
    spare = int(known.own_counts.max(initial=0))  # the clip's own texts may be among the nearest
    near = nearest(known.vectors, known.texts, negatives, spare, device)[known.text]  # (C, K)
    couples = known.clip[:, None] * known.texts + near
    suits = (near >= 0) & ~np.isin(couples, known.own)
    suits[suits] = known.closest(couples[suits]) <= negatives.similarity[1]
    return np.unique(couples[suits & (np.cumsum(suits, axis=1) <= negatives.hard)])


def nearest(
    vectors: Vectors, texts: int, negatives: Negatives, spare: int, device: str | torch.device
) -> Integers:
    """The texts nearest to each text within the band, best first, then -1: (U, K).

    K is `hard` and `spare` more. No more than a block of similarities is held at any time.
    """
    low, high = negatives.similarity
    size = min(texts, negatives.hard + spare)
    found = np.empty((texts, size), dtype=np.int64)
    for start in range(0, texts, ROWS):
        rows = np.arange(start, min(start + ROWS, texts))
        left = _tensor(vectors(rows), device)  # (B, E)
        best = torch.full((len(rows), size), -torch.inf, device=device)  # (B, K)
        index = torch.full((len(rows), size), -1, device=device)
        for other in range(0, texts, COLUMNS):
            columns = np.arange(other, min(other + COLUMNS, texts))
            cosines = left @ _tensor(vectors(columns), device).T  # (B, columns)
            cosines[(cosines < low) | (cosines > high)] = -torch.inf
            names = _tensor(columns, device).expand(len(rows), -1)
            best, order = torch.cat([best, cosines], dim=1).topk(size, dim=1)
            index = torch.cat([index, names], dim=1).gather(1, order)
        found[rows] = torch.where(best.isinf(), -1, index).cpu().numpy()
    return found


def random_couples(known: Captions, negatives: Negatives, taken: Integers) -> Integers:
    """`random` couples a caption, beside those taken; a text is drawn as often as it is said."""
    rng = np.random.default_rng(negatives.seed)
    refused = np.union1d(known.own, taken)
    waiting = np.repeat(known.clip, negatives.random)  # clips that lack a couple
    made = np.empty(0, dtype=np.int64)
    for _ in range(ROUNDS):
        if not len(waiting):
            return made
        drawn = waiting * known.texts + rng.choice(known.text, len(waiting))
        fresh = np.zeros(len(drawn), dtype=bool)
        fresh[np.unique(drawn, return_index=True)[1]] = True
        fresh &= ~np.isin(drawn, refused) & ~np.isin(drawn, made)
        fresh[fresh] = known.closest(drawn[fresh]) <= negatives.similarity[1]
        made = np.concatenate([made, drawn[fresh]])
        waiting = waiting[~fresh]
    raise NegativesError(
        f"no mismatched caption is found for {known.clip_ids[waiting[0]]} whose similarity is at "
        f"most {negatives.similarity[1]}: raise pseudolabel.similarity."
    )


def _tensor(values: NDArray[np.float32] | Integers, device: str | torch.device) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values)).to(device)
