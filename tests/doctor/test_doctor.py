"""What a params.yaml needs: found, lacking, or coming with the sample."""

import re
import typing
from pathlib import Path
from typing import Any

import pytest
import repository
import yaml
from typer.testing import CliRunner

from soundjudge import recipes
from soundjudge.clap.encoders import checkpoints
from soundjudge.cli import app
from soundjudge.data.fetch.catalog import CATALOG
from soundjudge.doctor import requirements, sections
from soundjudge.doctor.catalog import REQUIREMENTS
from soundjudge.doctor.report import report_lines
from soundjudge.errors import ParamsError
from soundjudge.model.audio import audio_encoder
from soundjudge.runtime import artifacts

ENCODERS = {"encoders.clap": checkpoints.KINDS, "encoders.audio": audio_encoder.KINDS}
MEMBER = {"seed": 1, "warm_start": "none"}
LORA = {"rank": 2, "alpha": 4, "targets": ["q_proj"]}
SAMPLE = {
    "prepare": {
        "xacle": "data/sample/xacle",
        "audiocaps": "data/sample/audiocaps",
        "vggsound": "data/sample/vggsound",
    },
    "encoders": {
        "clap": {"path": "checkpoints/sample/clap"},
        "audio": "checkpoints/sample/beats.pt",
        "llm": "checkpoints/sample/llm",
    },
    "zeroshot": {"path": "checkpoints/sample/clap"},
    "regress": {"extra_encoders": []},
    "fusion": {"extra_encoders": []},
}


def params(folder: Path, **changed: str) -> Path:
    values = {section: dict(paths) for section, paths in SAMPLE.items()}
    for key, value in changed.items():
        section = "prepare" if key in values["prepare"] else "encoders"
        values[section][key] = {"path": value} if key == "clap" else value
    path = folder / "params.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def test_the_catalog_has_every_kind_of_encoder():
    kinds = {key: {r.kind for r in REQUIREMENTS if r.key == key} for key in ENCODERS}
    assert kinds == {key: set(table) for key, table in ENCODERS.items()}


def status(findings: list[requirements.Finding]) -> dict[str, str]:
    return {finding.requirement.key: finding.status for finding in findings}


def test_the_sample_needs_nothing(in_folder):
    findings = requirements.find_requirements(params(in_folder))
    assert set(status(findings).values()) == {"comes with the sample"}
    assert not requirements.unmet_requirements(findings)
    assert report_lines(findings)[-1] == "nothing is missing: dvc repro can run"


def test_an_empty_folder_with_a_readme_means_without_this_corpus(in_folder):
    (in_folder / "data/none").mkdir(parents=True)
    (in_folder / "data/none/README.md").write_text("no corpus\n")
    findings = requirements.find_requirements(
        params(in_folder, audiocaps="data/none", xacle="data/none")
    )
    assert status(findings)["prepare.audiocaps"] == "not used"
    # without ratings there is nothing to learn
    assert status(findings)["prepare.xacle"] == "incomplete"


def test_a_missing_encoder_is_named_with_what_it_blocks_and_where_to_get_it(in_folder):
    findings = requirements.find_requirements(
        params(in_folder, audio="checkpoints/BEATs_iter3_plus_AS2M.pt")
    )
    (beats,) = requirements.unmet_requirements(findings)
    assert (beats.requirement.key, beats.status) == ("encoders.audio", "missing")
    report = "\n".join(report_lines(findings))
    assert "checkpoints/BEATs_iter3_plus_AS2M.pt: missing" in report
    assert "blocks   features, finetune" in report
    assert "get it   soundjudge fetch beats (about 0.36 GB, 1 min at 50 Mbit/s)" in report
    assert "license  MIT" in report
    assert "'soundjudge fetch --for params.yaml' puts weights where params.yaml looks" in report
    assert "unilm" not in report  # Microsoft's links are dead


