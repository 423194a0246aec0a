"""Values that every worker holds once. Tasks carry the handle, workers look the value up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_VALUES: dict[str, Any] = {}  # of this process, driver or worker


@dataclass(frozen=True)
class Broadcast:
    """Handle of a broadcast value: a few bytes when pickled. `value` reads this process's copy."""

    key: str

    @property
    def value(self) -> Any:
        try:
            return _VALUES[self.key]
        except KeyError:
            raise LookupError(f"{self.key} is not held here: was its engine closed?") from None


def hold(key: str, value: Any) -> None:
    _VALUES[key] = value


def forget(key: str) -> None:
    _VALUES.pop(key, None)
