"""Work on a cluster that somebody else started."""

import re

import pytest
from distributed import Client, LocalCluster, Security
from distributed.comm import CommClosedError

from pipelines.engine import ClusterMismatch, ClusterUnreachable, connect, given, probe
from pipelines.engine.given import check_token, cpu_warning
from tests.pipelines.engine import jobs


@pytest.fixture
def address(cluster):
    return cluster.client.scheduler.address


def test_given_cluster__is_used_and_left_as_it_was(cluster, address):
    plugins = set(cluster.client.run_on_scheduler(jobs.plugin_names))
    pids = {worker.address for worker in cluster.workers}
    with connect(scheduler=address) as engine:
        assert (engine.name, engine.reason) == ("tasks", "a scheduler is given")
        table = engine.broadcast([5, 6])
        assert dict(engine.map(jobs.look_up, [(1, 0)], table, key=jobs.key)) == {(1, 0): 6}
        assert engine.workers[0].versions["whorl"]
        assert engine.cpu_warning is None
    assert set(cluster.client.run_on_scheduler(jobs.plugin_names)) == plugins
    assert {worker.address for worker in cluster.workers} == pids


def test_two_engines_on_one_cluster__do_not_disturb_each_other(cluster, address):
    with connect(scheduler=address) as other:
        first = cluster.map(jobs.total, [(i, 0) for i in range(40)], 1, key=jobs.key)
        second = other.map(jobs.total, [(i, 0) for i in range(40)], 2, key=jobs.key)
        pairs = list(zip(first, second, strict=True))
    assert all(result == item[0] + 1 for (item, result), _ in pairs)
    assert all(result == item[0] + 2 for _, (item, result) in pairs)


def test_address_where_nothing_listens__is_told_in_one_line(monkeypatch):
    monkeypatch.setattr(given, "CONNECT_S", 0.5)
    with pytest.raises(ClusterUnreachable, match=r"no Dask scheduler.*127.0.0.1:9") as unreachable:
        connect(scheduler="tcp://127.0.0.1:9")
    assert unreachable.value.exit_code == 2
    assert "\n" not in str(unreachable.value)


@pytest.mark.parametrize("nonsense", ["nonsense", "http://127.0.0.1:9", "missing/scheduler.json"])
def test_address_that_is_none__is_told_too(nonsense, monkeypatch):
    monkeypatch.setattr(given, "CONNECT_S", 0.5)
    with pytest.raises(ClusterUnreachable):
        connect(scheduler=nonsense)


@pytest.mark.parametrize(
    ("package", "version", "text"),
    [
        ("whorl", "0.99.0", "has whorl .*, the driver has 0.99.0"),
        ("numba", "0.1.7", "pip install .*numba==0.1.7"),
        ("python", "3.99.1", "use Python 3.99"),
    ],
)
def test_other_minor_version__is_refused_with_the_remedy(
    address, monkeypatch, package, version, text
):
    ours = probe.versions() | {package: version}
    monkeypatch.setattr(given.probe, "versions", lambda: ours)
    with pytest.raises(ClusterMismatch) as mismatch:
        connect(scheduler=address)
    assert mismatch.value.exit_code == 2
    assert re.search(text, f"{mismatch.value} {mismatch.value.remedy}")


def test_other_patch_version__is_accepted(address, monkeypatch):
    ours = {name: f"{version}9" for name, version in probe.versions().items()}
    monkeypatch.setattr(given.probe, "versions", lambda: ours)
    connect(scheduler=address).close()


def test_worker_without_our_packages__is_refused_by_name(address, monkeypatch):
    missing = {"tcp://10.0.0.7:4000": ModuleNotFoundError("No module named 'pipelines'")}
    monkeypatch.setattr(given, "ask", lambda client, function: missing)
    with pytest.raises(ClusterMismatch, match=r"tcp://10.0.0.7:4000 has no whorl"):
        connect(scheduler=address)


def test_token__is_read_by_every_worker(cluster, tmp_path):
    (tmp_path / "token").write_bytes(b"7")
    check_token(cluster, str(tmp_path / "token"), b"7")


class Answering:
    """A client whose workers give one set of answers after the other."""

    def __init__(self, *answers):
        self.answers = list(answers)

    def run(self, *args, on_error):
        assert on_error == "return"
        return self.answers.pop(0)


def test_worker_that_dies_while_it_is_asked__has_no_answer(monkeypatch):
    monkeypatch.setattr(given, "PAUSES_S", (0.0, 0.0))
    lost, wrong = CommClosedError("closed"), ValueError("its own")
    client = Answering({"a": 1, "b": lost}, {"a": 1, "c": wrong}, {})
    assert given.ask(client, int) == {"a": 1, "c": wrong}
    assert given.ask(Answering(*[{"b": lost}] * 3), int) == {"b": lost}  # it lives, and is deaf


@pytest.mark.parametrize("content", [None, b"of another run"])
def test_token_that_workers_do_not_read__is_refused(cluster, tmp_path, monkeypatch, content):
    cluster.client.run(jobs.no_patience)
    if content is not None:
        (tmp_path / "token").write_bytes(content)
    with pytest.raises(ClusterMismatch, match=r"worker worker-0 does not see") as mismatch:
        check_token(cluster, str(tmp_path / "token"), b"7")
    assert "share" in mismatch.value.remedy


def test_cpu_warning__names_the_targets_that_differ():
    same = {"a": {"cpu": "x86_64 znver4"}, "b": {"cpu": "x86_64 znver4"}}
    assert cpu_warning(same) is None
    assert "haswell" in cpu_warning(same | {"c": {"cpu": "x86_64 haswell"}})


def test_cluster_with_tls__works_through_its_client(nothing_left):
    security = Security.temporary()
    with (
        LocalCluster(
            n_workers=1, threads_per_worker=2, security=security, dashboard_address="127.0.0.1:0"
        ) as tls,
        Client(tls, set_as_default=False) as client,
        connect(scheduler=client) as engine,
    ):
        assert engine.workers[0].address.startswith("tls://")
        assert engine.slots == 2
        assert len(list(engine.map(jobs.total, [(1, 1)], 0, key=jobs.key))) == 1