def test_each_download_of_a_recipe_says_how_long_it_takes(in_folder):
    Path("params.yaml").write_text(recipes.recipe_text("xacle2027", repository.ROOT / "recipes"))
    report = report_lines(requirements.find_requirements(Path("params.yaml")))
    lines = [line for line in report if line.startswith("  get it")]
    # bytes x 8 / 50 million: 720 s, 4,800 s, 9,600 s, and of the catalog's bytes
    times = ["12 min", "80 min", "2.7 h", "2 min", "1 min", "3 min"]
    downloads = [line for line in lines if "towers" not in line]
    assert [line.split(", ")[-1] for line in downloads] == [
        f"{time} at 50 Mbit/s)" for time in times
    ]


def test_the_trainings_last_as_the_page_on_scaling_has_it(in_folder):
    page = (repository.ROOT / "docs/scaling.md").read_text()
    (row,) = re.findall(r"\| sum \| \| ([\d.]+) \| (\d+) \|", page)
    low, high = round(float(row[0])), int(row[1])
    Path("params.yaml").write_text(recipes.recipe_text("tmu2026", repository.ROOT / "recipes"))
    report = report_lines(requirements.find_requirements(Path("params.yaml")))
    assert f"trainings: {low} to {high} hours of a GPU" in report[-2]
    Path("data/none").mkdir(parents=True)
    Path("data/none/README.md").write_text("no corpus\n")
    Path("params.yaml").write_text(recipes.recipe_text("frozen2027", repository.ROOT / "recipes"))
    report = report_lines(requirements.find_requirements(Path("params.yaml")))
    assert report[-2].startswith("trainings: minutes of a GPU or hours of a CPU")


def test_a_folder_that_lacks_a_file_is_incomplete_and_says_which(in_folder):
    folder = in_folder / "checkpoints/qwen"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "tokenizer.json").write_text("{}")
    findings = requirements.find_requirements(params(in_folder, llm="checkpoints/qwen"))
    (llm,) = requirements.unmet_requirements(findings)
    assert llm.lacking == ("model.safetensors or model.safetensors.index.json",)
    (folder / "model.safetensors").write_bytes(b"12345")
    llm = requirements.find_requirements(params(in_folder, llm="checkpoints/qwen"))[-1]
    assert (llm.status, llm.bytes) == ("there", 9)


def clap_of(findings: list[requirements.Finding]) -> requirements.Finding:
    (clap,) = [finding for finding in findings if finding.requirement.key == "encoders.clap"]
    return clap


def test_a_missing_clap_is_offered_in_three_kinds_each_with_size_license_and_source(in_folder):
    findings = requirements.find_requirements(params(in_folder, clap="checkpoints/official/clap"))
    assert clap_of(findings).status == "missing"
    report = "\n".join(report_lines(findings))
    for words in ("soundjudge fetch laion-clap", "Apache-2.0", "630k-audioset-best.pt", "CC0",
                  "0.6 GB", "nttcslab/m2d", "no distribution", "0.36 GB"):  # fmt: skip
        assert words in report


def test_a_sentence_encoder_is_a_need_of_regress_and_no_clap(in_folder):
    folder = in_folder / "checkpoints/words"
    folder.mkdir(parents=True)
    (folder / "modules.json").touch()
    path = params(in_folder)
    values = yaml.safe_load(path.read_text())
    values["regress"]["extra_encoders"] = ["checkpoints/words"]
    path.write_text(yaml.safe_dump(values))
    (need,) = requirements.unmet_requirements(requirements.find_requirements(path))
    assert need.requirement.kind == "sentence" and "model.safetensors" in need.lacking
    assert need.requirement.stages == ("clap_features", "regress")


def test_each_further_clap_is_a_need_of_its_own_by_the_kind_that_lies_there(in_folder):
    path = params(in_folder)
    values = yaml.safe_load(path.read_text())
    values["regress"]["extra_encoders"] = ["checkpoints/other", "checkpoints/m2d"]
    path.write_text(yaml.safe_dump(values))
    (in_folder / "checkpoints/m2d").mkdir(parents=True)
    (in_folder / "checkpoints/m2d/portable_m2d.py").touch()
    other, m2d = requirements.unmet_requirements(requirements.find_requirements(path))
    assert (other.requirement.key, other.status) == ("regress.extra_encoders[0]", "missing")
    assert (m2d.requirement.key, m2d.status) == ("regress.extra_encoders[1]", "incomplete")
    assert "m2d_clap_*/checkpoint-*.pth" in m2d.lacking
    assert other.requirement.stages == m2d.requirement.stages == ("clap_features", "regress")


