"""What one section of params.yaml says against another, before hours of training."""

import difflib
import importlib.util
import re
from collections.abc import Collection, Iterator
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

from soundjudge.clap.encoders.checkpoints import clap_kind
from soundjudge.clap.encoders.source import as_source
from soundjudge.data.corpora import corpus
from soundjudge.data.user_files import delimited
from soundjudge.doctor.catalog import SENTENCE
from soundjudge.errors import SoundjudgeError
from soundjudge.scoring.members.members import ROUNDING

if TYPE_CHECKING:
    from soundjudge.doctor.sections import Params

PRETRAIN, FINETUNE = "pretrain/", "finetune/"  # how checkpoints begin, below checkpoints/
BY_GENERATOR = ("generator", "both")  # values of ensemble.folds_by
NAME = re.compile("[A-Za-z0-9_-]+")  # of a training: a folder, and a stage of DVC
SHA256 = re.compile("[0-9a-fA-F]{64}")
NO_CORPUS = Path("data/none")
FEATURES = (Path("data/features"), NO_CORPUS)  # values of predict.features


def find_contradictions(values: "Params", root: Path) -> Iterator[str]:
    """A sentence each; paths of `values` start at `root`."""
    yield from _member_problems(values)
    yield from _idle_refits(values)
    yield from _fold_problems(values, root)
    yield from _corpus_problems(values, root)
    yield from _encoder_problems(values, root)
    trained = (values.caption.llm, values.pretrain.training.llm, values.finetune.training.llm)
    engines = (values.clap_features.engine, values.embed.engine, values.features.engine)
    for package, extra, is_used in (
        ("peft", "lora", any(llm.training == "lora" for llm in trained)),
        ("ray", "ray", "ray" in engines),
    ):
        if is_used and importlib.util.find_spec(package) is None:
            yield f"the package {package} is not installed: pip install 'soundjudge[{extra}]'"


def _member_problems(values: "Params") -> Iterator[str]:
    """Names of trainings, and members and warm starts that no training makes."""
    for section, names in (
        ("pretrain", values.pretrain.members),
        ("finetune", values.finetune.members),
    ):
        for name in names:
            if not NAME.fullmatch(name):
                yield f"{section}.members has {name!r}: use letters, digits, - and _"
    trainings = values.trainings()
    members = values.ensemble.members
    for name, training in members.items():
        if training not in trainings:
            hint = _hint(training, trainings)
            yield f"ensemble.members.{name} is {training}, and no training makes that: {hint}"
    first: dict[str, str] = {}
    for name, training in members.items():
        if first.setdefault(training, name) != name:
            yield (
                f"ensemble.members.{first[training]} and ensemble.members.{name} are both "
                f"{training}, which would count twice: take one out"
            )
    starts = ["caption", "none", *(PRETRAIN + name for name in values.pretrain.members)]
    for name, member in values.finetune.members.items():
        if member.warm_start not in starts:
            hint = _hint(member.warm_start, starts)
            where = f"finetune.members.{name}.warm_start"
            yield f"{where} is {member.warm_start}, and no training makes that: {hint}"
    yield from _missing_choice(values)


def _corpus_problems(values: "Params", root: Path) -> Iterator[str]:
    """Corpora that are absent or one folder, and what is made of their sounds."""
    trainings, members = values.trainings(), values.ensemble.members
    folders = {name: getattr(values.prepare, name) for name in ("xacle", "audiocaps", "vggsound")}
    for one, other in combinations(folders, 2):
        if folders[one] == folders[other] != NO_CORPUS:
            yield f"prepare.{one} and prepare.{other} are one folder, {folders[one]}: correct one"
    if values.pseudolabel.num_silent > 0 and values.prepare.num_silent == 0:
        yield (
            f"pseudolabel.num_silent is {values.pseudolabel.num_silent:g}, and prepare.num_silent "
            "is 0, so that there is no silence: raise the latter, or set the former to 0.0"
        )
    captioned = (values.prepare.audiocaps, values.prepare.vggsound)
    learned = [name for name, training in members.items() if trainings.get(training)]
    if learned and all(_is_omitted(folder, root) for folder in captioned):
        yield (
            f"prepare.audiocaps and prepare.vggsound name no corpus, and {', '.join(learned)} of "
            "ensemble.members need captions (caption, pretrain): name one, or take those out"
        )
    window, longest = values.predict.window_seconds, values.features.frontend.window_seconds
    if learned and window > longest + ROUNDING:
        yield (
            f"predict.window_seconds is {window:g}, and {', '.join(learned)} of ensemble.members "
            f"are trained with {longest:g} (features.frontend.window_seconds): shorten the former"
        )
    if values.predict.features not in FEATURES:
        yield (
            f"predict.features is {values.predict.features}: write {FEATURES[0]}, or {FEATURES[1]} "
            "where no member reads them"
        )


