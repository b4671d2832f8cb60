"""A folder like that of a user of M2D-CLAP: code with NTT's public names, a network of our own."""

from pathlib import Path

import torch

NAME = "m2d_clap_tiny-80x1001p16x16p16k-2025"
CODE = '''
import sys
sys.path.append("..")
from pathlib import Path
import torch


class Config:
    sample_rate = {rate}


class Reader:
    """Not a module, as in older copies: it stays where it was made."""

    def __init__(self):
        {trouble}
        self.model = torch.nn.EmbeddingBag(128, 8)
        torch.nn.init.normal_(self.model.weight, generator=torch.Generator().manual_seed(0))

    def __call__(self, texts, truncate=True):
        assert truncate, "long texts must be cut"
        rows = [torch.tensor([{letters} for letter in text]) for text in texts]
        with torch.no_grad():
            return torch.cat([self.model(row[None]) for row in rows])


class PortableM2D(torch.nn.Module):
    def __init__(self, weight_file, num_classes=None, freeze_embed=False, flat_features=None):
        super().__init__()
        print("using", weight_file)
        assert flat_features
        self.cfg = Config()
        frames = int(Path(weight_file).parent.name.split("-")[1].split("p")[0].split("x")[1])
        self.size = (frames - 1) * 160
        self.backbone = torch.nn.Linear(160, 8)
        saved = torch.load(weight_file, map_location="cpu", weights_only=False)
        self.backbone.load_state_dict(saved["model"])

    def encode_clap_audio(self, batch_audio):
        assert batch_audio.shape[1] == self.size, batch_audio.shape
        frames = batch_audio.unfold(1, 160, 160)
        return self.backbone(frames.square()).relu().mean(1)

    def encode_clap_text(self, batch_text, truncate=False):
        if not hasattr(self, "text_encoder"):
            print("building the text encoder")
            self.text_encoder = Reader()
        return self.text_encoder(batch_text, truncate=truncate).detach().cpu()
'''


def write(
    folder: Path, trouble: str = "pass", letters: str = "ord(letter)", rate: int = 16_000
) -> Path:
    """The folder; `trouble` is run where the text side is built, `letters` is what it reads."""
    weights = folder / NAME
    weights.mkdir(parents=True)
    code = CODE.format(trouble=trouble, letters=letters, rate=rate)
    (folder / "portable_m2d.py").write_text(code)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        torch.save({"model": torch.nn.Linear(160, 8).state_dict()}, weights / "checkpoint-30.pth")
    return folder
