"""Both pages in headless Chromium, where there is one: they work, and ask for nothing outside."""

import dataclasses
import shutil
import socket
import threading
from collections.abc import Iterator

import pytest
import tiny_evaluation
import tiny_judge
import tiny_systems
from optional_packages import soundfile

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
if CHROMIUM is None:
    pytest.skip("no Chromium is installed here", allow_module_level=True)
playwright = pytest.importorskip(
    "playwright.sync_api", reason="playwright is an extra: pip install 'soundjudge[browser]'"
)
uvicorn = pytest.importorskip("uvicorn", reason="an extra: pip install 'soundjudge[page]'")

from soundjudge.page.application import create_application  # noqa: E402
from soundjudge.scoring.evaluation import html_page  # noqa: E402
from soundjudge.scoring.judge.judge import Judge  # noqa: E402

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    root = tmp_path_factory.mktemp("repository")
    judge = Judge.from_pretrained(tiny_judge.build(root / "checkpoints/judge", root), "cpu")
    with socket.create_server(("127.0.0.1", 0)) as opened:
        server = uvicorn.Server(uvicorn.Config(create_application(judge), log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [opened]})
        thread.start()
        yield f"http://127.0.0.1:{opened.getsockname()[1]}"
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(params=[1200, 390], ids=["desktop", "phone"])
def page(browser, request):
    """A page that remembers its requests and what its console complains of."""
    context = browser.new_context(viewport={"width": request.param, "height": 900})
    page = context.new_page()
    page.requested, page.complaints = [], []
    page.on("request", lambda sent: page.requested.append(sent.url))
    page.on("console", lambda message: page.complaints.append(message.text))
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    yield page
    context.close()


def fits(page) -> bool:
    return page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def plays(page, selector: str) -> bool:
    return page.evaluate(
        """async (selector) => {
            const audio = document.querySelector(selector);
            audio.muted = true;
            await audio.play();
            return audio.duration > 0 && audio.error === null;
        }""",
        selector,
    )


def test_sounds_are_chosen_scored_ranked_and_played(address, page, tmp_path):
    names = ["a.wav", "<img src=x onerror=alert(1)>.wav"]
    for number, name in enumerate(names):
        soundfile.write(tmp_path / name, tiny_judge.noise(3.0, number), 16_000)
    page.goto(address)
    page.set_input_files("#sounds", [str(tmp_path / name) for name in names])
    page.fill("#texts", "a dog\n<b>rain</b>")
    page.click("#grid button[type=submit]")
    page.wait_for_selector(".scored")
    assert page.locator(".scored").count() == 4
    assert page.locator("#results h2").all_inner_texts() == ["a dog", "<b>rain</b>"]
    values = [float(text.split()[0]) for text in page.locator(".scored .value").all_inner_texts()]
    assert values[0] >= values[1] and values[2] >= values[3]
    assert page.locator(".steps .step").count() == 4 * 2  # windows of 1.2 s, without .6 s
    page.wait_for_function("[...document.images].every((i) => i.complete && i.naturalWidth > 0)")
    assert plays(page, ".scored audio")
    assert plays(page, "#chosen audio")
    playing = "[...document.querySelectorAll('audio')].filter((a) => !a.paused).length"
    page.wait_for_function(f"{playing} === 1")
    assert fits(page)
    assert all(url.startswith((address, f"blob:{address}")) for url in page.requested)
    assert page.complaints == []


def test_a_refusal_is_shown_as_its_sentence(address, page):
    page.goto(address)
    page.click("#grid button[type=submit]")
    page.wait_for_selector("#error:not([hidden])")
    assert page.inner_text("#error") == "there is no text: write what the sounds should match"


def test_everything_is_reached_by_keyboard_and_has_a_label(address, page):
    page.goto(address)
    reached = set()
    for _ in range(8):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.tagName"))
    assert {"sounds", "texts", "BUTTON", "SUMMARY"} <= reached
    unlabeled = page.evaluate(
        "[...document.querySelectorAll('input, textarea, progress')]"
        ".filter((field) => !field.labels.length).length"
    )
    assert unlabeled == 0


def test_the_report_opens_from_disk_plays_and_asks_for_nothing(page, tmp_path):
    systems = [
        tiny_systems.write_system(tmp_path / name, peaks)
        for name, peaks in (("loud", [0.9, 0.8, 0.7, 0.6]), ("soft", [0.1, 0.2, 0.8, 0.3]))
    ]
    prompts = tiny_systems.write_prompts(tmp_path, ["rain", "a dog", "a very long text " * 9, "x"])
    for name, megabytes in (("inside", 20.0), ("links", 0.0)):
        out = tmp_path / f"{name}.html"
        tiny_systems.write_report(systems, prompts, out, embed_megabytes=megabytes)
        page.requested.clear()
        page.goto(out.as_uri())
        assert plays(page, "audio"), name
        assert fits(page)
        assert all(url.startswith(("file://", "data:")) for url in page.requested)
        assert page.complaints == [], name


def test_the_page_of_an_evaluation_fits_and_asks_for_nothing(page, tmp_path):
    members = ("a", "a_member_with_a_long_name_of_its_own", "ensemble")
    split = tiny_evaluation.evaluated_split(systems=members)
    fit = dataclasses.replace(
        tiny_evaluation.FIT, members=members[:2], weights=dict.fromkeys(members[:2], 0.5)
    )
    out = tmp_path / "evaluation.html"
    html_page.write_page([split, split], out, note="simulated ratings", fit=fit)
    page.goto(out.as_uri())
    assert fits(page)
    assert page.requested == [out.as_uri()] and page.complaints == []
    square = page.locator("svg.square").first.bounding_box()
    assert square["height"] == pytest.approx(square["width"], abs=1)