def test_a_clap_by_its_id_on_the_hub_is_offered_as_the_command_that_downloads_it(in_folder):
    path = params(in_folder, clap="laion/clap-htsat-unfused@v1")
    findings = requirements.find_requirements(path)
    clap = clap_of(findings)
    assert (clap.status, clap.alternatives) == ("missing", ())
    report = "\n".join(report_lines(findings))
    folder = "checkpoints/official/clap-htsat-unfused"
    command = f"hf download laion/clap-htsat-unfused --revision v1 --local-dir {folder}"
    assert f"get it   {command}; then name {folder} in its place" in report


def test_another_sha256_than_the_one_asked_for_is_incomplete(in_folder):
    for name in ("one", "two"):
        (in_folder / name).mkdir()
        for file in ("config.json", "preprocessor_config.json", "tokenizer.json"):
            (in_folder / name / file).write_text("{}")
        (in_folder / name / "model.safetensors").write_bytes(name.encode())
    path = params(in_folder, clap="one")
    values = yaml.safe_load(path.read_text())
    sums = {n: artifacts.sha256(in_folder / n / "model.safetensors") for n in ("one", "two")}

    def states(first: str, second: str) -> list[str]:
        values["encoders"]["clap"]["sha256"] = first
        values["regress"]["extra_encoders"] = [{"path": "two", "sha256": second}]
        path.write_text(yaml.safe_dump(values))
        findings = requirements.find_requirements(path)
        return [f.status for f in findings if f.path.name in ("one", "two")]

    assert states(sums["one"], sums["two"]) == ["there", "there"]
    assert states(sums["two"], sums["one"]) == ["incomplete", "incomplete"]
    assert f"which has {sums['two']}" in "\n".join(
        report_lines(requirements.find_requirements(path))
    )


def test_a_file_of_laions_needs_a_tokenizer_beside_it(in_folder):
    folder = in_folder / "checkpoints/laion"
    folder.mkdir(parents=True)
    (folder / "630k-audioset-best.pt").write_bytes(b"123")
    for path in ("checkpoints/laion", "checkpoints/laion/630k-audioset-best.pt"):
        clap = clap_of(requirements.find_requirements(params(in_folder, clap=path)))
        assert "LAION" in clap.requirement.description
        assert clap.status == "incomplete"
        assert clap.lacking == ("config.json", "tokenizer.json or merges.txt")
    (folder / "config.json").touch()
    (folder / "tokenizer.json").touch()
    clap = clap_of(requirements.find_requirements(params(in_folder, clap=path)))
    assert (clap.status, clap.alternatives) == ("there", ())


def test_m2d_needs_its_code_its_weights_and_packages(in_folder, monkeypatch):
    folder = in_folder / "checkpoints/m2d"
    (folder / "m2d_clap_vit_base-80x1001").mkdir(parents=True)
    (folder / "portable_m2d.py").touch()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "timm" else name)
    path = params(in_folder, clap="checkpoints/m2d")
    clap = clap_of(requirements.find_requirements(path))
    assert "M2D-CLAP" in clap.requirement.description and clap.status == "incomplete"
    assert clap.lacking == (
        "m2d_clap_*/checkpoint-*.pth",
        "the package timm (pip install 'soundjudge[m2d]')",
    )
    (folder / "m2d_clap_vit_base-80x1001/checkpoint-30.pth").touch()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    assert clap_of(requirements.find_requirements(path)).status == "there"


def test_the_package_of_laion_is_asked_for_where_params_choose_it(in_folder, monkeypatch):
    path = params(in_folder)
    values = yaml.safe_load(path.read_text())
    values["encoders"]["clap"]["backend"] = "laion-clap"
    path.write_text(yaml.safe_dump(values))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert clap_of(requirements.find_requirements(path)).lacking == (
        "the package laion_clap (pip install 'soundjudge[laion]')",
    )


