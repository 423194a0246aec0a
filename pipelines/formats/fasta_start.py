"""Is this FASTA at all? Judged by the first bytes, with a guess at what it is instead."""

from pipelines.errors import InputProblem
from pipelines.formats.fasta_checks import quote

HEAD = 2**14  # bytes that are enough to judge

_BOM = b"\xef\xbb\xbf"
_SHOWN = 12  # letters of the offending line in the message

# first bytes, name of the format, what to do
_OTHERS = (
    (b"LOCUS ", "GenBank", "Export it as FASTA."),
    (b"ID   ", "EMBL or UniProt text", "Export it as FASTA."),
    (b"# STOCKHOLM", "a Stockholm alignment", "Convert it: esl-reformat fasta FILE."),
    (b"CLUSTAL", "a Clustal alignment", "Export it as FASTA."),
    (b"##gff", "GFF", "Extract the sequences as FASTA first."),
    (b"@HD\t", "SAM", "Convert it: samtools fasta FILE."),
    (b"@SQ\t", "SAM", "Convert it: samtools fasta FILE."),
    (b"%PDF", "PDF", "Give the text of the sequences."),
    (b"PK\x03\x04", "a ZIP archive", "Unpack it first."),
    (b"\x1f\x8b", "compressed twice", "Decompress it once."),
    (b"<", "HTML or XML", "Was an error page saved in place of the file?"),
    (b"{", "JSON", "Give a FASTA file."),
)


def check_start(head: bytes, name: str) -> bytes:
    """`head` without a byte order mark. InputProblem when no FASTA file starts like that."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InputProblem(
            f"{name} is UTF-16 text.", remedy="Save it as UTF-8: iconv -f UTF-16 -t UTF-8 FILE."
        )
    head = head.removeprefix(_BOM)
    lines = head[:HEAD].replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    filled = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if not filled or filled[0][1].startswith(b">"):
        return head
    number, line = filled[0]
    shown = f"line {number:,} is {_shorten(line)}"
    text, remedy = _other_format(line, [line for _, line in filled[1:4]])
    if text:
        raise InputProblem(f"{name} is {text}, not FASTA: {shown}.", remedy=remedy)
    raise InputProblem(f'{name} {shown}; a FASTA file starts with ">".', remedy=remedy)


def _other_format(line: bytes, rest: list[bytes]) -> tuple[str, str]:
    for first, text, remedy in _OTHERS:
        if line.startswith(first):
            return text, remedy
    if line.startswith(b"@") and any(following.startswith(b"+") for following in rest[1:2]):
        return "FASTQ", "Convert it: seqtk seq -a FILE > FILE.fasta."
    if line.startswith(b";"):
        return "", 'Old FASTA with ";" headers: put ">" in their place.'
    if line.lstrip().startswith(b">"):
        return "", 'Remove the blanks before ">".'
    return "", "Give a FASTA file."


def _shorten(line: bytes) -> str:
    return quote(line.decode("utf-8", "backslashreplace"), _SHOWN)
