"""Reads a section of params.yaml into a frozen dataclass, strictly."""

import dataclasses
import difflib
import sys
import types
import typing
from pathlib import Path
from typing import Any, Literal, TypeVar, Union

import yaml

from soundjudge.errors import ParamsError, hide_tracebacks

T = TypeVar("T")
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # with libyaml ten times faster
LARGEST_INT = 2**63 - 1  # what libraries of arrays take
MERGE = "tag:yaml.org,2002:merge"  # of <<, which may stand beside keys of the same name
KINDS = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    Path: "a path",
}
RENAMED = {"extra_claps": "extra_encoders"}
"Former names of keys and what they are now."


def load(section: str, cls: type[T], path: Path = Path("params.yaml")) -> T:
    """The section ("finetune.members.full"; "" is the whole file) of `path` as a `cls`.

    Raises ParamsError, with the key and a remedy; a stage, which begins with this, then shows it
    without a traceback.
    """
    hide_tracebacks()
    if not path.is_file():
        raise ParamsError(f"{path} does not exist: run from the folder that holds it")
    return load_section(_read_yaml(path), section, cls, path)


def load_section(values: object, section: str, cls: type[T], path: Path) -> T:
    """As `load`, of the `values` that are read already: `load("", dict[str, object])`."""
    parents: list[str] = []
    for key in section.split(".") if section else []:
        if not isinstance(values, dict) or key not in values:
            former = [old for old, new in RENAMED.items() if new == key]
            if isinstance(values, dict) and values.keys() & former:
                old = ".".join([*parents, *former])
                raise ParamsError(f"{path}: {old} was renamed: write {key!r} instead")
            inside = f"under {'.'.join(parents)!r}" if parents else "at the top"
            raise ParamsError(f"{path} has no section {section!r}: there is no {key!r} {inside}")
        parents.append(key)
        values = values[key]
    return build(cls, values, f"{path}: {section}" if section else f"{path}: ")


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