@pytest.mark.parametrize(
    ("key", "lacking"),
    [("xacle", "a folder: this is a file"), ("vggsound", "a folder: this is a file"),
     ("llm", "a folder: this is a file"), ("audio", "weights, a file that ends in .pt or .pth")],
)  # fmt: skip
def test_a_file_is_no_corpus_and_not_every_file_holds_weights(in_folder, key, lacking):
    Path("params.txt").write_text("a: 1\n")
    (found,) = requirements.unmet_requirements(
        requirements.find_requirements(params(in_folder, **{key: "params.txt"}))
    )
    assert (found.requirement.key.split(".")[1], found.lacking) == (key, (lacking,))


def test_an_empty_download_is_not_there(in_folder):
    (in_folder / "beats.pt").touch()
    findings = requirements.find_requirements(params(in_folder, audio="beats.pt"))
    assert status(findings)["encoders.audio"] == "incomplete"


def test_a_params_file_without_a_path_is_an_error_that_names_its_key(in_folder):
    path = params(in_folder)
    values = yaml.safe_load(path.read_text())
    del values["encoders"]["llm"]
    path.write_text(yaml.safe_dump(values))
    with pytest.raises(ParamsError, match="llm"):
        requirements.find_requirements(path)


def whole(folder: Path, **changes: Any) -> Path:
    repository.write_params(folder, **changes)
    return folder / "params.yaml"


@pytest.mark.parametrize("section", sorted(set(repository.params()) - {"device", "note"}))
def test_a_misspelt_key_of_any_section_is_found(tmp_path, section):
    (problem,) = sections.find_problems(whole(tmp_path, **{section: {"spelt_wrong": 1}}))
    assert f"params.yaml: {section}.spelt_wrong is not a known key" in problem


def test_all_sections_with_mistakes_are_told_at_once_and_unknown_ones_too(tmp_path):
    path = whole(tmp_path, evaluate={"resamples": "many"}, device="abacus")
    device, evaluate = sections.find_problems(path)
    assert "device" in device and "choose one of 'auto'" in device
    assert "evaluate.resamples" in evaluate
    (problem,) = sections.find_problems(whole(tmp_path, evalute={"resamples": 2000}))
    assert "evalute is not a known key: did you mean 'evaluate'?" in problem


