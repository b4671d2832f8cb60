"""BEATs as speechbrain has it, to compare ours with."""

import sys
from dataclasses import asdict

import pytest

from soundjudge.model.audio.beats import beats


def reference(network):
    """Speechbrain's copy of Microsoft's network, with our weights under its names."""
    pytest.importorskip(
        "speechbrain", reason="speechbrain, whose BEATs is the reference, is absent"
    )
    from speechbrain.lobes.models import beats as theirs
    from speechbrain.utils.importutils import LazyModule

    # Whoever looks through sys.modules, as hypothesis does, would set off their missing imports.
    for name in [name for name, module in sys.modules.items() if isinstance(module, LazyModule)]:
        del sys.modules[name]

    original = theirs.BEATsConfig.__init__

    class Reference(theirs.BEATs):
        def __init__(self):
            cfg = asdict(network.config)
            theirs.BEATsConfig.__init__ = lambda self, _=None: original(self, cfg)
            try:
                super().__init__()
            finally:
                theirs.BEATsConfig.__init__ = original

    names = {ours: foreign for foreign, ours in beats.FOREIGN_NAMES.items()}
    reference = Reference()
    reference.load_state_dict({names.get(k, k): v for k, v in network.state_dict().items()})
    return reference.eval()
