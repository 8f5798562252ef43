"""Reductions: what is pickled is the same whether cloudpickle was imported before or not."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.place import ROOT

FRESH = """
import sys
import asyncio, collections, datetime, decimal, functools, logging, pathlib, types, weakref
from tapkit import application, internet, protocol, service, styles
from tapkit.image import dumping
from tapkit_plugins import qotd
assert "cloudpickle" not in sys.modules
made = lambda: {}
class Local:
    pass
obj = made()
before = dumping.dumps(obj)
assert ("cloudpickle" in sys.modules) is {}, "cloudpickle"
import cloudpickle
after = dumping.dumps(obj)
assert before == after, (before, after)
"""

QOTD = "application.new('qotd', qotd.makeService(qotd.Options()))"


def check(made: str, imports: bool) -> None:
    code = FRESH.format(made, imports)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "made",
    [
        QOTD,
        "[service.MultiService, internet.TCPServer, protocol.LineReceiver.lineReceived]",
        "qotd.makeService",
        "{'a': [1, 2.0, 'x', b'y', (None, True), {3}]}",
    ],
)
def test_without_cloudpickle(made: str) -> None:
    """What C and the names of modules say all about needs no cloudpickle, nor its import."""
    check(made, imports=False)


@pytest.mark.parametrize(
    "made",
    [
        "collections.OrderedDict.fromkeys('ab').keys()",
        "[collections.deque([1], 3), collections.Counter('aab'), datetime.datetime(2000, 1, 1)]",
        "[logging.getLogger('x'), types.MappingProxyType({1: 2}), weakref.WeakSet()]",
        "[types.SimpleNamespace, types.FunctionType, type(None), decimal.Decimal, pathlib.Path]",
        "functools.partial(int, base=2)",
        "lambda: obj",
        "Local()",
        "type('Nowhere', (service.Service,), {})()",
        "[asyncio, sys]",
        "service.Service().startService",
        "(lambda x: x).__code__",
    ],
)
def test_with_cloudpickle(made: str) -> None:
    """What cloudpickle may have an answer of its own to is left to it from the first."""
    check(made, imports=True)


def test_it_knows_of_standard_types_only() -> None:
    """Why others need not be left to it: it registers none, until somebody tells it to."""
    code = (
        "import sys, copyreg, cloudpickle\n"
        "ours = set(cloudpickle.Pickler.dispatch_table) - set(copyreg.dispatch_table)\n"
        "strange = {t for t in ours if t.__module__.split('.')[0] not in sys.stdlib_module_names}\n"
        "assert ours and not strange, strange"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_others_register_counts() -> None:
    """`copyreg` and, once it is imported, cloudpickle's own table."""
    code = (
        "import copyreg, pickle\n"
        "from tapkit import service\n"
        "from tapkit.image import dumping\n"
        "copyreg.pickle(service.Service, lambda s: (str, ('by copyreg',)))\n"
        "assert pickle.loads(dumping.dumps(service.Service()).payload) == 'by copyreg'\n"
        "import cloudpickle\n"
        "table = cloudpickle.Pickler.dispatch_table\n"
        "table[service.Service] = lambda s: (str, ('by cloudpickle',))\n"
        "assert pickle.loads(dumping.dumps(service.Service()).payload) == 'by cloudpickle'\n"
        "cloudpickle.register_pickle_by_value(service)\n"
        "assert dumping.dumps(service.path_of).by_value\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
