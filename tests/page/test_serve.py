"""The local page: scores of what people send, and a sentence for what it refuses."""

import csv
import io
import json
import random
import resource
import threading
import time
import zipfile
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny_judge
from optional_packages import soundfile

pytest.importorskip("starlette", reason="the page is an extra: pip install 'soundjudge[page]'")
from starlette.testclient import TestClient

from soundjudge.page import application, uploads, zipped_sounds
from soundjudge.page.judging import spectrogram_png
from soundjudge.page.limits import Limits, RefusalError
from soundjudge.scoring.ensemble.intervals import Intervals
from soundjudge.scoring.judge.judge import Judge

LIMITS = Limits(megabytes=2, sounds=3, texts=3, pairs=4, seconds=5, characters=60, rows=4)
ORIGIN = {"origin": "http://127.0.0.1"}


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Judge:
    root = tmp_path_factory.mktemp("repository")
    return Judge.from_pretrained(tiny_judge.build(root / "checkpoints/judge", root), "cpu")


@pytest.fixture
def client(judge: Judge):
    made = application.create_application(judge, limits=LIMITS)
    with TestClient(made, base_url="http://127.0.0.1", headers=ORIGIN) as opened:
        yield opened


def wav(seconds: float = 1.0, seed: int = 1) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, tiny_judge.noise(seconds, seed), 16_000, format="WAV", subtype="FLOAT")
    return file.getvalue()


def zip_of(entries: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return file.getvalue()


def post(client: TestClient, sounds: list[tuple[str, bytes]], texts: list[str], **headers: str):
    files = [("sounds", sound) for sound in sounds]
    return client.post("/scores", files=files, data={"texts": texts}, headers=headers)


def post_table(client: TestClient, table: str, archive: bytes, name: str = "pairs.csv"):
    files = {"table": (name, table.encode()), "archive": ("sounds.zip", archive)}
    return client.post("/tables", files=files)


def refusal(response, status: int) -> str:
    assert response.status_code == status, response.text
    return response.json()["error"]


def wait(client: TestClient, response) -> tuple[str, dict]:
    assert response.status_code == 202, response.text
    job = response.json()["job"]
    for _ in range(600):
        status = client.get(f"/jobs/{job}").json()
        if status["state"] in ("done", "failed"):
            assert status["state"] == "done", status
            return job, status["result"]
        time.sleep(0.05)
    raise AssertionError("the job does not end")


def download(client: TestClient, job: str) -> list[list[str]]:
    response = client.get(f"/jobs/{job}/scores.csv")
    assert response.headers["content-disposition"] == 'attachment; filename="scores.csv"'
    return list(csv.reader(io.StringIO(response.text)))


def test_every_sound_is_scored_with_every_text_as_the_judge_scores_it(client, judge, tmp_path):
    sounds = [("a.wav", wav(1.0, 1)), ("b.wav", wav(3.0, 2))]
    job, result = wait(client, post(client, sounds, ["a dog", " rain ", "a dog", ""]))
    assert result["texts"] == ["a dog", "rain"]
    assert result["score_id"] == judge.score_id
    for pair in result["pairs"]:
        (tmp_path / "x").write_bytes(sounds[pair["sound"]][1])
        text = result["texts"][pair["text"]]
        assert pair["value"] == pytest.approx(judge.score(tmp_path / "x", text), abs=1e-4)
        assert set(pair["members"]) == set(judge.members)
    assert len(result["pairs"]) == 4
    rows = download(client, job)
    assert rows[0] == ["wav_file_name", "text", "pred_score"]
    assert rows[1][:2] == ["a.wav", "a dog"]
    assert float(rows[1][2]) == pytest.approx(result["pairs"][0]["value"], abs=1e-4)


def test_sounds_of_one_name_are_told_apart(client):
    _, result = wait(client, post(client, [("a.wav", wav()), ("x/a.wav", wav())], ["a dog"]))
    assert [sound["name"] for sound in result["sounds"]] == ["a.wav", "a.wav (2)"]


def test_a_long_sound_has_its_score_over_time_and_a_picture(client):
    job, result = wait(client, post(client, [("b.wav", wav(3.6, 2))], ["a dog"]))
    (pair,) = result["pairs"]
    # windows of 1.2 s
    assert [window["start"] for window in pair["windows"]] == pytest.approx([0, 1.2, 2.4])
    assert pair["windows"][-1]["end"] == pytest.approx(3.6)
    assert result["sounds"][0]["seconds"] == pytest.approx(3.6)
    picture = client.get(f"/jobs/{job}/{result['sounds'][0]['picture']}")
    assert picture.headers["content-type"] == "image/png"
    assert picture.content.startswith(b"\x89PNG")


def test_a_sound_that_cannot_be_read_has_its_reason_beside_the_others(client):
    sounds = [("no.wav", b"no sound"), ("a.wav", wav()), ("long.wav", wav(5.5))]
    _, result = wait(client, post(client, sounds, ["a dog"]))
    assert result["sounds"][0]["error"].startswith("no.wav is ")
    assert result["sounds"][2]["error"] == "long.wav is longer than 5 s: cut it"
    assert [pair["sound"] for pair in result["pairs"]] == [1]


def test_no_path_of_the_machine_is_told(client):
    _, result = wait(client, post(client, [("no.wav", b"no sound")], ["a dog"]))
    assert "/tmp" not in json.dumps(result)
    bad = post_table(client, "wav_file_name,words\na.wav,x\n", zip_of({}))
    assert refusal(bad, 422).startswith("pairs.csv has no column of texts")


def test_the_page_escapes_and_asks_for_nothing_outside(client, judge, monkeypatch):
    monkeypatch.setattr(judge, "manifest", replace(judge.manifest, note="<b>simulated</b> ratings"))
    page = client.get("/")
    assert "learned from &lt;b&gt;simulated&lt;/b&gt; ratings: its scores show" in page.text
    assert "http" not in page.text.replace("http-equiv", "")
    for name in ("style.css", "serve.css", "serve.js", "icon.svg"):
        assert f"/static/{name}" in page.text or name == "style.css"
        content = client.get(f"/static/{name}").text
        outside = content.replace("http://www.w3.org/2000/svg", "")
        assert "://" not in outside and "url(" not in outside, name
    assert "innerHTML" not in client.get("/static/serve.js").text


def test_equal_ranks_are_those_of_the_judges_noise(client, judge, monkeypatch):
    assert 'data-difference="0.005">' in client.get("/").text
    known = Intervals(coverage=0.9, floor=1.0, slope=0.0, quantile=2.0, difference=2.4)
    monkeypatch.setattr(judge, "manifest", replace(judge.manifest, intervals=known))
    page = client.get("/").text
    assert 'data-difference="2.4" data-coverage="90 %">' in page
    assert "ratings in 90 % of pairs" in page
    _, result = wait(client, post(client, [("a.wav", wav())], ["a dog"]))
    (pair,) = result["pairs"]
    # half the width is 2 scales of 1 point
    assert pair["interval"] == pytest.approx(
        [max(0, pair["value"] - 2), min(10, pair["value"] + 2)]
    )


def test_every_answer_forbids_what_is_not_from_here(client):
    for path in ("/", "/static/serve.js", "/jobs/nothing"):
        headers = client.get(path).headers
        assert headers["content-security-policy"].startswith("default-src 'self'; ")
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "10.0.0.5", "", "[::1"])
def test_another_host_name_is_refused_even_if_it_leads_here(client, host):
    assert "is not served as" in refusal(client.get("/", headers={"host": host}), 403)


