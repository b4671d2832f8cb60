"""Do stages write the same bytes on a processor without AVX-512?

    python benchmarks/other_processor.py FOLDER [--torch] STAGE...

FOLDER is a copy of the repository that one may write to, with the outputs of the stages before, of
this code. Each STAGE ("fusion", "predict fusion") runs there twice, in the order given: all of them
as this processor does, and all of them by the instructions of one without AVX-512 in numpy and
OpenBLAS, with --torch in torch, too. Prints the files that differ, and for tables of predictions
the largest difference of a score.
"""

import argparse
import hashlib
import os
import subprocess
import sys
from collections.abc import Sequence
from io import StringIO
from pathlib import Path

import pandas as pd
from provenance import figures_of_commit

OUTPUTS = ("data", "checkpoints", "metrics", "plots")
INPUTS = ("data/sample", "data/raw", "checkpoints/sample")  # no stage of ours writes them
ARRAYS = {
    "OPENBLAS_CORETYPE": "Haswell",
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
}
TORCH = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
}


def run_stages(folder: Path, stages: Sequence[str], environment: dict[str, str]) -> None:
    """Runs each stage in `folder`, by its own code."""
    own = {**os.environ, "PYTHONPATH": str(folder / "src"), **environment}
    for stage in stages:
        name, *arguments = stage.split()
        command = [sys.executable, f"stages/{name}.py", *arguments]
        subprocess.run(command, cwd=folder, env=own, check=True, stdout=subprocess.DEVNULL)


def read_outputs(folder: Path) -> dict[str, bytes]:
    """The digest of every file that stages may write; of predictions the file."""
    contents = {}
    for path in sorted(path for part in OUTPUTS for path in (folder / part).rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_file() and not name.startswith(INPUTS):
            whole = path.read_bytes()
            is_table = name.startswith("data/predictions") and name.endswith(".csv")
            contents[name] = whole if is_table else hashlib.sha256(whole).digest()
    return contents


def score_difference(one: bytes, other: bytes) -> str:
    """The largest difference of two tables' scores, in points."""
    tables = (pd.read_csv(StringIO(each.decode())) for each in (one, other))
    scores = [table["pred_score"] for table in tables if "pred_score" in table]
    return f"{(scores[0] - scores[1]).abs().max():.1e}" if len(scores) == 2 else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("stages", nargs="+")
    parser.add_argument("--torch", action="store_true")
    options = parser.parse_args()
    folder = options.folder.resolve()
    run_stages(folder, options.stages, {})
    here = read_outputs(folder)
    run_stages(folder, options.stages, ARRAYS | (TORCH if options.torch else {}))
    there = read_outputs(folder)
    differ = [name for name in there if there[name] != here.get(name)]
    print(f"{figures_of_commit()} {len(there)} files, {len(differ)} differ.")
    print("| file | largest difference of a score |\n|---|---|")
    for name in differ:
        is_table = name.startswith("data/predictions") and name.endswith(".csv")
        print(f"| {name} | {score_difference(here[name], there[name]) if is_table else ''} |")


if __name__ == "__main__":
    main()
