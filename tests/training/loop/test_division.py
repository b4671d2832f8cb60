"""Processes divide a step by its items, or by the pairs inside its lists: one device's updates."""

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from repository import ROOT

from soundjudge.errors import SoundjudgeError
from soundjudge.runtime import artifacts
from soundjudge.training.loop import division
from soundjudge.training.loop.objective import ItemLoss, ListLoss
from soundjudge.training.loop.optimization import Optimization

SMALL = Optimization(optimizer="adamw", learning_rate=0.1, epochs=1, batch_size=1)
CAPTIONS = ItemLoss(read=lambda items: (), loss=lambda module, inputs, generator: None)


def lists(size, group=1):
    """A loss of lists of so many pairs."""
    parts = {"scores": lambda module, inputs, generator: None, "loss": lambda scores, items: None}
    return ListLoss(read=lambda items: (), **parts, list_size=size, group=group)


def shares(batch, loss, processes, passes=1):
    return [division.divide_step(batch, loss, passes, r, processes) for r in range(processes)]


def test_lists_that_go_evenly_stay_whole():
    batch = np.arange(12).reshape(4, 3)
    (first,), (second,) = shares(batch, lists(3), 2)
    assert first.items.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert second.read.tolist() == [6, 7, 8, 9, 10, 11]
    assert first.sizes is None and first.weight == 1 and first.count == 2


def test_a_list_is_divided_in_shares_that_differ_by_a_pair_at_most():
    batch = np.arange(5).reshape(1, 5)
    parts = [share for (share,) in shares(batch, lists(5), 3)]
    assert [part.read.tolist() for part in parts] == [[0, 1], [2, 3], [4]]
    assert all(part.items is not None and part.sizes == (2, 2, 1) for part in parts)
    # Every process has the whole loss; gradients are averaged over three, the sum over three.
    assert [(part.weight, part.count) for part in parts] == [(3.0, 1 / 3)] * 3


def test_pairs_that_share_a_sound_stay_together():
    batch = np.arange(8).reshape(1, 8)
    parts = [share for (share,) in shares(batch, lists(8, group=2), 3)]
    assert [part.read.tolist() for part in parts] == [[0, 1, 2, 3], [4, 5], [6, 7]]


def test_several_passes_divide_whole_lists_and_each_its_pairs():
    batch = np.arange(12).reshape(3, 4)
    first, second = shares(batch, lists(4), 2, passes=2)
    assert [part.read.tolist() for part in first] == [[0, 1, 2, 3], [8, 9]]
    assert [part.read.tolist() for part in second] == [[4, 5, 6, 7], [10, 11]]
    assert [part.weight for part in first] == [pytest.approx(4 / 3), pytest.approx(2 / 3)]


def test_an_epochs_last_step_may_leave_a_process_without_an_item():
    parts = [share for (share,) in shares(np.arange(4).reshape(1, 4), lists(4, group=2), 3)]
    assert [(part.weight, part.count) for part in parts] == [(3, 1), (0, 0), (0, 0)]
    parts = [share for (share,) in shares(np.arange(2), CAPTIONS, 3)]
    assert [(len(part.items), part.weight) for part in parts] == [(1, 1.5), (1, 1.5), (1, 0)]


def test_one_process_reads_the_lists_as_they_are():
    batch = np.arange(12).reshape(4, 3)
    ((share,),) = shares(batch, lists(3), 1)
    assert share.items.tolist() == batch.tolist() and share.sizes is None and share.weight == 1


@pytest.mark.parametrize(
    ("loss", "change", "processes", "message"),
    [
        (CAPTIONS, {"batch_size": 2}, 3, "batch_size is 2, .* raise it to at least 3"),
        (lists(4), {}, 5, "batch_size is 1 and a list has 4 pairs: .* multiple of 5, .* most 4"),
        (lists(16, group=4), {}, 5, "captions_per_clip 4 stay together.* most 4 processes"),
        (lists(4), {"batch_size": 3, "accumulation_steps": 3}, 5, "most 4 processes"),
    ],
)
def test_what_cannot_be_divided_is_refused_with_a_remedy(loss, change, processes, message):
    with pytest.raises(SoundjudgeError, match=message):
        division.check_division(loss, replace(SMALL, **change), processes)


