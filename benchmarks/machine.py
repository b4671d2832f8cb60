"""Time and memory that something takes of a CPU or a GPU, and what the machine could do."""

import re
import time
from pathlib import Path

import torch


class Clock:
    """Seconds since it was made, and the most memory."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        else:
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # forget the peak
        self._start = self._now()

    def seconds(self) -> tuple[float, float]:
        """Wall seconds, and busy ones: processor seconds, or on a GPU wall seconds."""
        (wall, processor), (began, used) = self._now(), self._start
        return wall - began, (wall - began if self.device.type == "cuda" else processor - used)

    def peak(self) -> float:
        """GiB of the GPU, or of this process."""
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device) / 2**30
        (kibibytes,) = re.findall(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
        return int(kibibytes) / 2**20

    def _now(self) -> tuple[float, float]:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter(), time.process_time()


def matrix_rate(device: torch.device, bf16: bool) -> float:
    """Operations a busy second in products of two square matrices, the most of some."""
    size = 8192 if device.type == "cuda" else 2048
    one = torch.randn(size, size, device=device, dtype=torch.bfloat16 if bf16 else torch.float32)
    least = float("inf")
    for _ in range(10 if device.type == "cuda" else 3):  # a GPU's clock rises from idle
        clock = Clock(device)
        one @ one
        least = min(least, clock.seconds()[1])
    return 2 * size**3 / least
