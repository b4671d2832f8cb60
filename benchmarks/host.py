"""What the processor does for a step of `pretrain`: kernels, waits, milliseconds; plainly and now.

    OMP_NUM_THREADS=1 python benchmarks/host.py [--layers 24 --width 32 --steps 6 --compile]

A step (forward, list loss, backward, clipping, AdamW) on a list of 16 pairs with as many layers as
published, but so narrow and short that arithmetic takes next to no time: what remains is what a GPU
waits for. Runs on the CPU, in one process, on the same weights. Counts come from torch's profiler:

    kernels        operations that write memory, forward, backward and optimizer
    of these fills memory that deterministic torch fills before an operation writes it
    waits          questions that a GPU would have to finish its work for: reads of a number,
                   selections by a mask, copies from memory that is not pinned
    milliseconds   of the processor in the loop's own thread per step, the least

`--compile` adds the layers compiled, which takes minutes; the compiler counts its kernels itself.
Prints a markdown table.
"""

import argparse
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from unittest import mock

import operations
import random_steps
import torch
from random_steps import PLAIN, RandomTraining, Way
from torch import Tensor
from torch.autograd.profiler_util import FunctionEvent
from transformers import Qwen2Config

from soundjudge.runtime import devices

# Of these an operation consists, or they only look at memory in another way.
NO_KERNELS = {
    *("empty", "empty_like", "empty_strided", "resize_", "view", "_unsafe_view", "reshape", "t"),
    *("transpose", "permute", "expand", "expand_as", "as_strided", "slice", "select", "narrow"),
    *("unsqueeze", "squeeze", "unflatten", "flatten", "split", "chunk", "detach", "alias", "lift"),
    *("unbind", "view_as", "_reshape_alias", "_nested_tensor_size", "result_type", "to", "item"),
    *("_local_scalar_dense", "is_nonzero", "diagonal", "detach_", "contiguous", "lift_fresh"),
    *("size", "stride", "resolve_conj", "resolve_neg", "set_", "_has_compatible_shallow_copy_type"),
}
AUDIO_TOKENS = 4  # not 100: arithmetic shall take next to no time
AT_ONCE = ("_foreach_", "_fused_")
WAITS = ("_local_scalar_dense", "nonzero", "masked_select")
WAYS = {
    "plain": PLAIN,
    "without fills": replace(PLAIN, fills=False),
    "without fills and masks": replace(PLAIN, fills=False, masks=False),
    "as the loop does": Way(),
}
COMPILED = {"as the loop does, compiled": Way(compiled=True)}


@dataclass(frozen=True, kw_only=True)
class HostCost:
    """What one step takes of the processor."""

    kernels: float
    fills: int
    waits: int
    milliseconds: float


def small_sizes(layers: int, width: int) -> operations.Sizes:
    """The published depth at another width, with few audio tokens."""
    sizes = operations.published_sizes(layers)
    llm = Qwen2Config(
        vocab_size=400,
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=layers,
        num_attention_heads=2,
        num_key_value_heads=1,
        tie_word_embeddings=True,
    )
    config = replace(sizes.config, projector_hidden=width, head=(width, width, width // 2))
    beats = replace(sizes.beats, encoder_embed_dim=width, encoder_attention_heads=2)
    frontend = replace(sizes.frontend, audio_tokens=AUDIO_TOKENS)
    return replace(sizes, llm=llm, config=config, beats=beats, frontend=frontend)


def measure(training: RandomTraining, steps: int) -> HostCost:
    """The cost of a step, after as many steps of warm-up."""
    copies = 0

    def counting(tensor: Tensor, device: torch.device) -> Tensor:
        nonlocal copies
        copies += 1
        return tensor.to(device)

    for _ in training.steps(steps):
        pass
    least, start = float("inf"), time.thread_time()
    for _ in training.steps(steps):
        least, start = min(least, time.thread_time() - start), time.thread_time()
    activities = [torch.profiler.ProfilerActivity.CPU]
    with mock.patch.object(random_steps, "waiting_copy", counting):
        running = training.steps(2)
        next(running)
        copies = 0
        with torch.profiler.profile(activities=activities) as profile:
            next(running)
        counts = count_leaves(profile)
        running.close()
    kernels = sum(n for name, n in counts.items() if name not in NO_KERNELS)
    waits = copies + sum(counts[name] for name in WAITS)
    return HostCost(kernels=kernels, fills=counts["fill_"], waits=waits, milliseconds=1000 * least)


def count_leaves(profile: torch.profiler.profile) -> Counter[str]:
    """How often each operation of torch ran that called no other but views and allocations.

    What a CPU does tensor by tensor and a GPU at once, for clipping and AdamW, counts once.
    """
    counts: Counter[str] = Counter()
    for event in profile.events():
        if not event.name.startswith("aten::"):
            continue
        name = event.name.removeprefix("aten::")
        if name.startswith(AT_ONCE):
            counts[name] += 1
        elif not _is_inside(event, tuple(f"aten::{prefix}" for prefix in AT_ONCE)):
            # On a GPU the optimizer's counts of steps stay there.
            inner = {child.name.removeprefix("aten::") for child in event.cpu_children}
            is_leaf = not inner - NO_KERNELS or name in WAITS
            counts[name] += is_leaf and not (name in WAITS and _is_inside(event, ("Optimizer.",)))
    return counts


def compiled_kernels(layers: int) -> float:
    """Kernels of the compiler's own in a step, of all layers, forward and backward."""
    from torch._dynamo.utils import counters
    from torch._inductor import metrics

    return layers * metrics.generated_kernel_count / counters["stats"]["unique_graphs"]


def _is_inside(event: FunctionEvent, prefixes: tuple[str, ...]) -> bool:
    parent = event.cpu_parent
    while parent is not None and not parent.name.startswith(prefixes):
        parent = parent.cpu_parent
    return parent is not None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layers", type=int, default=24, help="of the language model")
    parser.add_argument("--width", type=int, default=32, help="of the language model")
    parser.add_argument("--steps", type=int, default=6, help="measured, of each way")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="bf16")
    parser.add_argument("--compile", action="store_true", help="add the layers compiled")
    options = parser.parse_args()

    devices.make_deterministic()
    device = devices.process_state("cpu").device
    sizes = small_sizes(options.layers, options.width)
    print("| a step on 16 pairs | kernels | of these fills | waits | processor ms | times less |")
    print("|---|---|---|---|---|---|")
    plain = None
    with tempfile.TemporaryDirectory() as folder:
        for name, way in (WAYS | (COMPILED if options.compile else {})).items():
            path = Path(folder) / "features"
            training = RandomTraining(sizes, path, device, options.precision, way)
            cost = measure(training, options.steps)
            if way.compiled:
                cost = replace(cost, kernels=cost.kernels + compiled_kernels(options.layers))
            plain = plain or cost.milliseconds
            cells = [f"{cost.kernels:,.0f}", f"{cost.fills:,}", str(cost.waits)]
            cells += [f"{cost.milliseconds:.1f}", f"{plain / cost.milliseconds:.2f}"]
            print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
