"""One way to compile: `njit` without the GIL, cached per version, source and CPU.

Numba keeps compiled code beside the source, or in NUMBA_CACHE_DIR, and notices a change in the file
of the function only, not in the files that it imports. Here the folder's name carries a hash of all
kernel sources and the CPU target, so that neither an edited kernel nor another machine meets stale
code.
"""

import functools
import hashlib
import os
import shutil
import warnings
from pathlib import Path

import numba
from llvmlite import binding
from numba.core import config

from kernels import __version__

_HERE = Path(__file__).parent


def cache_root() -> Path:
    """Where compiled kernels lie: WHORL_CACHE_DIR, else the user's cache folder."""
    given = os.environ.get("WHORL_CACHE_DIR")
    if given:
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "whorl"


@functools.cache
def target() -> str:
    """The CPU that code is compiled for, with its features: 'znver4,+avx2,...'."""
    name = config.CPU_NAME or binding.get_host_cpu_name()
    features = config.CPU_FEATURES
    if features is None:
        features = "" if config.CPU_NAME == "generic" else binding.get_host_cpu_features().flatten()
    return f"{name},{features}"


@functools.cache
def features() -> frozenset[str]:
    """Names of the CPU features that code is compiled for: {'avx2', 'avx512bw', ...}."""
    return frozenset(f[1:] for f in target().split(",")[1:] if f.startswith("+"))


def cache_dir() -> Path:
    """The folder of this version, this source and this CPU under `cache_root`."""
    digest = hashlib.sha256()
    for path in sorted(_HERE.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    digest.update(f"{target()} {numba.__version__}".encode())
    return cache_root() / f"kernels-{__version__}-{digest.hexdigest()[:16]}"


def clean_cache() -> int:
    """Remove compiled kernels of every version. Returns the bytes freed."""
    freed = 0
    for folder in cache_root().glob("kernels-*"):
        freed += sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())
        shutil.rmtree(folder, ignore_errors=True)
    return freed


def _usable_folder() -> str | None:
    """Our folder, made if need be. None where nothing can be written: code lives in memory only."""
    try:
        folder = cache_dir()
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".probe-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except (OSError, RuntimeError) as error:  # RuntimeError: no home folder to expand
        warnings.warn(
            f"compiled kernels are not kept ({error}); each process compiles anew. "
            "Set WHORL_CACHE_DIR to a writable folder.",
            stacklevel=2,
        )
        return None
    return str(folder)


_FOLDER = _usable_folder()


def njit(function):
    """The house decorator: no GIL, never parallel (Dask or a thread pool owns the cores)."""
    users = config.CACHE_DIR  # read while a function is decorated; the user's own keep their folder
    config.CACHE_DIR = _FOLDER or users
    try:
        compiled = numba.njit(
            nogil=True, cache=_FOLDER is not None, error_model="numpy", boundscheck=False
        )
        return compiled(function)
    finally:
        config.CACHE_DIR = users
