"""What a GPU makes of the pipeline: parity with the CPU, step times, scoring rates, one resume.

    python benchmarks/gpu.py [-o gpu.md] [--minutes 4]
    python benchmarks/gpu.py --smoke                   at tiny sizes on the CPU: does it run?

For a machine with CUDA, unattended: it needs torch, torchaudio, transformers, accelerate, pandas,
pyarrow, scipy and PyYAML, no sound and no weights but the sample's (checkpoints/sample). What the
minutes do not allow is left out and named; what fails is named, too, with its traceback on stderr,
and the rest goes on. Prints markdown tables; random weights, so scores mean nothing.
"""

import argparse
import gc
import statistics
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import host
import machine
import numpy as np
import operations
import torch
from random_lalm import build_lalm, text
from random_steps import PLAIN, RandomTraining, Way
from torch import Tensor, nn

from soundjudge.clap.encoders import checkpoints
from soundjudge.clap.encoders.source import ClapSource
from soundjudge.errors import SoundjudgeError
from soundjudge.model.audio.audio_encoder import encode_waves, load_audio_encoder
from soundjudge.model.audio.beats.beats import Beats
from soundjudge.model.lalm.lalm import Lalm
from soundjudge.model.likelihood.likelihood import Likelihood, LikelihoodConfig
from soundjudge.runtime import devices
from soundjudge.training.loop import loop
from soundjudge.training.loop.objective import ItemLoss
from soundjudge.training.loop.optimization import Optimization

SAMPLE = Path(__file__).resolve().parent.parent / "checkpoints/sample"
STEPS, WARM_UP = 10, 3
WAYS = {
    "plain": PLAIN,
    "without fills": replace(PLAIN, fills=False),
    "without masks": replace(PLAIN, masks=False),
    "read ahead": replace(PLAIN, reads_ahead=True),
    "all of these, as the loop does": Way(),
    "and compiled": Way(compiled=True),
}
TOLERANCE = 2e-3  # of a score or feature whose standard deviation is about 1, in float32


@dataclass
class Report:
    """Lines of markdown, and the time that remains for more."""

    seconds: float
    path: Path | None
    start: float = field(default_factory=time.monotonic)
    lines: list[str] = field(default_factory=list)
    failures: int = 0

    def add(self, *lines: str) -> None:
        """Prints lines at once, and writes all to the file: what is cut short keeps what it has."""
        self.lines += lines
        print("\n".join(lines), flush=True)
        if self.path is not None:
            self.path.write_text("\n".join(self.lines) + "\n", encoding="utf-8")

    def table(self, *header: str) -> None:
        """The head of a table."""
        self.add("", f"| {' | '.join(header)} |", "|---" * len(header) + "|")

    def note(self, name: str, text: str, row: bool) -> None:
        """A paragraph, or a row of the table, which a paragraph would end."""
        cell = text.replace("|", "\\|")
        self.add(*([f"| {name} | {cell} |"] if row else ["", f"{name}: {text}", ""]))

    def has_time(self, name: str, seconds: float, row: bool = False) -> bool:
        """Whether something that takes about so many seconds can begin; else a line says no."""
        if time.monotonic() - self.start + seconds <= self.seconds:
            return True
        self.note(name, f"left out, as {self.seconds / 60:g} minutes are over.", row)
        return False

    @contextmanager
    def attempt(self, name: str, row: bool = False) -> Iterator[None]:
        """Names what fails and goes on: nobody is there to start the rest again."""
        try:
            yield
        except Exception as error:  # noqa: BLE001  compilers and drivers share no class
            self.failures += 1
            traceback.print_exc()
            first = (str(error).splitlines() or [""])[0]
            self.note(name, f"**failed**, {type(error).__name__}: {first}", row)


def random_waves(count: int, seconds: float) -> list[np.ndarray]:
    """Noise of different levels."""
    rng = np.random.default_rng(0)
    levels = 10 ** rng.uniform(-3, -0.5, size=(count, 1))
    waves = levels * rng.standard_normal((count, round(16_000 * seconds)))
    return list(waves.astype(np.float32))


