"""Words of the lines that a person reads before a run."""


def count(number: int, word: str) -> str:
    """'1 block', '1,200 blocks'."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"
