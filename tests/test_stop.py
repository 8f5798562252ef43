"""How a daemon stops, whatever its services and clients do: real processes."""

from __future__ import annotations

import signal
import socket
from subprocess import Popen
from typing import Any

import pytest

from tests.place import PATIENCE, Place, wait_for
from tests.stoppers import ended, image_of, log_says, nothing_left, running, saved


@pytest.fixture
def here(place: Place, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A place whose drop-in can be imported by the test, to look into what was saved."""
    monkeypatch.syspath_prepend(str(place.path / "lib"))
    return place


def client(place: Place, receive_buffer: int | None = None) -> socket.socket:
    """A connection that has read its greeting."""
    made = socket.socket()
    if receive_buffer is not None:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    made.settimeout(PATIENCE)
    made.connect(("127.0.0.1", place.port("foreground.log")))
    assert made.recv(5) == b"hello"
    return made


def rest(connection: socket.socket) -> bytes:
    """All that comes until the other side closes."""
    got = bytearray()
    while data := connection.recv(1 << 20):
        got += data
    return bytes(got)


# Services.


def test_what_fails_to_stop_is_named_and_stops_nobody(here: Place) -> None:
    """One raises, one hangs: both are named by path and class, the rest stop, it is saved."""
    image_of(here, "Good", "Raising", "Hung", "Good")
    with running(here, "--stop-timeout", "0.3") as process:
        process.terminate()
        assert ended(process) == 1
    log = here.log("foreground.log")
    raised = "application.services[0].services[1] (Raising): ValueError: no luck"
    hung = "application.services[0].services[2] (Hung): did not stop within 0.3 s"
    assert raised in log
    assert f"{hung}; it waits in stopService, " in log
    assert f"twistd: the stop was not clean: {hung}" in log
    assert [getattr(service, "stops", None) for service in saved(here)] == [1, 0, 0, 1]
    assert sorted(here.file_names()) == ["foreground.log", "lib", "stop-shutdown.tap", "stop.tap"]
    nothing_left(here)


@pytest.mark.slow
def test_one_that_ignores_its_cancellation_is_left_behind(here: Place) -> None:
    """It is told of, and the process ends."""
    image_of(here, "Good", "Stubborn")
    with running(here, "--stop-timeout", "0.2") as process:
        process.terminate()
        assert ended(process) == 1
    assert "(Stubborn): does not give in to its cancellation" in here.log("foreground.log")
    assert saved(here)[0].stops == 1
    nothing_left(here)


@pytest.mark.slow
def test_a_service_may_ask_for_more_time(here: Place) -> None:
    """Its own stop_timeout counts, not the process's."""
    image_of(here, "Patient")
    with running(here, "--stop-timeout", "0.1") as process:
        process.terminate()
        assert ended(process) == 0
    assert saved(here)[0].stops == 1


@pytest.mark.parametrize("reactor", ["asyncio", pytest.param("uvloop", marks=pytest.mark.slow)])
def test_a_stop_that_blocks_the_process_is_broken_off(here: Place, reactor: str) -> None:
    """A plain stopService that never returns: its stack is logged, the others stop, it saves."""
    if reactor == "uvloop":
        pytest.importorskip("uvloop")
    image_of(here, "Good", "Blocking", "Good")
    with running(here, "-r", reactor, "--stop-timeout", "0.3") as process:
        process.terminate()
        assert ended(process) == 1
    log = here.log("foreground.log")
    who = "application.services[0].services[1] (Blocking)"
    assert f"stopService of {who} blocks the process" in log
    assert "time.sleep(3600)" in log
    assert f"{who}: blocked the process for" in log
    assert [service.stops for service in saved(here)] == [1, 0, 1]
    nothing_left(here)


@pytest.mark.slow
def test_what_can_not_be_broken_off_costs_neither_the_state_nor_the_pidfile(here: Place) -> None:
    """No signal reaches the main thread: another one saves, removes the pidfile, and ends it."""
    image_of(here, "Good", "Unbreakable")
    with running(here, "--stop-timeout", "0.2") as process:
        process.terminate()
        assert ended(process) == 1
    assert "can't be stopped in good order" in here.log("foreground.log")
    assert len(saved(here)) == 2
    nothing_left(here)


@pytest.mark.slow
def test_a_thread_that_never_ends_does_not_hold_the_process(here: Place) -> None:
    """It is over some seconds after the rest; where the thread hangs is on stderr."""
    image_of(here, "Thread")
    with running(here, "--stop-timeout", "0.3") as process:
        process.terminate()
        assert ended(process) == 1
    assert "Timeout (0:00:05)!" in here.log("foreground.log")
    assert saved(here)[0].stops == 1
    nothing_left(here)


# Connections.


def test_an_open_connection_is_cut_after_the_drain_timeout(here: Place) -> None:
    """Newcomers are refused at once; who does not leave is aborted; that is a clean stop."""
    image_of(here, "Holding")
    with running(here, "--drain-timeout", "0.5") as process:
        with client(here) as held:
            port = here.port("foreground.log")
            process.terminate()
            log_says(here, "holding")
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port), PATIENCE)
            assert rest(held) == b""
        assert ended(process) == 0
    assert "aborted 1 connections that were still open 0.5 s after" in here.log("foreground.log")


