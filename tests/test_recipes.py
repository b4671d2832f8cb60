"""The recipes: merged with the default they are whole, readable and have the published numbers."""

import ast
import dataclasses
import functools
import importlib.util
import operator
import re
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from repository import ROOT, STAGES
from typer.testing import CliRunner

from soundjudge import params, recipes
from soundjudge.cli import app
from soundjudge.doctor import requirements
from soundjudge.errors import ParamsError

FOLDER = ROOT / "recipes"
NAMES = ("sample", "frozen2027", "spo2026", "tmu2026", "xacle2027")
MERGED = {name: recipes.recipe_text(name, FOLDER) for name in NAMES}
VALUES = {name: yaml.safe_load(text) for name, text in MERGED.items()}
OWN = {name: yaml.safe_load((FOLDER / f"{name}.yaml").read_text("utf-8")) for name in NAMES[1:]}
DEFAULT = """\
# The default.

a: # a section
  x: 1 # default x
  y: [1, 2] # default y

  z: null # default z
b:
  inner: # inside
    p: 0.5 # default p
    q: text # default q

# before c
c: >- # folded
  two
  lines
finetune:
  members: # default members
    one: {seed: 1} # default one
    two: {seed: 2} # default two
"""


def value(values: dict, dotted: str) -> object:
    for key in dotted.split("."):
        values = values[key]
    return values


def leaves(values: object, above: str = "") -> dict[str, object]:
    """Dotted names and values of all settings; mappings from free names are values."""
    if not isinstance(values, dict) or above in recipes.FREE_NAMES:
        return {above: values}
    inside = [leaves(v, f"{above}.{key}" if above else key) for key, v in values.items()]
    return {key: v for found in inside for key, v in found.items()}


@functools.cache
def stage(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"stage_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def loads(path: Path, recipe: dict) -> list[tuple[str, object]]:
    """What a stage reads of params.yaml: the section and the class of each params.load in it."""
    namespace = vars(stage(path))
    sections = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not (isinstance(node, ast.Call) and ast.unparse(node.func) == "params.load"):
            continue
        cls = eval(ast.unparse(node.args[1]), namespace)  # noqa: S307  our own stages
        if isinstance(node.args[0], ast.Constant):
            sections.append((node.args[0].value, cls))
        else:  # f"finetune.members.{name}", once for each of them
            above = node.args[0].values[0].value.removesuffix(".")
            sections += [(f"{above}.{name}", cls) for name in value(recipe, above)]
    return sections


def setting(name: str, dotted: str) -> object:
    """A setting of a recipe as the stages read it, defaults of the dataclasses included."""
    for script in STAGES.glob("*.py"):
        for section, cls in loads(script, VALUES[name]):
            if dataclasses.is_dataclass(cls) and dotted.startswith(f"{section}."):
                built = params.build(cls, value(VALUES[name], section), section)
                return operator.attrgetter(dotted.removeprefix(f"{section}."))(built)
    raise AssertionError(f"no stage reads {dotted}")


def test_a_recipe_replaces_values_and_their_comments_and_keeps_all_else() -> None:
    recipe = """\
# The recipe.

a: # another section
  y: [3] # new y
  z: # new z
    deep: true # inside z
b:
  inner:
    p: 0.25 # new p
c: short # new c
"""
    assert recipes.merge_recipe(DEFAULT, recipe, "mine.yaml") == (
        DEFAULT.replace("# The default.", "# The recipe.")
        .replace("a: # a section", "a: # another section")
        .replace("y: [1, 2] # default y", "y: [3] # new y")
        .replace("  z: null # default z", "  z: # new z\n    deep: true # inside z")
        .replace("p: 0.5 # default p", "p: 0.25 # new p")
        .replace("c: >- # folded\n  two\n  lines", "c: short # new c")
    )


def test_the_members_of_a_recipe_replace_those_of_the_default_whole() -> None:
    recipe = "finetune:\n  members: # mine\n    two: {seed: 5}\n    # three: later\n"
    merged = recipes.merge_recipe(DEFAULT, recipe, "mine.yaml")
    assert yaml.safe_load(merged)["finetune"] == {"members": {"two": {"seed": 5}}}
    assert merged.endswith("finetune:\n  members: # mine\n    two: {seed: 5}\n    # three: later\n")


@pytest.mark.parametrize("recipe", ["a:\n    x: 3 # other indent\n", "a: {x: 3, y: [], z: 1}\n"])
def test_a_recipe_may_be_indented_and_written_as_its_author_likes(recipe: str) -> None:
    merged = yaml.safe_load(recipes.merge_recipe(DEFAULT, recipe, "mine.yaml"))
    assert merged["a"]["x"] == 3
    assert {key: merged[key] for key in "bc"} == {key: yaml.safe_load(DEFAULT)[key] for key in "bc"}


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ("a: {x: [}\n", "mine.yaml is not valid YAML"),
        ("- a\n", "mine.yaml needs sections with keys"),
        ("", "mine.yaml needs sections with keys"),
        ("d: 1\n", "mine.yaml: d is not a key of sample.yaml"),
        (
            "b:\n  inner:\n    pp: 1\n",
            r"mine.yaml: b\.inner\.pp is not a key of sample.yaml: did you mean 'p'\?",
        ),
    ],
)
def test_a_recipe_that_does_not_fit_the_default_is_refused(recipe: str, message: str) -> None:
    with pytest.raises(ParamsError, match=message):
        recipes.merge_recipe(DEFAULT, recipe, "mine.yaml")


