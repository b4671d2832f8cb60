"""What a params.yaml needs: found, lacking, or coming with the sample."""

from pathlib import Path

import pytest
import yaml

from soundjudge.doctor import requirements
from soundjudge.errors import ParamsError
from soundjudge.runtime import artifacts

SAMPLE = {
    "prepare": {
        "xacle": "data/sample/xacle",
        "audiocaps": "data/sample/audiocaps",
        "vggsound": "data/sample/vggsound",
    },
    "encoders": {
        "clap": "checkpoints/sample/clap",
        "beats": "checkpoints/sample/beats.pt",
        "llm": "checkpoints/sample/llm",
        "opening": {"backend": "transformers", "sha256": None},
    },
    "regress": {"extra_claps": []},
}


def params(folder: Path, **changed: str) -> Path:
    values = {section: dict(paths) for section, paths in SAMPLE.items()}
    for key, value in changed.items():
        section = "prepare" if key in values["prepare"] else "encoders"
        values[section][key] = value
    path = folder / "params.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def status(found: list[requirements.Finding]) -> dict[str, str]:
    return {finding.requirement.key: finding.status for finding in found}


def test_the_sample_needs_nothing(in_folder):
    found = requirements.find_requirements(params(in_folder))
    assert set(status(found).values()) == {"comes with the sample"}
    assert not requirements.unmet_requirements(found)
    assert requirements.report_lines(found)[-1] == "nothing is missing: dvc repro can run"


def test_an_empty_folder_with_a_readme_means_without_this_corpus(in_folder):
    (in_folder / "data/none").mkdir(parents=True)
    (in_folder / "data/none/README.md").write_text("no corpus\n")
    found = requirements.find_requirements(
        params(in_folder, audiocaps="data/none", xacle="data/none")
    )
    assert status(found)["prepare.audiocaps"] == "not used"
    # without ratings there is nothing to learn
    assert status(found)["prepare.xacle"] == "incomplete"


def test_a_missing_encoder_is_named_with_what_it_blocks_and_where_to_get_it(in_folder):
    found = requirements.find_requirements(
        params(in_folder, beats="checkpoints/BEATs_iter3_plus_AS2M.pt")
    )
    (beats,) = requirements.unmet_requirements(found)
    assert (beats.requirement.key, beats.status) == ("encoders.audio", "missing")
    report = "\n".join(requirements.report_lines(found))
    assert "checkpoints/BEATs_iter3_plus_AS2M.pt: missing" in report
    assert "blocks   encode" in report
    assert "unilm" in report and "MIT" in report and "GB" in report


def test_a_folder_that_lacks_a_file_is_incomplete_and_says_which(in_folder):
    folder = in_folder / "checkpoints/qwen"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "tokenizer.json").write_text("{}")
    found = requirements.find_requirements(params(in_folder, llm="checkpoints/qwen"))
    (llm,) = requirements.unmet_requirements(found)
    assert llm.lacking == ("model.safetensors or model.safetensors.index.json",)
    (folder / "model.safetensors").write_bytes(b"12345")
    llm = requirements.find_requirements(params(in_folder, llm="checkpoints/qwen"))[-1]
    assert (llm.status, llm.bytes) == ("there", 9)


def clap_of(found: list[requirements.Finding]) -> requirements.Finding:
    (clap,) = [finding for finding in found if finding.requirement.key == "encoders.clap"]
    return clap


def test_a_missing_clap_is_offered_in_three_kinds_each_with_size_licence_and_source(in_folder):
    found = requirements.find_requirements(params(in_folder, clap="checkpoints/official/clap"))
    assert clap_of(found).status == "missing"
    report = "\n".join(requirements.report_lines(found))
    for said in ("clap-htsat-unfused", "Apache-2.0", "630k-audioset-best.pt", "CC0", "0.6 GB",
                 "nttcslab/m2d", "no distribution", "0.36 GB"):  # fmt: skip
        assert said in report


def test_each_further_clap_is_a_need_of_its_own_by_the_kind_that_lies_there(in_folder):
    path = params(in_folder)
    values = yaml.safe_load(path.read_text())
    values["regress"]["extra_claps"] = ["checkpoints/other", "checkpoints/m2d"]
    path.write_text(yaml.safe_dump(values))
    (in_folder / "checkpoints/m2d").mkdir(parents=True)
    (in_folder / "checkpoints/m2d/portable_m2d.py").touch()
    other, m2d = requirements.unmet_requirements(requirements.find_requirements(path))
    assert (other.requirement.key, other.status) == ("regress.extra_claps[0]", "missing")
    assert (m2d.requirement.key, m2d.status) == ("regress.extra_claps[1]", "incomplete")
    assert "m2d_clap_*/checkpoint-*.pth" in m2d.lacking
    assert other.requirement.stages == m2d.requirement.stages == ("regress",)


def test_a_clap_by_its_id_on_the_hub_is_offered_as_the_command_that_downloads_it(in_folder):
    path = params(in_folder, clap="laion/clap-htsat-unfused@v1")
    found = requirements.find_requirements(path)
    clap = clap_of(found)
    assert (clap.status, clap.alternatives) == ("missing", ())
    report = "\n".join(requirements.report_lines(found))
    place = "checkpoints/official/clap-htsat-unfused"
    command = f"hf download laion/clap-htsat-unfused --revision v1 --local-dir {place}"
    assert f"get it   {command}; then name {place} in its place" in report


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
        values["encoders"]["opening"]["sha256"] = first
        values["regress"]["extra_claps"] = [{"path": "two", "sha256": second}]
        path.write_text(yaml.safe_dump(values))
        found = requirements.find_requirements(path)
        return [f.status for f in found if f.path.name in ("one", "two")]

    assert states(sums["one"], sums["two"]) == ["there", "there"]
    assert states(sums["two"], sums["one"]) == ["incomplete", "incomplete"]
    assert f"which has {sums['two']}" in "\n".join(
        requirements.report_lines(requirements.find_requirements(path))
    )


def test_a_file_of_laions_needs_a_tokenizer_beside_it(in_folder):
    folder = in_folder / "checkpoints/laion"
    folder.mkdir(parents=True)
    (folder / "630k-audioset-best.pt").write_bytes(b"123")
    for path in ("checkpoints/laion", "checkpoints/laion/630k-audioset-best.pt"):
        clap = clap_of(requirements.find_requirements(params(in_folder, clap=path)))
        assert "LAION" in clap.requirement.what
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
    assert "M2D-CLAP" in clap.requirement.what and clap.status == "incomplete"
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
    values["encoders"]["opening"]["backend"] = "laion-clap"
    path.write_text(yaml.safe_dump(values))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert clap_of(requirements.find_requirements(path)).lacking == (
        "the package laion_clap (pip install 'soundjudge[laion]')",
    )


def test_an_empty_download_is_not_there(in_folder):
    (in_folder / "beats.pt").touch()
    found = requirements.find_requirements(params(in_folder, beats="beats.pt"))
    assert status(found)["encoders.audio"] == "incomplete"


def test_a_params_file_without_a_path_is_an_error_that_names_its_key(in_folder):
    path = params(in_folder)
    values = yaml.safe_load(path.read_text())
    del values["encoders"]["llm"]
    path.write_text(yaml.safe_dump(values))
    with pytest.raises(ParamsError, match="llm"):
        requirements.find_requirements(path)
