"""Whether a params.yaml can run to its end: every section of it, as the stages read it."""

import sys
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from soundjudge import params
from soundjudge.clap.embeddings.embeddings import EmbeddingConfig
from soundjudge.clap.encoders.source import ClapSource
from soundjudge.clap.regression.kernel_machine import RegressionConfig
from soundjudge.data.corpora.acceptance import Preparation
from soundjudge.data.jobs.chunks import EncodingConfig
from soundjudge.doctor import contradictions
from soundjudge.errors import ParamsError
from soundjudge.fusion.fused_machine import FusionConfig
from soundjudge.labels.pairs.negatives import NegativeConfig
from soundjudge.labels.ratings.config import Screening, Standardization
from soundjudge.model.features.feature_extraction import FeatureConfig
from soundjudge.model.likelihood.likelihood import LikelihoodConfig
from soundjudge.scoring.ensemble.ensemble import EnsembleConfig
from soundjudge.scoring.ensemble.refits import RefitConfig
from soundjudge.scoring.evaluation.systems import EvaluationConfig
from soundjudge.scoring.judge.card import Packaging
from soundjudge.scoring.members.windows import PredictionSection
from soundjudge.training.caption.caption import CaptionConfig
from soundjudge.training.finetune.finetune import FinetuneConfig, FinetuneMember
from soundjudge.training.pretrain.pretrain import PretrainConfig, PretrainMember
from soundjudge.training.tune_clap.tune_clap import TuneConfig


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
        names = [contradictions.FINETUNE + name for name in self.finetune.members]
        language_models = dict.fromkeys(names, True)
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
            problems.append(str(error).replace("\n", "\\n"))
    if problems:
        return problems
    try:
        values = params.load_section(whole, "", Params, path)
        problems.extend(contradictions.find_contradictions(values, root))
        return [problem.replace("\n", "\\n") for problem in problems]
    except ParamsError as error:  # a section that no stage reads
        return [str(error)]


if __name__ == "__main__":
    sys.stdout.write("\n".join(find_problems(Path(sys.argv[1]))))
