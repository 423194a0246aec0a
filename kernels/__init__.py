"""Numba kernels on arrays. `from kernels import swg` pays for Numba, `import kernels` does not."""

import importlib

__version__ = "0.1.0"
__all__ = ["interpolation", "kmeans", "mds", "neighbours", "sequences", "swg"]


def __getattr__(name: str):
    if name in __all__:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
