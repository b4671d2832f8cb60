"""What holds dvc.yaml, params.yaml, stages/ and the package together."""

import ast
import functools
import re
from pathlib import Path

import pytest
import yaml
from repository import ROOT

SOURCE = ROOT / "src"
PACKAGE = SOURCE / "soundjudge"
MODULES = sorted(PACKAGE.rglob("*.py"))
DVC = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))

# Sections that several stages share; every other section is a stage's own.
SHARED = {"encoders", "device", "note"}
# Not a dependency of a stage: params.py and strict_yaml.py only read values that DVC tracks itself,
# errors.py only names exceptions, ranges.py and consistency.py refuse params and write nothing, the
# shim makes broken wheels importable, an __init__ holds a docstring.
EXEMPT = {
    *("params.py", "strict_yaml.py", "errors.py", "ranges.py", "torchaudio_shim.py"),
    "consistency.py",
    "__init__.py",
}
BELOW = {"params", "errors", "ranges", "torchaudio_shim", "runtime", "reporting"}
# What each package may import, besides itself; design: data flows one way.
ALLOWED = {
    "params": {"errors", "strict_yaml"},
    "strict_yaml": {"errors"},
    "errors": set(),
    "ranges": {"errors"},
    "recipes": {"errors"},
    "torchaudio_shim": set(),
    "runtime": {"errors", "params"},
    "reporting": {"errors", "runtime"},
    "html": {"reporting"},
    "data": BELOW,
    "labels": {*BELOW, "data"},
    "clap": {*BELOW, "data"},
    "model": {*BELOW, "data"},
    "fusion": {*BELOW, "data", "clap", "model"},
    "training": {*BELOW, "data", "clap", "model"},
}
ABOVE = {*ALLOWED, "scoring", "sample", "doctor"}  # of scoring, sample and doctor
ALLOWED |= {"page": ABOVE, "cli": {*ABOVE, "page"}}
# What words messages for people, reads their files or reports to them: no training depends on it.
FOR_PEOPLE = (
    "reporting", "data/user_files", "data/corpora", "data/audio", "data/fetch", "scoring", "doctor",
    "cli", "html", "page",
)  # fmt: skip
TRAININGS = ("tune_clap", "regress", "caption", "fusion", "pretrain", "finetune")


def body(stage: str) -> dict:
    return DVC[stage].get("do", DVC[stage])


def dependencies(stage: str) -> list[str]:
    return [next(iter(d)) if isinstance(d, dict) else d for d in body(stage)["deps"]]


def outputs(stage: str) -> list[str]:
    listed = [*body(stage).get("outs", []), *body(stage).get("metrics", [])]
    listed += body(stage).get("plots", [])
    return [next(iter(o)) if isinstance(o, dict) else o for o in listed]


@functools.cache
def imported(path: Path) -> set[Path]:
    """The package's own modules that a file imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    modules = {SOURCE / (name.replace(".", "/") + ".py") for name in found}
    return {module for module in modules if module.is_file() and "soundjudge" in module.parts}


def closure(path: Path) -> set[Path]:
    seen: set[Path] = set()
    open_ends = {path}
    while open_ends:
        open_ends = {m for end in open_ends for m in imported(end)} - seen
        seen |= open_ends
    return {module for module in seen if module.name not in EXEMPT}


def test_a_stage_has_one_name_in_dvc_yaml_in_stages_and_in_params() -> None:
    assert {path.stem for path in (ROOT / "stages").glob("*.py")} == set(DVC)
    keys = {stage: body(stage).get("params", []) for stage in DVC}
    with_section = {
        stage
        for stage in DVC
        if any(key.split(".")[0] == stage for key in keys[stage])
        or f"${{{stage}." in str(DVC[stage].get("foreach"))
    }
    assert set(PARAMS) - SHARED == with_section
    assert {stage for stage in DVC if keys[stage]} == with_section  # others read no params


def test_dvc_lock_names_no_stage_that_is_gone() -> None:
    lock = yaml.safe_load((ROOT / "dvc.lock").read_text(encoding="utf-8"))["stages"]
    assert {name.split("@")[0] for name in lock} <= set(DVC)


@pytest.mark.parametrize("stage", DVC)
def test_every_stage_says_what_it_does_and_runs_its_own_script(stage: str) -> None:
    assert body(stage)["desc"].strip().endswith(".")
    assert body(stage)["cmd"].startswith(f"python stages/{stage}.py")
    order = [key for key in body(stage) if key in ("desc", "cmd", "deps", "params", "outs")]
    assert order == sorted(order, key=("desc", "cmd", "deps", "params", "outs").index)


def code(stage: str) -> set[Path]:
    """The folders of the package that a stage names."""
    return {ROOT / dep for dep in dependencies(stage) if dep.startswith("src/")}


@pytest.mark.parametrize("stage", DVC)
def test_a_stages_code_lies_inside_its_dependencies_and_none_of_them_is_idle(stage: str) -> None:
    script = ROOT / "stages" / f"{stage}.py"
    assert f"stages/{stage}.py" in dependencies(stage)
    needed = closure(script)
    outside = {p for p in needed if not any(p.is_relative_to(dep) for dep in code(stage))}
    assert not outside
    idle = {dep for dep in code(stage) if not any(p.is_relative_to(dep) for p in needed)}
    assert not idle


def test_dvc_yaml_names_folders_and_not_files() -> None:
    assert all(path.is_dir() for stage in DVC for path in code(stage))


@pytest.mark.parametrize("stage", DVC)
def test_metrics_and_pictures_stay_when_the_stage_that_renews_them_fails(stage: str) -> None:
    """DVC removes an output before the stage runs, unless it is to persist."""
    listed = [*body(stage).get("outs", []), *body(stage).get("metrics", [])]
    for out in [*listed, *body(stage).get("plots", [])]:
        path, flags = next(iter(out.items())) if isinstance(out, dict) else (out, {})
        assert flags.get("persist", False) == path.startswith(("metrics/", "plots/")), path


@pytest.mark.parametrize("stage", DVC)
def test_no_stage_prints(stage: str) -> None:
    tree = ast.parse((ROOT / "stages" / f"{stage}.py").read_text(encoding="utf-8"))
    assert "print" not in {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


@pytest.mark.parametrize("stage", TRAININGS)
def test_a_message_for_people_retrains_nothing(stage: str) -> None:
    names = {path.relative_to(PACKAGE).as_posix() for path in code(stage)}
    assert not [name for name in names if name.startswith(FOR_PEOPLE)]


def top(module: Path) -> str:
    """The first part of a module's name below the package."""
    return module.relative_to(PACKAGE).parts[0].removesuffix(".py")


