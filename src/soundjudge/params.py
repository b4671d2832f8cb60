"""Reads a section of params.yaml into a frozen dataclass, strictly."""

import dataclasses
import difflib
import math
import types
import typing
from pathlib import Path
from typing import Any, Literal, TypeVar, Union

import yaml

from soundjudge.errors import ParamsError

T = TypeVar("T")


def load(section: str, cls: type[T], path: Path = Path("params.yaml")) -> T:
    """The section ("finetune.members.full"; "" is the whole file) of `path` as a `cls`."""
    if not path.is_file():
        raise ParamsError(f"{path} does not exist: run from the folder that holds it")
    try:
        values: object = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ParamsError(f"{path} is not valid YAML: {error}") from error
    walked: list[str] = []
    for key in section.split(".") if section else []:
        if not isinstance(values, dict) or key not in values:
            inside = f"under {'.'.join(walked)!r}" if walked else "at the top"
            raise ParamsError(f"{path} has no section {section!r}: there is no {key!r} {inside}")
        walked.append(key)
        values = values[key]
    return build(cls, values, f"{path}: {section}" if section else f"{path}: ")


def build(cls: type[T], values: object, where: str) -> T:
    """`values`, as YAML gives them, as a `cls`; `where` names their place in errors.

    Types: int, float (an int will do), bool, str, Path, None, Literal, unions, tuple (a YAML list),
    dict[str, X] and dataclasses of these. Raises ParamsError for everything else in `values`.
    """
    built: T = _convert(cls, values, where)
    return built


def _convert(wanted: Any, value: object, where: str) -> Any:  # noqa: ANN401  types are data here
    origin, args = typing.get_origin(wanted), typing.get_args(wanted)
    if dataclasses.is_dataclass(wanted):
        return _dataclass(wanted, value, where)
    if origin in (Union, types.UnionType):
        return _union(args, value, where)
    if origin is Literal:
        if not any(value == choice and type(value) is type(choice) for choice in args):
            raise ParamsError(f"{where} is {value!r}: choose one of {_listed(args)}")
        return value
    if origin is tuple:
        return _tuple(args, value, where)
    if origin is dict:
        if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
            raise ParamsError(f"{where} is {value!r}: a mapping of names to values is needed")
        return {key: _convert(args[1], item, _inside(where, key)) for key, item in value.items()}
    return _plain(wanted, value, where)


def _plain(wanted: Any, value: object, where: str) -> object:  # noqa: ANN401
    if wanted is Any or wanted is object:
        return value
    if wanted is None or wanted is type(None):
        if value is None:
            return None
        raise ParamsError(f"{where} is {value!r}: null is needed")
    if wanted is float and type(value) in (int, float):
        number = float(typing.cast(float, value))
        if math.isfinite(number):
            return number
        raise ParamsError(f"{where} is {value!r}: a finite number is needed")
    if wanted is Path and isinstance(value, str) and value:
        return Path(value)
    if wanted in (int, bool, str) and type(value) is wanted:
        return value
    raise ParamsError(f"{where} is {value!r}: {_need(wanted, value)}")


def _need(wanted: Any, value: object) -> str:  # noqa: ANN401
    if wanted is float and isinstance(value, str):
        try:
            number = float(value)
        except ValueError:
            return "a number is needed"
        mantissa, _, exponent = f"{number!r}".partition("e")
        dotted = mantissa if "." in mantissa else f"{mantissa}.0"
        return (
            f"YAML reads this as text, write {dotted}e{exponent}"
            if exponent
            else "remove the quotes"
        )
    names = {
        int: "a whole number",
        float: "a number",
        bool: "true or false",
        str: "text",
        Path: "a path",
    }
    if wanted not in names:
        raise TypeError(f"params cannot read a {wanted}")
    return f"{names[wanted]} is needed" + (
        " (in quotes)" if wanted is str and value is not None else ""
    )


def _dataclass(cls: Any, value: object, where: str) -> object:  # noqa: ANN401
    if not isinstance(value, dict):
        raise ParamsError(f"{where} is {value!r}: a section with keys is needed")
    hints = typing.get_type_hints(cls)
    fields = {field.name: field for field in dataclasses.fields(cls) if field.init}
    for key in value:
        if key not in fields:
            close = difflib.get_close_matches(str(key), fields, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"known keys are {_listed(fields)}"
            raise ParamsError(f"{_inside(where, key)} is not a known key: {hint}")
    missing = [name for name in fields if name not in value and _required(fields[name])]
    if missing:
        raise ParamsError(f"{_inside(where, missing[0])} is missing: add it")
    built = {key: _convert(hints[key], item, _inside(where, key)) for key, item in value.items()}
    try:
        return cls(**built)
    except ParamsError:
        raise
    except ValueError as error:
        raise ParamsError(f"{where.rstrip(': ')}: {error}") from error


def _required(field: "dataclasses.Field[Any]") -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _union(choices: tuple[Any, ...], value: object, where: str) -> object:
    if value is None and type(None) in choices:
        return None
    errors = []
    if isinstance(value, dict):  # keys can only be meant for a section, where one is possible
        choices = tuple(filter(dataclasses.is_dataclass, choices)) or choices
    for choice in (choice for choice in choices if choice is not type(None)):
        try:
            return _convert(choice, value, where)
        except ParamsError as error:
            errors.append(error)
    # With one real alternative (X | None) its own message is the clear one.
    raise (
        errors[0]
        if len(errors) == 1
        else ParamsError(f"{where} is {value!r}: none of its types fit")
    )


def _tuple(args: tuple[Any, ...], value: object, where: str) -> tuple[object, ...]:
    if not isinstance(value, list):
        raise ParamsError(f"{where} is {value!r}: a list is needed")
    kinds = [args[0]] * len(value) if len(args) == 2 and args[1] is Ellipsis else list(args)
    if len(kinds) != len(value):
        raise ParamsError(f"{where} has {len(value)} values: {len(kinds)} are needed")
    pairs = zip(kinds, value, strict=True)
    return tuple(_convert(kind, item, f"{where}[{i}]") for i, (kind, item) in enumerate(pairs))


def _inside(where: str, key: object) -> str:
    return f"{where}{key}" if where.endswith(": ") else f"{where}.{key}"


def _listed(names: typing.Iterable[object]) -> str:
    return ", ".join(repr(name) for name in names)
