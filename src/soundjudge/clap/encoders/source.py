"""Which CLAP checkpoints params.yaml and trained members name, and how each is loaded."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from soundjudge import params
from soundjudge.runtime.member_record import EncoderReference


@dataclass(frozen=True)
class ClapSource:
    """A CLAP checkpoint; section `encoders.clap` of params.yaml."""

    path: Path
    backend: Literal["transformers", "laion-clap"] = "transformers"  # runs a .pt file of LAION's
    sha256: str | None = None  # that the file of weights must have; None = any, if it runs no code

    def reference(self, name: str) -> EncoderReference:
        """What member.json says of this CLAP; `name` is what the CLAP calls itself."""
        return EncoderReference(
            path=self.path.as_posix(), sha256=self.sha256, backend=self.backend, name=name
        )


def referenced_clap(reference: EncoderReference, path: Path) -> ClapSource:
    """The CLAP of a reference, which lies at `path`."""
    values = {"path": str(path), "sha256": reference.sha256}
    if reference.backend is not None:
        values["backend"] = reference.backend
    return params.build(ClapSource, values, f"the record of {path}: ")


def as_source(entry: Path | ClapSource) -> ClapSource:
    """An entry of regress.extra_encoders: a bare path stands for a source with the defaults."""
    return entry if isinstance(entry, ClapSource) else ClapSource(entry)