@pytest.mark.parametrize("host", ["localhost:8765", "127.0.0.1:8765", "[::1]:8765", "LOCALHOST"])
def test_this_machines_names_are_answered_under_any_port(client, host):
    assert client.get("/", headers={"host": host}).status_code == 200


def test_further_names_must_be_named_and_addresses_only_where_all_may_connect(judge):
    made = application.create_application(judge, host="0.0.0.0", names=["lab.example"])
    with TestClient(made) as opened:
        for host in ("lab.example", "10.0.0.5:80", "[fe80::1]:80"):
            assert opened.get("/", headers={"host": host}).status_code == 200
        assert opened.get("/", headers={"host": "evil.example"}).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:81"},
        {"origin": "http://127.0.0.1.evil.example"},
    ],
)
def test_a_form_of_another_page_is_refused(client, headers):
    answer = post(client, [("a.wav", wav())], ["a dog"], **headers)
    assert "another page" in refusal(answer, 403)


def test_without_an_origin_the_browser_must_not_say_that_it_is_another_site(judge):
    made = application.create_application(judge, limits=LIMITS)
    with TestClient(made, base_url="http://127.0.0.1") as opened:
        sounds = [("a.wav", wav())]
        answer = post(opened, sounds, ["a dog"], **{"sec-fetch-site": "cross-site"})
        assert "another page" in refusal(answer, 403)
        assert post(opened, sounds, ["a dog"]).status_code == 202


