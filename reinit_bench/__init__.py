"""The benchmark suite for reinitialization during training (Alabdulmohsin, Maennel, Keysers, AAAI 2022)."""

from typing import TYPE_CHECKING

from reinit_bench.core.version import __version__

__all__ = ["BlockNet", "Reinitialization", "__version__"]

if TYPE_CHECKING:
    from reinit_bench.models.blocknet import BlockNet
    from reinit_bench.run.api import Reinitialization
else:
    # Loaded when they are asked for: the command answers --help without torch.
    _PLACES = {"BlockNet": "reinit_bench.models.blocknet", "Reinitialization": "reinit_bench.run.api"}

    def __getattr__(name):
        if name not in _PLACES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        return getattr(import_module(_PLACES[name]), name)
