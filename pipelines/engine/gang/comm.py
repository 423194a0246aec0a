"""What a user's own step gets: collectives over the ranks, and reductions over the partitions.

    broadcast, scatter, gather, allgather, rotate     values by rank; any that can be pickled
    reduce, allreduce, reduce_scatter                 one value per own partition: {leaf: value}

A reduction does not combine by ranks but by partitions, in the fixed tree of `tree.py`. So its
result has the same bytes for any number of ranks, and however the partitions lie.
All ranks must call the same collectives in the same order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from pipelines.engine.gang import letters
from pipelines.engine.gang.links import Head, Links, Unknown
from pipelines.engine.gang.reduction import Reduction
from pipelines.engine.job import ELEMENTWISE, Partial, combine_by
from pipelines.engine.tree import Folding, Node

NO_HEAD = Head()
Combine = Callable[[Partial, Partial], Partial]


class Comm:
    """owners: leaf -> rank. rank, size: of this process among those that work together; n: number
    of partitions; mine: those of this rank, ascending."""

    def __init__(self, links: Links, owners: Sequence[int]):
        self.links = links
        self.rank, self.size = links.rank, links.size
        self.heads: dict[int, Head] = {}
        self.set_owners(owners)

    def set_owners(self, owners: Sequence[int]) -> None:
        self.owners, self.n = tuple(owners), len(owners)
        self.mine = [leaf for leaf, owner in enumerate(owners) if owner == self.rank]

    # By rank

    def broadcast(self, value: Any = None, root: int = 0) -> Any:
        """The value of rank `root`, on all ranks."""
        if self.rank == root:
            self._post(dict.fromkeys(self.links.peers, letters.pack(value)), ())
            return value
        return self._post({}, (root,))[root]

    def scatter(self, values: Sequence[Any] | None = None, root: int = 0) -> Any:
        """values[rank] of rank `root`."""
        if self.rank != root:
            return self._post({}, (root,))[root]
        if values is None or len(values) != self.size:
            count = 0 if values is None else len(values)
            raise ValueError(f"scatter needs one value per rank: {self.size}, not {count}")
        self._post({peer: letters.pack(values[peer]) for peer in self.links.peers}, ())
        return values[root]

    def gather(self, value: Any, root: int = 0) -> list[Any] | None:
        """The values of all ranks in their order on rank `root`, None elsewhere."""
        if self.rank != root:
            self._post({root: letters.pack(value)}, ())
            return None
        found = self._post({}, self.links.peers) | {root: value}
        return [found[rank] for rank in range(self.size)]

    def allgather(self, value: Any) -> list[Any]:
        """The values of all ranks in their order."""
        return self.allgather_with(Head(), value)

    def allgather_with(self, head: Head, value: Any) -> list[Any]:
        """allgather() with a head; `heads` has those of all ranks afterwards."""
        peers = self.links.peers
        letter = letters.pack(value) if peers else []
        found = self._post(dict.fromkeys(peers, letter), peers, head)
        return [value if rank == self.rank else found[rank] for rank in range(self.size)]

    def rotate(self, value: Any, by: int = 1) -> Any:
        """The value of the rank `by` places before this one, in the ring of ranks."""
        to, source = (self.rank + by) % self.size, (self.rank - by) % self.size
        if to == self.rank:
            return value
        return self._post({to: letters.pack(value)}, (source,))[source]

    def barrier(self) -> None:
        """Wait until all ranks are here."""
        self.allgather(None)

    # Over the partitions

    def reduce(
        self, values: Mapping[int, Partial], op: str | Combine = "sum", root: int = 0
    ) -> Partial | None:
        """The total on rank `root`, None elsewhere. op: 'sum', 'min', 'max' or a function of
        (left, right). Values are not written to."""
        found = self.gather(self._nodes(values, op), root)
        return None if found is None else self.fold(found, op)

    def allreduce(self, values: Mapping[int, Partial], op: str | Combine = "sum") -> Partial:
        """The total on all ranks."""
        nodes = self._nodes(values, op)
        if callable(op):
            return self.fold(self.allgather(nodes), op)
        return Reduction(self, ELEMENTWISE[op])(nodes)

    def reduce_scatter(self, values: Mapping[int, Partial], op: str = "sum") -> Partial:
        """This rank's rows of the total, or of each of its arrays: those that numpy.array_split
        along the first axis gives it. op: 'sum', 'min' or 'max'."""
        return Reduction(self, ELEMENTWISE[op], "sliced").scatter(self._nodes(values, op))

    def fold(self, parts: Sequence[Mapping[Node, Partial]], op: str | Combine) -> Partial:
        """Combine the nodes of all ranks; they may be written to."""
        folding: Folding[Partial] = Folding(self.n, combine_by(op))
        for part in parts:
            for node, value in part.items():
                folding.add(node, value)
        return folding.total

    def _nodes(self, values: Mapping[int, Partial], op: str | Combine) -> dict[Node, Partial]:
        if set(values) != set(self.mine):
            raise ValueError(
                f"rank {self.rank} has the partitions {self.mine}, but values of {sorted(values)}"
            )
        folding: Folding[Partial] = Folding(self.n, combine_by(op))
        for leaf in self.mine:
            folding.add((0, leaf), _copied(values[leaf]))
        return folding.nodes

    def _post(
        self, out: dict[int, Any], sources: Sequence[int], head: Head = NO_HEAD
    ) -> dict[int, Any]:
        boxes = {source: Unknown() for source in sources}
        self.heads = self.links.exchange(out, {**boxes}, head)
        return {source: letters.unpack(box.body) for source, box in boxes.items()}


class Joining:
    """As Reduction, by any function: partial results of any kind are sent as they are."""

    algorithm = "direct"

    def __init__(self, comm: Comm, combine: Combine):
        self._comm, self._combine = comm, combine
        self.heads: dict[int, Head] = {}

    def set_owners(self, owners: Sequence[int]) -> None:
        """Nothing to do: each message says which nodes it has."""

    def __call__(self, nodes: dict[Node, Partial], flags: int = 0, seconds: float = 0.0) -> Partial:
        found = self._comm.allgather_with(Head(flags, seconds), nodes)
        self.heads = self._comm.heads
        return self._comm.fold(found, self._combine)


class Alone(Comm):
    """The only rank there is: what serial gives to a user's step."""

    def __init__(self, n: int):
        super().__init__(Links(0, 1, {}, bytes(8), 1.0), (0,) * n)


def _copied(value: Partial) -> Partial:
    if isinstance(value, np.ndarray):
        return value.copy()
    if isinstance(value, tuple):
        copies = [_copied(part) for part in value]
        make = getattr(type(value), "_make", type(value))
        return make(copies)
    return value
