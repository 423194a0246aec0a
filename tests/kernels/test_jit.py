"""Where compiled code is kept, and that other CPUs compute the same."""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from unittest import mock

import numba
import numpy as np
import pytest
from llvmlite import binding

from kernels import _jit, _pairs, swg
from tests import strategies

ROOT = Path(__file__).parents[2]
SCORES = """
import numpy as np
from kernels import swg
d = swg.distance_matrix(["ACGTT", "ACGT", "TTGA", "CCTTGAGA"], alphabet="dna", distance="score")
print(d.tolist())
"""
COMPILED = """
from numba.core import event
with event.install_recorder("numba:compile") as recorder:
    exec({!r})
print(len(recorder.buffer))
"""
TARGETS = {
    "avx2": ("haswell", "+sse2,+sse3,+ssse3,+sse4.1,+sse4.2,+popcnt,+avx,+avx2,+fma,+bmi,+bmi2"),
    "sse2": ("x86-64", "+sse,+sse2"),
}
x86 = pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="not an x86-64")


def python(code, *, root=ROOT, **settings):
    """What a fresh interpreter prints; warnings are errors."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("NUMBA", "WHORL", "PYTHON"))}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=env | settings, cwd=root, capture_output=True, text=True, timeout=170,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A cache folder filled by one process, and what that printed."""
    folder = tmp_path_factory.mktemp("cache")
    return folder, python(COMPILED.format(SCORES), WHORL_CACHE_DIR=str(folder))


def test_cache__lies_where_it_is_told(filled):
    folder, printed = filled
    (kept,) = folder.iterdir()
    assert kept.name == _jit.cache_dir().name
    assert len(list(kept.rglob("*.nbc"))) >= 3
    assert int(printed[1]) > 0


def test_cache__spares_the_next_process_the_compiler(filled):
    folder, printed = filled
    assert python(COMPILED.format(SCORES), WHORL_CACHE_DIR=str(folder)) == [printed[0], "0"]


def test_cache__notices_a_change_in_an_imported_file(filled, tmp_path):
    """Numba itself sees only the file of the compiled function."""
    folder, printed = filled
    shutil.copytree(ROOT / "kernels", tmp_path / "kernels", ignore=lambda *_: ["__pycache__"])
    edited = tmp_path / "kernels" / "_simd.py"
    source = edited.read_text()
    assert source.count('"llvm.smax"') == 1
    edited.write_text(source.replace('"llvm.smax"', '"llvm.smin"'))
    changed = python(SCORES, root=tmp_path, WHORL_CACHE_DIR=str(folder))
    assert changed[0] != printed[0]
    assert len(list(folder.iterdir())) == 2


def test_cache__that_cannot_be_written_is_one_warning(filled, tmp_path):
    (tmp_path / "file").write_text("")
    code = "import warnings\nwith warnings.catch_warnings(record=True) as met:\n"
    code += "    warnings.simplefilter('always')\n    from kernels import swg\n"
    code += "print(len(met), met[0].category.__name__, 'WHORL_CACHE_DIR' in str(met[0].message))"
    printed = python(code + SCORES, WHORL_CACHE_DIR=str(tmp_path / "file" / "cache"))
    assert printed == ["1 UserWarning True", filled[1][0]]


def test_cache__without_a_home_is_one_warning(monkeypatch):
    def homeless(self):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("WHORL_CACHE_DIR", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "expanduser", homeless)
    with pytest.warns(UserWarning, match="are not kept.*home") as met:
        assert _jit._usable_folder() is None
    assert len(met) == 1