def test_the_command_prints_a_recipe_though_the_shell_has_emptied_params_yaml(
    in_folder: Path,
) -> None:
    (in_folder / "recipes").symlink_to(FOLDER)
    (in_folder / "params.yaml").write_text("")
    result = CliRunner().invoke(app, ["recipe", "tmu2026"])
    assert (result.exit_code, result.stdout) == (0, MERGED["tmu2026"])


def test_the_command_names_the_recipes_that_there_are(in_folder: Path) -> None:
    result = CliRunner().invoke(app, ["recipe", "tmu"])
    assert result.exit_code == 2
    assert "recipes has no recipe 'tmu': there are none; run from the repository" in result.stderr
    (in_folder / "recipes").symlink_to(FOLDER)
    result = CliRunner().invoke(app, ["recipe", "tmu"])
    assert "there are frozen2027, sample, spo2026, tmu2026, xacle2027" in result.stderr


def test_the_sample_recipe_is_the_params_yaml_of_the_repository() -> None:
    assert MERGED["sample"] == (ROOT / "params.yaml").read_text("utf-8"), (
        "cp params.yaml recipes/sample.yaml"
    )


def test_every_recipe_is_tested_here() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {f"{name}.yaml" for name in NAMES}


@pytest.mark.parametrize("name", OWN)
def test_a_recipe_repeats_no_default_and_all_it_says_is_in_the_merged_one(name: str) -> None:
    default, merged = leaves(VALUES["sample"]), leaves(VALUES[name])
    own = leaves(OWN[name])
    assert not [key for key in own if default[key] == own[key]]
    assert merged == default | own


@pytest.mark.parametrize("script", sorted(STAGES.glob("*.py")), ids=lambda path: path.stem)
def test_every_stage_can_read_every_recipe(script: Path) -> None:
    for name in NAMES:
        for section, cls in loads(script, VALUES[name]):
            params.build(cls, value(VALUES[name], section), f"{name}: {section}")


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_has_every_value_that_dvc_yaml_asks_for(name: str) -> None:
    keys = set(re.findall(r"\$\{([a-z_.]+)\}", (ROOT / "dvc.yaml").read_text(encoding="utf-8")))
    for dotted in keys - {"key", "item", "item.warm_start", "item.captioner"}:
        assert value(VALUES[name], dotted) or dotted == "refit.members", dotted  # none is fine
    for member in value(VALUES[name], "finetune.members").values():
        assert member["warm_start"] and member["captioner"]