@pytest.mark.slow
def test_a_handler_that_never_ends_is_left_behind(here: Place) -> None:
    """A coroutine that ignores the end of its input and its cancellation holds up nobody."""
    image_of(here, "Good", "Stuck")
    with running(here, "--drain-timeout", "0.2") as process, client(here) as held:
        process.terminate()
        assert rest(held) == b""
        assert ended(process) == 0
    assert "a task does not give in to its cancellation" in here.log("foreground.log")
    assert saved(here)[0].stops == 1


@pytest.mark.slow
def test_who_is_idle_does_not_hold_up_the_stop(here: Place) -> None:
    """A connection with nothing in flight is closed at once, whatever the drain timeout."""
    image_of(here, "Connected")
    with running(here, "--drain-timeout", "3600") as process, client(here) as idle:
        process.terminate()
        assert rest(idle) == b""
        assert ended(process) == 0


@pytest.mark.parametrize(
    ("kind", "said", "answer"),
    [
        ("Answering", b"", b", and the answer"),
        pytest.param("Producing", b"go", b", and the end", marks=pytest.mark.slow),
        pytest.param("Connected", b"much", b"x" * 30_000_000, marks=pytest.mark.slow),
    ],
)
def test_what_is_in_flight_is_finished(here: Place, kind: str, said: bytes, answer: bytes) -> None:
    """A slow reader, an answer still to come, a producer: all of it arrives."""
    image_of(here, kind)
    with running(here) as process, client(here, 4096) as slow:
        slow.sendall(said)
        if said:
            client(here).close()  # whom it greets now, it greets after it has heard the first
        process.terminate()
        assert rest(slow) == answer
        slow.close()
        assert ended(process) == 0


@pytest.mark.slow
def test_no_time_to_drain(here: Place) -> None:
    """--drain-timeout 0 closes at once."""
    image_of(here, "Holding")
    with running(here, "--drain-timeout", "0") as process, client(here) as held:
        process.terminate()
        assert rest(held) == b""
        assert ended(process) == 0


# Signals.


def test_a_second_signal_cuts_connections(here: Place) -> None:
    """The drain is over then; it saves all the same, and the status says it was forced."""
    image_of(here, "Good", "Holding")
    with running(here, "--drain-timeout", "3600") as process, client(here) as held:
        process.terminate()
        log_says(here, "holding")
        again(process, signal.SIGINT, here)
        assert rest(held) == b""
        assert ended(process) == 1
    assert "(TCPServer): its connections were cut" in here.log("foreground.log")
    assert saved(here)[0].stops == 1
    nothing_left(here)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["Hung", "Blocking"])
