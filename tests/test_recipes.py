"""The recipes: whole params.yaml files that every stage can read, with the published numbers."""

import ast
import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from repository import ROOT

from soundjudge import params
from soundjudge.doctor import requirements

RECIPES = sorted((ROOT / "recipes").glob("*.yaml"))
STAGES = sorted((ROOT / "stages").glob("*.py"))
# What a user names freely: any number of entries, each of one form.
FREE = ("finetune.members", "ensemble.members")


def read(path: Path) -> dict:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def value(values: dict, dotted: str) -> object:
    for key in dotted.split("."):
        values = values[key]
    return values


def keys(values: object, above: str = "") -> set[str]:
    """Dotted names of all settings; the entries of FREE go by the name *."""
    if not isinstance(values, dict):
        return {above}
    found = set()
    for name, inner in values.items():
        shown = "*" if above in FREE else name
        optional = shown == "specaugment" and inner is None
        found |= keys({} if optional else inner, f"{above}.{shown}" if above else shown)
    return found or {above}


def stage(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"stage_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def loads(path: Path, recipe: dict) -> list[tuple[str, object]]:
    """What a stage asks of params.yaml: the section and the class of each params.load in it."""
    namespace = vars(stage(path))
    asked = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not (isinstance(node, ast.Call) and ast.unparse(node.func) == "params.load"):
            continue
        wanted = eval(ast.unparse(node.args[1]), namespace)  # noqa: S307  our own stages
        if isinstance(node.args[0], ast.Constant):
            asked.append((node.args[0].value, wanted))
        else:  # f"finetune.members.{name}", once for each of them
            above = node.args[0].values[0].value.removesuffix(".")
            asked += [(f"{above}.{name}", wanted) for name in value(recipe, above)]
    return asked


def test_the_sample_recipe_is_the_params_yaml_of_the_repository() -> None:
    same = (ROOT / "recipes/sample.yaml").read_text() == (ROOT / "params.yaml").read_text()
    assert same, "cp params.yaml recipes/sample.yaml"


def test_there_are_four_recipes() -> None:
    assert [path.stem for path in RECIPES] == ["sample", "spo2026", "tmu2026", "xacle2027"]


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
@pytest.mark.parametrize("script", STAGES, ids=lambda path: path.stem)
def test_every_stage_can_read_every_recipe(script: Path, recipe: Path) -> None:
    asked = loads(script, read(recipe))
    assert asked
    for section, wanted in asked:
        params.load(section, wanted, recipe)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_has_the_keys_of_params_yaml(recipe: Path) -> None:
    mine, wanted = keys(read(recipe)), keys(read(ROOT / "params.yaml"))
    masks = {key for key in mine ^ wanted if ".specaugment" in key}  # null or masks
    assert mine ^ wanted == masks


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_has_every_value_that_dvc_yaml_asks_for(recipe: Path) -> None:
    asked = set(re.findall(r"\$\{([a-z_.]+)\}", (ROOT / "dvc.yaml").read_text(encoding="utf-8")))
    for dotted in asked - {"key", "item"}:
        assert value(read(recipe), dotted), dotted


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_every_member_of_the_ensemble_is_trained_by_some_stage(recipe: Path) -> None:
    values = read(recipe)
    trained = {f"finetune/{name}" for name in value(values, "finetune.members")}
    assert set(value(values, "ensemble.members").values()) <= {"clapscore", "regress", *trained}


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_the_judge_hears_no_more_at_once_than_its_members_were_trained_on(recipe: Path) -> None:
    values = read(recipe)
    heard = value(values, "features.frontend.window_seconds")
    assert value(values, "predict.window_seconds") <= heard


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_every_key_of_a_recipe_has_a_comment(recipe: Path) -> None:
    if recipe.stem == "sample":
        return  # test_pipeline looks at params.yaml itself
    bare = []
    previous = ""
    for line in recipe.read_text(encoding="utf-8").splitlines():
        key = re.match(r"\s+[\w-]+:\s*\S", line)
        member = re.search(r": (clapscore|regress|finetune/\w+)$", line)  # says all by itself
        if key and not member and "#" not in line and not previous.lstrip().startswith("#"):
            bare.append(line)
        previous = line
    assert not bare


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_doctor_reads_every_recipe_and_asks_for_real_data_where_it_is_meant(
    recipe: Path, tmp_path: Path
) -> None:
    found = requirements.find_requirements(recipe, root=tmp_path)
    missing = {finding.requirement.key for finding in requirements.unmet_requirements(found)}
    assert ("prepare.xacle" in missing) == (recipe.stem != "sample")
    assert value(read(recipe), "evaluate.note") == ("simulated ratings" if not missing else "")


@pytest.mark.parametrize(
    ("dotted", "published"),
    [
        ("prepare.max_seconds", 10.0),
        ("features.frontend", {"audio_tokens": 100, "window_seconds": 10.0}),
        ("caption.model.projector_hidden", 3584),
        ("caption.model.projector_dropout", 0.1),
        ("caption.model.head", [512, 512, 128]),
        ("caption.model.head_dropout", 0.1),
        ("caption.model.max_text_tokens", 256),
        ("caption.model.order", "text_first"),
        ("caption.optimization.learning_rate", 1e-5),
        ("caption.optimization.epochs", 3),
        ("pretrain.list_size", 16),
        ("pretrain.captions_per_clip", None),
        ("pretrain.temperature", 1.0),
        ("pretrain.optimization.learning_rate", 1e-5),
        ("pretrain.optimization.epochs", 20),
        ("pretrain.optimization.batch_size", 1),
        ("finetune.training.list_size", 16),
        ("finetune.training.temperature", 1.0),
        ("finetune.training.optimization.learning_rate", 6.2e-6),
        ("finetune.training.optimization.epochs", 150),
        ("finetune.training.optimization.patience", 20),
        ("finetune.training.optimization.batch_size", 1),
        (
            "finetune.members.full1.specaugment",
            {"freq_mask": 15, "time_mask": 30, "per": "batch"},
        ),
        ("finetune.members.full1.target", "mean"),
        ("finetune.members.full1.weights", "none"),
        ("pretrain.loss", "listnet"),
        ("finetune.training.loss", "listnet"),
    ],
)
def test_tmu2026_has_the_published_numbers(dotted: str, published: object) -> None:
    assert value(read(ROOT / "recipes/tmu2026.yaml"), dotted) == published


@pytest.mark.parametrize("training", ["caption", "pretrain", "finetune.training"])
def test_tmu2026_steps_as_published(training: str) -> None:
    steps = value(read(ROOT / "recipes/tmu2026.yaml"), f"{training}.optimization")
    published = {"optimizer": "adamw", "weight_decay": 0.01, "warmup_steps": 0}
    published |= {"final_lr_ratio": 0.01, "clip_norm": 1.0, "precision": "bf16"}
    assert {key: steps[key] for key in published} == published


def test_tmu2026_has_as_many_negatives_as_published() -> None:
    negatives = value(read(ROOT / "recipes/tmu2026.yaml"), "pseudolabel")
    made = negatives["random"] + negatives["hard"] + negatives["same_label"]
    assert made == pytest.approx((1_064 - 273) / 273, abs=0.01)


def test_spo2026_has_the_published_numbers() -> None:
    values = read(ROOT / "recipes/spo2026.yaml")
    published = {"method": "rating", "tolerance": 5, "splits": ["train", "validation"]}
    assert published.items() <= value(values, "screen").items()
    assert value(values, "prepare.max_seconds") == 10.0
    tune = value(values, "tune_clap")
    assert (tune["target"], tune["trainable"], tune["list_size"], tune["seed"]) == (
        "spo",
        "audio",
        32,
        3,
    )
    assert (tune["mse_tau"], tune["margin"], tune["margin_weight"]) == (0.0, 0.1, 0.5)
    steps = tune["optimization"]
    assert (steps["optimizer"], steps["learning_rate"], steps["epochs"]) == ("adam", 1e-4, 50)
    assert (steps["patience"], steps["final_lr_ratio"], steps["warmup_steps"]) == (20, 0.0, 0)
    assert value(values, "ensemble.members") == {"clapscore": "clapscore"}


def test_spo2026_needs_no_captioned_corpus_and_no_weights_but_clap(tmp_path: Path) -> None:
    (tmp_path / "data/none").mkdir(parents=True)
    (tmp_path / "data/none/README.md").write_text("no corpus\n")
    found = requirements.find_requirements(ROOT / "recipes/spo2026.yaml", root=tmp_path)
    missing = {finding.requirement.key for finding in requirements.unmet_requirements(found)}
    assert missing == {"prepare.xacle", "encoders.clap"}
