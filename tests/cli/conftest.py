import pytest
from click.testing import CliRunner

from cli import run as run_commands
from cli.__main__ import main


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """fake(*arguments) -> result of `whorl run fake numbers.txt -o out ...` in an empty folder."""
    monkeypatch.setitem(run_commands.APPLICATIONS, "fake", "tests.cli.fake_application")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "numbers.txt").write_text("1\n2\n3\n")

    def call(*arguments, env=None):
        words = ["run", "fake", "numbers.txt", "-o", "out", *arguments]
        return CliRunner(env=env).invoke(main, words, prog_name="whorl")

    return call
