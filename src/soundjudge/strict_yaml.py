"""Reads YAML in which nothing is doubtful: no key twice, no number that readers dispute."""

import re
from pathlib import Path
from typing import Any

import yaml

from soundjudge.errors import ParamsError

LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # with libyaml ten times faster
MERGE = "tag:yaml.org,2002:merge"  # of <<, which may stand beside keys of the same name
# What YAML 1.1, which is read here, and 1.2, which DVC reads, do not both take for one number: 010
# is 8 to the former, and 1:30 is 90.
UNPLAIN = re.compile(r"[+-]?(0[0-7_]+|0b[01_]+|[0-9]+(:[0-5]?[0-9])+(\.[0-9_]*)?|[0-9.]*_[0-9._]*)")


def read_yaml(path: Path) -> dict[Any, Any]:
    """The mapping in a file. Raises ParamsError."""
    try:
        values: object = yaml.load(path.read_text(encoding="utf-8"), Loader=_StrictLoader)
    except ParamsError as error:
        raise ParamsError(f"{path}, {error}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        # ValueError: bytes that are no UTF-8, and dates such as 2025-02-30
        reason = " ".join(str(error).split())
        raise ParamsError(f"{path} is not valid YAML: {reason}") from error
    if not isinstance(values, dict):
        what = "is empty" if values is None else "is no mapping of keys to values"
        raise ParamsError(f"{path} {what}: write sections, as params.yaml of the repository has")
    return values


class _StrictLoader(LOADER):  # type: ignore[misc]  # its base is known when it runs
    """YAML in which no key stands twice: the library would take the last without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        first: dict[object, int] = {}
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if isinstance(key, yaml.ScalarNode) and key.tag != MERGE:
                earlier = first.setdefault((key.tag, key.value), line)
                if earlier != line:
                    raise ParamsError(
                        f"line {line}: the key {key.value!r} stands there a second time, after "
                        f"line {earlier}: remove one"
                    )
        mapping: dict[Any, Any] = super().construct_mapping(node, deep)
        return mapping

    def construct_object(self, node: yaml.Node, deep: bool = False) -> object:
        value: object = super().construct_object(node, deep)
        if isinstance(value, int | float) and UNPLAIN.fullmatch(str(node.value)):
            raise ParamsError(
                f"line {node.start_mark.line + 1}: {node.value} means {value} to some readers of "
                f"YAML and another number or a text to others: write {value}, or what you mean"
            )
        return value