def test_cache_root__is_the_users_cache_folder(monkeypatch, tmp_path):
    monkeypatch.delenv("WHORL_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert _jit.cache_root() == tmp_path / "whorl"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert _jit.cache_root() == tmp_path / ".cache" / "whorl"


def test_cache__of_the_users_own_functions_stays_where_it_was(tmp_path):
    (tmp_path / "own.py").write_text(
        "import numba\nfrom kernels import swg\n"
        "@numba.njit(cache=True)\ndef twice(x):\n    return 2 * x\nprint(twice(4))\n"
        "print(numba.config.CACHE_DIR)"
    )
    users, ours = tmp_path / "users", tmp_path / "ours"
    code = f"import runpy; runpy.run_path({str(tmp_path / 'own.py')!r})"
    printed = python(code, NUMBA_CACHE_DIR=str(users), WHORL_CACHE_DIR=str(ours))
    assert printed == ["8", str(users)]
    assert list(users.rglob("*twice*.nbc"))
    assert not list(ours.rglob("*twice*"))


def test_importing_kernels__leaves_the_users_settings_alone():
    assert os.environ.get("NUMBA_CACHE_DIR", "") == numba.config.CACHE_DIR


def test_clean_cache__removes_our_folders_only(monkeypatch, tmp_path):
    monkeypatch.setenv("WHORL_CACHE_DIR", str(tmp_path))
    for name in ("kernels-0.0.1-abc/x", "kernels-0.0.2-def/y", "other/z"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "f.nbc").write_bytes(b"12345")
    assert _jit.clean_cache() == 10
    assert [path.name for path in tmp_path.iterdir()] == ["other"]
    assert _jit.clean_cache() == 0


def small_sets():
    rng = np.random.default_rng(4)
    dna = strategies.relatives(rng, "ACGT", 12, 110, change=0.1)
    dna += strategies.random_sequences(rng, "ACGTN", [1, 40, 75, 300])
    proteins = strategies.relatives(rng, "ARNDCQEGHILKMFPSTWYV", 12, 90, change=0.3)
    return {"dna": dna, "protein": [*proteins, "W" * 40, ""]}


def digests(distances, every_form=False):
    """Hashes of small matrices; with `every_form`, each form of lane computes what it can."""
    found = []
    for distance in distances:
        kind = swg.kind_of(distance)
        ladders = {kind: _pairs.LADDERS[kind]} if kind in _pairs.LADDERS else {}
        choices = [ladders]
        if every_form:
            choices = [{kind: (form, ladders[kind][-1])} for form in ladders[kind]]
        for choice in choices:
            with mock.patch.dict(_pairs.LADDERS, choice):
                for alphabet, texts in small_sets().items():
                    if distance != "kimura" or alphabet == "dna":
                        values = swg.distance_matrix(texts, alphabet=alphabet, distance=distance)
                        found.append(hashlib.sha256(values.tobytes()).hexdigest())
    return found


def assert_same_elsewhere(target, distances, every_form=False):
    name, features = TARGETS[target]
    have = binding.get_host_cpu_features()
    lacking = [f for f in features.replace("+", "").split(",") if not have.get(f)]
    if lacking:
        pytest.skip(f"this machine has no {', '.join(lacking)}")
    code = "from kernels import _simd\nfrom tests.kernels.test_jit import digests\n"
    code += f"print(_simd.register_bytes())\nprint(*digests({distances!r}, {every_form}))"
    width, printed = python(
        code,
        NUMBA_CPU_NAME=name,
        NUMBA_CPU_FEATURES=features,
        **{k: v for k, v in os.environ.items() if k == "WHORL_CACHE_DIR"},
    )
    assert int(width) == {"avx2": 32, "sse2": 16}[target]
    assert printed.split() == digests(distances, every_form)


@x86
@pytest.mark.parametrize("target", TARGETS)
def test_other_cpus__compute_the_same(target):
    assert_same_elsewhere(target, ["identity-longer"])


@x86
@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
def test_other_cpus__compute_the_same_in_every_form(target):
    assert_same_elsewhere(target, ["score-max", "identity-longer", "identity-aligned"], True)
    assert_same_elsewhere(target, ["kimura"])


@x86
def test_cache_dir__is_another_one_for_another_cpu():
    code = "from kernels import _jit; print(_jit.cache_dir().name)"
    names = [python(code, NUMBA_CPU_NAME=n, NUMBA_CPU_FEATURES=f)[0] for n, f in TARGETS.values()]
    assert len({*names, *python(code)}) == 3
