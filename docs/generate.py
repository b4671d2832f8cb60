"""Writes docs/params.md and docs/map.md from the code itself: python docs/generate.py."""

import ast
import dataclasses
import importlib.util
import inspect
import re
import tokenize
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Union

import yaml

from soundjudge.recipes import FREE_NAMES, Entry

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
HEAD = "<!-- Written by `make docs`: change the code, not this page. -->"
WORDS = {int: "whole number", float: "number", bool: "true or false", str: "text", Path: "path"}


@dataclasses.dataclass
class Section:
    """Where params.yaml has what a stage loads, as which type, and which stages do."""

    type: Any
    names: list[str]
    stages: set[str]

    def title(self) -> str:
        """Its name, or the last part of the names that it has in common."""
        return self.names[0] if len(self.names) == 1 else self.names[0].rpartition(".")[2]


def comments() -> dict[str, str]:
    """Every key of params.yaml, dotted, with the comment on its line; NAME is any free name."""
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    found: dict[str, str] = {}

    def walk(entry: Entry, above: str) -> None:
        for name, inner in entry.entries().items():
            key = f"{above}.{'NAME' if above in FREE_NAMES else name}".lstrip(".")
            found.setdefault(key, inner.text[inner.start].partition(" # ")[2])
            if inner.is_block():
                walk(inner, key)

    walk(Entry(text.splitlines(), yaml.compose(text, Loader=yaml.SafeLoader)), "")
    return found


def loaded() -> Iterator[tuple[str, Any, str]]:
    """Section, type and stage of every `params.load` of a stage."""
    for path in (ROOT / "stages").glob("*.py"):
        spec = importlib.util.spec_from_file_location(f"stage_{path.stem}", path)
        assert spec is not None and spec.loader is not None, f"{path} is no module"
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "params.load":
                name, cls = (ast.unparse(argument) for argument in node.args[:2])
                yield eval(name, {"name": "NAME"}), eval(cls, vars(module)), path.stem  # noqa: S307


def sections() -> tuple[list[Section], list[Section]]:
    """Values that stages load by themselves, and dataclasses, each once, as in params.yaml."""
    order = list(comments())
    found: dict[Any, Section] = {}
    for name, cls, stage in sorted(loaded(), key=lambda load: (order.index(load[0]), load[2])):
        for inner, hint in nested(name, cls):
            key = hint if dataclasses.is_dataclass(hint) else inner
            section = found.setdefault(key, Section(hint, [], set()))
            section.names += [inner] if inner not in section.names else []
            section.stages.add(stage)
    classes = [section for section in found.values() if dataclasses.is_dataclass(section.type)]
    inside = {f"{name}.{field}" for c in classes for name in c.names for field in fields(c.type)}
    values = [section for name, section in found.items() if isinstance(name, str)]
    return [v for v in values if v.names[0].removesuffix(".NAME") not in inside], classes


def nested(name: str, hint: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401
    """A section with its type, and the dataclasses inside it with theirs."""
    yield name, hint
    if not dataclasses.is_dataclass(hint):
        return
    for field, inner in fields(hint).items():
        for option in (inner, *typing.get_args(inner)):
            if dataclasses.is_dataclass(option):
                yield from nested(f"{name}.{field}", option)


def fields(cls: Any) -> dict[str, Any]:  # noqa: ANN401
    """The fields of a dataclass, with their types."""
    hints = typing.get_type_hints(cls)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


def field_comment(cls: type, name: str) -> str:
    """What stands beside or, as a string, below a field; "" for nothing."""
    owner = next(base for base in cls.__mro__ if name in inspect.get_annotations(base))
    lines = inspect.getsource(owner).splitlines(keepends=True)
    body = typing.cast(ast.ClassDef, ast.parse("".join(lines)).body[0]).body
    place = next(i for i, n in enumerate(body) if ast.unparse(n).startswith(f"{name}:"))
    below = body[place + 1] if place + 1 < len(body) else None
    if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
        return " ".join(str(below.value.value).split())
    beside = range(body[place].lineno, (body[place].end_lineno or 0) + 1)
    tokens = tokenize.generate_tokens(iter(lines).__next__)
    found = [t.string for t in tokens if t.type == tokenize.COMMENT and t.start[0] in beside]
    return " ".join(comment.lstrip("# ") for comment in found)


def describe_type(hint: Any, links: dict[Any, str]) -> str:  # noqa: ANN401
    """A type in words for the values of YAML."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
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


def meanings(section: Section) -> dict[str, str]:
    """Each key of a section with what the field says of it, or params.yaml where that is more.

    Of a section in several places params.yaml says what holds in one; it has no say there.
    """
    written = comments() if len(section.names) == 1 else {}
    return {
        field: max(
            field_comment(section.type, field),
            written.get(f"{section.names[0]}.{field}", ""),
            key=len,
        )
        for field in fields(section.type)
    }


def params_page() -> str:
    """The text of docs/params.md."""
    values, classes = sections()
    links = {section.type: section.title() for section in classes}
    written = comments()
    rows = [
        (v.names[0], describe_type(v.type, links), "required", written[v.names[0]]) for v in values
    ]
    parts = [
        HEAD,
        "# Every key of params.yaml",
        "`params.yaml` holds what people choose; keys with defaults can be left out. Each section "
        "becomes a dataclass, strictly: unknown and missing keys and wrong types are errors.",
        "## What several stages share",
        table(rows),
    ]
    for section in classes:
        path = Path(inspect.getsourcefile(section.type) or "").relative_to(ROOT).as_posix()
        listed = [f"`{name}`" for name in section.names] if len(section.names) > 1 else []
        where = f"In {', '.join(listed)}. " if listed else ""
        stages = ", ".join(f"`{name}`" for name in sorted(section.stages))
        of = {field.name: field for field in dataclasses.fields(section.type)}
        rows = [
            (
                name,
                describe_type(fields(section.type)[name], links),
                describe_default(of[name]),
                meaning,
            )
            for name, meaning in meanings(section).items()
        ]
        parts += [
            f"## {section.title()}",
            inspect.cleandoc(section.type.__doc__ or ""),
            f"{where}Read by {stages}: `{section.type.__name__}` of [{path}](../{path}).",
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
