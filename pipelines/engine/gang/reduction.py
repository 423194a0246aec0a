"""Sums over all partitions, the same bytes whatever the number of ranks.

Every rank has combined its own partitions to canonical nodes of the one tree. What is left:

    direct   each rank sends its nodes to all others, and all combine all of them: one message
    sliced   rank r owns the r-th slice of every array: it is sent the slices of all nodes, combines
             them, and sends the total slice to all: two messages, but each byte is combined once

Both combine the same nodes by the same tree, element by element, so they give the same bytes.
All ranks try both in the first iterations and tell each other what it cost; with the same figures
before them they all choose the same one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.engine.errors import EngineError
from pipelines.engine.gang.links import Box, Head, Inbox, Scattered
from pipelines.engine.job import Partial
from pipelines.engine.tree import Folding, Node, nodes_of

if TYPE_CHECKING:
    from pipelines.engine.gang.comm import Comm

SMALL = 16 << 10  # bytes: one message is never worse than two
LARGE = 64 << 20  # bytes of all nodes: where direct would take too much memory
TRIALS = 3  # of each algorithm; the first time is not counted: memory comes in, peers are late

Arrays = list[np.ndarray]
Shape = tuple[tuple[int, ...], np.dtype[Any]]


@dataclass(frozen=True)
class Form:
    """What all partials of a job have in common. kind: the class of a tuple, None for an array."""

    kind: type | None
    arrays: tuple[Shape, ...]

    @classmethod
    def of(cls, value: Partial) -> Form:
        kind = type(value) if isinstance(value, tuple) else None
        arrays = value if isinstance(value, tuple) else (value,)
        for array in arrays:
            if not isinstance(array, np.ndarray) or array.dtype.hasobject:
                raise EngineError(
                    f"map returned {_shown(array)}: to be combined by name, a partial result must "
                    "be an array or a tuple of arrays of numbers"
                )
        return cls(kind, tuple((array.shape, array.dtype) for array in arrays))

    @property
    def nbytes(self) -> int:
        return sum(_nbytes(*one) for one in self.arrays)

    @property
    def sizes(self) -> list[int]:
        """Elements of each array."""
        return [math.prod(shape) for shape, _ in self.arrays]

    @property
    def shown(self) -> str:
        return ", ".join(f"{dtype} {shape}" for shape, dtype in self.arrays)

    def arrays_of(self, value: Partial) -> Arrays:
        """Its arrays, C-contiguous and writable. EngineError when the value has another form."""
        arrays = value if self.kind is not None else (value,)
        if len(arrays) == len(self.arrays):
            own = [_own(array) for array in arrays]
            same = zip(own, self.arrays, strict=True)
            if all(array.shape == form[0] and array.dtype == form[1] for array, form in same):
                return own
        found = ", ".join(map(_shown, arrays))
        raise EngineError(f"map returned {found} where the partitions before had {self.shown}")

    def value_of(self, arrays: Arrays) -> Partial:
        if self.kind is None:
            return arrays[0]
        if self.kind is tuple:
            return tuple(arrays)
        make: Callable[..., Partial] = getattr(self.kind, "_make", self.kind)
        return make(arrays)

    def empty(self) -> Arrays:
        return [np.empty(shape, dtype) for shape, dtype in self.arrays]


class Schedule:
    """In which order which nodes are combined: steps (left, right, into), by place of the node.

    into is one of the two; where one is this rank's own, it is that one, so that the total never
    lies in memory that the next message comes into. root: the place of the total.
    """

    def __init__(self, n: int, nodes: Sequence[Sequence[Node]], rank: int):
        self.first = [0]
        for some in nodes:
            self.first.append(self.first[-1] + len(some))
        own = range(self.first[rank], self.first[rank + 1])
        self.steps: list[tuple[int, int, int]] = []

        def combine(left: int, right: int) -> int:
            into = left if left in own or right not in own else right
            self.steps.append((left, right, into))
            return into

        folding: Folding[int] = Folding(n, combine)
        for place, node in enumerate(node for some in nodes for node in some):
            folding.add(node, place)
        self.count = self.first[-1]
        self.root = folding.total
        self.root_is_own = self.root in own

    def run(self, operation: np.ufunc, values: Sequence[Arrays]) -> Arrays:
        """Combine in place; the arrays of the root."""
        for left, right, into in self.steps:
            for a, b, out in zip(values[left], values[right], values[into], strict=True):
                operation(a, b, out=out)
        return values[self.root]


class Reduction:
    """Combines the nodes of all ranks by a ufunc (add, minimum, maximum), again and again.

    algorithm  'direct' or 'sliced' to use that one; '' to try both and choose
    All ranks must be given the same arguments and must call it equally often.
    """

    def __init__(self, comm: Comm, operation: np.ufunc, algorithm: str = ""):
        self._comm, self._links = comm, comm.links
        self._operation, self.algorithm = operation, algorithm
        self._costs: dict[str, list[float]] = {"direct": [], "sliced": []}
        self._last, self._cost = "", 0.0
        self._form: Form | None = None
        self.heads: dict[int, Head] = {}
        self.set_owners(comm.owners)

    def set_owners(self, owners: Sequence[int]) -> None:
        """From the next call on the leaves belong to these ranks."""
        ranks = range(self._links.size)
        self.nodes = [
            nodes_of(len(owners), (leaf for leaf, owner in enumerate(owners) if owner == rank))
            for rank in ranks
        ]
        self._schedule = Schedule(len(owners), self.nodes, self._links.rank)
        self._inboxes: dict[str, tuple[dict[int, Inbox], list[Arrays]]] = {}

    def __call__(self, nodes: dict[Node, Partial], flags: int = 0, seconds: float = 0.0) -> Partial:
        """The total over all ranks. nodes: of this rank, may be written to. Raises GangBroken."""
        form = self._form or self._agree(nodes)
        own = [form.arrays_of(nodes[node]) for node in self.nodes[self._links.rank]]
        algorithm = self.algorithm or ("sliced" if self._last == "direct" else "direct")
        head = Head(flags, seconds, self._cost)
        started = perf_counter()
        total = (self._direct if algorithm == "direct" else self._sliced)(form, own, head)
        self._cost = perf_counter() - started
        if not self.algorithm and self._last:
            # the least of all ranks: the others waited for somebody's maps, too
            self._costs[self._last].append(min(head.cost for head in self.heads.values()))
            self._choose()
        self._last = algorithm
        return form.value_of(total)

    def scatter(self, nodes: dict[Node, Partial]) -> Partial:
        """This rank's rows of the total: those of numpy.array_split along the first axis."""
        form = self._form or self._agree(nodes)
        own = [form.arrays_of(nodes[node]) for node in self.nodes[self._links.rank]]
        cuts = [self._row_cuts(shape) for shape, _ in form.arrays]
        mine = self._own_slices(form, own, cuts, Head())
        rank, size = self._links.rank, self._links.size
        rows = [len(np.array_split(range(shape[0]), size)[rank]) for shape, _ in form.arrays]
        shapes = [(n, *shape[1:]) for n, (shape, _) in zip(rows, form.arrays, strict=True)]
        return form.value_of([a.reshape(s).copy() for a, s in zip(mine, shapes, strict=True)])

    def _agree(self, nodes: dict[Node, Partial]) -> Form:
        """Ranks without a partition learn from the others what a partial looks like."""
        mine = next((Form.of(value) for value in nodes.values()), None)
        known = [form for form in self._comm.allgather(mine) if form is not None]
        for other in known:
            if other != known[0]:
                raise EngineError(f"partial results differ: {known[0].shown} and {other.shown}")
        self._form = form = known[0]
        if not self.algorithm and form.nbytes <= SMALL:
            self.algorithm = "direct"
        elif not self.algorithm and form.nbytes * self._schedule.count > LARGE:
            self.algorithm = "sliced"
        return form

    def _choose(self) -> None:
        if min(map(len, self._costs.values())) >= TRIALS:
            best = {name: min(costs[1:]) for name, costs in self._costs.items()}
            self.algorithm = min(best, key=lambda name: best[name])

    # The algorithms

    def _direct(self, form: Form, own: list[Arrays], head: Head) -> Arrays:
        links = self._links
        letter = [array for arrays in own for array in arrays if array.size]
        if "direct" not in self._inboxes:
            self._inboxes["direct"] = self._make_inboxes(form.arrays)
        boxes, values = self._inboxes["direct"]
        self.heads = links.exchange(dict.fromkeys(links.peers, letter), {**boxes}, head)
        total = self._combine(own, values)
        return total if self._schedule.root_is_own else [array.copy() for array in total]

    def _sliced(self, form: Form, own: list[Arrays], head: Head) -> Arrays:
        links = self._links
        cuts = [cut(size, links.size) for size in form.sizes]
        mine = self._own_slices(form, own, cuts, head)
        place = self._schedule.root - self._schedule.first[links.rank]
        whole = own[place] if self._schedule.root_is_own else form.empty()
        flat = [array.reshape(-1) for array in whole]
        if not self._schedule.root_is_own:
            for array, piece in zip(slices(flat, cuts, links.rank), mine, strict=True):
                array[:] = piece
        letter = [piece for piece in mine if piece.size]
        into: dict[int, Box] = {p: Scattered(slices(flat, cuts, p)) for p in links.peers}
        links.exchange(dict.fromkeys(links.peers, letter), into, Head())
        return whole

    def _own_slices(
        self, form: Form, own: list[Arrays], cuts: list[list[int]], head: Head
    ) -> Arrays:
        """The total of this rank's slices, flat; the first message of `sliced`."""
        links = self._links
        flat = [[array.reshape(-1) for array in arrays] for arrays in own]
        if "sliced" not in self._inboxes:
            sizes = [c[links.rank + 1] - c[links.rank] for c in cuts]
            pieces = [((n,), dtype) for n, (_, dtype) in zip(sizes, form.arrays, strict=True)]
            self._inboxes["sliced"] = self._make_inboxes(pieces)
        boxes, values = self._inboxes["sliced"]
        out: dict[int, Sequence[Any]] = {
            peer: [piece for arrays in flat for piece in slices(arrays, cuts, peer) if piece.size]
            for peer in links.peers
        }
        self.heads = links.exchange(out, {**boxes}, head)
        return self._combine([slices(arrays, cuts, links.rank) for arrays in flat], values)

    def _combine(self, own: list[Arrays], values: list[Arrays]) -> Arrays:
        """values: of all nodes by place, the own ones are put in."""
        first = self._schedule.first[self._links.rank]
        values = [*values[:first], *own, *values[first + len(own) :]]
        return self._schedule.run(self._operation, values)

    def _make_inboxes(self, arrays: Sequence[Shape]) -> tuple[dict[int, Inbox], list[Arrays]]:
        """Memory for what the peers will send, and by place the arrays in it."""
        each = sum(_nbytes(*one) for one in arrays)
        boxes: dict[int, Inbox] = {}
        values: list[Arrays] = []
        for rank, nodes in enumerate(self.nodes):
            if rank == self._links.rank:
                values += [[] for _ in nodes]
                continue
            boxes[rank] = Inbox(each * len(nodes))
            at = 0
            for _ in nodes:
                values.append([])
                for shape, dtype in arrays:
                    end = at + _nbytes(shape, dtype)
                    values[-1].append(boxes[rank].body[at:end].view(dtype).reshape(shape))
                    at = end
        return boxes, values

    def _row_cuts(self, shape: tuple[int, ...]) -> list[int]:
        if not shape:
            raise EngineError("reduce_scatter shares out rows: a number has none")
        rows = np.array_split(range(shape[0]), self._links.size)
        width = int(np.prod(shape[1:]))
        return [0, *(int(end) * width for end in np.cumsum([len(r) for r in rows]))]


def cut(size: int, pieces: int) -> list[int]:
    """Where `size` elements are cut into pieces of nearly the same size: pieces + 1 numbers."""
    return [size * k // pieces for k in range(pieces + 1)]


def slices(flat: Arrays, cuts: Sequence[Sequence[int]], rank: int) -> Arrays:
    """The rank's part of each array."""
    return [array[c[rank] : c[rank + 1]] for array, c in zip(flat, cuts, strict=True)]


def _nbytes(shape: tuple[int, ...], dtype: np.dtype[Any]) -> int:
    return math.prod(shape) * dtype.itemsize


def _own(array: np.ndarray) -> np.ndarray:
    """The array itself, or a copy where that may not be written to or does not lie in a row."""
    return array if array.flags.carray else np.array(array, order="C")


def _shown(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.shape}"
    return f"a {type(value).__name__}"
