"""How well does this sound match this text, as people hear it?"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from soundjudge.labels.library import screen as screen
    from soundjudge.labels.library import standardize as standardize
    from soundjudge.labels.rating_reports import reliability as reliability
    from soundjudge.labels.rating_reports import study as study
    from soundjudge.scoring.evaluation.report import compare as compare
    from soundjudge.scoring.evaluation.report import evaluate as evaluate
    from soundjudge.scoring.judge.judge import Judge as Judge

__version__: str  # that of the installed package: pyproject.toml states it
# The public library: name -> module, imported (and torch with the judge) when someone asks for it.
PUBLIC = {
    "Judge": "soundjudge.scoring.judge.judge",
    "screen": "soundjudge.labels.library",
    "standardize": "soundjudge.labels.library",
    "study": "soundjudge.labels.rating_reports",
    "reliability": "soundjudge.labels.rating_reports",
    "evaluate": "soundjudge.scoring.evaluation.report",
    "compare": "soundjudge.scoring.evaluation.report",
}
__all__ = [
    "Judge", "__version__", "compare", "evaluate", "reliability", "screen", "standardize", "study",
]  # fmt: skip


def __getattr__(name: str) -> object:
    if name in PUBLIC:
        return getattr(import_module(PUBLIC[name]), name)
    if name == "__version__":
        from importlib.metadata import version

        return version("soundjudge")
    raise AttributeError(f"module 'soundjudge' has no attribute {name!r}")