def _encoder_problems(values: "Params", root: Path) -> Iterator[str]:
    """Encoders of another kind than their place asks for."""
    if clap_kind(root / values.encoders.clap.path) == SENTENCE:
        yield (
            f"encoders.clap is {values.encoders.clap.path}, which reads texts alone: name a CLAP "
            "there, and this one in regress.extra_encoders"
        )
    sources = {"encoders.clap": values.encoders.clap, "zeroshot": values.zeroshot}
    for stage, entries in (
        ("regress", values.regress.extra_encoders),
        ("fusion", values.fusion.extra_encoders),
    ):
        named = {values.encoders.clap.path: "encoders.clap"}
        for number, entry in enumerate(entries):
            key = f"{stage}.extra_encoders[{number}]"
            sources[key] = source = as_source(entry)
            other = named.setdefault(source.path, key)
            if other != key:
                yield f"{key} is {source.path}, as is {other}: name each encoder once"
    for key, source in sources.items():
        if source.sha256 is not None and not SHA256.fullmatch(source.sha256):
            yield f"{key}.sha256 is {source.sha256!r}: write its 64 digits of 0-9 and a-f, or null"


def _hint(name: str, names: Collection[str]) -> str:
    close = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {close[0]}?" if close else f"there are {', '.join(names)}"


def _missing_choice(values: "Params") -> Iterator[str]:
    """Trainings with target auto, where no stage chooses one."""
    named = {f"finetune.members.{name}": m.target for name, m in values.finetune.members.items()}
    for where, target in ({"tune_clap": values.tune_clap.target} | named).items():
        if target == "auto" and values.standardize.target is None:
            yield (
                f"{where}.target is auto, and standardize.target is null, so that nothing is "
                "chosen: set it to auto, or name mean, spo or latent"
            )


def _idle_refits(values: "Params") -> Iterator[str]:
    """Refits without each generator that nothing uses."""
    folds_by, members = values.ensemble.folds_by, values.ensemble.members.values()
    refitted = values.refit.members
    if refitted and folds_by not in BY_GENERATOR:
        yield (
            f"refit.members names {', '.join(refitted)}, and ensemble.folds_by is {folds_by}: "
            "choose generator or both, or leave refit.members empty"
        )
    for name in sorted({*refitted} - {*members}):
        yield f"refit.members names {name}, which is no checkpoint of ensemble.members: take it out"


def _fold_problems(values: "Params", root: Path) -> Iterator[str]:
    """Folds that pairs of validation are too few for, or lack generators for."""
    folder, folds = root / values.prepare.xacle, values.ensemble.folds
    by_generator = values.ensemble.folds_by in BY_GENERATOR
    for depth in ("", "*/", "*/*/"):
        for path in sorted(folder.glob(f"{depth}meta_data/validation.csv")):
            try:
                header, rows = delimited.read_rows(path)
            except SoundjudgeError as error:
                yield str(error)
                continue
            if "wav_file_name" not in header:
                continue  # prepare says which columns it needs
            sounds = {row[header.index("wav_file_name")] for row in rows}
            if 2 * folds > len(sounds):
                most = len(sounds) // 2
                remedy = f"choose at most {most}" if most > 1 else "rate more pairs of validation"
                yield (
                    f"ensemble.folds is {folds}, and {path} has {len(sounds)} pairs: a fold needs "
                    f"two, {remedy}"
                )
            if not by_generator:
                continue
            column = header.index("model_id") if "model_id" in header else None
            lacking = [row for row in rows if column is None or not row[column].strip()]
            if lacking:
                yield (
                    f"ensemble.folds_by is {values.ensemble.folds_by}, and {len(lacking)} of "
                    f"{len(rows)} rows of {path} have no model_id: choose text or none, and leave "
                    "refit.members empty"
                )


def _is_omitted(folder: Path, root: Path) -> bool:
    # A folder that is not there yet is a download or the sample's: it means to be a corpus.
    return (root / folder).is_dir() and {e.name for e in (root / folder).iterdir()} == {
        corpus.README
    }
