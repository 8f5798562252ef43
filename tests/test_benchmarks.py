"""The benchmarks' own harness: what it computes, and that it leaves nothing running."""

from __future__ import annotations

import contextlib
import json
import pickle
import pickletools
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from benchmarks import (
    connections,
    form_objects,
    forms,
    help_time,
    image_objects,
    load,
    processes,
    report,
)
from benchmarks.environment import HERE

QUOTE = b"quote\r\n"
BARE = [sys.executable, HERE / "servers" / "bare.py", "asyncio"]


@contextlib.contextmanager
def server(answer: bytes) -> Iterator[int]:
    """A port where everybody is told `answer`."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        stopped = threading.Event()

        def serve() -> None:
            while True:
                connection, _ = listener.accept()
                with connection:
                    if stopped.is_set():
                        return
                    connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield port
        finally:
            stopped.set()
            socket.create_connection(("127.0.0.1", port)).close()
            thread.join(10)


def table(**samples: list[float]) -> report.Table:
    return report.Table("Speed", "m/s, more is better", samples, ("walk",))


def test_samples_are_taken_in_turns() -> None:
    """Contenders are measured A B A B, so that a busy moment does not hit one alone."""
    order: list[str] = []

    def contender(name: str) -> float:
        order.append(name)
        return float(len(order))

    samples = report.interleave({"a": lambda: contender("a"), "b": lambda: contender("b")}, 2)
    assert order == ["a", "b", "a", "b"]
    assert samples == {"a": [1.0, 3.0], "b": [2.0, 4.0]}


def test_ratio_pairs_the_rounds() -> None:
    """A machine that slows down between rounds does not change a ratio."""
    assert report.ratio({"run": [4.0, 2.0, 1.0], "walk": [2.0, 1.0, 0.5]}, "run", "walk") == 2.0


def test_ratio_refuses_unequal_rounds() -> None:
    """Samples that do not pair up are a mistake, not a figure."""
    with pytest.raises(ValueError, match="longer"):
        report.ratio({"run": [1.0], "walk": [1.0, 2.0]}, "run", "walk")


def test_table_shows_medians_ranges_and_ratios() -> None:
    """A table has a line a contender: median, lowest, highest, times each base."""
    assert report.render(table(walk=[1.0, 3.0, 2.0], run=[2.0, 6.0, 5.0])) == (
        "Speed (m/s, more is better)\n"
        "      median  lowest  highest  x walk\n"
        "walk       2       1        3       -\n"
        "run        5       2        6    2.00\n"
    )


def test_table_ends_with_its_note() -> None:
    """What a reader must know stands under the figures."""
    assert report.render(table(walk=[1.0])._replace(note="Beware.")).endswith("-\nBeware.\n")


def test_table_shows_targets() -> None:
    """Where there are targets, they stand beside the ratios."""
    shown = report.render(table(walk=[1.0], run=[2.0])._replace(targets={"run": 2.5}))
    assert shown == (
        "Speed (m/s, more is better)\n"
        "      median  lowest  highest  x walk  target\n"
        "walk       1       1        1       -       -\n"
        "run        2       2        2    2.00     2.5\n"
    )


FORMS = HERE / "form_sample.py"


def form_sample(*words: str) -> dict[str, Any]:
    """What a sample of the forms tells; a `load` that brings back another size fails it."""
    done = subprocess.run(
        [sys.executable, FORMS, *words],
        capture_output=True,
        text=True,
        timeout=processes.PATIENCE,
        env=processes.clean_environment(PYTHONPATH=str(HERE.parent)),
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_forms_are_sampled_in_turns_with_pickle() -> None:
    """Every operation that has a target is measured, as often as pickle is."""
    told = form_sample("tapkit", "300", "2")
    assert set(told) == {forms.SAVE, forms.LOAD, *forms.TARGETS}
    assert {len(taken) for taken in told.values()} == {2}
    assert min(min(taken) for taken in told.values()) > 0


def test_tables_of_forms() -> None:
    """Saving is compared with pickle's save, loading with its load."""
    taken = {name: [0.002] for name in (forms.SAVE, forms.LOAD, *forms.TARGETS)}
    saves, loads = forms._forms(taken, 300)
    assert saves.bases == (forms.SAVE,)
    assert loads.bases == (forms.LOAD,)
    assert set(saves.samples) | set(loads.samples) == set(taken)
    assert saves.samples[forms.SAVE] == [2.0]
    assert loads.targets == {name: forms.TARGETS[name] for name in loads.samples if name[0] == "."}
    assert "target" in report.render(loads)


@pytest.mark.parametrize("library", ["pickle", ".tax"])
def test_peak_memory_is_told_for_save_and_load(library: str, tmp_path: Path) -> None:
    """The first process saves, the second loads what the first saved."""
    saved = form_sample(library, "300", "memory", str(tmp_path))
    loaded = form_sample(library, "300", "memory", str(tmp_path))
    assert list(saved) == [f"{library} save"]
    assert list(loaded) == [f"{library} load"]
    assert all(peak >= 0 for peak in (*saved.values(), *loaded.values()))


