"""Where the log goes, each in a process of its own: logging is set up once a process."""

from __future__ import annotations

import json
import logging
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tapkit.errors import UsageError
from tapkit.run import logs
from tapkit.run.logs.sinks import SyslogLog
from tests.place import PATIENCE, ROOT

LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4} \[app\] WARNING: hello\n")


def logging_process(folder: Path, code: str) -> subprocess.CompletedProcess[str]:
    """Run `code` with logging, logs and os at hand."""
    return subprocess.run(
        [sys.executable, "-c", "import logging, os\nfrom tapkit.run import logs\n" + code],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


def test_a_line_says_when_where_and_what(tmp_path: Path) -> None:
    """Date with its zone, logger, level, message."""
    code = "logs.to_file('a.log', logging.INFO); logging.getLogger('app').warning('hello')"
    assert logging_process(tmp_path, code).returncode == 0
    assert LINE.fullmatch((tmp_path / "a.log").read_text())


def test_quiet_leaves_out_what_is_no_warning(tmp_path: Path) -> None:
    """Below the level nothing is written."""
    code = (
        "logs.to_stdout(logging.WARNING); log = logging.getLogger('app')\n"
        "log.info('chatter'); log.warning('hello')"
    )
    assert LINE.fullmatch(logging_process(tmp_path, code).stdout)


def test_a_rotated_log_is_followed(tmp_path: Path) -> None:
    """After logrotate's move the next line goes into a new file of the old name."""
    code = (
        "logs.to_file('a.log', logging.INFO); log = logging.getLogger('app')\n"
        "log.warning('one'); os.rename('a.log', 'a.log.1'); log.warning('two')"
    )
    logging_process(tmp_path, code)
    assert "one" in (tmp_path / "a.log.1").read_text()
    assert "two" in (tmp_path / "a.log").read_text()
    assert "two" not in (tmp_path / "a.log.1").read_text()


def test_what_cannot_be_encoded_is_still_logged(tmp_path: Path) -> None:
    """A lone surrogate (an undecodable file name) does not lose the line."""
    code = "logs.to_file('a.log', 20); logging.getLogger('app').warning('x\\udcff')"
    done = logging_process(tmp_path, code)
    assert done.stderr == ""
    assert "x\\udcff" in (tmp_path / "a.log").read_text()


def test_warnings_are_logged(tmp_path: Path) -> None:
    """warnings.warn goes where the log goes."""
    code = "import warnings; logs.to_stdout(20); warnings.warn('careful')"
    done = logging_process(tmp_path, code)
    assert "careful" in done.stdout
    assert done.stderr == ""


def test_a_log_that_cannot_be_opened_is_said(tmp_path: Path) -> None:
    """The path and the option are in the message."""
    code = (
        "from tapkit.errors import DaemonError\n"
        "try: logs.to_file('no/a.log', 20)\n"
        "except DaemonError as error: print(error)"
    )
    said = logging_process(tmp_path, code).stdout
    assert said == (
        "can't open the log (No such file or directory): no/a.log: name another with --logfile\n"
    )


def test_syslog_lines_carry_the_prefix_and_the_number(tmp_path: Path) -> None:
    """Each line is `PREFIX[PID]: [logger] message`, as a real datagram socket receives it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as syslog:
        syslog.bind(str(tmp_path / "log"))
        syslog.settimeout(PATIENCE)
        code = (
            f"logs._SYSLOG_SOCKETS = ({str(tmp_path / 'log')!r},); logs.to_syslog('qotd', 20)\n"
            "logging.getLogger('app').warning('hello'); print(os.getpid())"
        )
        done = logging_process(tmp_path, code)
        line = syslog.recv(1000).rstrip(b"\0").decode()
    # <28>: facility daemon (3) * 8 + severity warning (4)
    assert line == f"<28>qotd[{done.stdout.strip()}]: [app] hello"


def test_no_syslog_daemon_is_said(tmp_path: Path) -> None:
    """The remedy is in the message."""
    (tmp_path / "log").touch()  # a file of that name is no daemon
    code = (
        "from tapkit.errors import DaemonError\n"
        "logs._SYSLOG_SOCKETS = ('log', 'gone')\n"
        "try: logs.to_syslog('qotd', 20)\n"
        "except DaemonError as error: print(error)"
    )
    said = logging_process(tmp_path, code).stdout
    assert said == "can't reach the syslog daemon: log: start it, or use --logfile\n"


def test_json_lines(tmp_path: Path) -> None:
    """One object a line: time with its zone, level, logger, message, exception, stack."""
    code = (
        "logs.to_file('a.log', 20, logs.Style('json')); log = logging.getLogger('app')\n"
        "log.warning('two\\nlines \\udcff %s', 'and more')\n"
        "try: 1 / 0\n"
        "except ZeroDivisionError: log.exception('no luck')\n"
        "log.info('here', stack_info=True)"
    )
    assert logging_process(tmp_path, code).stderr == ""
    first, second, third = map(json.loads, (tmp_path / "a.log").read_text().splitlines())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d{4}", first.pop("time"))
    said = "two\nlines \udcff and more"
    assert first == {"level": "WARNING", "logger": "app", "message": said}
    assert second["exception"].startswith("Traceback (most recent call last):\n")
    assert second["exception"].endswith("ZeroDivisionError: division by zero")
    assert third["stack"].startswith("Stack (most recent call last):\n")


def test_a_wrong_log_call_is_told(tmp_path: Path) -> None:
    """Where it is; it is counted, and stops nothing."""
    code = "logs.to_stdout(20); logging.getLogger('app').warning('%d', 'x'); print(logs.failures())"
    done = logging_process(tmp_path, code)
    line, count = done.stdout.splitlines()
    assert "a log call failed: TypeError: %d format: a real number is required" in line
    assert line.endswith(": <string>:3")
    assert count.startswith("Failures(count=1, ")
    assert done.stderr == ""


def test_a_reader_that_left(tmp_path: Path) -> None:
    """A closed pipe behind standard output is a failure to log like any other."""
    code = (
        "import sys\nreader, writer = os.pipe(); os.close(reader); os.dup2(writer, 1)\n"
        "logs.to_stdout(20); logging.getLogger('app').warning('hello')\n"
        "print(logs.failures(), file=sys.stderr); os._exit(0)"
    )
    assert logging_process(tmp_path, code).stderr == "Failures(count=1, reason='Broken pipe')\n"


def test_nothing_is_counted_without_a_log() -> None:
    """In a process that set up no log."""
    assert logs.failures() == logs.Failures(0, None)


@pytest.mark.parametrize(
    ("text", "size"), [("0", 0), ("512", 512), ("10k", 10_000), ("10M", 10**7), ("2G", 2 * 10**9)]
)
def test_sizes(text: str, size: int) -> None:
    """Bytes, or thousands, millions and milliards of them."""
    assert logs.bytes_of(text) == size


@pytest.mark.parametrize("text", ["", "M", "-1", "1.5M", "10MB", "10 M", "ten", "1MM", "٣"])
def test_no_sizes(text: str) -> None:
    """Named, with what would be one."""
    with pytest.raises(UsageError, match="is no size: --log-size: give bytes, or such as 10M"):
        logs.bytes_of(text)


def test_formats() -> None:
    """Did you mean."""
    assert logs.check_format("json") == "json"
    with pytest.raises(UsageError, match=r"no such log format: jsn; did you mean json\?"):
        logs.check_format("jsn")


# Syslog.


@pytest.fixture
def syslog(tmp_path: Path) -> Iterator[socket.socket]:
    """A syslog daemon's socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as daemon:
        daemon.bind(str(tmp_path / "log"))
        daemon.settimeout(PATIENCE)
        yield daemon


@pytest.fixture
def syslog_log(tmp_path: Path, syslog: socket.socket) -> Iterator[SyslogLog]:
    """What logs into it."""
    log = SyslogLog(str(tmp_path / "log"), "app[1]: ")
    yield log
    log.close()


def say(log: SyslogLog, text: str, level: int = logging.INFO) -> None:
    log.handle(logging.LogRecord("app", level, "a.py", 1, text, None, None))


def test_each_line_is_a_syslog_line(syslog: socket.socket, syslog_log: SyslogLog) -> None:
    """A traceback is not one line with odd characters in it; every line has its severity."""
    say(syslog_log, "one\ntwo", logging.CRITICAL)
    say(syslog_log, "three", logging.DEBUG)
    lines = [syslog.recv(1000) for _ in range(3)]
    assert lines == [b"<26>app[1]: one", b"<26>app[1]: two", b"<31>app[1]: three"]


def test_a_syslog_daemon_started_anew(
    tmp_path: Path, syslog: socket.socket, syslog_log: SyslogLog
) -> None:
    """What is lost meanwhile is counted and told; then the log goes on."""
    syslog.close()
    say(syslog_log, "lost")
    (tmp_path / "log").unlink()
    say(syslog_log, "lost")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as again:
        again.bind(str(tmp_path / "log"))
        again.settimeout(PATIENCE)
        say(syslog_log, "found")
        assert again.recv(1000) == b"<30>app[1]: found"
        assert b"logging failed 2 times since" in again.recv(1000)
    assert syslog_log.failures.count == 2


def test_a_syslog_daemon_that_hangs_is_not_waited_for(syslog_log: SyslogLog) -> None:
    """Its queue full, the lines are lost, and counted."""
    for _ in range(20_000):
        say(syslog_log, "x" * 1000)
        if syslog_log.failures.count:
            break
    assert syslog_log.failures.count == 1