def test_imports_point_one_way() -> None:
    wrong = [
        (module, used)
        for module in MODULES
        if top(module) != "__init__"
        for used in {top(other) for other in imported(module)} - {top(module), "__init__"}
        if used not in ALLOWED.get(top(module), ABOVE)
    ]
    assert not wrong


def named_paths(script: Path) -> set[str]:
    """Paths of data, checkpoints and metrics that a script writes out as Path("...")."""
    calls = [n for n in ast.walk(ast.parse(script.read_text())) if isinstance(n, ast.Call)]
    paths = {c.args[0] for c in calls if getattr(c.func, "id", "") == "Path" and c.args}
    texts = {p.value for p in paths if isinstance(p, ast.Constant)}
    return {t for t in texts if t.startswith(("data", "checkpoints", "metrics", "plots"))}


@pytest.mark.parametrize("stage", DVC)
def test_what_a_stages_script_names_is_a_dependency_or_an_output_of_it(stage: str) -> None:
    known = [*dependencies(stage), *outputs(stage)]
    for path in named_paths(ROOT / "stages" / f"{stage}.py"):
        # The path itself, something in it, or the folder that holds it.
        related = [k for k in known if f"{k}/".startswith(f"{path}/") or path.startswith(f"{k}/")]
        assert related, f"stages/{stage}.py names {path}, and dvc.yaml does not"


def test_only_evaluate_reads_the_test_labels() -> None:
    readers = [stage for stage in DVC if any("test_labels" in d for d in dependencies(stage))]
    assert readers == ["evaluate"]
    writers = [stage for stage in DVC if any("test_labels" in o for o in outputs(stage))]
    assert writers == ["prepare"]
    mentions = [p.stem for p in (ROOT / "stages").glob("*.py") if "test_labels" in p.read_text()]
    assert sorted(mentions) == ["evaluate", "prepare"]


def test_no_output_folder_contains_another_stages_output() -> None:
    every = [(stage, out) for stage in DVC for out in outputs(stage)]
    for stage, out in every:
        for other, inner in every:
            assert (stage, out) == (other, inner) or not inner.startswith(out + "/"), (out, inner)


def test_every_key_of_params_yaml_has_a_comment() -> None:
    bare = []
    previous = ""
    for number, line in enumerate((ROOT / "params.yaml").read_text().splitlines(), start=1):
        key = re.match(r"\s+[\w-]+:\s*\S", line)
        if key and "#" not in line and not previous.lstrip().startswith("#"):
            bare.append((number, line))
        previous = line
    assert not bare


def test_a_stage_is_thin() -> None:
    lengths = {
        path.name: len(path.read_text().splitlines()) for path in (ROOT / "stages").glob("*.py")
    }
    assert not {name: length for name, length in lengths.items() if length > 60}


def test_modules_are_short_and_say_what_they_are() -> None:
    texts = {module: module.read_text(encoding="utf-8") for module in MODULES}
    silent = [module for module, text in texts.items() if not ast.get_docstring(ast.parse(text))]
    assert not silent, "a module begins with what its one job is"
    assert not [module for module, text in texts.items() if len(text.splitlines()) > 230]
