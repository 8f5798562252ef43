"""Save and load one application graph by one library, in turns with C pickle: CPU seconds.

    python form_sample.py LIBRARY COUNT ROUNDS         one JSON object: operation -> seconds
    python form_sample.py LIBRARY COUNT memory FOLDER  the same: operation -> megabytes at the peak

Every library has a process of its own: importing one may change what another does.
"""

from __future__ import annotations

import gc
import json
import pickle
import re
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import form_objects

Operations = dict[str, Callable[[], Any]]
Codec = tuple[Callable[[Any], Any], Callable[[Any], Any]]

EDITS = 100  # comments that the hand-edited file has


def tapkit_operations(graph: Any) -> Operations:
    """All that tapkit does with a graph. What an operation needs is made before."""
    from tapkit import image

    tap, tax, tas = (image.dumps(graph, form) for form in ("pickle", "xml", "source"))
    edited = re.sub(rb"(</\w+>\n)", rb"\1<!-- by hand -->\n", tax, count=EDITS)
    assert edited.count(b"<!--") >= min(EDITS, 5)
    return {
        ".tap save": lambda: image.dumps(graph, "pickle"),
        ".tax save": lambda: image.dumps(graph, "xml"),
        ".tas save": lambda: image.dumps(graph, "source"),
        ".tax to .tas": lambda: image.convert(tax, "source"),
        ".tas to .tax": lambda: image.convert(tas, "xml"),
        ".tap load": lambda: image.loads(tap),
        ".tax load": lambda: image.loads(tax),
        ".tax load, edited": lambda: image.loads(edited),
        ".tas load": lambda: image.loads(tas),
    }


def codec(library: str) -> Codec:
    """The two functions of a library."""
    if library == "jsonpickle":
        import jsonpickle

        return jsonpickle.encode, jsonpickle.decode
    if library == "PyYAML":
        import yaml

        return (
            lambda graph: yaml.dump(graph, Dumper=yaml.CDumper),
            lambda text: yaml.load(text, Loader=yaml.CUnsafeLoader),
        )
    if library == "AOT":
        from twisted.persisted import aot

        return aot.jellyToSource, lambda text: aot.unjellyFromSource(_file(text))
    if library.startswith("."):
        from tapkit import image

        return (lambda graph: image.dumps(graph, library), image.loads)
    return (lambda graph: pickle.dumps(graph, 5)), pickle.loads


def _file(text: str) -> Any:
    import io

    return io.StringIO(text)


def operations_of(library: str, graph: Any) -> Operations:
    if library == "tapkit":
        return tapkit_operations(graph)
    dumps, loads = codec(library)
    saved = dumps(graph)
    return {f"{library} save": lambda: dumps(graph), f"{library} load": lambda: loads(saved)}


def sample(library: str, count: int, rounds: int) -> dict[str, list[float]]:
    """Each operation's CPU time, in rounds."""
    sys.setrecursionlimit(max(sys.getrecursionlimit(), 10_000 if library == "AOT" else 0))
    graph = form_objects.application(count)
    saved = pickle.dumps(graph, 5)
    operations: Operations = {
        "pickle save": lambda: pickle.dumps(graph, 5),
        "pickle load": lambda: pickle.loads(saved),
        **operations_of(library, graph),
    }
    taken: dict[str, list[float]] = {name: [] for name in operations}
    for name, operation in operations.items():
        if name.endswith(("load", "edited")):
            loaded = operation()
            assert form_objects.size(loaded) == form_objects.size(graph), name
            del loaded
    for _ in range(rounds):
        for name, operation in operations.items():
            gc.collect()
            started = time.process_time()
            result = operation()
            taken[name].append(time.process_time() - started)
            del result
    return taken


def peaks(library: str, count: int, folder: str) -> dict[str, float]:
    """How much more memory than the graph, or the text, one save or load takes: once a process."""
    dumps, loads = codec(library)
    path = Path(folder) / "saved.pickle"
    if path.exists():
        text = pickle.loads(path.read_bytes())
        loads(dumps([1]))  # all is imported
        before = _peak()
        loads(text)
        return {f"{library} load": _peak() - before}
    graph = form_objects.application(count)
    loads(dumps([1]))
    before = _peak()
    text = dumps(graph)
    told = {f"{library} save": _peak() - before}
    path.write_bytes(pickle.dumps(text))
    return told


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    library, count, rounds, *folder = sys.argv[1:]
    if rounds == "memory":
        print(json.dumps(peaks(library, int(count), folder[0])))
    else:
        print(json.dumps(sample(library, int(count), int(rounds))))
