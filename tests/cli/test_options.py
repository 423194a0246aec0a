"""Options declared once: flags, environment, TOML file, default, and where each value came from."""

import dataclasses

import click
import pytest
from click.testing import CliRunner

from cli import options
from pipelines.app import (
    IterativeOptions,
    RunOptions,
    argument,
    byte_changing_values,
    check_fields,
    merged_values,
    option,
    range_of,
)


@dataclasses.dataclass(frozen=True)
class Config(IterativeOptions):
    sequences: str = argument("A file.")
    gap_open: int | None = option(None, "Cost of a gap.", min=0, shown_default="16")
    tol: float = option(0.5, "Tolerance.")
    mode: str = option("fast", "How.", choices=("fast", "exact"), changes_bytes=False)
    count: int | str = option(8, "How many.", kind="int-range", min=1, metavar="K|LOW:HIGH")

    def __post_init__(self):
        if self.gap_open == 13:
            raise ValueError("--gap-open 13 is unlucky.")


SEEN = []


def merged(*arguments, env=None):
    """Result of a command made from Config, and what it saw: (config, options)."""
    SEEN.clear()

    @click.pass_context
    def callback(ctx, **values):
        SEEN.append(options.merge(ctx, Config, values, ["typed"]))

    command = options.ApplicationCommand(
        "swg", params=options.parameters(Config), callback=callback
    )
    result = CliRunner(env=env).invoke(command, ["in.fa", "-o", "out", *arguments])
    return result, *(SEEN[0] if SEEN else (None, None))


def message(result):
    return result.stderr.strip().splitlines()[-1]


@pytest.fixture
def toml(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(text):
        (tmp_path / "whorl.toml").write_text(text)
        return "--config", "whorl.toml"

    return write


def test_values__flag_over_environment_over_file_over_default(toml):
    file = toml("gap-open = 1\ntol = 0.1\nmode = 'exact'\n[swg]\ntol = 0.2\n")
    _, config, run = merged(
        *file, "--gap-open", "3", env={"WHORL_TOL": "0.3", "WHORL_GAP_OPEN": "2"}
    )
    assert (config.gap_open, config.tol, config.mode) == (3, 0.3, "exact")
    assert run.origins["gap_open"] == "flag"
    assert run.origins["tol"] == "WHORL_TOL"
    assert run.origins["mode"] == "whorl.toml"
    assert run.origins["nthreads"] == "default"


def test_merged_values__tell_value_and_origin():
    _, config, run = merged("--gap-open", "3")
    rows = merged_values(config, run)
    assert rows["gap_open"] == {"value": 3, "origin": "flag"}
    assert rows["block_size"] == {"value": "auto", "origin": "default"}


def test_byte_changing_values__leave_out_what_cannot_change_a_byte():
    _, config, run = merged("--nworkers", "3", "--replicas", "2")
    assert byte_changing_values(config, run) == {
        "gap_open": None,
        "tol": 0.5,
        "count": 8,
        "block_size": "auto",
        "random_state": 0,
    }


def test_config_file__table_of_the_application_wins_over_top_level(toml):
    _, config, _ = merged(*toml("tol = 0.1\n[swg]\ntol = 0.2\n"))
    assert config.tol == 0.2


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("gap_opne = 3", "Error: whorl.toml: gap_opne is not an option. Did you mean gap_open?"),
        ("[swg]\ntoll = 3", "Error: whorl.toml: swg.toll is not an option. Did you mean tol?"),
        ("[swgg]\ntol = 3", "Error: whorl.toml: [swgg] is not an option. Did you mean swg?"),
        ("gap_open = 3.5", "Error: whorl.toml: gap_open: '3.5' is not a valid integer range."),
        ("gap_open = [1]", "Error: whorl.toml: gap_open: one value is expected."),
        ("nthreads = 0", "Error: whorl.toml: nthreads: 0 is not in the range x>=1."),
        ("gap_open = ", "Error: whorl.toml is not TOML: Invalid value (at end of document)."),
    ],
)
def test_config_file__wrong_key_or_value_is_named(toml, text, error):
    result, *_ = merged(*toml(text))
    assert result.exit_code == 2
    assert message(result) == error


