"""Whether a params.yaml can run to its end: every section, and what one says of another."""

import difflib
import importlib.util
import sys
import typing
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from soundjudge import params
from soundjudge.clap.embeddings import EmbeddingConfig, EncodingConfig
from soundjudge.clap.encoders.checkpoints import clap_kind
from soundjudge.clap.encoders.source import ClapSource
from soundjudge.clap.regression.kernel_machine import RegressionConfig
from soundjudge.data.corpora import corpus
from soundjudge.data.corpora.acceptance import Preparation
from soundjudge.data.user_files import delimited
from soundjudge.doctor.catalog import SENTENCE
from soundjudge.errors import ParamsError, SoundjudgeError
from soundjudge.fusion.fused_machine import FusionConfig
from soundjudge.labels.pairs.negatives import NegativeConfig
from soundjudge.labels.ratings.config import Screening, Standardization
from soundjudge.model.feature_extraction import FeatureConfig
from soundjudge.model.likelihood.likelihood import LikelihoodConfig
from soundjudge.scoring.ensemble.ensemble import EnsembleConfig
from soundjudge.scoring.ensemble.refits import RefitConfig
from soundjudge.scoring.evaluation.evaluation import EvaluationConfig
from soundjudge.scoring.judge.card import Packaging
from soundjudge.scoring.members.members import ROUNDING
from soundjudge.scoring.members.windows import PredictionSection
from soundjudge.training.caption import CaptionConfig
from soundjudge.training.finetune import FinetuneConfig, FinetuneMember
from soundjudge.training.pretrain import PretrainConfig, PretrainMember
from soundjudge.training.tune_clap import TuneConfig

PRETRAIN, FINETUNE = "pretrain/", "finetune/"  # how checkpoints begin, below checkpoints/
BY_GENERATOR = ("generator", "both")  # values of ensemble.folds_by


@dataclass(frozen=True, kw_only=True)
class Encoders:
    """Section `encoders`."""

    audio: Path
    clap: ClapSource
    llm: Path


@dataclass(frozen=True, kw_only=True)
class Pretrain:
    """Section `pretrain`."""

    training: PretrainConfig
    members: dict[str, PretrainMember]


@dataclass(frozen=True, kw_only=True)
class Finetune:
    """Section `finetune`."""

    training: FinetuneConfig
    members: dict[str, FinetuneMember]


@dataclass(frozen=True, kw_only=True)
class Params:
    """All of params.yaml, as the stages read it."""

    encoders: Encoders
    device: Literal["auto", "cpu", "cuda", "mps"]
    note: str
    prepare: Preparation
    screen: Screening
    standardize: Standardization
    clap_features: EncodingConfig
    tune_clap: TuneConfig
    zeroshot: ClapSource
    regress: RegressionConfig
    embed: EmbeddingConfig
    pseudolabel: NegativeConfig
    features: FeatureConfig
    caption: CaptionConfig
    likelihood: LikelihoodConfig
    fusion: FusionConfig
    pretrain: Pretrain
    finetune: Finetune
    predict: PredictionSection
    refit: RefitConfig
    ensemble: EnsembleConfig
    evaluate: EvaluationConfig
    package: Packaging

    def trainings(self) -> dict[str, bool]:
        """Checkpoints that can be members, and whether they need captions."""
        language_models = dict.fromkeys((FINETUNE + name for name in self.finetune.members), True)
        others = dict.fromkeys(("clapscore", "zeroshot", "regress"), False)
        others |= {"likelihood": True, "fusion": True}
        return others | language_models


def find_problems(path: Path, root: Path = Path()) -> list[str]:
    """What would end `dvc repro` with the params of `path`, a sentence each.

    Their paths start at `root`. Raises ParamsError for a file that is no YAML.
    """
    whole = params.load("", dict[str, object], path)
    problems = []
    for section, kind in typing.get_type_hints(Params).items():
        try:
            params.load_section(whole, section, kind, path)
        except ParamsError as error:
            problems.append(str(error))
    if problems:
        return problems
    try:
        return list(_contradictions(params.load_section(whole, "", Params, path), root))
    except ParamsError as error:  # a section that no stage reads
        return [str(error)]


def _contradictions(values: Params, root: Path) -> Iterator[str]:
    trainings = values.trainings()
    members = values.ensemble.members
    for name, training in members.items():
        if training not in trainings:
            hint = _hint(training, trainings)
            yield f"ensemble.members.{name} is {training}, and no training makes that: {hint}"
    if clap_kind(root / values.encoders.clap.path) == SENTENCE:
        yield (
            f"encoders.clap is {values.encoders.clap.path}, which reads texts alone: name a CLAP "
            "there, and this one in regress.extra_encoders"
        )
    starts = ["caption", "none", *(PRETRAIN + name for name in values.pretrain.members)]
    for name, member in values.finetune.members.items():
        if member.warm_start not in starts:
            hint = _hint(member.warm_start, starts)
            where = f"finetune.members.{name}.warm_start"
            yield f"{where} is {member.warm_start}, and no training makes that: {hint}"
    yield from _missing_choice(values)
    yield from _idle_refits(values)
    yield from _missing_generators(values, root)
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
    trained = (values.caption.llm, values.pretrain.training.llm, values.finetune.training.llm)
    engines = (values.clap_features.engine, values.embed.engine, values.features.engine)
    for package, extra, is_used in (
        ("peft", "lora", any(llm.training == "lora" for llm in trained)),
        ("ray", "ray", "ray" in engines),
    ):
        if is_used and importlib.util.find_spec(package) is None:
            yield f"the package {package} is not installed: pip install 'soundjudge[{extra}]'"


def _hint(name: str, known: Collection[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}"


def _missing_choice(values: Params) -> Iterator[str]:
    """Trainings with target auto, where no stage chooses one."""
    named = {f"finetune.members.{name}": m.target for name, m in values.finetune.members.items()}
    for where, target in ({"tune_clap": values.tune_clap.target} | named).items():
        if target == "auto" and values.standardize.target is None:
            yield (
                f"{where}.target is auto, and standardize.target is null, so that nothing is "
                "chosen: set it to auto, or name mean, spo or latent"
            )


def _idle_refits(values: Params) -> Iterator[str]:
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


def _missing_generators(values: Params, root: Path) -> Iterator[str]:
    """Folds by generator, where pairs of validation have none: told before hours of training."""
    if values.ensemble.folds_by not in BY_GENERATOR:
        return
    folder = root / values.prepare.xacle
    for depth in ("", "*/", "*/*/"):
        for path in sorted(folder.glob(f"{depth}meta_data/validation.csv")):
            try:
                header, rows = delimited.read_rows(path)
            except SoundjudgeError as error:
                yield str(error)
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


if __name__ == "__main__":
    sys.stdout.write("\n".join(find_problems(Path(sys.argv[1]))))