def small_lalm(device: torch.device, order: str = "text_first") -> Lalm:
    """The same small model on any device."""
    sizes = host.small_sizes(3, 32)
    torch.manual_seed(0)
    config = replace(sizes.config, order=order)
    model = build_lalm(sizes.llm, config, sizes.frontend, sizes.beats.encoder_embed_dim)
    with torch.no_grad():
        for weight in model.llm.parameters():
            weight.mul_(4)  # so that scores differ
    return model.to(device).eval()


def hear(device: torch.device) -> dict[str, Tensor]:
    """What BEATs makes of sounds."""
    encoder = load_audio_encoder(SAMPLE / "beats.pt", device)
    frontend = host.small_sizes(1, 32).frontend
    return {"features: BEATs": encode_waves(encoder, random_waves(4, 3.0), frontend)}


@torch.no_grad()
def embed(device: torch.device) -> dict[str, Tensor]:
    """What CLAP makes of sounds and texts."""
    clap = checkpoints.load_encoder(ClapSource(path=SAMPLE / "clap"), device)
    return {
        "embed: sounds": clap.embed_sounds(random_waves(4, 3.0)),
        "embed: texts": clap.embed_texts(["a dog barks", "rain"]),
    }


def pair_inputs() -> tuple[Tensor, list[str]]:
    """Features of four sounds, and a text for each, on the CPU."""
    sounds = torch.randn(4, host.AUDIO_TOKENS, 32, generator=torch.Generator().manual_seed(1))
    return sounds, [text(list(range(2, 2 + n))) for n in (3, 9, 1, 14)]


def score(device: torch.device, order: str) -> dict[str, Tensor]:
    """Scores and gradients of the language model."""
    (sounds, texts), model = pair_inputs(), small_lalm(device, order)
    scores = model.scores(sounds, texts)
    return {
        f"pretrain, finetune: scores, {order}": scores,
        f"pretrain, finetune: gradients, {order}": gradients(model, scores.square().sum()),
    }


def caption(device: torch.device) -> dict[str, Tensor]:
    """Loss and gradients of captioning."""
    (sounds, texts), model = pair_inputs(), small_lalm(device)
    loss = model.caption_loss(sounds, texts)
    return {"caption: loss": loss, "caption: gradients": gradients(model, loss)}


@torch.no_grad()
def share_sounds(device: torch.device) -> dict[str, Tensor]:
    """Scores of texts behind one sound, and the captioner as a member."""
    (sounds, texts), model = pair_inputs(), small_lalm(device, "audio_first")
    likelihood = Likelihood(model, sounds[2:].to(device), LikelihoodConfig(num_references=2))
    return {
        "pretrain: shared sounds": model.shared_scores(sounds[:2], texts),
        "likelihood": likelihood.scores(sounds, texts),
    }


PARTS: dict[str, Callable[[torch.device], dict[str, Tensor]]] = {
    "features": hear,
    "embed": embed,
    "text_first": partial(score, order="text_first"),
    "audio_first": partial(score, order="audio_first"),
    "caption": caption,
    "shared sounds": share_sounds,
}


def gradients(model: nn.Module, loss: Tensor) -> Tensor:
    """All gradients of a model in one vector, of length 1."""
    model.zero_grad()
    loss.backward()
    vector = torch.cat([p.grad.flatten().cpu() for p in model.parameters() if p.grad is not None])
    return vector / vector.norm()


def report_parity(report: Report, device: torch.device) -> None:
    """The largest difference between device and CPU, next to the standard deviation."""
    report.table("in float32, CPU against device", "standard deviation", "largest difference", "")
    for part, outputs in PARTS.items():
        with (
            report.attempt(f"Parity: {part}", row=True),
            torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False),
        ):
            others = outputs(device)
            for name, expected in outputs(torch.device("cpu")).items():
                report_gap(report, name, expected.detach(), others[name].detach().cpu())


def report_gap(report: Report, name: str, expected: Tensor, output: Tensor) -> None:
    """A row of the table of parity; what differs counts as failed."""
    gap = (output - expected).abs().max().item()
    differs = not gap <= TOLERANCE  # NaN differs
    report.failures += differs
    spread = expected.std().item() if expected.numel() > 1 else 0.0
    verdict = "**differs**" if differs else "ok"
    report.add(f"| {name} | {spread:.2g} | {gap:.1e} | {verdict} |")


