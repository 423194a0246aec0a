"""check tells kind, counts and the first problems; exit 3 when a run would refuse the input."""

import io
import json

import pytest
from click.testing import CliRunner

from cli.__main__ import main

GOOD = ">a first\nACGT\n>b\nACGTN\n>c\nACGT\n"


@pytest.fixture
def check(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def call(text, *arguments):
        (tmp_path / "s.fasta").write_text(text)
        return CliRunner().invoke(main, ["check", "s.fasta", *arguments], prog_name="whorl")

    return call


def test_good_file__is_described_and_the_next_command_named(check):
    result = check(GOOD)
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "kind         FASTA, 31 bytes",
        "records      3 sequences, DNA, 1 with ambiguity codes",
        "lengths      4-5 (median 4) letters, 13 in all",
        "duplicates   0 ids, 1 sequence",
        "problems     none",
        "next         whorl run swg s.fasta -o DIR",
    ]


def test_bad_letters__are_told_with_line_and_column(check):
    result = check(">a\nACGT-ACGTACGT\n>b\n\n")
    assert result.exit_code == 3
    assert "problems     2" in result.stdout
    assert '             line 2, column 5: "-" is not a DNA letter (record "a")' in result.stdout
    assert '             line 3: record "b" has no letters' in result.stdout


def test_more_than_five_problems__are_counted(check):
    result = check("".join(f">a{k}\n\n" for k in range(9)))
    assert result.stdout.splitlines()[-1].strip() == "and 4 more"


def test_unknown_kind__is_no_fasta(check):
    result = check("just some text\n")
    assert result.exit_code == 3
    assert result.stdout.startswith("kind         unknown, 15 bytes\n")


def test_json__is_one_object(check):
    facts = json.loads(check(GOOD, "--json").stdout)
    assert (facts["kind"], facts["n"], facts["alphabet"]) == ("fasta", 3, "dna")


def test_stdin__is_read(monkeypatch):
    result = CliRunner().invoke(main, ["check", "-"], input=io.BytesIO(GOOD.encode()))
    assert result.exit_code == 0, result.output
    assert "3 sequences" in result.stdout


def test_missing_file__names_the_nearest(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "seqs.fasta").write_text(GOOD)
    result = CliRunner().invoke(main, ["check", "seqs.fsta"])
    assert result.exit_code == 2
    assert result.stderr == "Error: seqs.fsta does not exist.\nDid you mean seqs.fasta?\n"


def test_folder_without_result__is_a_usage_error(tmp_path):
    result = CliRunner().invoke(main, ["check", str(tmp_path)])
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: ")