def test_config_file__missing_one_is_a_usage_error():
    result, *_ = merged("--config", "no.toml")
    assert result.exit_code == 2
    assert message(result) == "Error: no.toml cannot be read: No such file or directory."


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--mode", "exat"], "'exat' is not one of fast, exact. Did you mean exact?"),
        (["--block-size", "0"], "0 is less than 1."),
        (["--block-size", "big"], "'big' is neither 'auto' nor a whole number."),
        (["--memory-limit", "lots"], "'lots' is neither 'auto' nor a size such as 4GiB."),
        (["--dashboard-address", "here"], "'here' is not HOST:PORT."),
        (["--dashboard-address", ":99999"], "':99999' is not HOST:PORT."),
        (["--count", "2:x"], "'2:x' is neither a whole number nor a range LOW:HIGH."),
        (["--count", "9:2"], "9:2 is empty: LOW is more than HIGH."),
        (["--count", "0:3"], "0 is less than 1."),
        (["--gap-open", "-1"], "-1 is not in the range x>=0."),
    ],
)
def test_flag__wrong_value_is_a_usage_error(arguments, error):
    result, *_ = merged(*arguments)
    assert result.exit_code == 2
    assert message(result).endswith(error)


def test_flag__wrong_name_gets_a_suggestion():
    result, *_ = merged("--gap-opne", "3")
    assert result.exit_code == 2
    assert "Did you mean" in message(result)
    assert "--gap-open" in message(result)


def test_value_error_of_config__is_a_usage_error():
    result, *_ = merged("--gap-open", "13")
    assert result.exit_code == 2
    assert message(result) == "Error: --gap-open 13 is unlucky."


def refusal(*arguments, env=None):
    result, *_ = merged(*arguments, env=env)
    return str(result.exception), getattr(result.exception, "exit_code", None)


@pytest.mark.parametrize("flag", ["--nworkers=2", "--nthreads=1", "--memory-limit=4GiB"])
def test_given_cluster__refuses_what_shapes_a_local_one(flag):
    text, code = refusal("--scheduler", "tcp://h:1", flag)
    name = flag.partition("=")[0]
    assert text == (
        f"{name} cannot be used with --scheduler (tcp://h:1): that cluster has its own workers."
    )
    assert code == 2


def test_dask_variable__names_the_cluster():
    _, _, run = merged(env={"DASK_SCHEDULER_ADDRESS": "tcp://h:1"})
    assert run.scheduler == "tcp://h:1"
    assert run.origins["scheduler"] == "DASK_SCHEDULER_ADDRESS"
    text, code = refusal("--nworkers", "2", env={"DASK_SCHEDULER_ADDRESS": "tcp://h:1"})
    assert text.startswith("--nworkers cannot be used with the scheduler of DASK_SCHEDULER_ADDRESS")
    assert code == 2


def test_serial__ignores_the_dask_variable_and_refuses_the_flag():
    _, _, run = merged("--executor", "serial", env={"DASK_SCHEDULER_ADDRESS": "tcp://h:1"})
    assert run.scheduler is None
    text, code = refusal("--executor", "serial", "--scheduler", "tcp://h:1")
    assert (text, code) == ("--executor serial does not use the cluster at tcp://h:1.", 2)


def test_resume_and_overwrite__contradict():
    text, code = refusal("--resume", "--overwrite")
    assert (text, code) == ("--resume and --overwrite contradict each other.", 2)


def test_run_options__check_themselves_without_a_command_line():
    with pytest.raises(ValueError, match="must be one of auto, serial, tasks, gang, not task"):
        RunOptions(output="out", executor="task")
    with pytest.raises(ValueError, match="--nthreads must be at least 1, not 0"):
        RunOptions(output="out", nthreads=0)


def test_help__tells_defaults_and_each_sentence_ends_with_a_full_stop():
    for parameter in options.parameters(Config):
        if isinstance(parameter, click.Option):
            assert parameter.help.endswith("."), parameter.name
    result = CliRunner().invoke(
        options.ApplicationCommand("swg", params=options.parameters(Config)), ["--help"]
    )
    assert "[default: 127.0.0.1:8787]" in " ".join(result.output.split())
    assert "[default: 16]" in " ".join(result.output.split())
    assert result.output.index("Options of swg:") < result.output.index("--gap-open")
    assert result.output.index("Options of iterations:") < result.output.index("--replicas")
    assert result.output.index("Options of every run:") < result.output.index("--nworkers")
    assert result.output.index("Options of every run:") < result.output.index("--help")
    assert result.output.count("A file.") <= 1


@pytest.mark.parametrize(("given", "value"), [("3", 3), ("2:20", "2:20"), ("7:7", 7)])
def test_range__is_a_number_or_two(given, value):
    _, config, _ = merged("--count", given)
    assert config.count == value
    assert range_of(config.count) == range_of(given)


def test_range__is_checked_without_a_command_line():
    with pytest.raises(ValueError, match="--count must be at least 1, not 0"):
        check_fields(Config("in.fa", count="0:3"))