def test_too_large_a_request_is_413_with_and_without_a_stated_length(client):
    large = bytes(2_100_000)
    assert "more than 2 MB" in refusal(post(client, [("a.wav", large)], ["a dog"]), 413)

    def chunks():
        yield b'--x\r\ncontent-disposition: form-data; name="sounds"; filename="a"\r\n\r\n'
        for _ in range(30):
            yield bytes(100_000)

    headers = {"content-type": "multipart/form-data; boundary=x"}
    answer = client.post("/scores", content=chunks(), headers=headers)
    assert "more than 2 MB" in refusal(answer, 413)
    stated = {"content-length": "2000001"}  # refused before any of it is read
    assert "more than 2 MB" in refusal(client.post("/scores", content=b"x", headers=stated), 413)


@pytest.mark.parametrize(
    ("sounds", "texts", "reason"),
    [
        (0, ["a dog"], "there is no sound"),
        (1, [], "there is no text"),
        (1, [" ", "\n"], "there is no text"),
        (4, ["a dog"], "there are 4 sounds: send 3 at most"),
        (1, list("abcd"), "there are 4 texts: send 3 at most"),
        (3, ["a", "b"], "3 sounds with 2 texts are 6 pairs: send 4 at most"),
        (1, ["x" * 61], "61 characters"),
        (1, ["a\0b"], "holds a NUL"),
        (13, ["a dog"], "Too many files"),
    ],
)
def test_counts_and_lengths_have_limits(client, sounds, texts, reason):
    uploads = [(f"{number}.wav", b"RIFF") for number in range(sounds)]
    assert reason in refusal(post(client, uploads, texts), 422)


def test_what_is_no_form_is_refused(client):
    assert "there is no text" in refusal(client.post("/scores", content=b"{}"), 422)
    headers = {"content-type": "multipart/form-data; boundary=x"}
    assert refusal(client.post("/scores", content=b"nonsense", headers=headers), 422)


TABLE = 'id,wav_file_name,text\n7,a.wav,"a dog, barking"\n8,b.wav,rain\n9,a.wav,rain\n'


def test_a_table_comes_back_with_its_columns_its_order_and_the_scores(client, judge, tmp_path):
    archive = zip_of({"take1/a.wav": wav(1, 1), "take1/b.wav": b"no sound", "notes.txt": b"x"})
    job, result = wait(client, post_table(client, TABLE, archive))
    rows = download(client, job)
    assert rows[0] == ["id", "wav_file_name", "text", "pred_score"]
    assert [row[:3] for row in rows[1:]] == list(csv.reader(io.StringIO(TABLE)))[1:]
    (tmp_path / "a").write_bytes(wav(1, 1))
    assert float(rows[1][3]) == pytest.approx(
        judge.score(tmp_path / "a", "a dog, barking"), abs=1e-4
    )
    assert rows[2][3] == ""
    assert [error["row"] for error in result["errors"]] == [2]
    assert result["rows"] == 3
    assert result["mean"] == pytest.approx(
        np.mean([float(rows[1][3]), float(rows[3][3])]), abs=1e-4
    )


@pytest.mark.parametrize(
    ("table", "name", "reason"),
    [
        ("wav_file_name,text\nc.wav,x\n", "pairs.csv", "the zip lacks 'c.wav'"),
        ("wav_file_name,text\na.wav,x\n", "pairs.xlsx", "save the table as one of"),
        ("wav_file_name,text\na.wav,x\n", "../../.csv", "save the table as one of"),
        ("wav_file_name,text\n" + "a.wav,x\n" * 5, "pairs.csv", "has 5 rows: send 4 at most"),
        ("wav_file_name,text\na.wav," + "x" * 61, "pairs.csv", "61 characters"),
        ("wav_file_name,text\n/etc/passwd,x\n", "pairs.csv", "the zip lacks '/etc/passwd'"),
    ],
)
def test_a_table_that_cannot_be_scored_is_refused(client, table, name, reason):
    answer = post_table(client, table, zip_of({"a.wav": wav()}), name)
    assert reason in refusal(answer, 422)


def test_a_table_without_its_zip_is_refused(client):
    answer = client.post("/tables", files={"table": ("p.csv", TABLE.encode())})
    assert "there is no zip" in refusal(answer, 422)
    assert "there is no table" in refusal(client.post("/tables", data={"x": "y"}), 422)


def unpack(content: bytes, folder: Path, wanted: list[str]) -> dict[str, Path]:
    (folder / "z").write_bytes(content)
    (folder / "out").mkdir(exist_ok=True)
    with zipped_sounds.open_sounds(folder / "z", LIMITS) as sounds:
        return sounds.unpack(wanted, folder / "out")


