"""What holds dvc.yaml, params.yaml, stages/ and the package together."""

import ast
import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src"
DVC = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))

# Sections that several stages share; every other section is a stage's own.
SHARED = {"encoders", "device"}
# Not a dependency of a stage: params.py only reads values that DVC tracks itself, companions.py
# only makes broken wheels importable, and the packages' __init__ hold a docstring.
EXEMPT = {"params.py", "companions.py", "__init__.py"}
# What each package may import, besides itself; design: data flows one way.
ALLOWED = {
    "params": set(),
    "companions": set(),
    "artifacts": set(),
    "correlations": set(),
    "figures": {"artifacts"},
    "data": {"params", "artifacts", "correlations"},
    "labels": {"params", "artifacts", "correlations", "figures", "data"},
    "clap": {"params", "artifacts", "correlations", "figures", "data"},
    "model": {"params", "artifacts", "correlations", "figures", "data"},
    "training": {
        "params", "artifacts", "correlations", "figures", "data", "labels", "clap", "model",
    },
}  # fmt: skip
ABOVE = {*ALLOWED, "scoring", "sample", "cli"}


def body(stage: str) -> dict:
    return DVC[stage].get("do", DVC[stage])


def dependencies(stage: str) -> list[str]:
    return [next(iter(d)) if isinstance(d, dict) else d for d in body(stage)["deps"]]


def outputs(stage: str) -> list[str]:
    listed = [*body(stage).get("outs", []), *body(stage).get("metrics", [])]
    listed += body(stage).get("plots", [])
    return [next(iter(o)) if isinstance(o, dict) else o for o in listed]


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
    assert set(PARAMS) - SHARED == set(DVC)


@pytest.mark.parametrize("stage", DVC)
def test_every_stage_says_what_it_does_and_runs_its_own_script(stage: str) -> None:
    assert body(stage)["desc"].strip().endswith(".")
    assert body(stage)["cmd"].startswith(f"python stages/{stage}.py")
    order = [key for key in body(stage) if key in ("desc", "cmd", "deps", "params", "outs")]
    assert order == sorted(order, key=("desc", "cmd", "deps", "params", "outs").index)


@pytest.mark.parametrize("stage", DVC)
def test_a_stages_dependencies_are_exactly_the_code_that_it_imports(stage: str) -> None:
    script = ROOT / "stages" / f"{stage}.py"
    needed = {path.relative_to(ROOT).as_posix() for path in closure(script) | {script}}
    listed = {dep for dep in dependencies(stage) if dep.endswith(".py")}
    assert listed == needed


@pytest.mark.parametrize("path", sorted((SOURCE / "soundjudge").rglob("*.py")), ids=str)
def test_imports_point_one_way(path: Path) -> None:
    package = path.relative_to(SOURCE / "soundjudge").parts[0].removesuffix(".py")
    if package == "__init__":
        return
    used = {
        module.relative_to(SOURCE / "soundjudge").parts[0].removesuffix(".py")
        for module in imported(path)
    } - {package, "__init__"}
    assert used <= ALLOWED.get(package, ABOVE - {"cli"})


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


@pytest.mark.parametrize("path", sorted((ROOT / "stages").glob("*.py")), ids=lambda p: p.stem)
def test_a_stage_is_thin(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 60


@pytest.mark.parametrize("path", sorted((SOURCE / "soundjudge").rglob("*.py")), ids=str)
def test_modules_are_short_and_say_what_they_are(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(text)), "a module begins with what its one job is"
    assert len(text.splitlines()) <= 230
