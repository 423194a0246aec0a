"""Newick text against what scikit-bio reads of it."""

import io
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.cluster import hierarchy
from scipy.spatial.distance import pdist, squareform
from skbio import TreeNode

from pipelines.formats.distances import printable
from pipelines.formats.newick import newick
from pipelines.linkage import linkage_of

HOSTILE = [
    "a", "with blank", "it's", "a''b", "(a,b):1;", "[comment]", "under_score", "ö", "a\tb", "<x>",
    '"quoted"', "5", "a:0.5",
]  # fmt: skip


def read(text):
    return TreeNode.read(io.StringIO(text), format="newick", verify=False)


@pytest.mark.parametrize("n", [2, 3, 17, 60])
def test_paths__are_as_long_as_the_heights(n):
    ids = [f"r{k}" for k in range(n)]
    tree = linkage_of(pdist(np.random.default_rng(n).normal(size=(n, 3))))
    found = read(newick(tree, ids)).cophenet().filter(ids).data
    np.testing.assert_allclose(found, squareform(hierarchy.cophenet(tree)), rtol=1e-7)


def test_hostile_ids__come_back():
    tree = linkage_of(pdist(np.arange(len(HOSTILE))[:, None] ** 1.1))
    names = {tip.name for tip in read(newick(tree, HOSTILE)).tips()}
    assert names == {"a b" if name == "a\tb" else name for name in HOSTILE}


TOKEN = re.compile(r"'((?:[^']|'')*)'|([^\s()\[\]{}':;,]+)|([(),:;])|\n$")


@given(st.lists(st.text(min_size=1, max_size=8), min_size=2, max_size=2, unique=True))
def test_any_id__comes_back_by_the_grammar(ids):
    text = newick(np.array([[0, 1, 0.5, 2]]), ids)
    tokens = list(TOKEN.finditer(text))
    assert "".join(token[0] for token in tokens) == text
    words = [quoted.replace("''", "'") if quoted is not None else plain or mark
             for quoted, plain, mark in (token.groups() for token in tokens[:-1])]  # fmt: skip
    first, second = map(printable, ids)
    assert words == ["(", first, ":", "0.25", ",", second, ":", "0.25", ")", ";"]


def test_one_record__is_a_leaf():
    assert newick(np.zeros((0, 4)), ["it's"]) == "'it''s';\n"


def test_chain_of_merges__is_no_recursion():
    n = 20_000
    tree = linkage_of(np.array([1.0, 2.0, 3.0]), "single")
    nodes = np.array([[k + 1, n + k - 1, k + 1.0, k + 2] for k in range(n - 1)])
    nodes[0, 1] = 0
    text = newick(nodes, [str(k) for k in range(n)])
    assert text.count("(") == n - 1 == text.count(")")
    assert newick(tree, ["a", "b", "c"]) == "(c:1,(a:0.5,b:0.5):0.5);\n"