@pytest.mark.parametrize(
    "name", ["../evil.wav", "/evil.wav", "a/../../evil.wav", "C:/evil.wav", "a\\..\\evil.wav"]
)
def test_an_archive_that_leads_out_of_its_folder_is_refused(tmp_path, name):
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(RefusalError, match="leads out of its folder") as caught:
        unpack(zip_of({"a.wav": b"x", name: b"evil"}), folder, ["a.wav"])
    assert caught.value.status == 422
    assert not list(tmp_path.rglob("evil.wav"))


def test_an_archive_with_a_link_is_refused(tmp_path):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        link = zipfile.ZipInfo("a.wav")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(RefusalError, match="holds a link, 'a.wav'"):
        unpack(file.getvalue(), tmp_path, ["a.wav"])


def test_files_are_laid_down_under_numbers_and_never_under_their_names(tmp_path):
    files = unpack(zip_of({"x/a.wav": b"A", "b.wav": b"B"}), tmp_path, ["a.wav", "b.wav", "a.wav"])
    assert {name: path.read_bytes() for name, path in files.items()} == {
        "a.wav": b"A",
        "b.wav": b"B",
    }
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["0", "1"]


def test_a_name_may_lack_the_extension_of_a_sound(tmp_path):
    archive = zip_of({"x/a.wav": b"A", "b.v2.flac": b"B", "c.txt": b"C"})
    files = unpack(archive, tmp_path, ["a", "x/a", "b.v2"])
    assert [path.read_bytes() for path in files.values()] == [b"A", b"A", b"B"]
    with pytest.raises(RefusalError, match="lacks 'c'"):
        unpack(archive, tmp_path, ["c"])


def test_the_column_of_sounds_is_the_one_that_the_zip_fits(client):
    table = "id,name,caption\n1,a,a dog\n2,a,rain\n"
    job, _ = wait(client, post_table(client, table, zip_of({"a.wav": wav()})))
    assert [row[:3] for row in download(client, job)[1:]] == [
        ["1", "a", "a dog"],
        ["2", "a", "rain"],
    ]


def test_a_name_that_two_files_end_in_is_refused(tmp_path):
    archive = zip_of({"x/a.wav": b"A", "y/a.wav": b"B"})
    with pytest.raises(RefusalError, match=r"x/a\.wav and y/a\.wav: write in the table"):
        unpack(archive, tmp_path, ["a.wav"])
    assert unpack(archive, tmp_path, ["y/a.wav"])["y/a.wav"].read_bytes() == b"B"


def test_an_archive_that_unpacks_to_more_than_the_limit_is_413(tmp_path):
    bomb = zip_of({"a.wav": bytes(3_000_000)})
    assert len(bomb) < 10_000
    with pytest.raises(RefusalError, match="more than 2 MB") as caught:
        unpack(bomb, tmp_path, ["a.wav"])
    assert caught.value.status == 413


def test_a_damaged_archive_is_refused(tmp_path):
    good = zip_of({"a.wav": wav()})
    for bad in (b"no zip", good[: len(good) // 2], good[:60] + b"\xff" * 40 + good[100:]):
        with pytest.raises(RefusalError, match="the zip"):
            unpack(bad, tmp_path, ["a.wav"])


@pytest.mark.slow
def test_no_damage_of_an_archive_is_more_than_a_refusal(tmp_path):
    good = zip_of({"take/a.wav": wav(0.1), "b.wav": b"B" * 300})
    rng, outcomes = random.Random(0), set()
    for _ in range(1500):
        bad = bytearray(good)
        for _ in range(rng.choice((1, 2, 5, 30))):
            # Its directory is at the end: what is there says where the rest is.
            place = rng.choice((rng.randrange(len(bad)), len(bad) - 1 - rng.randrange(150)))
            bad[place : place + rng.choice((0, 1, 4))] = rng.randbytes(rng.choice((0, 1, 4)))
        try:
            unpack(bytes(bad), tmp_path, ["a.wav", "b.wav"])
            outcomes.add(200)
        except RefusalError as error:
            outcomes.add(error.status)
    assert outcomes == {200, 422}


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\sounds\\a.wav", "a.wav"),
        ("a\nb\x1b[31m.wav", "ab[31m.wav"),
        ("", "unnamed"),
        ("x" * 500, "x" * 200),
    ],
)
def test_names_are_shown_and_never_used(name, shown):
    assert uploads.shown_name(name) == shown