@pytest.mark.parametrize(
    ("loss", "change", "processes"),
    [
        (CAPTIONS, {"batch_size": 5}, 3),
        (lists(4), {}, 4),
        (lists(4, group=4), {"batch_size": 8}, 4),
        (lists(2), {"batch_size": 6}, 3),
    ],
)
def test_what_can_be_divided_is_taken(loss, change, processes):
    division.check_division(loss, replace(SMALL, **change), processes)


# Four trainings without dropout, and how many pairs or captions each process scored in each step.
SCRIPT = """
import json, sys
from dataclasses import replace
from pathlib import Path
import pandas as pd, torch
from soundjudge import torchaudio_shim
torchaudio_shim.install_shim()
import tiny_clap, tiny_lalm, tiny_training, tiny_tuning
from soundjudge.clap.clapscore.clapscore import ClapScore
from soundjudge.model.lalm.lalm import Lalm
from soundjudge.runtime import artifacts, devices
from soundjudge.training.caption import caption
from soundjudge.training.finetune import finetune
from soundjudge.training.pretrain import pretrain
from soundjudge.training.tune_clap import tune_clap

devices.make_deterministic()
state = devices.process_state("cpu")
work = Path(sys.argv[1])
own = work / f"process{state.process_index}"
clips = tiny_training.clips(own / "clips")
features = tiny_training.features(own / "rows", clips.ids())
captions, labels = tiny_training.captions(), tiny_training.pseudo_labels()
scored = {}
if state.is_main_process:
    tiny_lalm.llm_folder(work / "llm")
state.wait_for_everyone()

def watch(kind, name, argument):
    method = getattr(kind, name)
    def watching(self, *inputs):
        if torch.is_grad_enabled():
            scored[run].append(len(inputs[argument]))
        return method(self, *inputs)
    setattr(kind, name, watching)

watch(Lalm, "sequence_scores", 1)
watch(Lalm, "sequence_caption_loss", 1)
watch(tune_clap.TuneInputs, "scores", 0)

def optimization(**changes):
    # Adam adds the decay to the gradient: a gradient of another scale makes other steps.
    values = {"optimizer": "adam", "learning_rate": 0.01, "weight_decay": 1.0, "clip_norm": None}
    values |= {"batch_size": 1, "epochs": 2}
    return replace(tiny_training.OPTIMIZATION, **values | changes)

def start(name, order="text_first"):
    global run
    run = name
    scored[run] = []
    (work / name).mkdir(exist_ok=True)
    config = replace(tiny_lalm.CONFIG, order=order, projector_dropout=0.0, head_dropout=0.0)
    torch.manual_seed(1)
    lalm = Lalm.from_llm(work / "llm", config, tiny_lalm.FRONTEND, tiny_lalm.FEATURE_DIM)
    with torch.no_grad():
        for weight in lalm.parameters():
            weight.add_(0.05)  # where ListNet has no gradient, Adam then sees decay, not rounding
    return lalm, {"work": work / name, "device": "cpu", "log": tiny_training.silent}

def save(module):
    if state.is_main_process:
        artifacts.save_tensors(work / f"{run}.safetensors", {
            name: tensor.clone() for name, tensor in module.state_dict().items()})

def select(split):
    return pretrain.select_pseudolabeled(labels, captions, clips.table, [split], split)

ranking = {"llm": tiny_training.FULL, "loss": "listnet", "temperature": 0.5, "eval_batch_size": 3}
for name, order, changes in [
    ("pretrain", "text_first", {}),
    ("shared", "audio_first", {"list_size": 8}),
    ("passes", "text_first", {"optimization": optimization(batch_size=4, accumulation_steps=2)}),
]:
    lalm, where = start(name, order)
    values = {"list_size": 4, "captions_per_clip": 2, "optimization": optimization()} | changes
    config = pretrain.PretrainConfig(
        **ranking, **values, train_splits=("train",), validation_splits=("validation",))
    member = pretrain.PretrainMember(seed=1, warm_start="none")
    pretrain.train(lalm, features, select("train"), select("validation"), config, member, **where)
    save(lalm)

lalm, where = start("finetune")
config = finetune.FinetuneConfig(**ranking, list_size=4, optimization=optimization())
member = finetune.FinetuneMember(
    seed=1, warm_start="none", target="latent", sample_weights="precision")
sounds = finetune.TrainingSounds(features, clips, tiny_training.encoder(), None)
targets = (tiny_training.targets(split) for split in ("train", "validation"))
finetune.train(lalm, sounds, *targets, config, member, **where)
save(lalm)

lalm, where = start("caption")
config = caption.CaptionConfig(
    model=lalm.config, llm=tiny_training.FULL, train_splits=("train",), seed=1, eval_batch_size=2,
    validation_splits=("validation",), optimization=optimization(batch_size=4))
pairs = (caption.select_captioned(captions, clips.table, [split], split)
         for split in ("train", "validation"))
caption.train(lalm, features, *pairs, config, **where)
save(lalm)

_, where = start("tune_clap")
store = tiny_tuning.write_store(own / "tuning")
model = ClapScore(tiny_clap.clap(), mean=7.0, std=3.0)
model.train = lambda mode=True: model  # without dropout
model.eval = lambda: super(ClapScore, model).train(False)
pairs = [tune_clap.rated_pairs(tiny_tuning.targets(*rows), "spo", 7.0, 3.0)
         for rows in ((0, 12), (12, 18))]
config = tiny_tuning.tuning(optimization={
    "batch_size": 1, "learning_rate": 0.01, "weight_decay": 1.0})
tune_clap.train(model, *pairs, store, config, **where)
save(model)
(work / f"scored{state.process_index}.json").write_text(json.dumps(scored))
"""


