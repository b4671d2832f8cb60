"""The report of systems: one page that holds all it needs, and sentences for what is amiss."""

import json
from importlib import resources
from pathlib import Path

import pytest
import tiny_judge
import tiny_systems
from html_elements import Elements
from tiny_systems import TEXTS, write_prompts, write_system
from typer.testing import CliRunner

from soundjudge.cli import app
from soundjudge.errors import SoundjudgeError
from soundjudge.html.rendering import note_sentence
from soundjudge.page import report
from soundjudge.page.report_page import headline


@pytest.fixture
def systems(tmp_path: Path) -> list[Path]:
    return [
        write_system(tmp_path / "loud", [0.9, 0.8, 0.7, 0.6, 0.9]),
        write_system(tmp_path / "soft", [0.1, 0.2, 0.8, 0.3, 0.0]),
    ]


def write(systems: list[Path], prompts: Path, out: Path, note: str = "", **options: object):
    result = tiny_systems.write_report(systems, prompts, out, note, **options)
    return result, Elements(out.read_text(encoding="utf-8"))


def test_the_page_holds_numbers_prompts_and_sounds_and_asks_for_nothing(systems, tmp_path):
    out = tmp_path / "r.html"
    result, page = write(systems, write_prompts(tmp_path), out)
    assert result.summaries[0].mean.value == pytest.approx(7.8, abs=0.01)
    assert result.summaries[1].mean.value == pytest.approx(2.8, abs=0.01)
    assert result.summaries[0].lost == [2]
    assert "7.80" in page.text and "loudness@1+0" in page.text
    sources = page.attributes("audio", "src")
    assert len(sources) == 2 * 5
    assert all(source.startswith("data:audio/wav;base64,") for source in sources)
    links = page.attributes("a", "href") + page.attributes("link", "href")
    assert all(link.startswith("#") for link in links)
    targets = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
    assert {link[1:] for link in links} <= targets
    assert page.asks_for_nothing(out.read_text(encoding="utf-8"))


def test_names_and_texts_of_the_user_stay_text(tmp_path):
    evil = '"><script>alert(1)</script><img src=x onerror=alert(2)>'
    name = "<img src=x onerror=alert(3)>"
    systems = [write_system(tmp_path / "a" / f"{name}{n}", [0.1 * (n + 1)] * 4) for n in (1, 2)]
    prompts = write_prompts(tmp_path, [evil, "{{ 7 * 7 }}", "</style><b>", "plain"])
    note = "<script>alert(4)</script>"
    _, page = write(systems, prompts, tmp_path / "r.html", note, embed_megabytes=0)
    assert not {tag for tag, _ in page.tags} & {"script", "img"}
    assert not [a for _, attributes in page.tags for a in attributes if a.startswith("on")]
    assert evil in page.text and "{{ 7 * 7 }}" in page.text and note in page.text
    assert f"{name}1" in page.text


def test_sounds_beyond_the_limit_are_links_that_lead_to_them(tmp_path):
    odd = tmp_path / 'a"b' / "50% #1: x"
    systems = [write_system(odd, [0.5] * 4), write_system(tmp_path / "soft", [0.1] * 4)]
    out = tmp_path / "pages/r.html"
    _, page = write(systems, write_prompts(tmp_path, TEXTS[:4]), out, embed_megabytes=0.01)
    assert "stay in their folders" in page.text
    sources = page.attributes("audio", "src")
    assert "../a%22b/50%25%20%231%3A%20x/0.wav" in sources
    assert "../soft/0.wav" in sources


def test_only_the_first_lost_prompts_are_played(systems, tmp_path):
    _, page = write(systems, write_prompts(tmp_path), tmp_path / "r.html", listen=1)
    # loud lost prompt 2; soft lost 4 by most: two prompts, two systems
    assert len(page.attributes("audio", "src")) == 4
    assert "soft lost 4" in page.text and "and 3 more" in page.text
    _, page = write(systems, tmp_path / "prompts.jsonl", tmp_path / "n.html", listen=0)
    assert not page.attributes("audio", "src")


def test_flags_are_counted_and_explained(systems, tmp_path):
    prompts = write_prompts(tmp_path, [*TEXTS[:4], "a car " * 20])
    result, page = write(systems, prompts, tmp_path / "r.html")
    assert result.flag_counts() == {"cut_text": [1, 1], "silent": [0, 1]}
    assert "its peak is below -60 dBFS" in page.text
    assert "the text is longer than a member reads" in page.text


def test_a_note_about_the_judge_stands_on_the_page(systems, tmp_path):
    _, page = write(systems, write_prompts(tmp_path), tmp_path / "r.html", "simulated ratings")
    assert "This judge has learned from simulated ratings: its scores show how" in page.text
    assert (
        "of one judge's scores: listeners, or a judge of another training, may order" in page.text
    )
    assert note_sentence("") == ""
    assert note_sentence("ratings of music") == "This judge has learned from ratings of music."


