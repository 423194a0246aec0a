"""The report of an all-pairs Smith-Waterman-Gotoh run: distances, map, input, how it ran."""

from collections.abc import Mapping, Sequence

import numpy as np

from pipelines.report import wording
from pipelines.report.colours import LabelColours
from pipelines.report.figures import heat_map
from pipelines.report.histograms import distance_histogram, length_histogram, quantile_table
from pipelines.report.ordering import similarity_order, upper_triangle
from pipelines.report.page import build
from pipelines.report.parts import Cell, Legend, Number, Section, Table, Text
from pipelines.report.provenance import mapping, setting
from pipelines.report.running import run_section, whole_seconds
from pipelines.report.sampling import MOST_RECORDS, Rows, choose, read_sample

CITATION = (
    "Smith TF, Waterman MS (1981) Identification of common molecular subsequences. "
    "J Mol Biol 147:195-197.\n"
    "Gotoh O (1982) An improved algorithm for matching biological sequences. "
    "J Mol Biol 162:705-708."
)
UNBOUNDED = {"jukes-cantor", "kimura", "score"}


def swg_report(
    run: Mapping,
    ids: Sequence[str],
    lengths: Sequence[int] | np.ndarray,
    labels: Sequence[str | None] | None,
    matrix: Rows,
    blocks: Sequence[Mapping],
    random_state: int | None = None,
) -> bytes:
    """One offline HTML page (UTF-8), the same for the same arguments.

    run            run.json as a dict (schema 1); any key may be missing
    ids (n,)       record ids as they stand in the input: foreign text
    lengths (n,)   letters of each record
    labels (n,)    a label, or None for an unlabelled record; None when there are no labels
    matrix         .n and .rows(start, stop) -> float (stop - start, n), NaN = missing
    blocks         [{i, j, worker, started, stopped}] in epoch seconds; attempt, lost where known
    random_state   seed of the sample of at most 2,000 records that is drawn; None = 0
    """
    lengths = np.asarray(lengths, dtype=np.int64)
    sample = _Sample(run, ids, labels, matrix, random_state)
    sections = [
        _distances(sample, lengths[sample.chosen]),
        _map(run, sample),
        _input(run, lengths),
        run_section(run, blocks),
    ]
    return build(
        run,
        title=_title(len(ids)),
        subtitle=_subtitle(run, len(ids)),
        numbers=_numbers(run, sample),
        sections=sections,
        citation=CITATION,
    )


class _Sample:
    """The records that are drawn, in similarity order, and their distances to each other.

    chosen (k,) int64; ids (k,); distances (k, k) float32; values: the finite ones of all pairs
    """

    def __init__(self, run, ids, labels, matrix: Rows, random_state):
        self.n = len(ids)
        self.kind = str(setting(run, "distance") or "distance")
        self.unit = "score" if self.kind == "score" else "distance"
        chosen = choose(self.n, MOST_RECORDS, random_state, getattr(matrix, "block_size", 1))
        distances = read_sample(matrix, chosen)
        upper = upper_triangle(distances)
        self.values = upper[np.isfinite(upper)]
        self.n_missing = len(upper) - len(self.values)
        order = similarity_order(-distances if self.unit == "score" else distances)
        self.distances = distances[np.ix_(order, order)]
        if self.unit == "score":  # its diagonal is 0 by definition, which would read as "unlike"
            np.fill_diagonal(self.distances, np.nan)
        self.chosen = chosen[order]
        self.ids = [ids[number] for number in self.chosen.tolist()]
        self.labels = None
        if labels is not None and any(label is not None for label in labels):
            self.labels = LabelColours([labels[number] for number in self.chosen.tolist()])

    @property
    def is_all(self) -> bool:
        return len(self.chosen) == self.n

    @property
    def scope(self) -> str:
        pairs = len(self.values) + self.n_missing
        if self.is_all:
            return f"All {wording.count(pairs)} pairs" if pairs != 1 else "The one pair"
        return (
            f"A random sample of {wording.count(len(self.chosen))} of {wording.count(self.n)} "
            f"records, {wording.count(pairs)} pairs"
        )


def _title(n: int) -> str:
    if n < 2:
        return "One sequence, no pair to compare" if n else "No sequences"
    pairs = n * (n - 1) // 2
    return f"{wording.count(n)} sequences, {wording.count(pairs)} pair{'' if pairs == 1 else 's'}"