def _read_yaml(path: Path) -> object:
    try:
        values: object = yaml.load(path.read_text(encoding="utf-8"), Loader=_StrictLoader)
    except ParamsError as error:
        raise ParamsError(f"{path}, {error}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        # ValueError: bytes that are no UTF-8, and dates such as 2025-02-30
        reason = " ".join(str(error).split())
        raise ParamsError(f"{path} is not valid YAML: {reason}") from error
    return values


def build(cls: type[T], values: object, where: str) -> T:
    """`values`, as YAML gives them, as a `cls`; `where` names their place in errors.

    Types: int, float (an int will do), bool, str, Path, None, Literal, unions, tuple (a YAML list),
    dict[str, X] and dataclasses of these. Raises ParamsError for everything else in `values`.
    """
    instance: T = _convert(cls, values, where)
    return instance


def _convert(expected: Any, value: object, where: str) -> Any:  # noqa: ANN401  types are data here
    origin, args = typing.get_origin(expected), typing.get_args(expected)
    if dataclasses.is_dataclass(expected):
        return _dataclass(expected, value, where)
    if origin in (Union, types.UnionType):
        return _union(args, value, where)
    if origin is Literal:
        if not any(value == option and type(value) is type(option) for option in args):
            raise ParamsError(f"{where} is {value!r}: choose one of {_join(args)}")
        return value
    if origin is tuple:
        return _tuple(args, value, where)
    if origin is dict:
        if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
            raise ParamsError(f"{where} is {value!r}: a mapping of names to values is needed")
        return {key: _convert(args[1], item, _key_path(where, key)) for key, item in value.items()}
    return _plain(expected, value, where)


def _plain(expected: Any, value: object, where: str) -> object:  # noqa: ANN401
    if expected is Any or expected is object:
        return value
    if expected is None or expected is type(None):
        if value is None:
            return None
        raise ParamsError(f"{where} is {value!r}: null is needed")
    if expected is float and type(value) in (int, float):
        number = typing.cast(float, value)
        if abs(number) <= sys.float_info.max:  # false for nan, and for whole numbers of any size
            return float(number)
        raise ParamsError(f"{where} is {value!r}: a finite number is needed")
    if expected is Path and isinstance(value, str) and value:
        return Path(value)
    if expected is int and type(value) is int and abs(value) > LARGEST_INT:
        raise ParamsError(f"{where} is {value!r}: a whole number of 64 bits is needed")
    if expected in (int, bool, str) and type(value) is expected:
        return value
    raise ParamsError(f"{where} is {value!r}: {_requirement(expected, value)}")


def _requirement(expected: Any, value: object) -> str:  # noqa: ANN401
    if expected is float and isinstance(value, str):
        try:
            number = float(value)
        except ValueError:
            return "a number is needed"
        mantissa, _, exponent = f"{number!r}".partition("e")
        dotted = mantissa if "." in mantissa else f"{mantissa}.0"
        remedy = f"YAML reads this as text, write {dotted}e{exponent}"
        return remedy if exponent else "remove the quotes"
    assert expected in KINDS, f"params cannot read a {expected}"
    quotes = " (in quotes)" if expected is str and value is not None else ""
    return f"{KINDS[expected]} is needed{quotes}"


def _dataclass(cls: Any, value: object, where: str) -> object:  # noqa: ANN401
    if not isinstance(value, dict):
        raise ParamsError(f"{where} is {value!r}: a section with keys is needed")
    hints = typing.get_type_hints(cls)
    fields = {field.name: field for field in dataclasses.fields(cls) if field.init}
    for key in value:
        if key not in fields:
            if RENAMED.get(key) in fields:
                new = RENAMED[key]
                raise ParamsError(f"{_key_path(where, key)} was renamed: write {new!r} instead")
            close = difflib.get_close_matches(str(key), fields, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"known keys are {_join(fields)}"
            raise ParamsError(f"{_key_path(where, key)} is not a known key: {hint}")
    missing = [name for name in fields if name not in value and _required(fields[name])]
    if missing:
        raise ParamsError(f"{_key_path(where, missing[0])} is missing: add it")
    arguments = {
        key: _convert(hints[key], item, _key_path(where, key)) for key, item in value.items()
    }
    if isinstance(seed := arguments.get("seed"), int) and seed < 0:
        raise ParamsError(f"{_key_path(where, 'seed')} is {seed}: it must be 0 or more")
    try:
        return cls(**arguments)
    except ParamsError:
        raise
    except ValueError as error:
        raise ParamsError(f"{where.rstrip(': ')}: {error}") from error


def _required(field: "dataclasses.Field[Any]") -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _union(options: tuple[Any, ...], value: object, where: str) -> object:
    if value is None and type(None) in options:
        return None
    errors = []
    if isinstance(value, dict):  # keys can only be meant for a section, where one is possible
        options = tuple(filter(dataclasses.is_dataclass, options)) or options
    for option in (option for option in options if option is not type(None)):
        try:
            return _convert(option, value, where)
        except ParamsError as error:
            errors.append(error)
    # With one real alternative (X | None) its own message is the clear one.
    if len(errors) == 1:
        raise errors[0]
    raise ParamsError(f"{where} is {value!r}: none of its types fit")


def _tuple(args: tuple[Any, ...], value: object, where: str) -> tuple[object, ...]:
    if not isinstance(value, list):
        raise ParamsError(f"{where} is {value!r}: a list is needed")
    kinds = [args[0]] * len(value) if len(args) == 2 and args[1] is Ellipsis else list(args)
    if len(kinds) != len(value):
        raise ParamsError(f"{where} has {len(value)} values: {len(kinds)} are needed")
    pairs = zip(kinds, value, strict=True)
    return tuple(_convert(kind, item, f"{where}[{i}]") for i, (kind, item) in enumerate(pairs))


def _key_path(where: str, key: object) -> str:
    return f"{where}{key}" if where.endswith(": ") else f"{where}.{key}"


def _join(names: typing.Iterable[object]) -> str:
    return ", ".join(repr(name) for name in names)
