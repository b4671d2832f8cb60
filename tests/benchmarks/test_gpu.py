"""The benchmarks for a GPU run through on a CPU, and count what they name."""

import subprocess
import sys
import time
import weakref

import pytest
import torch
from repository import ROOT, load_benchmark

sys.path.append(str(ROOT / "benchmarks"))  # they import one another
host = load_benchmark("host")
random_steps = host.random_steps

# As on the GPU image, where these are missing.
WITHOUT = """
import runpy, sys
for name in ("soundfile", "soxr", "pydantic", "dvc"):
    sys.modules[name] = None
sys.path.insert(0, "benchmarks")
sys.argv = ["gpu.py", *sys.argv[1:]]
runpy.run_path("benchmarks/gpu.py", run_name="__main__")
"""


def run(*arguments):
    command = [sys.executable, "-c", WITHOUT, *arguments]
    return subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)


@pytest.fixture
def deterministic():
    torch.set_deterministic_debug_mode("error")
    yield
    torch.set_deterministic_debug_mode("default")


@pytest.mark.slow
def test_every_section_runs_at_tiny_sizes_and_is_written(tmp_path):
    path = tmp_path / "gpu.md"
    output = run("--smoke", "-o", str(path))
    assert output.returncode == 0, output.stderr
    lines = path.read_text()
    assert lines.count("| ok |") == 11 and "differs" not in lines
    assert "ends with the same bits: yes" in lines
    assert "left out" not in lines
    for name in ("| plain |", "| all of these, as the loop does |", "| windows a second |"):
        assert name in lines


def test_what_the_minutes_do_not_allow_is_named(capsys):
    gpu = load_benchmark("gpu")
    report = gpu.Report(60.0, None)
    assert report.has_time("Steps", 30.0)
    assert not report.has_time("Scoring", 61.0)
    assert not report.has_time("Steps: plain", 61.0, row=True)
    printed = capsys.readouterr().out
    assert "Scoring: left out, as 1 minutes are over." in printed
    assert "| Steps: plain | left out, as 1 minutes are over. |" in printed


def test_what_fails_is_named_and_the_rest_goes_on(capsys):
    gpu = load_benchmark("gpu")
    report = gpu.Report(60.0, None)
    with report.attempt("Steps: and compiled"):
        raise RuntimeError("no C compiler\nwas found")
    report.add("next")
    printed = capsys.readouterr()
    assert "Steps: and compiled: **failed**, RuntimeError: no C compiler\n\nnext" in printed.out
    assert "Traceback" in printed.err
    assert report.failures == 1


def test_a_part_of_parity_that_fails_or_differs_costs_its_own_row_and_the_exit_code(
    monkeypatch, tmp_path
):
    gpu = load_benchmark("gpu")
    parts = {"features": {"BEATs": [0.0, 1.0]}, "embed": None, "caption": {"loss": [0.5, 0.5]}}
    calls = dict.fromkeys(parts, 0)

    def outputs(name):
        calls[name] += 1
        if parts[name] is None:
            raise RuntimeError("no kernel for a|b\nis deterministic")
        wrong = float("nan") if name == "caption" and calls[name] == 2 else 0.0
        return {key: torch.tensor(values) + wrong for key, values in parts[name].items()}

    monkeypatch.setattr(
        gpu, "PARTS", {name: lambda device, name=name: outputs(name) for name in parts}
    )
    report = gpu.Report(60.0, tmp_path / "gpu.md")
    gpu.report_parity(report, torch.device("cpu"))
    assert (tmp_path / "gpu.md").read_text().splitlines()[3:] == [
        "| BEATs | 0.71 | 0.0e+00 | ok |",
        "| Parity: embed | **failed**, RuntimeError: no kernel for a\\|b |",
        "| loss | nan | nan | **differs** |",
    ]
    assert report.failures == 2


def test_sections_behind_one_that_fails_are_run_and_the_time_is_told(monkeypatch, capsys):
    gpu = load_benchmark("gpu")

    def fail(*arguments, **options):
        raise RuntimeError("out of memory")

    for name in ("report_parity", "report_resume", "report_scoring", "report_steps"):
        monkeypatch.setattr(gpu, name, fail)
    monkeypatch.setattr(gpu.devices, "make_deterministic", lambda: None)
    report = gpu.Report(60.0, None)
    gpu.run(True, report)
    assert report.failures == 4
    assert "s in all." in capsys.readouterr().out


def test_a_resume_with_other_bits_counts_as_failed(monkeypatch, tmp_path):
    gpu = load_benchmark("gpu")
    weights = {"whole": [torch.zeros(1)], "cut": [torch.ones(1)]}
    monkeypatch.setattr(gpu, "train_with_a_stop", lambda folder, *_: weights[folder.name])
    report = gpu.Report(60.0, None)
    gpu.report_resume(report, torch.device("cpu"), tmp_path)
    assert report.failures == 1


@pytest.mark.slow
def test_a_training_is_gone_before_the_next_is_made_so_that_memory_is_its_own(
    tmp_path, monkeypatch, deterministic
):
    gpu = load_benchmark("gpu")
    models, alive = [], []

    class WatchedTraining(gpu.RandomTraining):
        def __init__(self, *arguments):
            alive.append(sum(model() is not None for model in models))
            super().__init__(*arguments)
            models.append(weakref.ref(self.model))

    monkeypatch.setattr(gpu, "RandomTraining", WatchedTraining)
    ways = {"plain": random_steps.PLAIN, "ours": random_steps.Way()}
    sizes, device = host.small_sizes(1, 8), torch.device("cpu")
    gpu.report_steps(gpu.Report(600.0, None), device, sizes, "fp32", tmp_path, ways)
    assert alive == [0, 0]


@pytest.mark.slow
def test_the_clock_of_scoring_starts_when_the_device_is_idle(monkeypatch):
    gpu = load_benchmark("gpu")
    events = []

    def perf_counter():
        events.append("clock")
        return len(events)

    monkeypatch.setattr(gpu, "wait", lambda device: events.append("idle"))
    monkeypatch.setattr(time, "perf_counter", perf_counter)
    gpu.report_scoring(gpu.Report(60.0, None), torch.device("cpu"), host.small_sizes(1, 32), 2)
    assert events == ["idle", "clock", "clock"] * 4  # features and windows, fp32 and bf16


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_a_gpu_a_sentence_says_so():
    output = run()
    assert output.returncode == 1
    assert "there is no CUDA device" in output.stderr


@pytest.mark.slow
def test_a_step_as_the_loop_takes_it_waits_for_nothing_and_fills_nothing(tmp_path, deterministic):
    sizes, device = host.small_sizes(1, 8), torch.device("cpu")
    plain, ours = (
        host.measure(random_steps.RandomTraining(sizes, tmp_path / "f", device, "bf16", way), 2)
        for way in (random_steps.PLAIN, random_steps.Way())
    )
    # Of the plain way the features, ids, mask, lengths and targets are copied, and more is asked.
    assert plain.waits >= 6 and ours.waits == 0
    assert plain.fills - ours.fills > 50
    assert ours.kernels < plain.kernels - 50
    assert ours.milliseconds > 0
