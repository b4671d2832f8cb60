"""What a params.yaml needs and no stage makes, corpora and official weights, and what is there."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from soundjudge import params

SAMPLE_FOLDERS = (Path("data/sample"), Path("checkpoints/sample"))

Status = Literal["there", "comes with the sample", "not used", "incomplete", "missing"]


@dataclass(frozen=True, kw_only=True)
class Requirement:
    """One thing to download, and how to recognise it."""

    key: str
    "dotted key in params.yaml; its value is a path"
    what: str
    pieces: tuple[tuple[str, ...], ...]
    "names inside the folder; of each tuple one must be there; a lone file needs none of them"
    stages: tuple[str, ...]
    "the stages that read it"
    size: str
    licence: str
    source: str
    optional: bool = False
    "a folder that holds nothing but a README.md says: without this corpus"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What was found of one requirement."""

    requirement: Requirement
    path: Path
    status: Status
    lacking: tuple[str, ...]
    bytes: int


REQUIREMENTS = (
    Requirement(
        key="prepare.xacle",
        what="XACLE: rated pairs of sound and text",
        pieces=(
            ("meta_data/train.csv",),
            ("meta_data/validation.csv",),
            ("wav/train",),
            ("wav/validation",),
        ),
        stages=("prepare",),
        size="about 4.5 GB",
        licence="not stated by its authors",
        source="https://xacle.org (development set; unpack it, then name the XACLE_dataset folder)",
    ),
    Requirement(
        key="prepare.audiocaps",
        what="AudioCaps: captioned clips",
        pieces=(("train.csv", "val.csv", "test.csv"), ("audio",)),
        stages=("prepare", "embed", "pseudolabel", "caption", "align"),
        size="about 30 GB at 16 kHz",
        licence="captions MIT; audio from YouTube, academic use only",
        source="https://github.com/cdjkim/audiocaps (captions; audio on request by form)",
        optional=True,
    ),
    Requirement(
        key="prepare.vggsound",
        what="VGGSound with AudioSetCaps captions",
        pieces=(("vggsound.csv",), ("VGGSound_AudioSetCaps_caption.csv",), ("audio",)),
        stages=("prepare", "embed", "pseudolabel", "caption", "align"),
        size="about 60 GB at 16 kHz",
        licence="VGGSound CC-BY-4.0, its audio from YouTube; captions CC-BY-4.0",
        source="https://www.robots.ox.ac.uk/~vgg/data/vggsound and "
        "https://huggingface.co/datasets/baijs/AudioSetCaps",
        optional=True,
    ),
    Requirement(
        key="encoders.clap",
        what="CLAP, a transformers folder",
        pieces=(
            ("config.json",),
            ("model.safetensors",),
            ("preprocessor_config.json", "processor_config.json"),
            ("tokenizer.json", "vocab.json", "vocab.txt"),
        ),
        stages=("tune", "regress"),
        size="about 0.6 GB",
        licence="Apache-2.0 (laion/clap-htsat-unfused)",
        source="https://huggingface.co/laion/clap-htsat-unfused",
    ),
    Requirement(
        key="encoders.beats",
        what="BEATs, the official file or a folder of ours",
        pieces=(("config.json",), ("model.safetensors",)),
        stages=("encode", "finetune"),
        size="about 0.36 GB",
        licence="MIT",
        source="https://github.com/microsoft/unilm/tree/master/beats (BEATs_iter3_plus_AS2M.pt)",
    ),
    Requirement(
        key="encoders.llm",
        what="the language model, a Qwen2 folder with its tokenizer",
        pieces=(
            ("config.json",),
            ("model.safetensors", "model.safetensors.index.json"),
            ("tokenizer.json", "vocab.json"),
        ),
        stages=("caption",),
        size="about 1 GB",
        licence="Apache-2.0 (Qwen/Qwen2.5-0.5B-Instruct)",
        source="https://huggingface.co/Qwen/Qwen2.5-0.5B-Instruct",
    ),
)


def findings(path: Path, root: Path = Path()) -> list[Finding]:
    """Every requirement of the params in `path`; their paths start at `root`."""
    return [
        _finding(requirement, params.load(requirement.key, Path, path), root)
        for requirement in REQUIREMENTS
    ]


def unmet(found: list[Finding]) -> list[Finding]:
    """Those that keep a stage from running."""
    return [finding for finding in found if finding.status in ("incomplete", "missing")]


def lines(found: list[Finding]) -> list[str]:
    """The report, ready to print."""
    report = []
    for finding in found:
        need = finding.requirement
        size = f", {finding.bytes / 1e6:,.1f} MB" if finding.bytes else ""
        report.append(f"{need.key}: {need.what}")
        report.append(f"  {finding.path}: {finding.status}{size}")
        if finding.status in ("incomplete", "missing"):
            if finding.lacking:
                report.append(f"  lacks    {', '.join(finding.lacking)}")
            report.append(f"  blocks   {', '.join(need.stages)} and every stage that follows them")
            report.append(f"  get it   {need.source} ({need.size})")
            report.append(f"  licence  {need.licence}")
    missing = unmet(found)
    if missing:
        report.append(f"{len(missing)} of {len(found)} needs are not met")
    else:
        report.append("nothing is missing: dvc repro can run")
    return report


def _finding(requirement: Requirement, path: Path, root: Path) -> Finding:
    status, lacking = _status(requirement, path, root)
    return Finding(
        requirement=requirement,
        path=path,
        status=status,
        lacking=lacking,
        bytes=_bytes(root / path),
    )


def _status(requirement: Requirement, path: Path, root: Path) -> tuple[Status, tuple[str, ...]]:
    place = root / path
    built = any(path.is_relative_to(folder) for folder in SAMPLE_FOLDERS)
    if place.is_file():
        return ("there", ()) if place.stat().st_size else ("incomplete", ("any content",))
    if not place.is_dir():
        return ("comes with the sample" if built else "missing"), ()
    if requirement.optional and {entry.name for entry in place.iterdir()} <= {"README.md"}:
        return "not used", ()
    lacking = tuple(
        " or ".join(names)
        for names in requirement.pieces
        if not any((place / name).exists() for name in names)
    )
    if lacking:
        return ("comes with the sample" if built else "incomplete"), () if built else lacking
    return "there", ()


def _bytes(place: Path) -> int:
    if place.is_file():
        return place.stat().st_size
    return sum(file.stat().st_size for file in place.rglob("*") if file.is_file())