def test_the_json_beside_the_page_holds_the_same_numbers(systems, tmp_path):
    result, _ = write(systems, write_prompts(tmp_path), tmp_path / "r.html", json=True)
    numbers = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert numbers["score_id"] == "loudness@1+0"
    assert [system["name"] for system in numbers["systems"]] == ["loud", "soft"]
    assert numbers["systems"][0]["lost"] == ["2"]
    assert numbers["differences"][0]["difference"]["value"] == pytest.approx(5.0, abs=0.01)
    assert numbers["prompts"][1]["scores"] == pytest.approx({"loud": 8, "soft": 2}, abs=0.01)
    assert numbers["prompts"][4]["flags"] == {"soft": ["silent"]}
    with pytest.raises(SoundjudgeError, match=r"r\.json exists already"):
        (tmp_path / "r.html").unlink()
        write(systems, tmp_path / "prompts.jsonl", tmp_path / "r.html", json=True)


def test_the_same_input_gives_the_same_bytes(systems, tmp_path):
    prompts = write_prompts(tmp_path)
    for name in ("a.html", "b.html"):
        write(systems, prompts, tmp_path / name)
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_a_missing_sound_stops_before_a_judge_is_loaded(systems, tmp_path):
    (systems[1] / "3.wav").unlink()

    def load():
        raise AssertionError("the judge was loaded")

    with pytest.raises(SoundjudgeError, match="soft has no sound for 1 of 5 prompts: 3;"):
        report.write_report(
            systems,
            write_prompts(tmp_path),
            tmp_path / "r.html",
            load_judge=load,
            load_clap=None,
            progress=lambda done, total: None,
        )
    assert not (tmp_path / "r.html").exists()


def test_a_clap_that_is_not_there_stops_before_a_sound_is_scored(systems, tmp_path):
    with pytest.raises(SoundjudgeError, match="nowhere does not exist"):
        report.write_report(
            systems,
            write_prompts(tmp_path),
            tmp_path / "r.html",
            load_judge=lambda: pytest.fail("the judge was loaded"),
            load_clap=lambda: report.clap_judge("checkpoints/nowhere", "cpu"),
            progress=lambda done, total: None,
        )


def test_too_few_prompts_stop_before_a_judge_is_loaded(tmp_path):
    prompts = write_prompts(tmp_path, TEXTS[:3])
    folder = write_system(tmp_path / "a", [0.1, 0.2, 0.3])

    def load() -> None:
        raise AssertionError("the judge is loaded")

    with pytest.raises(SoundjudgeError, match="3 prompts are too few for an interval: give 4"):
        report.write_report(
            [folder], prompts, tmp_path / "out.html", load_judge=load,
            load_clap=None, progress=lambda done, total: None,
        )  # fmt: skip


def test_skipped_prompts_are_left_out_for_all_systems_and_listed(tmp_path):
    systems = [write_system(tmp_path / "a", [0.5] * 7), write_system(tmp_path / "b", [0.2] * 6)]
    (systems[1] / "3.wav").unlink()
    (systems[0] / "1.wav").write_bytes(b"no sound")
    prompts = write_prompts(tmp_path, [f"text {n}" for n in range(6)])
    with pytest.raises(SoundjudgeError, match=r"of no prompt in .*6\.wav"):
        write(systems, prompts, tmp_path / "r.html")
    result, page = write(systems, prompts, tmp_path / "r.html", on_missing="skip")
    assert result.scores.ids == ["0", "2", "4", "5"]
    assert [prompt.id for prompt in result.scores.left_out] == ["1", "3"]
    assert "b has no sound" in page.text and "1.wav is" in page.text
    assert "a has 1 sounds of no prompt" in page.text


def test_an_unreadable_sound_stops_with_its_name(systems, tmp_path):
    (systems[0] / "1.wav").write_bytes(b"no sound")
    with pytest.raises(SoundjudgeError, match=r"1\.wav is .*--on-missing skip"):
        write(systems, write_prompts(tmp_path), tmp_path / "r.html")


def test_tables_with_scores_need_no_judge(tmp_path):
    paths = []
    for name, shift in (("a", 0.0), ("b", 2.0)):
        path = tmp_path / f"{name}.csv"
        rows = "".join(f"{n}.wav,{n + shift}\n" for n in range(8))
        path.write_text("wav_file_name,pred_score\n" + rows)
        paths.append(path)
    prompts = write_prompts(tmp_path, [f"text {n}" for n in range(8)])
    result, page = write(paths, prompts, tmp_path / "r.html")
    assert result.differences[0].difference.value == pytest.approx(-2)
    assert result.differences[0].p == pytest.approx(2 / 2**8)
    assert "b scores higher than a" in page.text
    assert "pred_score of the tables" in page.text
    assert "a lost 8" in page.text
    assert not page.attributes("audio", "src")


