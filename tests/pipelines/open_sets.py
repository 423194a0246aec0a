"""Labelled sequences that others published, where they lie beside the checkout."""

import numpy as np
import pytest

from pipelines.formats.fasta import read_fasta
from tests.pipelines.swg_runs import DATA

FAMILIES = {"protein_4fam_hmmer": 4, "rna_3fam_rfam": 3}  # name -> number of families


def need(path):
    if not path.exists():
        pytest.skip(f"{path.name} is not there: the open data is no part of the repository")


def families(name):
    """(FASTA, labels) of one of FAMILIES, as paths."""
    need(DATA / f"{name}.fasta")
    return str(DATA / f"{name}.fasta"), str(DATA / f"{name}.labels.tsv")


def ten_genera(folder):
    """(FASTA, labels), written there: ten 16S sequences of each of the ten largest genera."""
    source = DATA / "16s_full_dada2_a_1336.fa.gz"
    need(source)
    records = read_fasta(str(source), ids="full")
    genera = {}
    for k, header in enumerate(records.ids):
        genera.setdefault(header.partition("g:")[2].split(",")[0].rstrip(";"), []).append(k)
    largest = sorted(genera, key=lambda genus: (-len(genera[genus]), genus))[:10]
    chosen = [(k, genus) for genus in largest for k in genera[genus][:10]]
    letters = np.frombuffer(b"ATGCSWRYKMBVHDN", "S1").astype(str)
    with open(folder / "16s.fasta", "w") as fasta, open(folder / "16s.tsv", "w") as table:
        for k, genus in chosen:
            codes = records.codes[records.offsets[k] : records.offsets[k + 1]]
            fasta.write(f">{k}\n{''.join(letters[codes])}\n")
            table.write(f"{k}\t{genus}\n")
    return str(folder / "16s.fasta"), str(folder / "16s.tsv")
