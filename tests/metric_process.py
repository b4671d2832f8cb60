"""One of two processes that compute a metric together: folder, port, batch file and rank."""

import sys

import numpy as np
import torch


def main(folder: str, port: str, batch: str, rank: int) -> None:
    """Adds this process's share of the batch and writes the mean over both."""
    from soundjudge.metric import AlignmentScore

    torch.set_num_threads(1)
    address = f"tcp://127.0.0.1:{port}"
    torch.distributed.init_process_group("gloo", init_method=address, rank=rank, world_size=2)
    arrays = np.load(batch)
    share = [slice(0, 3), slice(3, 4)][rank]  # unlike shares: a mean of means would be wrong
    metric = AlignmentScore(folder, device="cpu")
    audio, texts, sizes = (arrays[name][share] for name in ("audio", "texts", "sizes"))
    metric.update(torch.from_numpy(audio), texts.tolist(), sizes.tolist(), 16_000)
    sys.stdout.write(str(metric.compute().item()))
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:4], int(sys.argv[4]))
