"""What can go wrong with bytes at a place. Each class knows its exit code."""


class StorageError(Exception):
    """One line: which place, what happened. `remedy` is the second line: what to do."""

    exit_code = 5

    def __init__(self, message: str, *, remedy: str | None = None) -> None:
        super().__init__(message)
        self.remedy = remedy


class KeyMissing(StorageError, KeyError):
    """A key that the folder does not hold."""

    def __str__(self) -> str:
        return str(self.args[0])  # KeyError would show the quoted repr


class NoSpace(StorageError):
    """The disk is full, or will be. What was written before is whole and can be resumed."""

    exit_code = 4
