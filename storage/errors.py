"""What can go wrong with bytes at a place. Each class knows its exit code."""


class StorageError(Exception):
    """One line: which place, what happened. `remedy` is the second line: what to do.

    tier and key say it to programs, where a tier is meant.
    """

    exit_code = 5

    def __init__(
        self, message: str, *, remedy: str | None = None, tier: str = "", key: str = ""
    ) -> None:
        super().__init__(message)
        self.remedy, self.tier, self.key = remedy, tier, key


class KeyMissing(StorageError, KeyError):
    """A key that the folder or tier does not hold."""

    def __str__(self) -> str:
        return str(self.args[0])  # KeyError would show the quoted repr


class NoSpace(StorageError):
    """The disk is full, or will be. What was written before is whole and can be resumed."""

    exit_code = 4


class TierFull(NoSpace):
    """A tier has no room for this value; it holds what it held before."""


class Damaged(StorageError):
    """What a tier holds is not what was put there."""

    exit_code = 8
