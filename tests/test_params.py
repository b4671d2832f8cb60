"""params.load reads what is there, strictly, and says where something is wrong."""

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
import yaml
from repository import ROOT

from soundjudge import params
from soundjudge.doctor import sections
from soundjudge.errors import ParamsError


@dataclass(frozen=True, kw_only=True)
class Inner:
    rate: float
    steps: int


@dataclass(frozen=True, kw_only=True)
class Encoders:
    extra_encoders: tuple[Path, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Outer:
    name: str
    where: Path
    on: bool
    limit: int | None
    gamma: float | Literal["scale"] = "scale"
    mode: Literal["a", "b"]
    splits: tuple[str, ...]
    band: tuple[float, float]
    members: dict[str, Inner]
    inner: Inner

    def __post_init__(self) -> None:
        if self.band[0] > self.band[1]:
            raise ValueError("band must be low, then high")


GOOD = {
    "name": "x",
    "where": "data/raw",
    "on": True,
    "limit": None,
    "mode": "a",
    "splits": ["train", "validation"],
    "band": [0, 1.5],
    "members": {"one": {"rate": 1, "steps": 2}},
    "inner": {"rate": 0.5, "steps": 3},
}


def test_every_supported_type_is_built():
    outer = params.build(Outer, GOOD, "outer")
    assert outer.where == Path("data/raw")
    assert outer.splits == ("train", "validation")
    assert outer.band == (0.0, 1.5) and isinstance(outer.band[0], float)
    assert outer.members == {"one": Inner(rate=1.0, steps=2)}
    assert isinstance(outer.members["one"].rate, float)
    assert outer.limit is None
    assert params.build(Outer, GOOD | {"limit": 3}, "outer").limit == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"nmae": "x"}, r"outer\.nmae is not a known key: did you mean 'name'\?"),
        ({"on": "yes"}, r"outer\.on is 'yes': true or false is needed"),
        ({"on": 1}, r"outer\.on is 1"),
        ({"limit": "3"}, r"outer\.limit is '3': a whole number"),
        ({"limit": True}, r"outer\.limit is True"),
        ({"limit": 3.0}, r"outer\.limit is 3\.0"),
        ({"name": 5}, r"outer\.name is 5: text is needed \(in quotes\)"),
        ({"name": None}, r"outer\.name is None: text"),
        ({"where": ""}, r"outer\.where is '': a path"),
        ({"mode": "c"}, r"outer\.mode is 'c': choose one of 'a', 'b'"),
        ({"splits": "train"}, r"outer\.splits is 'train': a list"),
        ({"splits": ["train", 1]}, r"outer\.splits\[1\] is 1"),
        ({"band": [1.0]}, r"outer\.band has 1 values: 2 are needed"),
        ({"band": [2.0, 1.0]}, r"outer: band must be low, then high"),
        ({"members": {"one": {"rate": 1.0}}}, r"outer\.members\.one\.steps is missing"),
        ({"members": {1: {"rate": 1.0}}}, r"outer\.members has the key 1: keys are text"),
        ({"members": 3}, r"outer\.members is 3: a mapping of names"),
        ({"members": "x" * 999}, r"outer\.members is 'x{20,60}\.\.\.x{20,60}': a mapping"),
        ({"where": " data"}, r"outer\.where is ' data': a path without blanks at its ends"),
        ({"where": "a\nb"}, r"outer\.where is 'a\\nb': a path without blanks"),
        ({"where": "a\0b"}, r"outer\.where is 'a\\x00b': a path without blanks"),
        ({"where": "data/\u200bxacle"}, r"outer\.where .* and invisible characters"),
        ({"where": "~/data"}, r"outer\.where is '~/data': ~ is not replaced here"),
        (
            {"where": "s3://bucket/xacle"},
            "is 's3://bucket/xacle': nothing is downloaded here, get it",
        ),
        ({"where": "hf://owner/name"}, r"outer\.where is 'hf://owner/name': nothing is downloaded"),
        ({"where": "ä" * 128}, r"outer\.where .* no name of a file has more than 255 bytes"),
        ({"gamma": "auto"}, r"outer\.gamma is 'auto': a number is needed, or choose .* 'scale'"),
        ({"inner": 3}, r"outer\.inner is 3: a section"),
        ({"inner": {"rate": "1e-5", "steps": 1}}, r"outer\.inner\.rate .* write 1\.0e-5"),
        ({"inner": {"rate": "1e-3", "steps": 1}}, r"inner\.rate .* as text, write 1\.0e-3$"),
        ({"inner": {"rate": "5.E3", "steps": 1}}, r"inner\.rate .* as text, write 5\.0E\+3$"),
        ({"inner": {"rate": "-2.5e3", "steps": 1}}, r"inner\.rate .* write -2\.5e\+3$"),
        ({"inner": {"rate": "\uff11\uff10", "steps": 1}}, r"inner\.rate .* a number is needed$"),
        ({"inner": {"rate": "0.1", "steps": 1}}, r"outer\.inner\.rate .* remove the quotes"),
        ({"inner": {"rate": "fast", "steps": 1}}, r"outer\.inner\.rate .* a number is needed"),
        ({"inner": {"rate": float("nan"), "steps": 1}}, r"outer\.inner\.rate .* finite"),
    ],
)
def test_a_wrong_value_is_named_with_its_key(change, message):
    with pytest.raises(ParamsError, match=message):
        params.build(Outer, GOOD | change, "outer")


