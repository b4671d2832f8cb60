"""A whole submission: what is in the zip, what is said of a system, and what is refused."""

import zipfile
from pathlib import Path

import pytest
import tiny_judge
import yaml
from safetensors.numpy import load_file

from soundjudge.errors import SoundjudgeError
from soundjudge.runtime import artifacts
from soundjudge.scoring.files import submission, system_description

ROWS = {"a.wav": 3.14159, "b.wav": 10.0, "c.wav": 0.004}


@pytest.fixture(scope="module")
def judge(tmp_path_factory) -> Path:
    return build(tmp_path_factory.mktemp("judge"))


def build(root: Path) -> Path:
    """A judge in a folder of its own, made from checkpoints in `root`."""
    return tiny_judge.build(root / "judge", root)


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    path = tmp_path / "list.csv"
    path.write_text("wav_file_name\nc.wav\na.wav\nb.wav\n")
    return path


def system(path: Path, shift: float = 0.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = "".join(f"{name},{score - shift}\n" for name, score in ROWS.items())
    path.write_text(f"wav_file_name,pred_score\n{rows}")
    return path


def contents(path: Path) -> dict[str, str]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


def test_a_submission_has_scores_and_a_description_per_system_and_the_report(
    listed, judge, tmp_path
):
    systems = [system(tmp_path / "one.csv"), system(tmp_path / "two.csv", shift=0.004)]
    report = tmp_path / "report.pdf"
    report.write_bytes(b"%PDF-1.7 pages")
    out = tmp_path / "submission.zip"
    written = submission.write_submission(systems, listed, out, judges=[judge], report=report)
    files = contents(out)
    assert list(files) == ["one.csv", "one.yaml", "report.pdf", "two.csv", "two.yaml"]
    assert files["one.csv"] == "wav_file_name,pred_score\nc.wav,0.00\na.wav,3.14\nb.wav,10.00\n"
    assert files["two.csv"].endswith("b.wav,10.00\n")
    assert written.systems["one"] == "3 rows, 0.00 to 10.00"
    assert written.unfinished == {"one.yaml": 5, "two.yaml": 5}
    assert yaml.safe_load(files["two.yaml"])["predictions"] == "two.csv"


def test_the_same_submission_has_the_same_bytes(listed, judge, tmp_path):
    predictions = system(tmp_path / "one.csv")
    hashes = []
    for name in ("first", "second"):
        out = tmp_path / name / "submission.zip"
        submission.write_submission([predictions], listed, out, judges=[judge])
        hashes.append(artifacts.sha256(out))
        with zipfile.ZipFile(out) as archive:
            assert {info.date_time[:3] for info in archive.infolist()} == {(1980, 1, 1)}
    assert hashes[0] == hashes[1]


def test_a_description_has_the_facts_of_the_judge_and_marks_the_rest(judge):
    text = system_description.describe_system("one", judge, {"team": "us"})
    assert "The organizers' template for 2027 is not known" in text
    values = yaml.safe_load(text)
    manifest = artifacts.read_json(judge / "judge.json")
    assert values["score_id"] == manifest["score_id"]
    assert list(values["members"]) == manifest["ensemble"]["members"]
    assert values["members"]["regress"]["kind"] == "regress"
    assert values["members_of_weight_0"] == []
    weights = [member["weight"] for member in values["members"].values()]
    assert weights == pytest.approx(manifest["ensemble"]["weights"], abs=1e-6)
    tensors = load_file(judge / "members/regress/model.safetensors")
    part = values["parts"]["members/regress"]
    assert part["parameters"] == sum(tensor.size for tensor in tensors.values())
    listed = manifest["files"]["members/regress/model.safetensors"]["sha256"]
    assert part["sha256"] == {"model.safetensors": listed}
    sizes = {
        file.read_bytes(): sum(tensor.size for tensor in load_file(file).values())
        for file in judge.rglob("*.safetensors")
    }
    assert values["parameters"] == sum(sizes.values())  # what members share is counted once
    assert values["parameters"] < sum(p["parameters"] for p in values["parts"].values())
    assert values["training_data"] == "Nothing: it is random."
    assert (values["license"], values["licenses_of_parts"]) == ("mit", ["All free."])
    assert values["team"] == "us"
    marked = {key for key, value in values.items() if str(value).startswith("TODO")}
    assert marked == {"authors", "summary", "external_resources", "inference"}


def test_a_member_without_weight_is_named_apart(tmp_path):
    folder = build(tmp_path)
    members = artifacts.read_json(folder / "judge.json")["ensemble"]["members"]

    def first_alone(values: dict) -> None:
        values["ensemble"]["weights"] = [1.0] + [0.0] * (len(members) - 1)

    tiny_judge.forge(folder, first_alone)
    values = yaml.safe_load(system_description.describe_system("one", folder, {}))
    assert {name: row["weight"] for name, row in values["members"].items()} == {members[0]: 1.0}
    assert values["members_of_weight_0"] == members[1:]


def test_without_a_judge_or_its_card_what_is_missing_is_marked(judge, tmp_path):
    values = yaml.safe_load(system_description.describe_system("one", None, {}))
    assert values["judge"].startswith("TODO")
    assert "members" not in values
    bare = build(tmp_path / "bare")
    (bare / "README.md").unlink()
    values = yaml.safe_load(system_description.describe_system("one", bare, {}))
    for key in ("training_data", "license"):
        assert values[key].startswith("TODO")
    assert values["licenses_of_parts"][0].startswith("TODO")


def test_a_judge_that_is_not_as_packaged_is_refused(tmp_path):
    changed = build(tmp_path / "changed")
    (changed / "members/regress/extra.json").write_text("{}")
    with pytest.raises(SoundjudgeError, match=r"extra\.json is not listed"):
        system_description.describe_system("one", changed, {})
    with pytest.raises(SoundjudgeError, match=r"holds no judge\.json"):
        system_description.describe_system("one", tmp_path, {})


def test_answers_of_all_systems_and_of_one_fill_the_descriptions(tmp_path):
    path = tmp_path / "answers.yaml"
    path.write_text("team: us\nsummary: both\nsystems: {two: {summary: the second}}\n")
    answers = system_description.read_answers(path, ["one", "two"])
    assert answers["one"] == {"team": "us", "summary": "both"}
    assert answers["two"] == {"team": "us", "summary": "the second"}
    assert system_description.read_answers(None, ["one"]) == {"one": {}}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("tema: us", "'tema', no key: there are team, authors"),
        ("systems: {three: {team: us}}", "'three', no system: there are one, two"),
        ("systems: {one: {tema: us}}", "'tema', no key"),
        ("systems: [one]", r"\['one'\], no system"),
        ("- team", "no key"),
        ("team: [", "not valid YAML"),
    ],
)
def test_answers_that_fill_nothing_are_refused(tmp_path, text, reason):
    path = tmp_path / "answers.yaml"
    path.write_text(text)
    with pytest.raises(SoundjudgeError, match=reason):
        system_description.read_answers(path, ["one", "two"])


