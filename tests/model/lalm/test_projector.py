"""Frames become audio tokens: means over time, then a gated map."""

import torch
from torch.nn import functional

from soundjudge.model.frontend.frontend import pool_frames
from soundjudge.model.lalm.projector import GatedProjector


def test_pooling_takes_means_of_equal_stretches():
    frames = torch.tensor([[1.0, 3.0, 5.0, 7.0]]).unsqueeze(2)  # (1, 4, 1)
    assert pool_frames(frames, 2).flatten().tolist() == [2.0, 6.0]


def test_pooling_496_frames_to_100_tokens_overlaps_where_it_does_not_divide():
    frames = torch.arange(496.0).reshape(1, 496, 1)
    pooled = pool_frames(frames, 100).flatten()
    # token 1 covers frames floor(4.96) = 4 up to ceil(9.92) = 10: mean of 4..9
    assert pooled[0] == 2.0 and pooled[1] == 6.5 and pooled[99] == 493.0


def test_the_output_follows_its_equation():
    torch.manual_seed(0)
    projector = GatedProjector(6, 5, 3, dropout=0.5).eval()
    x = torch.randn(2, 4, 6)
    mlp = projector.mlp
    inner = functional.layer_norm(x, (6,)) @ mlp.fc1.weight.T + mlp.fc1.bias
    value, gate = inner[..., :5], inner[..., 5:]
    network = (value * gate * torch.sigmoid(gate)) @ mlp.fc2.weight.T + mlp.fc2.bias
    g = torch.sigmoid(x @ projector.residual_gate.weight.T + projector.residual_gate.bias)
    linear = x @ projector.residual_proj.weight.T + projector.residual_proj.bias
    torch.testing.assert_close(projector(x), g * linear + (1 - g) * network)


def test_names_and_sizes_are_those_of_the_published_model():
    with torch.device("meta"):
        projector = GatedProjector(768, 3584, 896, dropout=0.1)
    sizes = {name: tuple(tensor.shape) for name, tensor in projector.state_dict().items()}
    assert sizes == {
        "mlp.norm.weight": (768,),
        "mlp.norm.bias": (768,),
        "mlp.fc1.weight": (7168, 768),
        "mlp.fc1.bias": (7168,),
        "mlp.fc2.weight": (896, 3584),
        "mlp.fc2.bias": (896,),
        "residual_proj.weight": (896, 768),
        "residual_proj.bias": (896,),
        "residual_gate.weight": (896, 768),
        "residual_gate.bias": (896,),
    }


def test_dropout_acts_in_training_only():
    projector = GatedProjector(6, 50, 3, dropout=0.5)
    x = torch.randn(1, 4, 6)
    assert not torch.equal(projector.train()(x), projector(x))
    assert torch.equal(projector.eval()(x), projector(x))
