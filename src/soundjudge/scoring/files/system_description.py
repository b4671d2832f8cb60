"""The YAML description of a submitted system: what its judge says of itself, and what is missing.

The challenge asks for one per system, in a template of its own. That of 2027 was not published when
this was written, so the keys here are ours and every fact is to be copied into the template.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from safetensors import safe_open

from soundjudge.errors import SoundjudgeError
from soundjudge.scoring.judge import integrity
from soundjudge.scoring.judge.judge_folder import read_card
from soundjudge.scoring.judge.manifest import JudgeManifest, read_manifest
from soundjudge.scoring.members.m2d_reference import own_copies

TODO = "TODO"
HEAD = f"""\
# A system of a submission to XACLE, by soundjudge from judge.json and the judge's model card.
# Complete every {TODO}. The organizers' template for 2027 is not known to soundjudge: the keys are
# not theirs. Compare with https://xacle.org/2027/ and copy the facts into the template.
"""
NO_LICENSES = f"{TODO}: licenses of data and models"
WEIGHTS = ".safetensors"


ANSWERS = {
    "team": "name",
    "authors": "names, affiliations, a contact",
    "summary": "the system in a few sentences",
    "external_resources": "data and models from outside, as the rules ask for them",
    "inference": "machine and time of scoring the evaluation data",
}
SYSTEMS = "systems"  # of a file of answers: those of one system, by its name


def read_answers(path: Path | None, systems: Sequence[str]) -> dict[str, dict[str, object]]:
    """By system: what a person says of it; YAML of ANSWERS for all, and below `systems` of one.

    Raises SoundjudgeError for another key or another system.
    """
    if path is None:
        return {name: {} for name in systems}
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SoundjudgeError(f"{path} is not valid YAML: {error}") from error
    of_all = dict(values) if isinstance(values, dict) else {"": values}
    of_one = of_all.pop(SYSTEMS, None) or {}
    _check_keys(path, of_one, systems, "system")
    for answers in (of_all, *of_one.values()):
        _check_keys(path, answers, list(ANSWERS), "key")
    return {name: of_all | of_one.get(name, {}) for name in systems}


def _check_keys(path: Path, values: object, allowed: Sequence[str], word: str) -> None:
    if not isinstance(values, dict) or not set(values) <= set(allowed):
        other = next(iter(set(values) - set(allowed)), "") if isinstance(values, dict) else values
        raise SoundjudgeError(f"{path} has {other!r}, no {word}: there are {', '.join(allowed)}")


def describe_system(name: str, judge: Path | None, answers: Mapping[str, object]) -> str:
    """YAML of the system `name`, with the facts of the judge's folder where there is one.

    What `answers` leave open is marked. Raises SoundjudgeError for a folder that is no judge, or
    not the one that was packaged.
    """
    facts = {"judge": f"{TODO}: model, its parts and sizes"} if judge is None else _facts(judge)
    missing = {key: f"{TODO}: {what}" for key, what in ANSWERS.items()}
    description = {"system": name, "predictions": f"{name}.csv", **missing, **answers, **facts}
    return HEAD + yaml.safe_dump(description, sort_keys=False, allow_unicode=True, width=96)


def _facts(folder: Path) -> dict[str, Any]:
    manifest = read_manifest(folder)
    integrity.check_folder(folder, manifest)
    blend = manifest.ensemble
    card, records = read_card(folder), integrity.read_members(folder, manifest)
    parts = {
        name: _part(folder, name, manifest)
        for name in sorted({_part_name(file) for file in manifest.files})
    }
    weights = dict(zip(blend.members, blend.weights, strict=True))
    return {
        "score_id": manifest.score_id,
        "members": {
            name: {"kind": records[name].kind, "weight": round(weight, 6)}
            for name, weight in weights.items()
            if weight > 0
        },
        "members_of_weight_0": [name for name, weight in weights.items() if weight == 0],
        "calibration": blend.calibration.method,
        "window_seconds": manifest.window_seconds,
        "parameters": _count_distinct(folder, manifest),
        "parts": parts,
        "not_in_the_judge": sorted(
            {f"clap {sha256}" for files in own_copies(records).values() for sha256 in files}
        ),
        "training_data": card.sections.get(
            "Data", f"{TODO}: data that the members were trained on"
        ),
        "license": card.license or f"{TODO}: of the judge",
        "licenses_of_parts": card.licenses or [NO_LICENSES],
    }


def _part_name(file: str) -> str:
    """members/full1/model.safetensors is of the part members/full1."""
    return "/".join(file.split("/")[:2])


def _part(folder: Path, name: str, manifest: JudgeManifest) -> dict[str, Any]:
    """How many numbers the part's files of weights hold, and their sha256."""
    files = [f for f in manifest.files if _part_name(f) == name and f.endswith(WEIGHTS)]
    return {
        "parameters": sum(_count_numbers(folder / file) for file in files),
        "sha256": {file.split("/", 2)[2]: manifest.files[file].sha256 for file in files},
    }


def _count_distinct(folder: Path, manifest: JudgeManifest) -> int:
    """How many numbers the judge has: a captioner that members share lies beside each of them."""
    files = {entry.sha256: name for name, entry in manifest.files.items() if name.endswith(WEIGHTS)}
    return sum(_count_numbers(folder / name) for name in files.values())


def _count_numbers(path: Path) -> int:
    with safe_open(path, framework="numpy") as file:
        return sum(math.prod(file.get_slice(key).get_shape()) for key in file.keys())  # noqa: SIM118