def test_a_second_signal_cancels_a_hook(here: Place, kind: str) -> None:
    """A stop that waits, or blocks, is not waited for any longer; the others still stop."""
    image_of(here, "Good", kind)
    with running(here, "--stop-timeout", "3600") as process:
        process.terminate()
        log_says(here, "hanging")
        again(process, signal.SIGTERM, here)
        assert ended(process) == 1
    assert f"application.services[0].services[1] ({kind}): " in here.log("foreground.log")
    assert saved(here)[0].stops == 1
    nothing_left(here)


def again(process: Popen[Any], number: int, place: Place) -> None:
    """Signal until it is taken for a second wish, and not for the echo of the first."""

    def hurries() -> bool:
        process.send_signal(number)
        log = place.log("foreground.log")
        return "hurrying" in log or "breaking it off" in log or process.poll() is not None

    wait_for("it to hurry", hurries)


def test_a_storm_of_signals(here: Place) -> None:
    """Twenty TERMs: saved once, the pidfile removed."""
    image_of(here, "Good", "Hung")
    with running(here) as process:
        for _ in range(20):
            process.terminate()
        log_says(here, "hanging")
        again(process, signal.SIGTERM, here)
        while process.poll() is None:
            process.terminate()
        assert process.returncode == 1
    assert here.log("foreground.log").count("saved stop-shutdown.tap") == 1
    assert saved(here)[0].stops == 1
    nothing_left(here)


@pytest.mark.slow
def test_two_signals_at_once_are_one_wish(here: Place) -> None:
    """As timeout(1) and a shell send them, to the process and to its group: a clean stop."""
    image_of(here, "Patient")
    with running(here) as process:
        process.send_signal(signal.SIGSTOP)  # so that both come at once, however busy the machine
        process.terminate()
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGCONT)
        assert ended(process) == 0
    assert "hurrying" not in here.log("foreground.log")


@pytest.mark.parametrize("after_term", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_quit_stops_without_saving(here: Place, after_term: bool) -> None:
    """In good order, or after a TERM in a hurry; nothing is saved, and that is said."""
    image_of(here, "Good", *["Hung"] * after_term)
    with running(here) as process:
        if after_term:
            process.terminate()
            log_says(here, "hanging")
            again(process, signal.SIGQUIT, here)
        else:
            process.send_signal(signal.SIGQUIT)
        assert ended(process) == int(after_term)
    assert "received QUIT: the state of stop is not saved" in here.log("foreground.log")
    assert "stop-shutdown.tap" not in here.file_names()
    nothing_left(here)


@pytest.mark.slow
@pytest.mark.parametrize("reactor", ["asyncio", "uvloop"])
def test_a_callback_that_blocks_the_loop_does_not_block_the_stop(here: Place, reactor: str) -> None:
    """A request that hangs in a plain function is broken off, then all stops and is saved."""
    image_of(here, "Good", "Connected")
    with running(here, "-r", reactor, "--stop-timeout", "0.3") as process, client(here) as hanging:
        hanging.sendall(b"block")
        process.terminate()
        process.wait(PATIENCE)
    assert "blocks the process for" in here.log("foreground.log")
    assert "in dataReceived" in here.log("foreground.log")
    assert saved(here)[0].stops == 1
    nothing_left(here)


@pytest.mark.slow
@pytest.mark.parametrize("reactor", ["asyncio", "uvloop"])
def test_sys_exit_in_a_callback_loses_nothing(here: Place, reactor: str) -> None:
    """It stops as if asked to, and saves; but not cleanly."""
    image_of(here, "Good", "Exiting")
    with running(here, "-r", reactor) as process:
        assert ended(process) == 1
    assert "SystemExit: 3 stopped the event loop" in here.log("foreground.log")
    assert saved(here)[0].stops == 1
    nothing_left(here)


@pytest.mark.slow
def test_a_background_daemon_leaves_its_reason_in_the_log(here: Place) -> None:
    """Where nobody reads stderr, the log ends with what was not clean."""
    image_of(here, "Raising")
    assert here.twistd("-f", "stop.tap").returncode == 0
    here.kill()
    last = here.log().splitlines()[-1]
    assert "CRITICAL: the stop was not clean: " in last
    assert "ValueError: no luck" in last
    nothing_left(here)
