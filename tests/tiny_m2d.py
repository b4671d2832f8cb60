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


class Bag(torch.nn.Module):
    """As NTT's text encoders, but for its size: texts to (B, 8)."""

    def __init__(self):
        super().__init__()
        {trouble}
        self.model = torch.nn.EmbeddingBag(128, 8)
        torch.nn.init.normal_(self.model.weight, generator=torch.Generator().manual_seed({seed}))

    def forward(self, texts, truncate=True):
        assert truncate, "long texts must be cut"
        rows = [torch.tensor([{letters} for letter in text]) for text in texts]
        device = self.model.weight.device
        return torch.cat([self.model(row[None].to(device)) for row in rows])


class Reader:
    """Not a module, as in older copies: it stays where it was made."""

    def __init__(self):
        self.model = Bag()

    def __call__(self, texts, truncate=True):
        return self.model(texts, truncate)


class Silent(Bag):
    """Lets no gradient through, as an encoder of a library's for inference."""

    @torch.no_grad()
    def forward(self, texts, truncate=True):
        return super().forward(texts, truncate)


class Pooling(torch.nn.Linear):
    """A projection that pools all frames."""

    dont_average = True

    def forward(self, frames):
        return super().forward(frames).softmax(1).mul(frames).sum(1)


class Backbone(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.norm_stats = torch.nn.Parameter(torch.tensor([-7.1, 4.2]), requires_grad=False)
        self.frames = torch.nn.Linear(160, 8)
        self.audio_proj = {audio_proj}
        if {text_proj}:
            self.text_proj = torch.nn.Linear(8, 8)


class PortableM2D(torch.nn.Module):
    def __init__(self, weight_file, num_classes=None, freeze_embed=False, flat_features=None):
        super().__init__()
        print("using", weight_file)
        assert flat_features
        self.cfg = Config()
        frames = int(Path(weight_file).parent.name.split("-")[1].split("p")[0].split("x")[1])
        self.size = (frames - 1) * 160
        self.backbone = Backbone()
        saved = torch.load(weight_file, map_location="cpu", weights_only=False)
        names = self.backbone.state_dict().keys()
        self.backbone.load_state_dict({{name: saved["model"][name] for name in names}})

    def to_normalized_feature(self, batch_audio):
        assert batch_audio.shape[1] == self.size, batch_audio.shape
        return batch_audio.unfold(1, 160, 160).square()[:, None]

    def encode_lms(self, x):
        return self.backbone.frames(x[:, 0]).{activation}()

    def encode_clap_audio(self, batch_audio):
        x = self.encode_lms(self.to_normalized_feature(batch_audio)){whole}
        if not hasattr(self.backbone.audio_proj, "dont_average"):
            x = x.mean(-2)
        return self.backbone.audio_proj(x)

    def encode_clap_text(self, batch_text, truncate=False):
        if not hasattr(self, "text_encoder"):
            print("building the text encoder")
            self.text_encoder = {text}()
        x = self.text_encoder(batch_text, truncate=truncate)
        if hasattr(self.backbone, "text_proj"):
            x = self.backbone.text_proj(x)
        return x.detach().cpu().to(torch.float)
'''
OPTIONS = {
    "trouble": "pass",  # run where the text side is built
    "letters": "ord(letter)",  # what the text side encodes
    "rate": 16_000,
    "seed": 0,  # of the text side, which comes from elsewhere
    "text": "Bag",  # or Reader, or Silent
    "audio_proj": "torch.nn.Linear(8, 8)",  # or Pooling(8, 8), or torch.nn.Identity()
    "text_proj": True,
    "activation": "relu",
    "whole": "",  # what encode_clap_audio does besides its parts
}


def write(folder: Path, weights_seed: int = 0, **options: object) -> Path:
    """The folder; `options` are some of OPTIONS."""
    weights = folder / NAME
    weights.mkdir(parents=True)
    (folder / "portable_m2d.py").write_text(CODE.format(**OPTIONS | options))
    random = torch.Generator().manual_seed(weights_seed)
    shapes = {"frames": (8, 160), "audio_proj": (8, 8), "text_proj": (8, 8)}
    state = {"norm_stats": torch.tensor([-7.1, 4.2])}
    for name, shape in shapes.items():
        state[f"{name}.weight"] = 0.3 * torch.randn(shape, generator=random)
        state[f"{name}.bias"] = 0.3 * torch.randn(shape[0], generator=random)
    torch.save({"model": state}, weights / "checkpoint-30.pth")
    return folder