def report_steps(
    report: Report,
    device: torch.device,
    sizes: operations.Sizes,
    precision: str,
    folder: Path,
    ways: dict[str, Way],
) -> None:
    """Milliseconds of a step of `pretrain` in every way, and its share of the matrix rate."""
    rate = machine.matrix_rate(device, precision == "bf16")
    report.add("", f"Matrix rate in {precision}: {rate / 1e12:.3g} x 10^12 operations a second.")
    names = "ms", "ms of the processor", "times faster", "of matrix rate", "GiB", "first step, s"
    report.table(f"a step on 16 pairs, {precision}", *names)
    plain = None
    for name, way in ways.items():
        if not report.has_time(f"Steps: {name}", 90.0 if way.compiled else 10.0, row=True):
            continue
        with report.attempt(f"Steps: {name}", row=True), empty_memory(device):
            training = RandomTraining(sizes, folder / "features", device, precision, way)
            first, milliseconds, processor = time_steps(training, device)
            count = count_operations(training, sizes)
            plain = plain or milliseconds
            cells = [f"{milliseconds:.1f}", f"{processor:.1f}", f"{plain / milliseconds:.2f}"]
            cells += [
                f"{1000 * count / milliseconds / rate:.0%}",
                f"{peak(device):.1f}",
                f"{first:.1f}",
            ]
            report.add(f"| {name} | {' | '.join(cells)} |")
            del training  # else it is there while the next one is made


def count_operations(training: RandomTraining, sizes: operations.Sizes) -> float:
    """Of a step, in the mean of those that are timed."""
    words = [
        len(caption.split())
        for items in training.lists[:STEPS]
        for caption in training.pairs.texts_of(items)
    ]
    sequences = operations.alone(sizes.frontend, words)
    return sum(operations.step(sizes, sequences, len(words), plain=False).values()) / STEPS


def time_steps(training: RandomTraining, device: torch.device) -> tuple[float, float, float]:
    """Seconds of the first step; medians of the milliseconds until a step is done, and launched."""
    start, first = time.perf_counter(), 0.0
    for number, _ in enumerate(training.steps(WARM_UP)):
        wait(device)
        first = first or time.perf_counter() - start
        assert number < WARM_UP
    done, launched = [], []
    start = time.perf_counter()
    for _ in training.steps(STEPS):
        launched.append(1000 * (time.perf_counter() - start))
        wait(device)
        done.append(1000 * (time.perf_counter() - start))
        start = time.perf_counter()
    return first, statistics.median(done), statistics.median(launched)


def report_scoring(
    report: Report, device: torch.device, sizes: operations.Sizes, batch: int
) -> None:
    """Pairs and windows a second, and what bf16 moves."""
    torch.manual_seed(0)
    width = sizes.beats.encoder_embed_dim
    with device:
        model = build_lalm(sizes.llm, sizes.config, sizes.frontend, width).eval()
        encoder = Beats(sizes.beats).eval()
    sounds = torch.randn(batch, sizes.frontend.audio_tokens, width)
    texts = [text(list(range(2, 2 + 3 + n % 20))) for n in range(batch)]
    waves = random_waves(batch, sizes.frontend.window_seconds)
    report.table(f"scoring, batches of {batch}", "fp32", "bf16")
    speeds: dict[str, list[float]] = {"pairs a second, features there": [], "windows a second": []}
    scores = []
    for bf16 in (None, device):
        with torch.inference_mode(), devices.plain_arithmetic(bf16):
            # Of the same size, as kernels are chosen by it.
            model.scores(sounds, texts)
            wait(device)
            start = time.perf_counter()
            scores.append(model.scores(sounds, texts).float().cpu())
            speeds["pairs a second, features there"].append(batch / (time.perf_counter() - start))
            encode_waves(encoder, waves, sizes.frontend)
            wait(device)
            start = time.perf_counter()
            encode_waves(encoder, waves, sizes.frontend).cpu()
            speeds["windows a second"].append(batch / (time.perf_counter() - start))
    for name, (fp32, half) in speeds.items():
        report.add(f"| {name} | {fp32:.3g} | {half:.3g} |")
    gap = (scores[1] - scores[0]).abs().max().item()
    report.add(f"| largest difference of scores of std {scores[0].std():.2g} | 0 | {gap:.1e} |")