def _subtitle(run: Mapping, n: int) -> str:
    """'Smith-Waterman-Gotoh of protein sequences; distance identity-longer; BLOSUM62, gap 11/1'."""
    alphabet = {"dna": "DNA", "rna": "RNA"}.get(
        str(setting(run, "alphabet")), setting(run, "alphabet")
    )
    known = alphabet if alphabet not in (None, "auto") else ""
    parts = [f"Smith-Waterman-Gotoh, all pairs{f' of {known} sequences' if known else ''}"]
    if setting(run, "distance"):
        parts.append(f"distance {setting(run, 'distance')}")
    if setting(run, "matrix"):
        parts.append(f"{setting(run, 'matrix')}")
    if setting(run, "gap_open") is not None:
        parts.append(
            f"gap {setting(run, 'gap_open')} to open, {setting(run, 'gap_extend')} to extend"
        )
    return wording.short(" · ".join(parts), 300)


def _numbers(run: Mapping, sample: _Sample) -> list[Number]:
    pairs = mapping(run, "pairs")
    total = pairs.get("total", sample.n * (sample.n - 1) // 2)
    n_pairs = wording.count(total) if total < 10**8 else wording.large(total)
    numbers = [Number("records", wording.count(sample.n)), Number("pairs", n_pairs)]
    if len(sample.values):
        note = "" if sample.is_all else f"of {wording.count(len(sample.values))} sampled pairs"
        middle = f"{np.median(sample.values):.3g}"
        numbers.append(Number(f"median {sample.unit}", middle, note))
    missing = pairs.get("missing", sample.n_missing if sample.is_all else None)
    counted = [
        ("at exactly 0", pairs.get("zero") if sample.kind != "score" else None),
        ("at exactly 1", pairs.get("one") if sample.kind not in UNBOUNDED else None),
        ("missing", missing),
        ("clipped to 0 or 1", pairs.get("clipped") or None),
    ]
    for label, found in counted:
        if found is not None and total:
            note = f"{wording.count(found)} pair{'' if found == 1 else 's'}"
            numbers.append(Number(label, wording.share(found, total), note))
    return numbers + _rates(run)


def _rates(run: Mapping) -> list[Number]:
    numbers = []
    agreement = mapping(run, "labels").get("one_nn")
    if isinstance(agreement, int | float):
        numbers.append(Number("1-NN agreement", f"{agreement:.3f}", "nearest has the same label"))
    if isinstance(run.get("cells"), int | float):
        numbers.append(Number("cells", wording.large(run["cells"]), "of alignment matrices"))
    if isinstance(run.get("gcups"), int | float):
        numbers.append(Number("GCUPS", f"{run['gcups']:.3g}", "10⁹ cells per second"))
    seconds = whole_seconds(run)
    if seconds is not None:
        numbers.append(Number("time", wording.seconds(seconds), "from start to end"))
    return numbers


def _distances(sample: _Sample, lengths: np.ndarray) -> Section:
    if not len(sample.values):
        return Section("Distances", [Text("There is no pair with a distance.")])
    exact = () if sample.unit == "score" else (0.0,) if sample.kind in UNBOUNDED else (0.0, 1.0)
    remarks = []
    for value in exact:
        part = wording.share(int((sample.values == value).sum()), len(sample.values))
        remarks.append(f"{part} are exactly {value:g}")
    if sample.n_missing:
        remarks.append(f"{wording.count(sample.n_missing)} are missing and not drawn")
    summary = f"{sample.scope}" + (": " + ", ".join(remarks) if remarks else "") + "."
    figure = distance_histogram(
        sample.values,
        unit=sample.unit,
        summary=summary,
        exact=exact,
        grain=_grain(lengths) if sample.kind in ("identity-longer", "identity-shorter") else None,
    )
    return Section("Distances", [figure, quantile_table(sample.values, sample.unit)])


def _grain(lengths: np.ndarray) -> float | None:
    """1 / the most frequent length: identities are counted in whole columns."""
    frequent = int(np.bincount(lengths).argmax())
    return 1 / frequent if frequent else None


def _map(run: Mapping, sample: _Sample) -> Section:
    k = len(sample.chosen)
    if k < 2 or not len(sample.values):
        return Section("Matrix", [Text("A map needs two records and a distance between them.")])
    low, high = _ends(sample)
    near_is_large = sample.unit == "score"
    cells = min(k, 500)
    drawn = f", drawn as {cells} x {cells} means" if cells < k else ""
    who = (
        f"All {wording.count(k)} records"
        if sample.is_all
        else f"A random sample of {wording.count(k)} records"
    )
    figure = heat_map(
        "map",
        "Map of the matrix",
        sample.distances,
        sample.ids,
        sample.labels,
        summary=f"{who}, similar ones side by side{drawn}.",
        unit=sample.unit,
        ends=(low, high),
        near_is_large=near_is_large,
    )
    ends = (f"alike  {low:.3g}", f"{high:.3g}  unlike")
    if near_is_large:
        ends = (f"alike  {high:.3g}", f"{low:.3g}  unlike")
    return Section("Matrix", [figure], aside=[Legend(scale=ends), *_label_parts(run, sample)])


def _ends(sample: _Sample) -> tuple[float, float]:
    """Ends of the colour scale: nearly all values lie between, rounded outward to a tenth of 1 (or
    to a tenth of the range). Beyond them the colour stays."""
    low, high = np.quantile(sample.values, (0.005, 0.995)).tolist()
    step = 0.1 if sample.kind not in UNBOUNDED else (high - low) / 10 or 1.0
    low, high = np.floor(low / step + 1e-6) * step, np.ceil(high / step - 1e-6) * step
    return (low, high) if high > low else (high - step, high) if high > 0 else (low, low + step)


def _label_parts(run: Mapping, sample: _Sample) -> list:
    parts: list = [
        Text(
            "Records are ordered by the tree of average linkage. Squares on the diagonal are "
            "groups of similar sequences; squares beside it are groups akin to each other. "
            "Point at a cell for its ids.",
            tone="quiet",
        )
    ]
    if sample.n_missing:
        parts.append(Legend([("var(--missing)", "missing")]))
    if sample.labels is not None:
        parts.append(_label_table(sample))
        agreement = mapping(run, "labels").get("one_nn")
        if isinstance(agreement, int | float):
            parts.append(
                Text(
                    f"For {100 * agreement:.3g} % of the records the nearest neighbour has "
                    "the same label."
                )
            )
    return parts


def _label_table(sample: _Sample) -> Table:
    """Median distance inside each label and to all others, for the labels that have a colour."""
    rows = []
    for code, (colour, label, number) in enumerate(sample.labels.entries):
        inside = sample.labels.codes == code
        if label is None:
            n_shared = sample.labels.n_labels - len(sample.labels.own)
            name = "no label" if colour != "#8A9096" else f"{wording.count(n_shared)} other labels"
            rows.append((Cell(name, colour=colour), wording.count(number), "", ""))
            continue
        within = upper_triangle(sample.distances[np.ix_(inside, inside)])
        beyond = sample.distances[np.ix_(inside, ~inside)]
        rows.append(
            (
                Cell(wording.short(label, 40), colour=colour),
                wording.count(number),
                _median(within),
                _median(beyond),
            )
        )
    return Table(("label", "records", "inside", "to others"), rows, (1, 2, 3), "Median by label")


def _median(values: np.ndarray) -> str:
    values = values[np.isfinite(values)]
    return f"{np.median(values):.2f}" if len(values) else "–"


def _input(run: Mapping, lengths: np.ndarray) -> Section:
    parts: list = []
    figure = length_histogram(
        lengths, "residues" if setting(run, "alphabet") == "protein" else "letters"
    )
    if figure is not None:
        parts.append(figure)
    rows = []
    for entry in run.get("inputs") or ():
        if not isinstance(entry, Mapping):
            continue
        sha256 = str(entry.get("sha256") or "")
        size = entry.get("nbytes", entry.get("bytes"))
        rows.append(
            (
                wording.short(entry.get("path", entry.get("name", "")), 120),
                wording.count(entry["records"]) if isinstance(entry.get("records"), int) else "",
                wording.nbytes(size) if isinstance(size, int | float) else "",
                Cell(f"{sha256[:16]}…" if len(sha256) > 16 else sha256, code=True),
            )
        )
    if rows:
        parts.append(Table(("file", "records", "size", "sha256"), rows, numeric=(1, 2)))
    total = int(lengths.sum())
    intro = f"{wording.count(len(lengths))} records with {wording.count(total)} letters in all."
    return Section("Input", parts or [Text("No records.")], intro=intro)
