import gzip

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pipelines.errors import InputProblem, UsageProblem
from pipelines.formats.fasta import read_fasta, survey_fasta

PIECES = [
    b">",
    b"a b",
    b"ACGT",
    b"mkv",
    b"-.",
    b"\n",
    b"\r",
    b" ",
    b"\0",
    b"\xff",
    b"1",
    b";",
    b"@",
]


@pytest.fixture
def save(tmp_path):
    def write(data):
        path = tmp_path / "seqs.fasta"
        path.write_bytes(data)
        return str(path)

    return write


@given(st.lists(st.sampled_from(PIECES)).map(b"".join) | st.binary())
@example(b">a\nmkv\n>b\nACGTACGTACGT\n>\n-")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_survey__finds_a_problem_exactly_when_the_reader_refuses(save, data):
    path = save(data)
    survey = survey_fasta(path)
    try:
        records = read_fasta(path)
    except InputProblem:
        assert survey.n_problems >= len(survey.problems) > 0
        assert not any("\n" in problem for problem in survey.problems)
    else:
        assert (survey.n_problems, survey.problems) == (0, [])
        assert (survey.n, survey.alphabet) == (records.n, records.alphabet)
        assert (survey.letters, survey.ambiguous) == (records.codes.size, records.ambiguous)


def test_survey__counts_what_is_there(save):
    text = b">a\nACGT\n>b\nAC\n>c\nacgt\n>d\nACN\n"
    survey = survey_fasta(save(gzip.compress(text)))
    assert (survey.n, survey.letters, survey.alphabet) == (4, 13, "dna")
    assert (survey.length_min, survey.length_median, survey.length_max) == (2, 3.5, 4)
    assert (survey.compression, survey.ambiguous) == ("gzip", 1)
    assert (survey.duplicate_ids, survey.duplicate_sequences) == (0, 1)
    assert (survey.n_problems, survey.problems) == (0, [])


def test_survey__lists_the_first_problems_by_line(save):
    text = b">a\nACGTACGTACGT\n>a\nAC-T\n>\nA\n>d\n\n>e\n" + b"1" * 9
    survey = survey_fasta(save(text))
    assert survey.n_problems == 13
    assert survey.problems == [
        'line 3: id "a" is that of line 1 too',
        'line 4, column 3: "-" is not a DNA letter (record "a")',
        "line 5: header without an id",
        'line 7: record "d" has no letters',
        'line 10, column 1: "1" is not a DNA letter (record "e")',
    ]


@pytest.mark.parametrize(
    "data", [b"", b"text", gzip.compress(b">a\nAC\n")[:-3], b"\xff\xfe\0", b">", b">\n>", b"\n\n"]
)
def test_survey__never_refuses_content(save, data):
    survey = survey_fasta(save(data))
    assert survey.n_problems >= 1
    assert len(survey.problems) >= 1


def test_survey__refuses_a_missing_file(tmp_path):
    with pytest.raises(UsageProblem, match="does not exist"):
        survey_fasta(str(tmp_path / "none.fa"))
