"""Errors of the applications that a user can mend. Each class knows its exit code."""


class WhorlError(Exception):
    """One line for the user: what, where, the limit. `remedy` is the second line: what to do."""

    exit_code = 1

    def __init__(self, message: str, *, remedy: str | None = None):
        super().__init__(message)
        self.remedy = remedy


class UsageProblem(WhorlError):
    """Options or paths that cannot work together."""

    exit_code = 2


class InputProblem(WhorlError):
    """Input data that cannot be used as it is."""

    exit_code = 3


class ResourceProblem(WhorlError):
    """Not enough memory or disk, predicted or met."""

    exit_code = 4


class NotConverged(WhorlError):
    """An iteration that reached its limit, where that was asked to be an error."""

    exit_code = 7


class DamagedResult(WhorlError):
    """A result folder that is incomplete or whose bytes are not those that were written."""

    exit_code = 8
