"""Small runs to report on, and a page taken apart."""

import base64
import gzip
import json
from html.parser import HTMLParser

import numpy as np


class InMemory:
    """Stands in for a stored matrix; remembers which rows were asked for."""

    def __init__(self, distances):
        self.distances = np.asarray(distances, dtype=np.float32)
        self.n = len(self.distances)
        self.asked = []

    def rows(self, start, stop):
        self.asked.append((start, stop))
        return self.distances[start:stop]


class InBlocks(InMemory):
    """The same in blocks, as the stored matrix offers them."""

    def __init__(self, distances, block_size):
        super().__init__(distances)
        self.block_size = block_size

    def block(self, i, j):
        self.asked.append((i, j))
        size = self.block_size
        return self.distances[i * size : (i + 1) * size, j * size : (j + 1) * size]


def families(n, n_families=3, seed=0):
    """(distances (n, n) float32 symmetric, labels): near inside a family, far between."""
    draw = np.random.default_rng(seed)
    family = draw.integers(0, n_families, n)
    distances = np.where(family[:, None] == family, 0.2, 0.8) + 0.1 * draw.random((n, n))
    distances = ((distances + distances.T) / 2).astype(np.float32)
    np.fill_diagonal(distances, 0)
    return distances, [f"family {number}" for number in family]


def timed_blocks(count, workers=2):
    return [
        {"i": 0, "j": k, "worker": f"w-{k % workers}", "started": 100.0 + k, "stopped": 101.5 + k}
        for k in range(count)
    ]


class Page(HTMLParser):
    """Elements, their attributes and the text of the scripts, as a browser would read the bytes."""

    def __init__(self, page: bytes):
        super().__init__()
        self.elements, self.scripts, self.text = [], [], []
        self._in_script = False
        self.feed(page.decode("utf-8"))

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._in_script = tag == "script"
        if self._in_script:
            self.scripts.append((dict(attrs), ""))

    def handle_endtag(self, tag):
        self._in_script = False

    def handle_data(self, data):
        if self._in_script:
            self.scripts[-1] = (self.scripts[-1][0], self.scripts[-1][1] + data)
        else:
            self.text.append(data)

    def script(self, name):
        return next(text for attrs, text in self.scripts if attrs.get("id") == name)

    @property
    def drawings(self):
        return json.loads(self.script("drawings"))

    @property
    def library(self):
        return gzip.decompress(base64.b64decode(self.script("library")))
