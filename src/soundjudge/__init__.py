"""How well does this sound match this text, as people hear it?"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from soundjudge.scoring.judge.judge import Judge

__version__ = "0.1.0"
__all__ = ["Judge", "__version__"]


def __getattr__(name: str) -> object:
    """Imports the judge, and with it torch, only when someone asks for it."""
    if name == "Judge":
        from soundjudge.scoring.judge.judge import Judge

        return Judge
    raise AttributeError(f"module 'soundjudge' has no attribute {name!r}")
