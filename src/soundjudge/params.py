"""Reads a section of params.yaml into a frozen dataclass, strictly."""

import dataclasses
import difflib
import re
import reprlib
import sys
import types
import typing
from pathlib import Path
from typing import Any, Literal, TypeVar, Union

from soundjudge.errors import ParamsError, hide_tracebacks
from soundjudge.strict_yaml import read_yaml

T = TypeVar("T")
LARGEST_INT = 2**63 - 1  # what libraries of arrays take
KINDS = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    Path: "a path",
}
NUMBER = re.compile(r"([+-]?[0-9]+)(\.[0-9]*)?(e)([+-]?[0-9]+)", re.ASCII | re.IGNORECASE)
URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)  # s3://bucket, hf://owner/name
MOST_OF_A_NAME = 255  # bytes of a file's or folder's name, on all common file systems
RENAMED = {"extra_claps": "extra_encoders"}
"Former names of keys and what they are now."


def load(section: str, cls: type[T], path: Path = Path("params.yaml")) -> T:
    """The section ("finetune.members.full"; "" is the whole file) of `path` as a `cls`.

    Raises ParamsError, with the key and a remedy; a stage, which begins with this, then shows it
    without a traceback.
    """
    hide_tracebacks()
    if not path.is_file():
        what = "is no file" if path.exists() else "does not exist"
        raise ParamsError(f"{path} {what}: run from the folder that holds it")
    return load_section(read_yaml(path), section, cls, path)


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
            raise ParamsError(f"{where} is {_show(value)}: choose one of {_join(args)}")
        return value
    if origin is tuple:
        return _tuple(args, value, where)
    if origin is dict:
        if not isinstance(value, dict):
            raise ParamsError(f"{where} is {_show(value)}: a mapping of names to values is needed")
        for key in value:
            if not isinstance(key, str):
                named = f"{where.rstrip(': ')} has the key {key!r}"
                raise ParamsError(f"{named}: keys are text, write it in quotes")
        return {key: _convert(args[1], item, _key_path(where, key)) for key, item in value.items()}
    return _plain(expected, value, where)


def _plain(expected: Any, value: object, where: str) -> object:  # noqa: ANN401
    if expected is Any or expected is object:
        return value
    if expected is None or expected is type(None):
        if value is None:
            return None
        raise ParamsError(f"{where} is {_show(value)}: null is needed")
    if expected is float and type(value) in (int, float):
        number = typing.cast(float, value)
        if abs(number) <= sys.float_info.max:  # false for nan, and for whole numbers of any size
            return float(number)
        raise ParamsError(f"{where} is {_show(value)}: a finite number is needed")
    if expected is Path and isinstance(value, str) and value:
        return _path(value, where)
    if expected is int and type(value) is int and abs(value) > LARGEST_INT:
        raise ParamsError(f"{where} is {value!r}: a whole number of 64 bits is needed")
    if expected in (int, bool, str) and type(value) is expected:
        return value
    raise ParamsError(f"{where} is {_show(value)}: {_requirement(expected, value)}")


def _path(value: str, where: str) -> Path:
    """A path that can exist, and means the same to every program that reads it."""
    if value != value.strip() or not value.isprintable():
        reason = "a path without blanks at its ends and invisible characters is needed"
    elif value.startswith("~"):
        reason = "~ is not replaced here, write the folder out"
    elif URL.match(value):
        reason = "nothing is downloaded here, get it first and name the folder or file on this disk"
    elif max(len(part.encode()) for part in value.split("/")) > MOST_OF_A_NAME:
        reason = f"no name of a file has more than {MOST_OF_A_NAME} bytes"
    else:
        return Path(value)
    raise ParamsError(f"{where} is {_show(value)}: {reason}")


def _show(value: object) -> str:
    """A value in an error, not longer than a line."""
    short = reprlib.Repr()
    short.maxstring = short.maxother = short.maxlong = 80
    return short.repr(value)


def _requirement(expected: Any, value: object) -> str:  # noqa: ANN401
    if expected is float and isinstance(value, str):
        if match := NUMBER.fullmatch(value):  # YAML 1.1 asks for the point and for the sign
            whole, fraction, letter, exponent = match.groups(default=".0")
            signed = exponent if exponent[0] in "+-" else f"+{exponent}"
            fraction = fraction if len(fraction) > 1 else ".0"
            return f"YAML reads this as text, write {whole}{fraction}{letter}{signed}"
        try:
            float(value)
        except ValueError:
            return "a number is needed"
        return "remove the quotes" if value.isascii() else "a number is needed"
    assert expected in KINDS, f"params cannot read a {expected}"
    quotes = " (in quotes)" if expected is str and value is not None else ""
    return f"{KINDS[expected]} is needed{quotes}"


def _dataclass(cls: Any, value: object, where: str) -> object:  # noqa: ANN401
    if not isinstance(value, dict):
        raise ParamsError(f"{where} is {_show(value)}: a section with keys is needed")
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
    missing = [name for name in fields if name not in value and _is_required(fields[name])]
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


def _is_required(field: "dataclasses.Field[Any]") -> bool:
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
    remedies = ", or ".join(str(error).split(": ")[-1] for error in errors)
    raise ParamsError(f"{where} is {_show(value)}: {remedies}")


def _tuple(args: tuple[Any, ...], value: object, where: str) -> tuple[object, ...]:
    if not isinstance(value, list):
        raise ParamsError(f"{where} is {_show(value)}: a list is needed")
    kinds = [args[0]] * len(value) if len(args) == 2 and args[1] is Ellipsis else list(args)
    if len(kinds) != len(value):
        raise ParamsError(f"{where} has {len(value)} values: {len(kinds)} are needed")
    pairs = zip(kinds, value, strict=True)
    return tuple(_convert(kind, item, f"{where}[{i}]") for i, (kind, item) in enumerate(pairs))


def _key_path(where: str, key: object) -> str:
    return f"{where}{key}" if where.endswith(": ") else f"{where}.{key}"


def _join(names: typing.Iterable[object]) -> str:
    return ", ".join(repr(name) for name in names)