@pytest.fixture(scope="module")
def one(tmp_path_factory, warm_python):
    return run(warm_python, tmp_path_factory.mktemp("one"), ())


def run(python, folder, launcher):
    script = folder / "trainings.py"
    script.write_text(SCRIPT)
    paths = os.pathsep.join([str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": paths}
    environment["PYTHON_EXEC"] = str(python)  # of what torchrun starts
    command = [str(python), *launcher, str(script), str(folder)]
    subprocess.run(command, env=environment, check=True, timeout=600)
    return folder


def scored(folder: Path, process: int) -> dict[str, list[int]]:
    numbers: dict[str, list[int]] = json.loads((folder / f"scored{process}.json").read_text())
    return numbers


@pytest.mark.slow
@pytest.mark.skipif(
    not torch.distributed.is_available() or not torch.distributed.is_gloo_available(),
    reason="processes on a CPU talk through gloo, which this torch lacks",
)
@pytest.mark.parametrize("processes", [2, 3])
def test_processes_that_divide_lists_and_captions_make_the_updates_of_one(
    tmp_path, warm_python, one, processes
):
    launcher = ("-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}")
    several = run(warm_python, tmp_path, launcher)
    for name in ("pretrain", "shared", "passes", "finetune", "caption", "tune_clap"):
        expected = artifacts.load_tensors(one / f"{name}.safetensors")
        tensors = artifacts.load_tensors(several / f"{name}.safetensors")
        for key, tensor in expected.items():
            torch.testing.assert_close(tensors[key], tensor, atol=1e-5, rtol=0, msg=f"{name} {key}")
    first, last = scored(several, 0), scored(several, processes - 1)
    # Lists of four pairs, lists of four sounds with two texts each, and steps of four captions.
    for name in ("pretrain", "finetune", "tune_clap", "shared", "caption"):
        assert {*scored(one, 0)[name]} == {4}
        assert {*first[name]} == {2}
        assert {*last[name]} == {2 if processes == 2 else 1}
