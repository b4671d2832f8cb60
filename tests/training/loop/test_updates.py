"""One update of a training: what its thread reads for the device."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from soundjudge.training.loop.objective import ItemLoss
from soundjudge.training.loop.optimization import Optimization
from soundjudge.training.loop.updates import Updates


@pytest.mark.parametrize(("device", "pinned"), [("cuda", 1), ("cpu", 0)])
def test_the_thread_pins_what_a_gpu_is_to_copy(monkeypatch, device, pinned):
    loss = ItemLoss(read=lambda items: (torch.zeros(2), "a text"), loss=lambda *_: None)
    optimization = Optimization(optimizer="adamw", learning_rate=0.1, epochs=1, batch_size=2)
    updates = Updates(torch.nn.Linear(1, 1), loss, optimization)
    where = {"device": torch.device(device), "process_index": 0, "num_processes": 1}
    updates.state = SimpleNamespace(**where)
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: tensor + 1)
    ((_, (tensor, text)),) = updates.read(np.arange(2)).passes
    assert tensor.tolist() == [pinned, pinned] and text == "a text"
