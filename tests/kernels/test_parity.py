"""Scores and identities against parasail, Biopython, EMBOSS and SeqAn; families told apart."""

import json
import re

import numpy as np
import pytest

from kernels import sequences, swg
from tests import naive, strategies
from tests.kernels import truth

parasail = pytest.importorskip("parasail")

OPEN_SETS = {  # name: (alphabet, records compared)
    "protein_4fam_hmmer.fasta": ("protein", 60),
    "protein_sprot_196.fasta": ("protein", 30),
    "rna_3fam_rfam.fasta": ("rna", 60),
    "mirbase_hairpin_28645.fa.gz": ("rna", 60),
    "16s_v4_gg_1104.fasta": ("dna", 50),
    "16s_full_gg85_4797.fasta.gz": ("dna", 10),
}


def open_set(name):
    """Every k-th record, so that all families of an ordered file occur."""
    alphabet, most = OPEN_SETS[name]
    records = truth.fasta(name)
    return alphabet, [text for _, text in records[:: max(len(records) // most, 1)]][:most]


def generated_set(alphabet):
    rng = np.random.default_rng(12)
    letters = sequences.letters(alphabet)
    texts = strategies.random_sequences(rng, letters, rng.integers(1, 150, 15))
    for change in (0.05, 0.3, 0.6):
        texts += strategies.relatives(rng, letters[:20], 12, 120, change)
    return [*texts, letters, letters.lower(), letters[0], letters[-1] * 30]


def parasail_matrix(alphabet):
    return parasail.blosum62 if alphabet == "protein" else parasail.dnafull


def theirs(function, one, two, alphabet, gaps):
    texts = [naive.read(text, alphabet) for text in (one, two)]
    return function(*texts, *gaps, parasail_matrix(alphabet))


def assert_scores_are_parasails(texts, alphabet, gaps=None):
    gaps = gaps or sequences.DEFAULTS[alphabet][1:]
    texts = [text for text in texts if text]
    found = truth.found_pairs(truth.fill(texts, alphabet, "score", (None, *gaps)))
    for (i, j), (score, _, _) in found.items():
        assert score == theirs(parasail.sw_scan_32, texts[i], texts[j], alphabet, gaps).score


@pytest.mark.parametrize("alphabet", ["dna", "rna", "protein"])
@pytest.mark.parametrize("gaps", [None, (5, 5), (9, 2), (1, 1), (30, 7)])
def test_scores__are_parasails_on_generated_sets(alphabet, gaps):
    assert_scores_are_parasails(generated_set(alphabet), alphabet, gaps)


@truth.needs_data
@pytest.mark.parametrize("name", OPEN_SETS)
def test_scores__are_parasails_on_open_data(name):
    alphabet, texts = open_set(name)
    assert_scores_are_parasails(texts, alphabet)
    assert_scores_are_parasails(texts[::3], alphabet, (6, 6))


@truth.needs_data
def test_scores__are_parasails_on_whole_genomes():
    texts = [text for _, text in truth.fasta("dengue_genomes_54.fasta")][::27]
    counts = truth.fill(texts, "dna", "score")
    for (i, j), (score, _, _) in truth.found_pairs(counts).items():
        assert score == theirs(parasail.sw_scan_64, texts[i], texts[j], "dna", (16, 4)).score
    assert counts.score.max() > 32767 / 2


def extremes(one, two, alphabet, gaps):
    """Most and fewest identical, then other columns among all best-scoring alignments."""
    scores = sequences.scoring(alphabet)[0].astype(np.int64)
    a, b = naive.codes(one, alphabet), naive.codes(two, alphabet)
    same, plain = np.eye(len(scores), dtype=np.int64), np.zeros_like(scores)
    weight = 4 * (len(a) + len(b) + 2)
    found = []
    for identical, other in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        table = weight * scores + identical * same + other * (1 - same)
        costs = (weight * gap - other for gap in gaps)
        key = truth.align(a, b, table, plain, *costs)[0]
        found.append(abs(key - weight * ((key + weight // 2) // weight)))
    return found


def assert_identities_are_parasails(texts, alphabet, sample=250):
    """Where one best alignment is left; with ties, parasail's lies among the possible ones."""
    gaps = sequences.DEFAULTS[alphabet][1:]
    texts = [text for text in texts if text]
    found = truth.found_pairs(truth.fill(texts, alphabet, "columns"))
    aligned = [pair for pair, (score, _, _) in sorted(found.items()) if score]
    unique = 0
    for k in np.random.default_rng(1).permutation(len(aligned))[:sample]:
        i, j = aligned[k]
        got = theirs(parasail.sw_stats_scan_32, texts[i], texts[j], alphabet, gaps)
        most, fewest, most_others, fewest_others = extremes(texts[i], texts[j], alphabet, gaps)
        _, identical, others = found[i, j]
        assert identical == most
        assert fewest_others <= others <= most_others
        if most == fewest and most_others == fewest_others:
            assert (identical, identical + others) == (got.matches, got.length)
            unique += 1
    assert unique > 0.25 * min(sample, len(aligned))


@pytest.mark.parametrize("alphabet", ["dna", "protein"])
def test_identities__are_parasails_on_generated_sets(alphabet):
    assert_identities_are_parasails(generated_set(alphabet), alphabet)


@truth.needs_data
@pytest.mark.parametrize("name", [name for name in OPEN_SETS if "full" not in name])
def test_identities__are_parasails_on_open_data(name):
    alphabet, texts = open_set(name)
    assert_identities_are_parasails(texts, alphabet, sample=120)


@pytest.mark.parametrize("alphabet", ["dna", "protein"])
def test_scores__are_biopythons(alphabet, rng):
    align = pytest.importorskip("Bio.Align")
    name, gap_open, gap_extend = sequences.DEFAULTS[alphabet]
    name = {"EDNAFULL": "NUC.4.4"}.get(name, name)
    aligner = align.PairwiseAligner(
        mode="local", substitution_matrix=align.substitution_matrices.load(name),
        open_gap_score=-gap_open, extend_gap_score=-gap_extend,
    )  # fmt: skip
    texts = [text.upper() for text in generated_set(alphabet)]
    found = truth.found_pairs(truth.fill(texts, alphabet, "score"))
    pairs = sorted(found)
    for k in rng.choice(len(pairs), 150, replace=False):
        i, j = pairs[k]
        assert found[i, j][0] == aligner.score(texts[i], texts[j])


@truth.needs_data
def test_scores__are_those_that_three_libraries_agree_on():
    known = json.loads((truth.DATA / "align" / "cross_checked_open.json").read_text())["vectors"]
    by_costs = {}
    for vector in known:
        key = [vector[k] for k in ("file", "matrix", "match", "mismatch", "gap_first", "gap_next")]
        by_costs.setdefault(tuple(key), []).append(vector)
    for (file, matrix, match, mismatch, *gaps), vectors in by_costs.items():
        alphabet = "protein" if matrix else "dna"
        records = {
            header.split()[0]: text for header, text in truth.fasta(file.removeprefix("fasta/"))
        }
        if matrix is None:
            matrix = sequences.match_mismatch(match, mismatch, alphabet)
        for vector in vectors:
            pair = [records[vector["a"]], records[vector["b"]]]
            counts = truth.fill(pair, alphabet, "score", (matrix, *gaps))
            assert truth.found_pairs(counts)[0, 1][0] == vector["score"]
    assert len(known) == 120


@truth.needs_data
def test_scores__are_seqans():
    for case in json.loads((truth.DATA / "align" / "seqan3_local_affine.json").read_text()):
        alphabet = "protein" if case["matrix"] else "dna"
        matrix = case["matrix"]
        if matrix is None:
            matrix = sequences.match_mismatch(case["match"], case["mismatch"], alphabet)
        costs = (matrix, case["gap_first"], case["gap_next"])
        counts = truth.fill([case["a"], case["b"]], alphabet, "score", costs)
        assert truth.found_pairs(counts)[0, 1][0] == case["score"], case["name"]


@truth.needs_data
def test_counts__are_those_of_emboss_water():
    """EDNAFULL 10/0.5, doubled: our costs are whole numbers."""
    report = (truth.DATA / "align" / "emboss_water2.txt").read_text()
    texts = re.findall(r"sequence asis:(\w+)", report)
    matrix = 2 * sequences.substitution_matrix("EDNAFULL", "dna")
    counts = truth.fill(texts, "dna", "columns", (matrix, 20, 1))
    assert truth.found_pairs(counts)[0, 1] == (2 * 75, 17, 1)
    assert "17/18" in report
    assert "Score: 75.0" in report


@truth.needs_data
def test_counts__are_those_of_emboss_matcher():
    texts = []
    for name in ("emboss_rose.pro", "emboss_rosemary.pro"):
        lines = (truth.DATA / "align" / name).read_text().splitlines()
        texts.append("".join(lines[1:]))
    counts = truth.fill(texts, "protein", "columns", (None, 14, 4))
    assert truth.found_pairs(counts)[0, 1] == (29, 7, 9)


def nearest_agreement(distances, labels):
    """Share of records whose nearest other record has their label, over all that are as near."""
    np.fill_diagonal(distances, np.inf)
    nearest = distances <= distances.min(axis=1, keepdims=True) + 1e-9
    same = np.equal.outer(labels, labels)
    return np.mean((nearest & same).sum(axis=1) / nearest.sum(axis=1))


def families(name):
    """(alphabet, sequences, labels) of a labelled open set."""
    if name.startswith("16s"):
        of_genus = {}
        for header, text in truth.fasta(name):
            of_genus.setdefault(re.search(r"g:([^,;]+)", header)[1], []).append(text)
        largest = sorted(of_genus, key=lambda genus: -len(of_genus[genus]))[:10]
        texts = [text for genus in largest for text in of_genus[genus][:10]]
        return "dna", texts, [genus for genus in largest for _ in of_genus[genus][:10]]
    records = truth.fasta(name)
    labels = [header.split("|")[0] for header, _ in records]
    return OPEN_SETS[name][0], [text for _, text in records], labels


@truth.needs_data
@pytest.mark.parametrize(
    ("name", "parasails"),
    [
        ("protein_4fam_hmmer.fasta", 0.105),
        ("rna_3fam_rfam.fasta", 0.084),
        ("16s_full_dada2_a_1336.fa.gz", 1.00),
    ],
)
def test_distances__tell_families_apart(name, parasails):
    """The identity over the aligned region does not, but for whole genes: short lucky stretches
    without a mismatch are nearest. Its agreement is near that of parasail's identities."""
    alphabet, texts, labels = families(name)
    options = {"alphabet": alphabet, "dtype": "float64"}
    for distance, least in (("identity-longer", 0.99), ("score-max", 0.95)):
        found = swg.distance_matrix(texts, distance=distance, **options)
        assert nearest_agreement(found, np.array(labels)) >= least
    found = swg.distance_matrix(texts, distance="identity-aligned", **options)
    assert nearest_agreement(found, np.array(labels)) == pytest.approx(parasails, abs=0.05)
