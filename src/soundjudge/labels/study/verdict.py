"""The sentence about a study's table: what these ratings show, and what they do not."""

from collections.abc import Mapping
from typing import Any

import pandas as pd


def verdict_sentence(table: pd.DataFrame, default: str, chosen: str) -> str:
    """One sentence; `default` and `chosen` are rows of `Study.table` as screening/target."""
    rows = {f"{row['screening']}/{row['target']}": row for row in table.to_dict("records")}
    before, after = rows[default], rows[chosen]
    if chosen != default:
        return (
            f"{_name(after)} agrees better with held-out listeners than the default, "
            f"{_name(before)}: SRCC {after['srcc']:.3f} against {before['srcc']:.3f}, a difference "
            f"of {_difference(after)}, p {after['p_holm']:.2g} after Holm"
        )
    others = {name: row for name, row in rows.items() if name != default}
    best = max(others.values(), key=lambda row: row["difference"])
    if best["difference"] > 0:
        return (
            f"no candidate is better than the default, {_name(before)} (SRCC {before['srcc']:.3f}),"
            f" by a difference that these ratings can show: it stays; the largest is that of "
            f"{_name(best)}, {_difference(best)}"
        )
    return (
        f"the default, {_name(before)} (SRCC {before['srcc']:.3f}), agrees best with held-out "
        f"listeners, and stays; next is {_name(best)}, {_difference(best)}"
    )


def _name(row: Mapping[Any, Any]) -> str:
    screening = "without screening" if row["screening"] == "none" else f"by {row['screening']}"
    return f"{row['target']} {screening}"


def _difference(row: Mapping[Any, Any]) -> str:
    return (
        f"{row['difference']:+.3f} [{row['difference_lo']:+.3f}, {row['difference_hi']:+.3f}] SRCC"
    )