def test_systems_of_one_file_name_have_the_names_of_their_folders(listed, tmp_path):
    systems = [system(tmp_path / name / "test.csv") for name in ("ensemble", "regress")]
    out = tmp_path / "submission.zip"
    assert list(submission.write_submission(systems, listed, out).systems) == [
        "ensemble",
        "regress",
    ]
    with pytest.raises(SoundjudgeError, match="two systems are named test"):
        submission.write_submission([systems[0], systems[0]], listed, tmp_path / "other.zip")


def test_what_is_no_submission_is_refused_and_leaves_no_file(listed, judge, tmp_path):
    one, out = system(tmp_path / "one.csv"), tmp_path / "submission.zip"
    bad = tmp_path / "bad.csv"
    bad.write_text("wav_file_name,pred_score\na.wav,1\n")
    text = tmp_path / "report.pdf"
    text.write_text("a text")
    for arguments, reason in (
        ({"predictions": [one, bad]}, "bad.csv lacks 2 pairs"),
        ({"judges": [judge, judge]}, "2 judges for 1 systems"),
        ({"report": text}, "report.pdf is no PDF"),
        ({"out": tmp_path / "submission.tar"}, "let it end in .zip"),
    ):
        changed = {"predictions": [one], "out": out} | arguments
        systems, path = changed.pop("predictions"), changed.pop("out")
        with pytest.raises(SoundjudgeError, match=reason):
            submission.write_submission(systems, listed, path, **changed)
    assert not out.exists()
    submission.write_submission([one], listed, out)
    with pytest.raises(SoundjudgeError, match="exists already"):
        submission.write_submission([one], listed, out)