def test_requests_wait_in_a_short_queue_and_results_are_forgotten(judge):
    limits = Limits(waiting=1, kept=2)
    made = application.create_application(judge, limits=limits)
    with TestClient(made, base_url="http://127.0.0.1") as opened:
        jobs = [wait(opened, post(opened, [("a.wav", wav())], ["a dog"]))[0] for _ in range(4)]
        assert "forgotten" in refusal(opened.get(f"/jobs/{jobs[0]}"), 404)
        assert opened.get(f"/jobs/{jobs[3]}").status_code == 200


def test_a_full_queue_answers_503_at_once(judge, monkeypatch):
    gate = threading.Event()
    monkeypatch.setattr(application.judging, "judge_grid", lambda *rest: gate.wait(30))
    made = application.create_application(judge, limits=Limits(waiting=1))
    with TestClient(made, base_url="http://127.0.0.1") as opened:
        answers = [post(opened, [("a.wav", wav())], ["a dog"]) for _ in range(4)]
        gate.set()
    codes = sorted(answer.status_code for answer in answers)
    assert codes[0] == 202 and codes[-2:] == [503, 503]
    assert "wait already" in refusal(answers[-1], 503)


def test_a_fault_of_ours_ends_its_request_and_not_the_page(judge, monkeypatch, caplog):
    def fail(*rest):
        raise KeyError("secret")

    monkeypatch.setattr(application.judging, "judge_grid", fail)
    made = application.create_application(judge)
    with TestClient(made, base_url="http://127.0.0.1") as opened:
        job = post(opened, [("a.wav", wav())], ["a dog"]).json()["job"]
        for _ in range(100):
            status = opened.get(f"/jobs/{job}").json()
            if status["state"] == "failed":
                break
            time.sleep(0.02)
        assert status["error"] == "this is a fault of soundjudge: its terminal says more"
        assert "secret" in caplog.text
        assert opened.get("/").status_code == 200


def test_nothing_is_left_on_disk(client, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    wait(client, post(client, [("a.wav", wav())], ["a dog"]))
    refusal(post(client, [("a.wav", wav())], []), 422)
    refusal(post_table(client, TABLE, b"no zip"), 422)
    for _ in range(50):
        if not list(tmp_path.iterdir()):
            break
        time.sleep(0.02)
    assert not list(tmp_path.iterdir())


@contextmanager
def full_disk():
    """Until its end no file may grow beyond 1,000 bytes: pytest, too, may write to one."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize("seconds", [1, 20])  # the form's own parser stores what has over 1 MB
def test_a_full_disk_is_a_sentence_for_sender_and_log(client, caplog, seconds):
    sound = wav(seconds)
    with full_disk():
        refused = refusal(post(client, [("a.wav", sound)], ["a dog"]), 507)
        refused_table = refusal(post_table(client, TABLE, zip_of({"a.wav": sound})), 507)
    assert "no room for uploads" in refused and "no room" in refused_table
    assert caplog.text.count("an upload cannot be stored: [Errno 27] File too large") == 2
    assert "Traceback" not in caplog.text


def test_without_a_temporary_folder_the_page_lives_on(client, tmp_path, monkeypatch, caplog):
    gone = tmp_path / "gone"
    with monkeypatch.context() as patch:
        patch.setattr("tempfile.tempdir", str(gone))
        answer = post(client, [("a.wav", wav())], ["a dog"])
        assert str(gone) not in refusal(answer, 507)
        assert f"No such file or directory: '{gone}" in caplog.text and "TMPDIR" in caplog.text
    wait(client, post(client, [("a.wav", wav())], ["a dog"]))


def test_a_folder_that_cannot_be_removed_does_not_end_the_worker(client, monkeypatch):
    def refuse(*rest, **options):
        raise OSError(30, "Read-only file system")

    with monkeypatch.context() as patch:
        patch.setattr("os.unlink", refuse)
        wait(client, post(client, [("a.wav", wav())], ["a dog"]))
    wait(client, post(client, [("a.wav", wav())], ["a dog"]))


def test_a_tone_is_bright_where_it_sounds_and_silence_is_dark(tone):
    from matplotlib import image

    picture = image.imread(io.BytesIO(spectrogram_png(tone(2_000.0, seconds=1.0))))
    rows = picture[..., :3].sum(axis=2).mean(axis=1)  # the first is the highest frequency
    assert abs(rows.argmax() - (1 - 2_000 / 8_000) * (len(rows) - 1)) <= 1
    dark = image.imread(io.BytesIO(spectrogram_png(np.zeros(16_000, dtype=np.float32))))
    assert dark[..., :3].max() < 0.1
    assert spectrogram_png(np.ones(10, dtype=np.float32)).startswith(b"\x89PNG")
