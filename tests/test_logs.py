"""Where the log goes, each in a process of its own: logging is set up once a process."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from pathlib import Path

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
    assert "x?" in (tmp_path / "a.log").read_text()


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