@pytest.mark.parametrize("count", [1, 2, 100, 101, 102, 500])
def test_the_application_has_its_size(count: int) -> None:
    """As many instances as asked for, but for a service that lacks its factory's."""
    payload = pickle.dumps(form_objects.application(count), 5)
    made = sum(opcode.name == "NEWOBJ" for opcode, _, _ in pickletools.genops(payload))
    assert count <= made <= count + 2


def test_load_counts_connections_and_time() -> None:
    """The client makes as many connections as asked and reads each to its end."""
    with server(QUOTE) as port:
        told = load.measure(port, count=50, window=8)
    assert told["count"] == 50
    assert told["bad"] == 0
    assert told["cpu"] > 0
    assert 0 < told["seconds"] < processes.PATIENCE


def test_load_tells_answers_that_are_not_whole() -> None:
    """A server that cuts its answers short does not win."""
    with server(b"quo") as port:
        assert load.measure(port, count=5, window=2)["bad"] == 5


def test_server_is_timed_and_reaped(tmp_path: Path) -> None:
    """A server is timed to its first answer, and gone when the measuring is over."""
    port = processes.free_port()
    with processes.running([*BARE, str(port)], tmp_path, port) as (process, seconds):
        assert load.measure(port, count=20, window=4)["bad"] == 0
        assert processes.cpu_seconds(process) > 0
    assert 0 < seconds < processes.PATIENCE
    assert not process.is_running()


def test_server_is_reaped_when_the_measuring_fails(tmp_path: Path) -> None:
    """An error in the middle leaves no server behind."""
    port = processes.free_port()
    with (
        pytest.raises(ZeroDivisionError),
        processes.running([*BARE, str(port)], tmp_path, port) as (process, _),
    ):
        1 / 0  # noqa: B018  # what may happen in a benchmark
    assert not psutil.pid_exists(process.pid)


def test_server_that_does_not_start_is_told_with_its_output(tmp_path: Path) -> None:
    """A contender that dies is an error with what it said, not a wait."""
    command = [sys.executable, "-c", "raise SystemExit('no such loop')"]
    with (
        pytest.raises(processes.BenchmarkError, match="no such loop"),
        processes.running(command, tmp_path, processes.free_port()),
    ):
        pytest.fail("nothing runs")


def test_command_that_fails_is_no_sample(tmp_path: Path) -> None:
    """A command that fails quickly must not count as fast."""
    with pytest.raises(processes.BenchmarkError, match="exit status 3"):
        processes.timed([sys.executable, "-c", "import sys; sys.exit(3)"], tmp_path)


def test_commands_do_not_inherit_pythons_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PYTHONPATH and its like of the caller do not reach what is measured."""
    monkeypatch.setenv("PYTHONPATH", "elsewhere")
    code = "import os; print(os.environ.get('PYTHONPATH'), os.environ.get('MORE'))"
    assert processes.output([sys.executable, "-c", code], tmp_path, MORE="1") == "None 1\n"


def test_crowd_has_its_drop_ins(tmp_path: Path) -> None:
    """The crowd is 300 packages, 60 of them drop-ins, and importing one is noticed."""
    help_time.crowd(tmp_path)
    assert len(list(tmp_path.glob("*/__init__.py"))) == 300
    assert len(list(tmp_path.glob("*/plugins.tml"))) == 60
    done = subprocess.run(
        [sys.executable, "-c", "import crowd000"], cwd=tmp_path, capture_output=True, text=True
    )
    assert "nothing here is imported" in done.stderr


def test_chain_is_as_deep_as_asked() -> None:
    """The chain's objects are all reachable only one after the other."""
    depth, link = 0, image_objects.chain(100)
    while link is not None:
        depth, link = depth + 1, link.after
    assert depth == 100


def test_accounts_share_their_bank() -> None:
    """The flat graph has shared references, as real ones have."""
    accounts = image_objects.accounts(10)
    assert len({id(account) for account in accounts}) == 10
    assert all(account.bank is accounts[0] for account in accounts[1:])


def test_busy_client_is_confessed() -> None:
    """Where the client had no reserve, the report says whose rate is in doubt."""
    assert "Twisted (95%)" in connections.bottleneck({"bare": [0.5], "Twisted": [0.9, 0.99, 0.95]})
    assert "at most 50%" in connections.bottleneck({"bare": [0.4, 0.5, 0.6]})


def test_mistyped_benchmark_is_told_before_anything_is_made() -> None:
    """A name that is none costs no virtual environment: exit status 2 and the names there are."""
    command = [sys.executable, HERE / "run.py", "nonsense"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    assert "no such benchmark: nonsense; there are connections, startup, " in done.stderr
