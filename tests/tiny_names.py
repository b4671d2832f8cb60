"""Weights under the names of their authors, from a model that has ours: the way back of a table."""

import re
from collections.abc import Mapping

import torch

from soundjudge.clap.encoders.name_tables import NameTable


def published_name(table: NameTable, key: str) -> tuple[str, int]:
    """The published name of a weight, and which part of that tensor it is."""
    for before, after, names in table.rows:
        for old, new in names.items():
            parts = (new,) if isinstance(new, str) else new
            for position, part in enumerate(parts):
                whole = re.escape(after + part)
                pattern = re.sub(r"\bN\b", r"(\\d+)", whole) + r"(\.[a-z_]+)?"
                if match := re.fullmatch(pattern, key):
                    *numbers, leaf = match.groups()
                    name = before + old
                    for number in numbers:
                        name = re.sub(r"\bN\b", number, name, count=1)
                    return name + (leaf or ""), position
    raise AssertionError(f"the table lacks {key}")


def published_state(
    table: NameTable, weights: Mapping[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """The weights under the names of a table."""
    parts: dict[str, dict[int, torch.Tensor]] = {}
    for key, tensor in weights.items():
        name, position = published_name(table, key)
        parts.setdefault(name, {})[position] = tensor
    return {
        name: torch.cat([tensors[n] for n in range(3)]) if len(tensors) == 3 else tensors[0]
        for name, tensors in parts.items()
    }
