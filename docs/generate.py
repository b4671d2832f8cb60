"""Writes docs/params.md and docs/map.md from the code itself: python docs/generate.py."""

import ast
import dataclasses
import functools
import inspect
import re
import tokenize
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Union

import yaml

from soundjudge.doctor.sections import Params
from soundjudge.recipes import FREE_NAMES, Entry

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
HEAD = "<!-- Written by `make docs`: change the code, not this page. -->"
WORDS = {int: "whole number", float: "number", bool: "true or false", str: "text", Path: "path"}


@dataclasses.dataclass
class Section:
    """A dataclass, and where params.yaml has it."""

    type: Any
    names: list[str]

    def title(self) -> str:
        """Its name, or the last part of the names that it has in common."""
        return self.names[0] if len(self.names) == 1 else self.names[0].rpartition(".")[2]


@functools.cache
def comments() -> dict[str, str]:
    """Every key of params.yaml, dotted, with the comment on its line; NAME is any free name."""
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    texts: dict[str, str] = {}

    def walk(entry: Entry, above: str) -> None:
        for name, inner in entry.entries().items():
            key = f"{above}.{'NAME' if above in FREE_NAMES else name}".lstrip(".")
            texts.setdefault(key, inner.text[inner.start].partition(" # ")[2])
            if inner.is_block():
                walk(inner, key)

    walk(Entry(text.splitlines(), yaml.compose(text, Loader=yaml.SafeLoader)), "")
    return texts


def sections() -> list[Section]:
    """The dataclasses of params.yaml, each once, in its order."""
    by_type: dict[Any, Section] = {}
    for name, cls in nested_sections("", Params):
        by_type.setdefault(cls, Section(cls, [])).names.append(name)
    order = list(comments())
    return sorted(by_type.values(), key=lambda section: order.index(section.names[0]))


