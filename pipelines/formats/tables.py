"""Tables of our own results, read back: a header, tabs, one line per row."""


def table_rows(table: bytes) -> list[dict[str, str]]:
    """The rows by the names of the columns."""
    header, *lines = table.decode().split("\n")
    columns = header.split("\t")
    return [dict(zip(columns, line.split("\t"), strict=True)) for line in lines if line]
