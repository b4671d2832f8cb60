"""Composes the sample corpora from the real recordings. Ratings are SIMULATED.

reads   clips/
writes  audiocaps/, vggsound/, xacle/
"""

from dataclasses import dataclass
from pathlib import Path

from soundjudge import params
from soundjudge.runtime.artifacts import atomic_folder
from soundjudge.sample.composition import scenes, upstream
from soundjudge.sample.composition.simulated_listeners import SimulatedPanel


@dataclass(frozen=True, kw_only=True)
class ComposeConfig:
    """Section `compose` of data/sample/params.yaml."""

    seed: int
    sizes: upstream.Sizes
    panels: dict[str, SimulatedPanel]


def main() -> None:
    config = params.load("compose", ComposeConfig)
    pool = scenes.load_recordings(Path("clips"))
    with atomic_folder(Path("audiocaps")) as folder:
        upstream.write_audiocaps(pool, config.sizes.audiocaps, folder, config.seed)
    with atomic_folder(Path("vggsound")) as folder:
        upstream.write_vggsound(pool, config.sizes.vggsound, folder, config.seed)
    with atomic_folder(Path("xacle")) as folder:
        upstream.write_xacle(pool, config.sizes.xacle, config.panels, folder, config.seed)


if __name__ == "__main__":
    main()