def nested_sections(above: str, cls: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401
    """The dataclasses inside a dataclass, and where params.yaml has them."""
    for field, hint in fields(cls).items():
        of_names = typing.get_origin(hint) is dict
        name = f"{above}.{field}{'.NAME' if of_names else ''}".lstrip(".")
        for option in (hint, *typing.get_args(hint)):
            if dataclasses.is_dataclass(option):
                yield name, option
                yield from nested_sections(name, option)


def fields(cls: Any) -> dict[str, Any]:  # noqa: ANN401
    """The fields of a dataclass, with their types."""
    hints = typing.get_type_hints(cls)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


@functools.cache
def parse_class(cls: type) -> tuple[list[ast.stmt], dict[int, str]]:
    """The statements of a class, and its comments by their lines."""
    source = inspect.getsource(cls)
    tokens = tokenize.generate_tokens(iter(source.splitlines(keepends=True)).__next__)
    texts = {t.start[0]: t.string.lstrip("# ") for t in tokens if t.type == tokenize.COMMENT}
    return typing.cast(ast.ClassDef, ast.parse(source).body[0]).body, texts


def field_comment(cls: type, name: str) -> str:
    """What stands beside or, as a string, below a field; "" for nothing."""
    owner = next(base for base in cls.__mro__ if name in inspect.get_annotations(base))
    body, texts = parse_class(owner)
    index = next(i for i, n in enumerate(body) if ast.unparse(n).startswith(f"{name}:"))
    below = body[index + 1] if index + 1 < len(body) else None
    if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
        return " ".join(str(below.value.value).split())
    beside = range(body[index].lineno, (body[index].end_lineno or 0) + 1)
    return " ".join(texts[line] for line in beside if line in texts)


def describe_type(hint: Any, links: dict[Any, str]) -> str:  # noqa: ANN401
    """A type in words for the values of YAML."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint) and hint not in links:
        return "section"
    if hint in links:
        return f"[section](#{re.sub('[^a-z_-]', '', links[hint].lower())})"
    if origin is Literal:
        return " or ".join(f"`{choice}`" for choice in args)
    if origin in (Union, types.UnionType):
        return " or ".join(describe_type(arg, links) for arg in args)
    if origin is tuple:
        length = "" if args[-1] is Ellipsis else f" of length {len(args)}"
        return f"list{length}: {describe_type(args[0], links)}"
    if origin is dict:
        return f"mapping of names: {describe_type(args[1], links)}"
    return "null" if hint is type(None) else WORDS[hint]


def describe_default(field: "dataclasses.Field[Any]") -> str:
    """The default as YAML, or that there is none."""
    if field.default is dataclasses.MISSING:
        return "required" if field.default_factory is dataclasses.MISSING else "its defaults"
    if dataclasses.is_dataclass(field.default):
        return "its defaults"
    value = list(field.default) if isinstance(field.default, tuple) else field.default
    return f"`{yaml.safe_dump(value, default_flow_style=True).split(chr(10))[0]}`"


def explanations(section: Section) -> dict[str, str]:
    """What fields say of their keys, where that is more than the comment in params.yaml."""
    written, result = comments(), {}
    for field in fields(section.type):
        comment = field_comment(section.type, field)
        if len(comment) > max(len(written.get(f"{name}.{field}", "")) for name in section.names):
            result[field] = comment
    return result


def params_page() -> str:
    """The text of docs/params.md."""
    by_type = {section.type: section for section in sections()}
    meanings = {cls: explanations(section) for cls, section in by_type.items()}
    links = {cls: section.title() for cls, section in by_type.items() if meanings[cls]}
    parts = [
        HEAD,
        "# Keys of params.yaml",
        "`params.yaml` holds what people choose, each key with a comment beside it. This page has "
        "the keys with defaults that it leaves out, and longer explanations. Each section becomes "
        "a dataclass, strictly: unknown and missing keys and wrong types are errors.",
    ]
    for cls, title in links.items():
        path = Path(inspect.getsourcefile(cls) or "").relative_to(ROOT).as_posix()
        names = by_type[cls].names
        where = f"In {', '.join(f'`{name}`' for name in names)}. " if len(names) > 1 else ""
        of, hints = {field.name: field for field in dataclasses.fields(cls)}, fields(cls)
        rows = [
            (name, describe_type(hints[name], links), describe_default(of[name]), meaning)
            for name, meaning in meanings[cls].items()
        ]
        parts += [
            f"## {title}",
            inspect.cleandoc(cls.__doc__ or ""),
            f"{where}`{cls.__name__}` of [{path}](../{path}).",
            table(rows),
        ]
    return "\n\n".join(parts) + "\n"


def table(rows: list[tuple[str, str, str, str]]) -> str:
    """Rows as a Markdown table."""
    lines = ["| key | value | default | meaning |", "|---|---|---|---|"]
    for name, *cells in rows:
        escaped = [cell.replace("|", "\\|") for cell in cells]
        lines.append(f"| `{name}` | {' | '.join(escaped)} |")
    return "\n".join(lines)


def map_page() -> str:
    """The text of docs/map.md: every file of the package with the first line of its docstring."""
    parts = [HEAD, "# Every file of the package", "The first line of each file, folder by folder."]
    files = sorted((ROOT / "src").rglob("*.py"), key=lambda path: (path.parent, path.name))
    for folder in dict.fromkeys(path.parent for path in files):
        inside = [path for path in files if path.parent == folder]
        lines = [
            f"- [{p.name}](../{p.relative_to(ROOT).as_posix()}): {first_line(p)}" for p in inside
        ]
        parts += [f"## {folder.relative_to(ROOT).as_posix()}", "\n".join(lines)]
    return "\n\n".join(parts) + "\n"


def first_line(path: Path) -> str:
    """The first line of a module's docstring."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return text.partition("\n")[0]


PAGES = {"params.md": params_page, "map.md": map_page}

if __name__ == "__main__":
    for name, page in PAGES.items():
        (DOCS / name).write_text(page(), encoding="utf-8")