def test_a_clapscore_stands_beside_scores_of_tables_where_their_sounds_are_there(systems, tmp_path):
    tables = []
    for folder in systems:
        tables.append(folder / "scores.csv")
        rows = "".join(f"{n}.wav,{n}\n" for n in range(5))
        tables[-1].write_text("wav_file_name,pred_score\n" + rows)
    names = ["loud/scores", "soft/scores"]
    prompts = write_prompts(tmp_path)
    result, page = write(tables, prompts, tmp_path / "r.html", clap=tiny_systems.Loudness())
    assert [mean.value for mean in result.clap.means.values()] == pytest.approx(
        [7.8, 2.8], abs=0.01
    )
    assert [summary.mean.value for summary in result.summaries] == [2, 2]
    assert all(name in page.text for name in names)
    (systems[0] / "3.wav").unlink()
    with pytest.raises(SoundjudgeError, match=r"3\.wav is missing"):
        write(tables, prompts, tmp_path / "s.html", clap=tiny_systems.Loudness())
    with pytest.raises(SoundjudgeError, match="a CLAPScore needs the sounds of all scores"):
        skip = {"clap": tiny_systems.Loudness(), "on_missing": "skip"}
        write(tables, prompts, tmp_path / "s.html", **skip)


@pytest.mark.parametrize(
    ("shifts", "sentence"),
    [
        ([0.0, 1.0], "b scores higher than a on the same 8 prompts, by 1.00 points, p = .008"),
        ([1.0, 0.0], "a scores higher than b on the same 8 prompts, by 1.00 points, p = .008"),
        ([0.0, 0.0], "8 prompts do not tell a and b apart (difference 0.00 points, p = 1.000)"),
        ([0.0, 2.0, 1.0], "b has the highest mean on 8 prompts. 3 of 3 differences"),
        (
            [0.0, 2.0, 2.0],
            "b has the highest mean on 8 prompts, but is not told apart from c. 2 of",
        ),
    ],
)
def test_the_first_sentence_tells_what_the_numbers_say(tmp_path, shifts, sentence):
    paths = []
    for name, shift in zip("abc", shifts, strict=False):
        path = tmp_path / f"{name}.csv"
        rows = "".join(f"{n}.wav,{n % 3 + shift}\n" for n in range(8))
        path.write_text("wav_file_name,pred_score\n" + rows)
        paths.append(path)
    prompts = write_prompts(tmp_path, [f"text {n}" for n in range(8)])
    result, page = write(paths, prompts, tmp_path / "r.html")
    assert sentence in headline(result)
    assert sentence in page.text


def test_a_page_is_written_over_nothing_unasked(systems, tmp_path):
    out = tmp_path / "r.html"
    out.write_text("mine")
    with pytest.raises(SoundjudgeError, match="exists already"):
        write(systems, write_prompts(tmp_path), out)
    assert out.read_text() == "mine"


def test_one_system_has_a_mean_and_no_test(systems, tmp_path):
    result, page = write(systems[:1], write_prompts(tmp_path), tmp_path / "r.html")
    assert result.differences == []
    assert "loud scores 7.80 on 5 prompts" in page.text
    assert "won" not in page.text


def test_templates_and_styles_are_in_the_package():
    files = resources.files("soundjudge")
    for name in ("page/templates/report.html", "html/templates/pictures.html"):
        assert (files / name).is_file(), name
    assert (files / "html/static/style.css").is_file()


@pytest.mark.slow
def test_the_command_compares_systems_with_a_judge_and_a_clapscore(tmp_path):
    judge = tiny_judge.build(tmp_path / "checkpoints/judge", tmp_path)
    systems = [write_system(tmp_path / name, [0.9, 0.2, 0.5, 0.4]) for name in ("a", "b")]
    prompts = write_prompts(tmp_path, ["a dog", "rain", "a bell", "a car"])
    words = ["report", *systems, "--prompts", prompts, "-o", tmp_path / "r.html", "--json"]
    words += ["--model", judge, "--compare-clap", tmp_path / "checkpoints/encoders/clap"]
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    header, first, second = result.stdout.splitlines()
    assert header.split()[:2] == ["system", "mean"] and "clap" in header
    assert first.split()[1:] == second.split()[1:]  # the same sounds
    assert "score id tiny@1.0+" in result.stderr
    assert "clap: clapscore-clap@1.0+" in result.stderr
    clap = json.loads((tmp_path / "r.json").read_text())["clap"]
    assert clap["means"]["a"] == clap["means"]["b"]
    assert 0 <= clap["means"]["a"]["value"] <= 10
    assert "do not tell a and b apart" in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_the_help_of_compare_and_report_tells_them_apart():
    help_text = CliRunner().invoke(app, ["compare", "--help"]).output
    assert "agree with listeners differently" in " ".join(help_text.split())
    assert "report" in help_text
    assert "without ratings" in CliRunner().invoke(app, ["report", "--help"]).output