def test_a_missing_key_is_named():
    with pytest.raises(ParamsError, match=r"outer\.mode is missing"):
        params.build(Outer, {k: v for k, v in GOOD.items() if k != "mode"}, "outer")


def test_a_dotted_section_is_found(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text("finetune:\n  members:\n    full: {rate: 1.0e-5, steps: 2}\n")
    assert params.load("finetune.members.full", Inner, path) == Inner(rate=1e-5, steps=2)
    members = params.load("finetune.members", dict[str, Inner], path)
    assert list(members) == ["full"]


def test_yaml_text_that_looks_like_a_number_is_refused_with_the_remedy(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text("tune: {rate: 1e-5, steps: 2}\n")
    with pytest.raises(ParamsError, match=r"params\.yaml: tune\.rate is '1e-5'.*write 1\.0e-5"):
        params.load("tune", Inner, path)


def test_the_whole_file_is_the_empty_section(in_folder):
    Path("params.yaml").write_text("rate: 2\nsteps: 2\n")
    assert params.load("", Inner) == Inner(rate=2.0, steps=2)
    Path("params.yaml").write_text("rate: 2\n")
    with pytest.raises(ParamsError, match=r"^params\.yaml: steps is missing"):
        params.load("", Inner)


def test_a_former_name_of_a_key_is_told_with_its_present_one(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text("regress: {extra_claps: [a]}\n")
    told = r"params\.yaml: regress\.extra_claps was renamed: write 'extra_encoders' instead"
    with pytest.raises(ParamsError, match=told):
        params.load("regress.extra_encoders", tuple[Path, ...], path)
    with pytest.raises(ParamsError, match=told):
        params.load("regress", Encoders, path)
    path.write_text("regress: {extra_encoders: [a]}\n")
    assert params.load("regress", Encoders, path) == Encoders(extra_encoders=(Path("a"),))


def test_a_missing_section_and_a_missing_file_are_named(tmp_path):
    path = tmp_path / "params.yaml"
    with pytest.raises(ParamsError, match="does not exist"):
        params.load("tune", Inner, path)
    with pytest.raises(ParamsError, match="is no file"):
        params.load("tune", Inner, tmp_path)
    path.write_text("tune: {a: 1}\n")
    with pytest.raises(ParamsError, match="no section 'tune.b': there is no 'b' under 'tune'"):
        params.load("tune.b", Inner, path)
    with pytest.raises(ParamsError, match="no section 'x'.*at the top"):
        params.load("x", Inner, path)
    path.write_text("tune: {a: [}\n")
    with pytest.raises(ParamsError, match="not valid YAML"):
        params.load("tune", Inner, path)


@pytest.mark.slow
def test_what_dvc_exp_run_writes_to_params_yaml_means_the_same(tmp_path: Path) -> None:
    hydra = pytest.importorskip("dvc.utils.hydra", reason="dvc is an extra")
    path = tmp_path / "params.yaml"
    before = (ROOT / "params.yaml").read_text(encoding="utf-8")
    path.write_text(before, encoding="utf-8")
    hydra.apply_overrides(path, ["evaluate.resamples=1234"])
    after = path.read_text(encoding="utf-8")
    values, changed = yaml.safe_load(before), yaml.safe_load(after)
    values["evaluate"]["resamples"] = 1234
    assert changed == values
    assert sections.find_problems(path) == []
    comments = [re.findall(r"(?<= )# .*$", text, re.MULTILINE) for text in (before, after)]
    assert comments[0] == comments[1]


STAGE = """
import pathlib
from soundjudge import params
from soundjudge.errors import SoundjudgeError
params.load("note", str)
"""


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("raise SoundjudgeError('a.csv, row 3: mend it')", "soundjudge: a.csv, row 3: mend it\n"),
        ("params.load('nothing', str)", "soundjudge: params.yaml has no section 'nothing': there"),
        ("raise OSError(28, 'No space left')", "soundjudge: the disk is full: make room"),
        ("open('a/b.json')", "soundjudge: a/b.json does not exist: run the stage that writes it"),
        ("open('.')", "soundjudge: .: Is a directory\n"),
        ("raise KeyboardInterrupt", "soundjudge: stopped: what is complete is kept, run again"),
        ("raise ValueError('a bug')", "Traceback (most recent call last):"),
    ],
)
def test_a_stage_shows_what_people_can_mend_as_a_sentence_alone(tmp_path, line, words):
    (tmp_path / "params.yaml").write_text("note: x\n")
    command = [sys.executable, "-c", STAGE + line]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode != 0 and result.stderr.startswith(words)
    assert words.startswith("Traceback") or "Traceback" not in result.stderr


def test_a_hook_that_someone_else_has_set_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "excepthook", print)
    (tmp_path / "params.yaml").write_text("note: x\n")
    params.load("note", str, tmp_path / "params.yaml")
    assert sys.excepthook is print


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("a: 1\nb:\n  c: 2\n  d: 3\n  c: 4\n", "line 5: the key 'c' stands there a second time"),
        ("a: 1\n'a': 2\n", "line 2: the key 'a' stands there a second time, after line 1"),
        ("a:\n\tb: 1\n", "is not valid YAML: while scanning"),
        ("a: 2025-02-30\n", "is not valid YAML: day is out of range"),
        ("a: " + "[" * 5000, "is not valid YAML: "),
        ("a: *b\n", "is not valid YAML: "),
        ("a: !!python/name:os.system\n", "is not valid YAML: "),
    ],
)
def test_yaml_that_means_nothing_or_two_things_is_one_line(tmp_path, content, words):
    path = tmp_path / "params.yaml"
    path.write_text(content)
    with pytest.raises(ParamsError) as error:
        params.load("", dict[str, object], path)
    assert str(error.value).startswith(str(path)) and words in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "number", ["010", "1:30", "0b11", "1_000", "1_0.5", "-0_7", "190:20:30.15"]
)
def test_a_number_that_readers_of_yaml_do_not_agree_on_is_refused(tmp_path, number):
    path = tmp_path / "params.yaml"
    path.write_text(f"a: 1\nb: {number} # c\n")
    meant = re.escape(str(yaml.safe_load(number)))
    told = rf"params\.yaml, line 2: {number} means {meant} to some readers .*: write {meant}, or"
    with pytest.raises(ParamsError, match=told):
        params.load("b", float, path)
    path.write_text(f"a: 1\nb: '{number}'\n")
    assert params.load("b", str, path) == number