def report_resume(report: Report, device: torch.device, folder: Path) -> None:
    """Whether a training that was stopped ends with the bits of one that was not."""
    weights = [
        train_with_a_stop(folder / name, device, stop) for name, stop in (("whole", 0), ("cut", 5))
    ]
    same = all(torch.equal(one, other) for one, other in zip(*weights, strict=True))
    report.failures += not same
    report.add(
        "",
        f"A stopped and resumed training ends with the same bits: {'yes' if same else '**no**'}.",
    )


def train_with_a_stop(folder: Path, device: torch.device, stop: int) -> list[Tensor]:
    """The weights of a training with dropout, stopped in step `stop` and begun again."""
    torch.manual_seed(0)
    x = torch.randn(12, 8, device=device)
    optimization = Optimization(
        optimizer="adamw", learning_rate=0.01, epochs=3, batch_size=4, checkpoint_minutes=1e-9
    )
    folder.mkdir()
    calls = 0

    def loss(module: nn.Module, items: tuple[Tensor], generator: torch.Generator) -> Tensor:
        nonlocal calls
        calls += 1
        if calls == stop:
            raise KeyboardInterrupt
        noise = torch.randn(len(items[0]), 8, generator=generator).to(device)
        return (module(x[items[0]] + 0.1 * noise) - 1).square().mean()

    while True:
        torch.manual_seed(1)
        module = nn.Sequential(nn.Linear(8, 16), nn.Dropout(0.3), nn.Linear(16, 1))
        try:
            loop.train_module(
                module,
                12,
                ItemLoss(read=lambda items: (torch.from_numpy(items),), loss=loss),
                optimization=optimization,
                seed=3,
                validate=None,
                work=folder,
                device=device.type,
                log=lambda line: None,
                epoch_zero=False,
            )
        except KeyboardInterrupt:
            continue
        return [weight.detach().cpu() for weight in module.parameters()]


@contextmanager
def empty_memory(device: torch.device) -> Iterator[None]:
    """Gives back the memory of the GPU that nothing uses any more, and counts its peak anew."""
    torch.compiler.reset()
    gc.collect()  # a training and its optimizer refer to each other
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    yield


def peak(device: torch.device) -> float:
    """GiB of the GPU at most."""
    return torch.cuda.max_memory_allocated(device) / 2**30 if device.type == "cuda" else 0.0


def wait(device: torch.device) -> None:
    """Until the GPU is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, help="also write the tables to this file")
    parser.add_argument("--minutes", type=float, default=4.0, help="after which nothing begins")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes on the CPU")
    options = parser.parse_args()
    if not options.smoke and not torch.cuda.is_available():
        sys.exit("gpu.py: there is no CUDA device: run it on a machine that has one, or --smoke.")
    report = Report(60 * options.minutes, options.output)
    try:
        run(options.smoke, report)
    except SoundjudgeError as error:
        sys.exit(f"gpu.py: {error}")
    if report.failures:
        sys.exit(f"gpu.py: {report.failures} of its parts failed: see above")


def run(smoke: bool, report: Report) -> None:
    """All sections, the short ones first."""
    devices.make_deterministic()
    device = devices.process_state("cpu" if smoke else "cuda").device
    name = "CPU, tiny sizes" if smoke else torch.cuda.get_device_name(device)
    report.add(f"{name}, torch {torch.__version__}, random weights.")
    sizes = host.small_sizes(2, 32) if smoke else operations.published_sizes()
    precision = "fp32" if smoke else "bf16"
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        with report.attempt("Parity"):
            report_parity(report, device)
        with report.attempt("Resume"):
            report_resume(report, device, folder)
        if report.has_time("Scoring", 20.0):
            with report.attempt("Scoring"), empty_memory(device):
                report_scoring(report, device, sizes, batch=2 if smoke else 64)
        # A CPU would compile for minutes.
        ways = {name: way for name, way in WAYS.items() if not (smoke and way.compiled)}
        with report.attempt("Steps"):
            report_steps(report, device, sizes, precision, folder, ways)
    report.add("", f"{time.monotonic() - report.start:.0f} s in all.")


if __name__ == "__main__":
    main()
