"""Recipes: what differs from the default, merged with it into a whole params.yaml.

The rule: block mappings are merged key by key. Every other value of a recipe (numbers, texts,
null, lists, mappings in braces, and FREE_NAMES) replaces the default's whole, with its comment. The
comment on a section's own line and the head of the file replace the default's where there is one.
"""

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from soundjudge.errors import ParamsError

RECIPES = Path("recipes")
DEFAULT = "sample"
FREE_NAMES = (
    "pretrain.members",
    "finetune.members",
    "ensemble.members",
    "ensemble.least_weight",
)
"""Mappings whose keys are names that users choose: the names in a recipe are all there are."""


@dataclass(frozen=True)
class Entry:
    """A key with its value, as lines of a file; the file itself is the entry of no key."""

    text: list[str]  # all lines of the file
    value: yaml.Node | None
    start: int = 0
    stop: int | None = None
    column: int = 0

    def is_block(self) -> bool:
        """Whether the value is a mapping with a line for each key."""
        return isinstance(self.value, yaml.MappingNode) and not self.value.flow_style

    def lines(self) -> list[str]:
        """The lines of key and value, without what stands between this entry and the next."""
        lines = self.text[self.start : self.stop]
        while not lines[-1].strip() or lines[-1].find("#") in range(self.column + 1):
            lines.pop()
        return lines

    def entries(self) -> dict[str, "Entry"]:
        """The entries of a block mapping, by key."""
        assert isinstance(self.value, yaml.MappingNode), "only a mapping has entries"
        starts = [key.start_mark.line for key, _ in self.value.value]
        return {
            key.value: Entry(self.text, value, start, stop, key.start_mark.column)
            for (key, value), start, stop in zip(
                self.value.value, starts, [*starts[1:], self.stop], strict=True
            )
        }


def recipe_text(name: str, folder: Path = RECIPES) -> str:
    """The whole params.yaml of a recipe, with comments.

    Raises ParamsError where the folder has no such recipe, and as `merge_recipe`.
    """
    names = sorted(path.stem for path in folder.glob("*.yaml"))
    if name not in names:
        listed = ", ".join(names) or "none; run from the repository"
        raise ParamsError(f"{folder} has no recipe {name!r}: there are {listed}")
    path = folder / f"{name}.yaml"
    default = (folder / f"{DEFAULT}.yaml").read_text(encoding="utf-8")
    recipe = path.read_text(encoding="utf-8")
    return default if name == DEFAULT else merge_recipe(default, recipe, str(path))


def merge_recipe(default: str, recipe: str, where: str) -> str:
    """The YAML text of the default with the values and comments of a recipe, named `where`.

    Raises ParamsError where the recipe is not YAML or has a key that the default lacks.
    """
    try:
        base, own = (
            Entry(text.splitlines(), yaml.compose(text, Loader=yaml.SafeLoader))
            for text in (default, recipe)
        )
    except yaml.YAMLError as error:
        raise ParamsError(f"{where} is not valid YAML: {error}") from error
    if not own.is_block():
        raise ParamsError(f"{where} needs sections with keys, as {DEFAULT}.yaml has them")
    lines = list(base.text)
    replacements = sorted(_replacements(base, own, "", where), key=lambda edit: -edit[0])
    for start, stop, new in replacements:  # from the end, so that line numbers stay true
        lines[start:stop] = new
    heads = [next(iter(entry.entries().values())).start for entry in (base, own)]
    return "\n".join([*own.text[: heads[1]], *lines[heads[0] :], ""])


def _replacements(
    base: Entry, own: Entry, above: str, where: str
) -> Iterator[tuple[int, int, list[str]]]:
    """Lines of the default, from start to before stop, with what stands there instead."""
    defaults = base.entries()
    for name, new in own.entries().items():
        key = f"{above}.{name}" if above else name
        if name not in defaults:
            close = difflib.get_close_matches(name, defaults, n=1)
            hint = f": did you mean {close[0]!r}?" if close else ""
            raise ParamsError(f"{where}: {key} is not a key of {DEFAULT}.yaml{hint}")
        old = defaults[name]
        lines = [" " * old.column + line[new.column :] for line in new.lines()]
        if not (old.is_block() and new.is_block()) or key in FREE_NAMES:
            yield old.start, old.start + len(old.lines()), lines
            continue
        if "#" in lines[0]:
            yield old.start, old.start + 1, lines[:1]
        yield from _replacements(old, new, key, where)