def test_what_a_stage_reads_is_what_the_doctor_checks(in_folder):
    """Every params.load("section", Type) of stages/ has the type that the doctor builds."""
    checked = typing.get_type_hints(sections.Params)
    finetune = typing.get_type_hints(sections.Finetune)
    read = {"finetune.training": finetune["training"].__name__, "finetune": "FinetuneMember"}
    loads = re.compile(r'params\.load\(f?"([a-z_.]+)[^,]*, ([\w.]+)\)')
    stages = "".join(path.read_text() for path in repository.STAGES.glob("*.py"))
    found = {section.rstrip("."): name.split(".")[-1] for section, name in loads.findall(stages)}
    assert len(found) > 15
    for section, name in found.items():
        if section in checked and name != "str":
            assert read.get(section, checked[section].__name__) == name, section
    assert set(checked) == set(repository.params())


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            {"ensemble__members": {"full3": "finetune/full3"}},
            "ensemble.members.full3 is finetune/full3, and no training makes that: did you mean",
        ),
        ({"ensemble__members": {"x": "oracle"}}, "there are clapscore, zeroshot, regress"),
        (
            {"finetune__members__full1": {"warm_start": "pretrain/caption"}},
            "full1.warm_start is pretrain/caption, and no training makes that: did you mean pre",
        ),
        (
            {"prepare": {"audiocaps": "data/none", "vggsound": "data/none"}},
            "name no corpus, and full1, full2, fusion, likelihood of .* need captions",
        ),
        (
            {"predict": {"window_seconds": 9.0}},
            r"predict.window_seconds is 9, and full1, .* fusion, likelihood .* are trained with 8",
        ),
        ({"finetune__training__llm": {"training": "lora", "lora": LORA}}, r"soundjudge\[lora\]"),
        (
            {"refit": {"members": ["regress"]}},
            "refit.members names regress, and ensemble.folds_by is none: choose generator or both",
        ),
        (
            {"refit": {"members": ["finetune/x"]}, "ensemble": {"folds_by": "both"}},
            "refit.members names finetune/x, which is no checkpoint of ensemble.members",
        ),
        ({"features": {"engine": "ray"}}, r"soundjudge\[ray\]"),
        (
            {"ensemble__members": {"again": "regress"}},
            "ensemble.members.again and ensemble.members.regress are both regress, which would cou",
        ),
        (
            {"prepare": {"audiocaps": "data/x", "vggsound": "data/x"}},
            "prepare.audiocaps and prepare.vggsound are one folder, data/x: correct one",
        ),
        ({"pretrain__members": {"a/b": MEMBER}}, "pretrain.members has 'a/b': use letters, digits"),
        ({"pretrain__members": {"..": MEMBER}}, "pretrain.members has '..': use letters, digits"),
        ({"pretrain__members": {"": MEMBER}}, "pretrain.members has '': use letters, digits"),
        (
            {"pseudolabel": {"num_silent": 0.05}, "prepare": {"num_silent": 0}},
            "pseudolabel.num_silent is 0.05, and prepare.num_silent is 0, so that there is no sil",
        ),
        ({"predict": {"features": "features"}}, "predict.features is features: write data/feat"),
        ({"encoders__clap": {"sha256": "abc"}}, "encoders.clap.sha256 is 'abc': write its 64 dig"),
        ({"zeroshot": {"sha256": "g" * 64}}, "zeroshot.sha256 is 'g+': write its 64 digits"),
        (
            {"regress": {"extra_encoders": ["a", {"path": "a/"}]}},
            r"regress.extra_encoders\[1\] is a, as is regress.extra_encoders\[0\]: name each enc",
        ),
        (
            {"fusion": {"extra_encoders": ["checkpoints/sample/clap"]}},
            r"fusion.extra_encoders\[0\] is checkpoints/sample/clap, as is encoders.clap",
        ),
    ],
)
def test_params_that_contradict_each_other_are_found(in_folder, monkeypatch, changes, problem):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    Path("data/none").mkdir(parents=True)
    Path("data/none/README.md").write_text("no corpus\n")
    (found,) = sections.find_problems(whole(in_folder, **changes))
    assert re.search(problem, found)


ABSURD = {
    "caption.train_splits": ([], ["train", "train"], ["tran"], ["train", "validation"]),
    "pretrain.training.validation_splits": ([], ["val"], ["train"]),
    "caption.optimization.learning_rate": (0, -1e-3, 2.0, 1e300),
    "pretrain.training.optimization.weight_decay": (-1, 1e300),
    "finetune.training.optimization.epochs": (0, 10**12),
    "pretrain.training.temperature": (0, 1e-300, 1e300),
    "finetune.training.margin": (-1, 1e300),
    "tune_clap.mse_tau": (-1, 1e300),
    "tune_clap.margin_weight": (-1, 10**12),
    "regress.epsilon": (-0.1, 1, 1e300),
    "fusion.epsilon": (-0.1, 1, 1e300),
    "regress.gamma": (0, "auto", True),
    "screen.tolerance": (-1, 11),
    "standardize.latent.tolerance": (0, 1),
    "prepare.level_dbfs": (0, -60, -1000),
    "evaluate.resamples": (0, 1, 10**12),
    "evaluate.confidence": (0, 1e-300, 1),
    "ensemble.coverage": (0, 1e-300, 1),
    "ensemble.resamples": (0, 10**12),
    "ensemble.zero_weight": (["likelihood", "likelihood"], ["nobody"]),
    "package.name": ("", "-", "\u00e4", "a b"),
    "package.version": ("", " ", "1 0", "1+x", "1@2", "\u0661"),
    "package.license": ("", "mit\na: b", "my own"),
    "package.data": ("", " \n"),
    "package.notes": ([""], ["a", " "]),
    "package.datasets": (["a b"], ["a/b/c"], [""]),
    "encoders.llm": (" a", "~/a", "a\nb", "x" * 300),
}


