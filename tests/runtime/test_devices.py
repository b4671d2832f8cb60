"""One answer to `device: auto`, whoever asks."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import accelerate
import pytest
import torch
from repository import ROOT

from soundjudge.errors import SoundjudgeError
from soundjudge.runtime import devices


@pytest.fixture(autouse=True)
def new_process() -> Iterator[None]:
    """Lets a test choose this process's device; others find it unset."""
    accelerate.PartialState._reset_state()
    yield
    accelerate.PartialState._reset_state()


def test_auto_is_one_device_for_a_single_process_and_for_one_of_several():
    expected = "cuda" if torch.cuda.is_available() else "cpu"
    if torch.backends.mps.is_available():
        expected = "mps"
    assert devices.resolve_device("auto").type == expected
    assert devices.process_state("auto").device.type == expected


@pytest.mark.skipif(torch.cuda.is_available(), reason="accelerate prefers the NPU to a GPU")
def test_hardware_that_accelerate_alone_knows_changes_nothing(monkeypatch):
    expected = devices.resolve_device("auto").type
    monkeypatch.setattr("accelerate.state.is_npu_available", lambda: True)
    assert devices.process_state("auto").device.type == expected


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.gpu
def test_auto_after_the_cpu_was_chosen_is_an_error_and_not_another_answer():
    devices.process_state("cpu")
    with pytest.raises(SoundjudgeError, match="device is 'auto', but this process runs on 'cpu'"):
        devices.process_state("auto")


def test_auto_touches_no_device_before_the_process_has_its_own(monkeypatch):
    def allocate(*arguments, **options):
        raise AssertionError("each of several processes would hold memory of the first GPU")

    monkeypatch.setattr(torch, "empty", allocate)
    devices.process_state("auto")


def test_a_device_that_is_not_there_is_named():
    with pytest.raises(SoundjudgeError, match="device 'abacus'"):
        devices.resolve_device("abacus")
    with pytest.raises(SoundjudgeError, match="device is 'abacus', but this process runs on"):
        devices.process_state("abacus")


@pytest.mark.parametrize(
    "name", ["meta", "cuda:99", "cuda:x", "xla", "hpu", "privateuseone", "", "CPU", None, 99, []]
)
def test_a_device_that_computes_nothing_is_one_sentence(name):
    with pytest.raises(SoundjudgeError, match="is not there: use auto, cpu, cuda or mps"):
        devices.resolve_device(name)


def test_stages_that_compute_on_the_device_ask_for_the_same_bits_in_every_run():
    # A GPU adds up a text's log-probabilities in any order, unless it is asked not to.
    stages = {path.stem: path.read_text() for path in (ROOT / "stages").glob("*.py")}
    del stages["package"]  # stores no number of its score
    computing = [name for name, code in stages.items() if 'load("device"' in code]
    assert len(computing) >= 10
    assert [s for s in computing if "devices.make_deterministic()" not in stages[s]] == []


FILLS = """
import torch
from soundjudge.runtime import devices
devices.make_deterministic()
with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
    torch.empty(3)
print(sorted(event.key for event in profile.key_averages()))
print(torch.get_deterministic_debug_mode())
"""


@pytest.mark.slow
def test_what_is_deterministic_fills_no_memory_that_is_written_anyway():
    command = [sys.executable, "-c", FILLS]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert output.splitlines() == ["['aten::empty']", "2"]  # 2 = error


def test_tensors_are_pinned_in_any_dataclass_and_other_inputs_stay(monkeypatch):
    @dataclass(frozen=True)
    class Inputs:
        ids: torch.Tensor
        inner: object

    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: tensor + 1)
    waves = [torch.zeros(2).numpy()]
    pinned = devices.pin_tensors(Inputs(torch.zeros(2), Inputs(torch.ones(1), "a text")))
    assert pinned.ids.tolist() == [1, 1]
    assert pinned.inner.ids.tolist() == [2] and pinned.inner.inner == "a text"
    assert devices.pin_tensors(waves) is waves


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.gpu
def test_a_copy_to_a_gpu_has_the_same_numbers():
    tensor = torch.arange(6.0).view(2, 3)
    moved = devices.copy_to(tensor, torch.device("cuda"))
    assert moved.is_cuda and torch.equal(moved.cpu(), tensor)


def test_plain_arithmetic_is_fp32_whatever_surrounds_it_unless_bf16_is_asked_for():
    one, cpu = torch.ones(2, 2), torch.device("cpu")
    with torch.autocast("cpu", torch.bfloat16):
        with devices.plain_arithmetic():
            assert (one @ one).dtype == torch.float32
        with devices.plain_arithmetic(bf16=cpu):
            assert (one @ one).dtype == torch.bfloat16
    with devices.plain_arithmetic(bf16=cpu):
        assert (one @ one).dtype == torch.bfloat16
    assert (one @ one).dtype == torch.float32
