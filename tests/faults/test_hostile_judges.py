"""A judge is what its id says: whatever was done to its folder is one sentence, and no score."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import tiny_judge
import torch
from typer.testing import CliRunner

from soundjudge.cli import app
from soundjudge.errors import SoundjudgeError
from soundjudge.runtime import artifacts
from soundjudge.scoring.judge import integrity
from soundjudge.scoring.judge.judge import Judge
from soundjudge.scoring.judge.manifest import read_manifest

WEIGHTS = "members/one/model.safetensors"
CLAP = "members/clapscore"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("repository")
    tiny_judge.build(root / "judge", root)
    return root


@pytest.fixture
def judge(root: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(root / "judge", tmp_path / "judge"))


def refused(folder: Path, reason: str) -> str:
    """The sentence, which the command line prints as well."""
    with pytest.raises(SoundjudgeError, match=reason) as caught:
        Judge.from_pretrained(folder, "cpu")
    (line,) = str(caught.value).splitlines()
    return line


def flip(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


def score(folder: Path) -> float:
    return Judge.from_pretrained(folder, "cpu").score((tiny_judge.noise(1.0, 1), 16_000), "a dog")


def test_the_judge_itself_is_not_refused(judge):
    assert 0 <= score(judge) <= 10


@pytest.mark.parametrize(
    "name",
    [
        WEIGHTS,
        "members/regress/model.safetensors",
        "members/regress/member.json",
        f"{CLAP}/model.safetensors",
        f"{CLAP}/config.json",
        f"{CLAP}/preprocessor_config.json",
        f"{CLAP}/tokenizer.json",
        f"{CLAP}/tokenizer_config.json",
        "encoders/audio/config.json",
        "encoders/audio/model.safetensors",
        "encoders/clap/model.safetensors",
    ],
)
@pytest.mark.parametrize("position", [8, -1])
def test_a_flipped_bit_is_found_in_every_kind_of_file(judge, name, position):
    flip(judge / name, position)
    assert name in refused(judge, "is not the file that was packaged: copy the judge again")


def test_every_file_but_the_card_is_listed(judge):
    files = {p.relative_to(judge).as_posix() for p in judge.rglob("*") if p.is_file()}
    assert files - read_manifest(judge).files.keys() == {"judge.json", "README.md"}
    (judge / "README.md").write_text("words of its user")
    assert 0 <= score(judge) <= 10


def test_swapped_members_are_found(judge):
    (judge / "members/one").rename(judge / "members/three")
    (judge / "members/two").rename(judge / "members/one")
    (judge / "members/three").rename(judge / "members/two")
    refused(judge, "is not the file that was packaged")


def test_an_untuned_clap_in_place_of_the_tuned_one_is_found(judge):
    shutil.copy(judge / "encoders/clap/model.safetensors", judge / CLAP / "model.safetensors")
    flip(judge / CLAP / "model.safetensors", -1)  # the tiny one was not tuned
    refused(judge, "is not the file that was packaged")


@pytest.mark.parametrize(
    "change",
    [
        lambda values: values["ensemble"]["calibration"].update(ratings=[0.0, 10.0]),
        lambda values: values["ensemble"].update(weights=[0.1, 0.4, 0.25, 0.25]),
        lambda values: values["ensemble"].update(members=["clapscore", "regress", "two", "one"]),
        lambda values: values.update(window_seconds=1.1),
        lambda values: values.update(score_id="tiny@1.0+00000000"),
        lambda values: values.update(score_id=values["score_id"].replace("tiny", "other tiny")),
        lambda values: values.update(score_id=""),
        lambda values: values["files"][WEIGHTS].update(sha256="0" * 64),
        lambda values: values["files"].pop(WEIGHTS),
    ],
)
def test_an_edited_manifest_does_not_fit_its_id(judge, change):
    values = json.loads((judge / "judge.json").read_text())
    change(values)
    (judge / "judge.json").write_text(json.dumps(values))
    refused(judge, "has been changed: its score id is")


@pytest.mark.parametrize(
    "name",
    [
        "extra.txt",
        "members/one/notes.txt",
        f"{CLAP}/adapter_config.json",
        "encoders/clap/pytorch_model.bin",
        "encoders/clap/model.safetensors.index.json",
        "encoders/clap/portable_m2d.py",
        "members/new/member.json",
        "members/.cache/x.json",
    ],
)
def test_a_file_that_is_not_listed_is_refused(judge, name):
    (judge / name).parent.mkdir(exist_ok=True)
    (judge / name).write_text("{}")
    assert name in refused(judge, "is not listed in judge.json: delete it")


def test_what_a_download_from_the_hub_leaves_is_no_part_of_the_judge(judge):
    (judge / ".gitattributes").write_text("*.safetensors filter=lfs\n")
    (judge / ".cache/huggingface").mkdir(parents=True)
    (judge / ".cache/huggingface/x.metadata").write_text("x")
    assert 0 <= score(judge) <= 10


@pytest.mark.parametrize("name", [WEIGHTS, "README.md", "judge.json", "members/two", "loose"])
def test_a_link_is_refused_even_to_the_very_file(judge, tmp_path, name):
    if (judge / name).exists():
        shutil.move(judge / name, tmp_path / "away")
    (judge / name).symlink_to(tmp_path / "away")
    if name == "loose":
        (tmp_path / "away").write_text("x")
    assert name in refused(judge, "is a link: a judge holds its own files")


def test_what_is_no_file_is_refused(judge):
    (judge / WEIGHTS).unlink()
    os.mkfifo(judge / WEIGHTS)
    refused(judge, "is neither a file nor a folder")


@pytest.mark.parametrize(
    "name", ["../outside.json", "/etc/passwd", "members/../a.json", "a//b", ""]
)
def test_a_file_outside_of_the_folder_is_refused_under_a_forged_id(judge, name):
    record = {"bytes": 0, "sha256": "0" * 64}
    tiny_judge.forge(judge, lambda values: values["files"].update({name: record}))
    refused(judge, "is no plain path inside the judge's folder")


@pytest.mark.parametrize("name", ["../one", "/one", "members/one", "", ".."])
def test_a_member_outside_of_the_folder_is_refused_under_a_forged_id(judge, name):
    names = ["clapscore", "regress", name, "two"]
    tiny_judge.forge(judge, lambda values: values["ensemble"].update(members=names))
    refused(judge, "plain path|a name without /")


@pytest.mark.parametrize(
    ("member", "reference", "reason"),
    [
        ("one", {"path": "../audio"}, "is no plain path"),
        ("one", {"path": "/etc"}, "is no plain path"),
        ("one", {"path": None}, "is no plain path"),
        ("one", {"path": "encoders/nowhere"}, "is no folder of this judge"),
        ("regress", {"path": "encoders/../../clap"}, "is no plain path"),
        ("regress", {"path": None, "sha256": None}, "is no plain path"),
        ("regress", {"path": "owner/name"}, "is no folder of this judge"),
        ("regress", {"path": "encoders/clap", "backend": "laion-clap"}, "backend must be"),
        ("regress", {"path": "encoders/clap", "sha256": "0" * 64}, "is asked for"),
    ],
)
def test_an_encoder_from_elsewhere_is_refused_under_a_forged_id(judge, member, reference, reason):
    path = judge / "members" / member / "member.json"
    record = json.loads(path.read_text())
    (kind,) = record["encoders"]
    record["encoders"][kind][0] |= reference
    path.write_text(json.dumps(record))
    tiny_judge.forge(judge)
    refused(judge, reason)


@pytest.mark.parametrize("name", ["encoders/clap/portable_m2d.py", "encoders/clap/weights.pt"])
def test_code_and_pickles_have_no_place_in_a_judge(judge, name):
    (judge / name).write_text("raise SystemExit('code of the judge was run')")
    tiny_judge.forge(judge)
    refused(judge, "has no place in a judge")


INFINITE, ABSURD = float("inf"), 1e308


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"std": [1.0, 0.0, 1.0, 1.0]}, "std is .* above 0"),
        ({"std": [1.0, -1.0, 1.0, 1.0]}, "std is .* above 0"),
        ({"std": [1.0, float("nan"), 1.0, 1.0]}, r"std\[1\] is nan: a finite number"),
        ({"mean": [INFINITE, 0.0, 0.0, 0.0]}, r"mean\[0\] is inf: a finite number"),
        ({"mean": [10**400, 0, 0, 0]}, r"mean\[0\] is 1000.*: a finite number"),
        ({"weights": [0.5, 0.5, 0.5, -0.5]}, "weights is .* none below 0"),
        ({"weights": [0.5, 0.5, 0.5, 0.5]}, "a sum of 1"),
        ({"weights": [1.0]}, "one entry per member"),
        ({"members": [], "mean": [], "std": [], "weights": []}, "a sum of 1"),
        ({"calibration": {"method": "linear", "scores": [1, 1], "ratings": [1, 2]}}, "must rise"),
        ({"calibration": {"method": "linear", "scores": [1, 2], "ratings": [2, 1]}}, "must rise"),
        ({"calibration": {"method": "linear", "scores": [1], "ratings": [1]}}, "two or more knots"),
        (
            {"calibration": {"method": "linear", "scores": [0, INFINITE], "ratings": [1, 2]}},
            "a finite number",
        ),
    ],
)
def test_numbers_that_no_ensemble_has_are_refused_under_a_forged_id(judge, change, reason):
    tiny_judge.forge(judge, lambda values: values["ensemble"].update(change))
    refused(judge, reason)


@pytest.mark.parametrize("window", [0, -1.0, 0.5, float("nan"), 1e30, "8"])
def test_a_window_that_no_judge_has_is_refused_under_a_forged_id(judge, window):
    tiny_judge.forge(judge, lambda values: values.update(window_seconds=window))
    refused(judge, "window_seconds")


@pytest.mark.parametrize(
    "change",
    [
        {"std": [1e-320, 1.0, 1.0, 1.0]},
        {"mean": [ABSURD, -ABSURD, 0.0, 0.0], "std": [1e-9] * 4},
        {
            "calibration": {
                "method": "linear",
                "scores": [-1e-300, 1e-300],
                "ratings": [-ABSURD, ABSURD],
            }
        },
    ],
)
def test_a_score_that_is_not_finite_is_a_sentence_and_no_number(judge, change):
    tiny_judge.forge(judge, lambda values: values["ensemble"].update(change))
    with pytest.raises(SoundjudgeError, match="gives no finite score"):
        score(judge)


@pytest.mark.parametrize("version", [2, "3", None, 3.5, [3]])
def test_another_format_is_refused(judge, version):
    tiny_judge.forge(judge, lambda values: values.update(format=version))
    refused(judge, "is of format .* package that judge again")


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", "nonsense", "[" * 100_000, "\udcff", '{"format": 3}']
)
def test_a_manifest_that_is_none_is_refused(judge, content):
    (judge / "judge.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    refused(judge, r"judge\.json")


@pytest.mark.parametrize(
    "name", [WEIGHTS, f"{CLAP}/model.safetensors", "encoders/audio/model.safetensors"]
)
@pytest.mark.parametrize("size", [0, 7, 100, -1])
def test_truncated_weights_are_refused_listed_or_not(judge, name, size):
    path = judge / name
    path.write_bytes(path.read_bytes()[:size])
    assert name in refused(judge, "the judge is incomplete, copy it again")
    tiny_judge.forge(judge)
    assert name in refused(judge, "is not a readable safetensors file")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (f"{CLAP}/config.json", '{"model_type": "clap", "text_config": 5}'),
        (f"{CLAP}/config.json", '{"model_type": "clap", "text_config": {"hidden_size": -1}}'),
        (f"{CLAP}/config.json", "[]"),
        (f"{CLAP}/tokenizer.json", "{}"),
        (f"{CLAP}/tokenizer.json", '{"model": {"type": "Unknown"}}'),
        (f"{CLAP}/tokenizer_config.json", '{"auto_map": {"AutoTokenizer": ["x--y.Z", null]}}'),
        (f"{CLAP}/preprocessor_config.json", "{}"),
        (f"{CLAP}/preprocessor_config.json", '{"sampling_rate": 0}'),
        (f"{CLAP}/preprocessor_config.json", '{"feature_size": 16, "hop_length": -1}'),
        (f"{CLAP}/tokenizer_config.json", '{"model_max_length": {}, "pad_token": "<pad>"}'),
        ("members/one/tokenizer_config.json", "{}"),
        ("members/one/tokenizer.json", "nonsense"),
        ("members/one/tokenizer_config.json", "5"),
        ("encoders/audio/config.json", "{}"),
        ("encoders/audio/config.json", '{"encoder_layers": "x"}'),
        ("encoders/audio/config.json", "[]"),
        ("encoders/audio/config.json", '{"max_distance": ""}'),
        ("encoders/audio/config.json", '{"deep_norm": 1}'),
    ],
)
def test_a_forged_file_that_no_library_can_read_is_one_sentence(judge, name, content):
    (judge / name).write_text(content)
    tiny_judge.forge(judge)
    refused(judge, name.rpartition("/")[0])


CLAP_CONFIG, EXTRACTOR = f"{CLAP}/config.json", f"{CLAP}/preprocessor_config.json"
BEATS, LALM = "encoders/audio/config.json", "members/one/member.json"
NAN = float("nan")


@pytest.mark.parametrize(
    ("name", "key", "value", "reason"),
    [
        (CLAP_CONFIG, "audio_config.patch_stride", [10**12, 4], "whole numbers of 1 to 4"),
        (CLAP_CONFIG, "audio_config.patch_stride", [4, -1], "whole numbers of 1 to 4"),
        (CLAP_CONFIG, "audio_config.spec_size", 10**12, "it must be 1 to 4096"),
        (CLAP_CONFIG, "audio_config.spec_size", 2**70, "it must be 1 to 4096"),
        (CLAP_CONFIG, "audio_config.spec_size", 100_000, "it must be 1 to 4096"),
        (CLAP_CONFIG, "audio_config.hidden_dropout_prob", NAN, "is nan: a finite number"),
        (CLAP_CONFIG, "text_config.num_attention_heads", -1, "num_attention_heads is -1"),
        (CLAP_CONFIG, "text_config.chunk_size_feed_forward", 10**12, "write 0"),
        (EXTRACTOR, "feature_size", 10**12, "it is 1024 at most"),
        (EXTRACTOR, "fft_window_size", 10**12, "fft_window_size is 1000000000000: it is"),
        (EXTRACTOR, "fft_window_size", 100_000, "fft_window_size is 100000: it is"),
        (EXTRACTOR, "hop_length", 2**63, "hop_length is 9223372036854775808: it is"),
        (EXTRACTOR, "max_length_s", 1e300, "at most 3600.0 s"),
        (EXTRACTOR, "max_length_s", NAN, "at most 3600.0 s"),
        (EXTRACTOR, "sampling_rate", 10**12, "at most 3600.0 s at 768000 Hz"),
        (BEATS, "max_distance", 0, "max_distance is 0: it must be 1 to"),
        (BEATS, "max_distance", 4, "must exceed a quarter of num_buckets 16"),
        (BEATS, "encoder_embed_dim", 10**12, "it must be 1 to"),
        (BEATS, "dropout", NAN, "dropout is nan: it must be 0 to 1"),
        (LALM, "settings.config.head", [10**12], r"head is \[1000000000000\]: it must list widths"),
        (LALM, "settings.config.projector_hidden", 2**70, "projector_hidden is 118"),
        (LALM, "settings.feature_dim", -1, "feature_dim is -1: it must be 1 to"),
        (LALM, "settings.feature_dim", 10**12, "feature_dim is 1000000000000: it must be 1 to"),
    ],
)
def test_a_number_that_no_network_has_is_one_sentence(judge, name, key, value, reason):
    values = json.loads((judge / name).read_text())
    *outer, last = key.split(".")
    section = values
    for part in outer:
        section = section[part]
    section[last] = value
    (judge / name).write_text(json.dumps(values))
    tiny_judge.forge(judge)
    assert name.rpartition("/")[0] in refused(judge, reason)


@pytest.mark.parametrize(
    "change",
    [
        {"model_type": "unknown"},
        {"auto_map": {"AutoModelForCausalLM": "x--y.Z"}, "model_type": "unknown"},
        {"hidden_size": 0},
        {"num_hidden_layers": "x"},
        {"attn_implementation": "kernels-community/flash-attn"},
        {"output_hidden_states": "x"},
    ],
)
def test_a_forged_language_model_is_one_sentence_or_the_same_model(judge, change):
    before = score(judge)
    path = judge / "members/one/member.json"
    record = json.loads(path.read_text())
    record["settings"]["llm"] |= change
    path.write_text(json.dumps(record))
    tiny_judge.forge(judge)
    if change.keys() & {"attn_implementation", "output_hidden_states"}:
        assert score(judge) == before  # ours is asked for, and nothing is fetched
    else:
        refused(judge, "members/one.*(can't be read|do not fit)")


@pytest.mark.parametrize(
    ("file", "name"),
    [
        (f"{CLAP}/model.safetensors", "audio_projection.linear1.weight"),
        (WEIGHTS, "final_linear.weight"),
        ("members/regress/model.safetensors", "weights"),
        ("encoders/audio/model.safetensors", "layer_norm.weight"),
    ],
)
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_a_sentence_and_no_score(judge, file, name, value):
    tensors = artifacts.load_tensors(judge / file)
    tensors[name] = torch.full_like(tensors[name], value)
    artifacts.save_tensors(judge / file, tensors)
    tiny_judge.forge(judge)
    with pytest.raises(SoundjudgeError, match="no finite score for 'a dog': its weights are bad"):
        score(judge)


@pytest.mark.parametrize("name", ["sounds", "texts", "weights", "center", "intercept", "gamma"])
def test_a_regressor_whose_parts_do_not_fit_each_other_is_refused(judge, name):
    path = judge / "members/regress/model.safetensors"
    tensors = artifacts.load_tensors(path)
    tensors[name] = tensors[name][:-1]
    artifacts.save_tensors(path, tensors)
    tiny_judge.forge(judge)
    refused(judge, "regress/model.safetensors can't be read")


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float8_e4m3fn, torch.complex64])
def test_a_regressor_of_numbers_that_numpy_has_not_is_one_sentence(judge, kind):
    path = judge / "members/regress/model.safetensors"
    tensors = artifacts.load_tensors(path)
    artifacts.save_tensors(path, tensors | {"weights": tensors["weights"].to(kind)})
    tiny_judge.forge(judge)
    refused(judge, "regress/model.safetensors")


def test_no_verify_computes_no_sha256_and_still_checks_names_sizes_and_the_id(judge, monkeypatch):
    flip(judge / WEIGHTS, -1)
    tried: list[Path] = []
    monkeypatch.setattr(integrity.artifacts, "sha256", tried.append)
    Judge.from_pretrained(judge, "cpu", verify=False)
    assert not tried
    (judge / "extra.txt").write_text("x")
    with pytest.raises(SoundjudgeError, match="is not listed"):
        Judge.from_pretrained(judge, "cpu", verify=False)


def test_a_large_file_is_read_once_and_again_when_anything_about_it_changed(
    judge, tmp_path, monkeypatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(artifacts, "REMEMBERED_BYTES", (judge / WEIGHTS).stat().st_size)
    read: list[str] = []
    sha256 = artifacts.sha256
    monkeypatch.setattr(artifacts, "sha256", lambda path: (read.append(path.name), sha256(path))[1])
    manifest = read_manifest(judge)
    for times in (1, 2):
        integrity.check_folder(judge, manifest)
        assert read.count("member.json") == 4 * times  # small files are always read
    large = [f for f in manifest.files.values() if f.bytes >= artifacts.REMEMBERED_BYTES]
    assert len(read) == 2 * len(manifest.files) - len(large)
    state = (judge / WEIGHTS).stat()
    flip(judge / WEIGHTS, -1)
    os.utime(judge / WEIGHTS, ns=(state.st_atime_ns, state.st_mtime_ns))  # as if nothing had been
    refused(judge, "is not the file that was packaged")


def test_a_cache_that_cannot_be_written_is_no_hindrance(judge, tmp_path, monkeypatch):
    (tmp_path / "cache").write_text("a file")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(artifacts, "REMEMBERED_BYTES", 0)
    integrity.check_folder(judge, read_manifest(judge))


def run(*words: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(word) for word in words])
    return result.exit_code, result.stdout, result.stderr


def cut_manifest(judge: Path) -> None:
    (judge / "judge.json").unlink()


def cut_weights(judge: Path) -> None:
    (judge / WEIGHTS).write_bytes((judge / WEIGHTS).read_bytes()[:-1])


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (cut_manifest, "holds no judge.json"),
        (cut_weights, "the judge is incomplete"),
        (lambda judge: flip(judge / WEIGHTS, -1), "is not the file that was packaged"),
        (lambda judge: (judge / "x.json").touch(), "is not listed"),
        (lambda judge: shutil.rmtree(judge), "is no folder"),
        (lambda judge: (shutil.rmtree(judge), judge.mkdir()), "holds no judge.json"),
    ],
)
@pytest.mark.parametrize("words", [("score", "dog.wav", "a dog"), ("doctor",)])
def test_a_command_says_so_in_one_line_and_with_code_2(
    judge, in_folder, harm: Callable[[Path], object], reason, words
):
    tiny_judge.write_sound(Path("dog.wav"))
    harm(judge)
    code, output, errors = run(*words, "--model", judge)
    assert (code, output, len(errors.splitlines())) == (2, "", 1)
    assert reason in errors and "Traceback" not in errors


def test_the_doctor_reads_every_byte_of_a_judge_and_says_what_it_is(judge):
    code, output, _ = run("doctor", "--model", judge)
    assert code == 0
    assert read_manifest(judge).score_id in output
    assert (
        f"{len(read_manifest(judge).files)} files" in output
        and "all as they were packaged" in output
    )
    assert "regress: regress, weight 0.250" in output
    assert "needs nothing but its own folder" in output
