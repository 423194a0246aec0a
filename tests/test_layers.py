"""Imports go down only: cli -> pipelines -> engine -> storage, and kernels beside them."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OURS = {"cli", "pipelines", "kernels", "storage", "benchmarks", "tests"}
HEAVY = {
    "anndata", "bokeh", "click", "cloudpickle", "dask", "distributed", "fsspec", "jinja2",
    "llvmlite", "markupsafe", "msgpack", "numba", "pandas", "plotly", "prometheus_client", "psutil",
    "pyarrow", "rich", "s3fs", "scipy", "scoring_matrices", "zarr", "zstandard",
}  # fmt: skip
# Longest prefix wins; the standard library and NumPy are always allowed. This table is the house.
MAY_IMPORT = {
    "cli": {"cli", "kernels", "pipelines", "storage", "click", "rich", "psutil"},
    "cli.doctor": {"cli", "kernels", "pipelines", "storage", "click", "rich", "psutil", "dask",
                   "distributed", "bokeh", "prometheus_client"},
    "pipelines": {"pipelines", "kernels", "storage", "fsspec", "zarr", "psutil", "zstandard"},
    "pipelines.formats.points_parquet": {"pipelines", "pyarrow"},
    "pipelines.landmark_distances": {"pipelines", "kernels", "scipy"},
    "pipelines.generate_distances": {"pipelines", "storage", "scipy"},
    "pipelines.linkage": {"scipy"},
    "pipelines.map_exports": {"pipelines", "storage", "anndata", "pandas"},
    "pipelines.app": {"pipelines.errors"},
    "pipelines.engine": {"pipelines.engine", "kernels.__version__", "storage", "dask",
                         "distributed", "cloudpickle", "psutil", "fsspec"},
    "pipelines.engine.visible": {"pipelines.engine", "distributed", "prometheus_client"},
    "pipelines.report": {"pipelines.report", "jinja2", "markupsafe", "plotly", "scipy"},
    "storage": {"storage", "fsspec", "psutil"},
    "kernels": {"kernels", "numba", "llvmlite"},
    "kernels.sequences": {"scoring_matrices"},
}  # fmt: skip


def modules(root: Path):
    """(dotted name, syntax tree) of every module of the product below root."""
    for package in ("cli", "kernels", "pipelines", "storage"):
        for path in sorted((root / package).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            yield name, ast.parse(path.read_text(encoding="utf-8"))


def imports(tree: ast.AST, module: str):
    """Dotted names that a module imports, wherever in it: 'pipelines.engine.connect'."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} has a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def under(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(prefix + ".")


def violations(root: Path) -> list[str]:
    wrong = []
    for module, tree in modules(root):
        layer = max((p for p in MAY_IMPORT if under(module, p)), key=len)
        for name in imports(tree, module):
            ours = name.split(".")[0] in OURS | HEAVY
            if ours and not any(under(name, allowed) for allowed in MAY_IMPORT[layer]):
                wrong.append(f"{module} imports {name}")
    return wrong


def test_imports_go_down_only():
    assert violations(ROOT) == []


@pytest.mark.parametrize(
    ("path", "line", "message"),
    [
        ("storage/bad.py", "import dask.array", "storage.bad imports dask.array"),
        ("kernels/bad.py", "from cli import run", "kernels.bad imports cli.run"),
        (
            "pipelines/engine/bad.py",
            "def f():\n    from pipelines import swg",
            "pipelines.engine.bad imports pipelines.swg",
        ),
        ("pipelines/bad.py", "from cli.units import size", "pipelines.bad imports cli.units.size"),
    ],
)
def test_upward_import__is_found(tmp_path, path, line, message):
    file = tmp_path / path
    file.parent.mkdir(parents=True)
    file.write_text(line)
    assert violations(tmp_path) == [message]