@pytest.mark.parametrize("name", NAMES)
def test_every_member_of_the_ensemble_is_trained_by_some_stage(name: str) -> None:
    trained = {f"finetune/{member}" for member in value(VALUES[name], "finetune.members")}
    members = set(value(VALUES[name], "ensemble.members").values())
    assert members <= {"clapscore", "zeroshot", "regress", "likelihood", "fusion", *trained}


@pytest.mark.parametrize("name", NAMES)
def test_clap_features_encodes_by_no_more_than_members_read(name: str) -> None:
    members = set(value(VALUES[name], "ensemble.members").values())
    for section in {"regress", "fusion"} - members:
        (extra,) = (v for key, v in VALUES[name][section].items() if key.startswith("extra_"))
        assert extra == [], section


@pytest.mark.parametrize("name", NAMES)
def test_the_judge_hears_no_more_at_once_than_its_members_were_trained_on(name: str) -> None:
    values = VALUES[name]
    members = value(values, "ensemble.members").values()
    trained = value(values, "features.frontend.window_seconds")
    if any(member.startswith("finetune/") for member in members):
        assert value(values, "predict.window_seconds") <= trained


@pytest.mark.parametrize("name", NAMES)
def test_every_key_of_a_recipe_has_a_comment_and_every_line_fits(name: str) -> None:
    bare = []
    for line in (FOLDER / f"{name}.yaml").read_text(encoding="utf-8").splitlines():
        key = re.match(r"\s+[\w-]+:\s*\S", line)
        member = re.search(r": (clapscore|regress|finetune/\w+)$", line)  # says all by itself
        if (key and not member and "#" not in line) or len(line) > 100:
            bare.append(line)
    assert not bare


@pytest.mark.parametrize("name", NAMES)
def test_doctor_reads_every_recipe_and_asks_for_real_data_where_it_is_meant(
    name: str, tmp_path: Path
) -> None:
    missing = unmet(name, tmp_path)
    assert ("prepare.xacle" in missing) == (name != "sample")
    assert VALUES[name]["note"] == ("simulated ratings" if not missing else "")


def unmet(name: str, folder: Path) -> set[str]:
    """The keys of what a recipe needs and an empty folder lacks."""
    path = folder / "params.yaml"
    path.write_text(MERGED[name], encoding="utf-8")
    findings = requirements.find_requirements(path, root=folder)
    return {finding.requirement.key for finding in requirements.unmet_requirements(findings)}


@pytest.mark.parametrize(
    ("dotted", "published"),
    [
        ("prepare.max_seconds", 10.0),
        ("features.frontend.audio_tokens", 100),
        ("features.frontend.window_seconds", 10.0),
        ("caption.model.projector_hidden", 3584),
        ("caption.model.projector_dropout", 0.1),
        ("caption.model.head", (512, 512, 128)),
        ("caption.model.head_dropout", 0.1),
        ("caption.model.max_text_tokens", 256),
        ("caption.model.order", "text_first"),
        ("caption.optimization.learning_rate", 1e-5),
        ("caption.optimization.epochs", 3),
        ("pretrain.training.list_size", 16),
        ("pretrain.training.captions_per_clip", None),
        ("pretrain.training.temperature", 1.0),
        ("pretrain.training.optimization.learning_rate", 1e-5),
        ("pretrain.training.optimization.epochs", 20),
        ("pretrain.training.optimization.batch_size", 1),
        ("finetune.training.list_size", 16),
        ("finetune.training.temperature", 1.0),
        ("finetune.training.optimization.learning_rate", 6.2e-6),
        ("finetune.training.optimization.epochs", 150),
        ("finetune.training.optimization.patience", 20),
        ("finetune.training.optimization.batch_size", 1),
        ("finetune.members.full1.specaugment.freq_mask", 15),
        ("finetune.members.full1.specaugment.time_mask", 30),
        ("finetune.members.full1.specaugment.per", "batch"),
        ("finetune.members.full1.target", "mean"),
        ("finetune.members.full1.sample_weights", "none"),
        ("pretrain.training.loss", "listnet"),
        ("finetune.training.loss", "listnet"),
    ],
)
def test_tmu2026_has_the_published_numbers(dotted: str, published: object) -> None:
    assert setting("tmu2026", dotted) == published


