"""Our packages are ours: `kernels` is also the name of another published package."""

import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("name", ["cli", "kernels", "pipelines", "storage"])
def test_package__lies_in_this_tree(name):
    package = importlib.import_module(name)
    assert Path(package.__file__).resolve().parent == ROOT / name