@pytest.mark.parametrize(
    ("key", "value"), [(key, value) for key, values in ABSURD.items() for value in values]
)
def test_a_value_that_no_run_can_mean_is_a_sentence_with_its_key(tmp_path, key, value):
    *section, name = key.split(".")
    (problem,) = sections.find_problems(whole(tmp_path, **{"__".join(section): {name: value}}))
    assert f"params.yaml: {section[0]}" in problem and name in problem
    assert "\n" not in problem and len(problem) < 400


@pytest.mark.parametrize("folder", ["meta_data", "XACLE/XACLE_dataset/meta_data"])
@pytest.mark.parametrize(
    ("rows", "lacking"),
    [
        ("model_id\na,g\nb,\nc,g\nd,g\n", 1),
        ("text\na,x\nb,x\nc,x\nd,x\n", 4),
        ("model_id\na,g\nb,g\nc,g\nd,g\n", 0),
    ],
)
def test_folds_by_generator_need_the_generators_before_hours_of_training(
    in_folder, folder, rows, lacking
):
    lists = Path("xacle") / folder
    lists.mkdir(parents=True)
    (lists / "validation.csv").write_text(f"wav_file_name,{rows}")
    values = {"prepare": {"xacle": "xacle"}, "ensemble": {"folds_by": "both", "folds": 2}}
    found = sections.find_problems(whole(in_folder, **values))
    expected = [f"{lacking} of 4 rows of {lists}/validation.csv have no model_id"] * bool(lacking)
    assert len(found) == len(expected)
    assert all(text in problem for text, problem in zip(expected, found, strict=True))
    (lists / "validation.csv").write_text("")
    assert "is empty" in sections.find_problems(whole(in_folder, **values))[0]
    values["ensemble"] = {"folds_by": "text", "folds": 2}
    (lists / "validation.csv").write_text(f"wav_file_name,{rows}")
    assert sections.find_problems(whole(in_folder, **values)) == []


def test_more_folds_than_pairs_of_validation_are_found_before_hours_of_training(in_folder):
    lists = Path("xacle/meta_data")
    lists.mkdir(parents=True)
    rows = "".join(f"{pair}.wav,l{listener}\n" for pair in range(7) for listener in range(3))
    (lists / "validation.csv").write_text(f"wav_file_name,listener_id\n{rows}")
    values = {"prepare": {"xacle": "xacle"}, "ensemble": {"folds": 4}}
    (problem,) = sections.find_problems(whole(in_folder, **values))
    assert problem.startswith("ensemble.folds is 4, and xacle/meta_data/validation.csv has 7 pairs")
    assert problem.endswith("choose at most 3")
    values["ensemble"] = {"folds": 3}
    assert sections.find_problems(whole(in_folder, **values)) == []
    (lists / "validation.csv").write_text(
        "wav_file_name,listener_id\n1.wav,l1\n2.wav,l1\n3.wav,l1\n"
    )
    (problem,) = sections.find_problems(whole(in_folder, **values))
    assert problem.endswith("a fold needs two, rate more pairs of validation")  # of 1 is no choice


def test_a_list_without_its_column_of_sounds_is_left_to_prepare(in_folder):
    lists = Path("xacle/meta_data")
    lists.mkdir(parents=True)
    (lists / "validation.csv").write_text("file,listener_id\n1.wav,l1\n")
    assert sections.find_problems(whole(in_folder, prepare={"xacle": "xacle"})) == []


def test_the_params_of_the_repository_and_without_captions_have_no_problem(in_folder):
    assert sections.find_problems(repository.ROOT / "params.yaml") == []
    Path("data/none").mkdir(parents=True)
    Path("data/none/README.md").write_text("no corpus\n")
    values = repository.params(prepare={"audiocaps": "data/none", "vggsound": "data/none"})
    values["ensemble"]["members"] = {"clapscore": "clapscore", "regress": "regress"}
    values["ensemble"] |= {"zero_weight": [], "least_weight": {}}
    Path("params.yaml").write_text(yaml.safe_dump(values))
    assert sections.find_problems(Path("params.yaml")) == []
    report = report_lines(requirements.find_requirements(Path("params.yaml")))
    assert report[-1] == "nothing is missing: dvc repro package can run"