@pytest.mark.parametrize("number", ["0", "10", "0x10", "+5", "-0.5", "1.0e-3", "0.05", "00.5"])
def test_plain_numbers_are_read(tmp_path, number):
    path = tmp_path / "params.yaml"
    path.write_text(f"a: {number}\n")
    assert params.load("a", float, path) == yaml.safe_load(number)


@pytest.mark.parametrize(
    ("content", "words"),
    [("", "is empty"), ("# a\n", "is empty"), ("- a\n", "is no mapping"), ("a", "is no mapping"),
     ("yes: 1\n", "has the key True: keys are text"), ("1: 1\n", "has the key 1: keys are text")],
)  # fmt: skip
def test_a_file_without_named_sections_says_what_it_is(tmp_path, content, words):
    path = tmp_path / "params.yaml"
    path.write_text(content)
    with pytest.raises(ParamsError, match=rf"params\.yaml {words}"):
        params.load("", dict[str, object], path)


@pytest.mark.parametrize("start", [b"\xef\xbb\xbf", b""])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_a_byte_order_mark_and_other_line_ends_change_nothing(tmp_path, start, end):
    path = tmp_path / "params.yaml"
    path.write_bytes(start + end.join([b"b: # c", b"  rate: 1.5", b"  steps: 2", b""]))
    assert params.load("b", Inner, path) == Inner(rate=1.5, steps=2)


def test_anchors_and_merged_keys_are_read_and_may_be_overwritten(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text("a: &a {rate: 1.5, steps: 2}\nb:\n  <<: *a\n  steps: 3\n")
    assert params.load("b", Inner, path) == Inner(rate=1.5, steps=3)


@dataclass(frozen=True, kw_only=True)
class Seeded:
    seed: int
    size: int = 1


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"seed": -1}, "a.seed is -1: it must be 0 or more"),
        ({"seed": 2**63}, "a.seed is 9223372036854775808: a whole number of 64 bits is needed"),
        ({"seed": 0, "size": -(10**30)}, "a.size is -1000000000000000000000000000000: a whole"),
    ],
)
def test_a_whole_number_that_no_library_takes_fails_at_second_0(values, words):
    with pytest.raises(ParamsError, match=words):
        params.build(Seeded, values, "a")
    assert params.build(Seeded, {"seed": 2**63 - 1}, "a").seed == 2**63 - 1