@pytest.mark.parametrize("training", ["caption", "pretrain.training", "finetune.training"])
def test_tmu2026_steps_as_published(training: str) -> None:
    steps = dataclasses.asdict(setting("tmu2026", f"{training}.optimization"))
    published = {"optimizer": "adamw", "weight_decay": 0.01, "warmup_steps": 0}
    published |= {"final_lr_ratio": 0.01, "clip_norm": 1.0, "precision": "bf16"}
    assert published.items() <= steps.items()


def test_tmu2026_has_as_many_negatives_as_published() -> None:
    counts = [setting("tmu2026", f"pseudolabel.num_{kind}") for kind in ("random", "hard")]
    assert sum(counts) == pytest.approx((1_064 - 273) / 273, abs=0.01)
    assert setting("tmu2026", "pseudolabel.num_same_label") == 0


@pytest.mark.parametrize(
    ("dotted", "published"),
    [
        ("prepare.max_seconds", 10.0),
        ("screen.method", "rating"),
        ("screen.tolerance", 5),
        ("screen.splits", ("train", "validation")),
        ("standardize.shrinkage", 0.0),
        ("tune_clap.target", "spo"),
        ("tune_clap.trainable", "audio"),
        ("tune_clap.list_size", 32),
        ("tune_clap.seed", 3),
        ("tune_clap.mse_tau", 0.0),
        ("tune_clap.margin", 0.1),
        ("tune_clap.margin_weight", 0.5),
        ("tune_clap.class_balance", None),
        ("tune_clap.optimization.optimizer", "adam"),
        ("tune_clap.optimization.learning_rate", 1e-4),
        ("tune_clap.optimization.weight_decay", 0.0),
        ("tune_clap.optimization.epochs", 50),
        ("tune_clap.optimization.patience", 20),
        ("tune_clap.optimization.final_lr_ratio", 0.0),
        ("tune_clap.optimization.warmup_steps", 0),
        ("ensemble.members", {"clapscore": "clapscore"}),
    ],
)
def test_spo2026_has_the_published_numbers(dotted: str, published: object) -> None:
    assert setting("spo2026", dotted) == published


def test_spo2026_needs_no_captioned_corpus_and_no_weights_but_clap(tmp_path: Path) -> None:
    (tmp_path / "data/none").mkdir(parents=True)
    (tmp_path / "data/none/README.md").write_text("no corpus\n")
    assert unmet("spo2026", tmp_path) == {"prepare.xacle", "encoders.clap"}


def test_frozen2027_needs_ratings_and_claps_alone_and_they_can_be_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data/none").mkdir(parents=True)
    (tmp_path / "data/none/README.md").write_text("no corpus\n")
    claps = {"encoders.clap", "regress.extra_encoders[0]", "regress.extra_encoders[1]"}
    assert unmet("frozen2027", tmp_path) == {"prepare.xacle", *claps}
    monkeypatch.chdir(tmp_path)
    targets, others = requirements.plan_fetch(Path("params.yaml"))
    assert set(targets) == {"laion-clap", "human-clap", "ms-clap-2023"}
    assert [other.requirement.key for other in others] == ["prepare.xacle"]


def test_frozen2027_regresses_as_ensemblesvr() -> None:
    published = {"c": 0.5, "epsilon": 0.08, "gamma": "scale", "normalize": "rows", "target": "mean"}
    assert {key: setting("frozen2027", f"regress.{key}") for key in published} == published


def test_xacle2027_chooses_the_ensemble_by_generators_and_texts_that_its_folds_hold_out() -> None:
    ensemble = VALUES["xacle2027"]["ensemble"]
    assert (ensemble["method"], ensemble["calibration"]) == ("auto", "auto")
    assert ensemble["folds_by"] == "both"
    assert {"regress", "fusion"} <= set(VALUES["xacle2027"]["refit"]["members"])
    assert VALUES["xacle2027"]["pseudolabel"]["exclude_rated"] == ["validation", "test"]