@pytest.mark.parametrize("path", sorted((repository.ROOT / "recipes").glob("*.yaml")))
def test_no_recipe_has_a_problem(in_folder, path):
    Path("params.yaml").write_text(recipes.recipe_text(path.stem, path.parent))
    assert sections.find_problems(Path("params.yaml")) == []


@pytest.mark.slow
def test_prepare_refuses_the_params_of_a_later_stage_at_once(in_folder):
    whole(in_folder, evaluate={"resampless": 1})
    with pytest.raises(ParamsError, match=r"evaluate\.resampless.*did you mean 'resamples'"):
        repository.run_stage("prepare")
    assert sorted(path.name for path in in_folder.iterdir()) == ["params.yaml"]


def test_the_command_tells_problems_first_and_ends_with_code_1(in_folder):
    path = whole(in_folder, evaluate={"resampless": 1})
    result = CliRunner().invoke(app, ["doctor", "--params", str(path)])
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert lines[0].startswith("problem: ") and "evaluate.resampless" in lines[0]
    assert lines[-1] == "problems of the params, listed first: 1"
    assert "encoders.llm: the language model" in result.stdout


def test_what_the_catalog_has_of_the_missing_is_fetched_to_where_params_look(in_folder):
    path = params(
        in_folder,
        audio="mine/BEATs_iter3_plus_AS2M.pt",
        llm="checkpoints/official/Qwen2.5-0.5B-Instruct",
        xacle="data/raw/xacle",
        clap="laion/clap-htsat-unfused",
    )
    targets, others = requirements.plan_fetch(path)
    assert targets == {
        "beats": Path("mine/BEATs_iter3_plus_AS2M.pt"),
        "qwen2.5-0.5b": Path("checkpoints/official/Qwen2.5-0.5B-Instruct"),
    }
    assert [other.requirement.key for other in others] == ["prepare.xacle", "encoders.clap"]


def test_every_fetch_command_of_the_doctor_is_one_of_the_catalog():
    sources = [need.source for need in REQUIREMENTS if need.source.startswith(requirements.FETCH)]
    named = {source.removeprefix(f"{requirements.FETCH} ") for source in sources}
    assert named <= set(CATALOG)
    assert named == {"beats", "laion-clap", "minilm", "ms-clap-2023", "qwen2.5-0.5b"}


@pytest.mark.parametrize("name", ["tmu2026", "xacle2027"])
def test_all_weights_of_a_recipe_can_be_fetched(in_folder, name):
    Path("params.yaml").write_text(recipes.recipe_text(name, repository.ROOT / "recipes"))
    targets, others = requirements.plan_fetch(Path("params.yaml"))
    assert set(targets) == {"beats", "laion-clap", "qwen2.5-0.5b"}
    assert all(target == CATALOG[name].target for name, target in targets.items())
    assert {other.requirement.key.partition(".")[0] for other in others} == {"prepare"}


RECIPES = sorted(path.stem for path in (repository.ROOT / "recipes").glob("*.yaml"))


@pytest.mark.parametrize("name", RECIPES)
def test_each_missing_weight_of_a_recipe_has_its_own_command_on_one_screen(in_folder, name):
    Path("params.yaml").write_text(recipes.recipe_text(name, repository.ROOT / "recipes"))
    findings = requirements.find_requirements(Path("params.yaml"))
    for finding in requirements.unmet_requirements(findings):
        if finding.requirement.key.startswith("prepare"):
            continue
        entry = finding.requirement.source.removeprefix("soundjudge fetch ")
        assert finding.path == CATALOG[entry].path
        assert finding.requirement.license == CATALOG[entry].license
    assert len(report_lines(findings)) <= 40


def test_weights_without_a_published_hash_are_told_to_be_trusted(in_folder):
    path = params(in_folder, clap="checkpoints/official/clap-htsat-unfused")
    trust = "  trust    no published sha256 of model.safetensors is known: the first download is"
    assert trust in "\n".join(report_lines(requirements.find_requirements(path)))
    path = params(in_folder, clap="checkpoints/official/human-clap-wsce-mae")
    assert "  trust" not in "\n".join(report_lines(requirements.find_requirements(path)))
