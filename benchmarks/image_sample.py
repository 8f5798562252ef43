"""One sample: save and load a graph in a fresh process, and print both times.

    python image_sample.py pickle|cloudpickle|tapkit accounts|chain COUNT

prints one JSON object, in seconds.
"""

from __future__ import annotations

import importlib
import json
import sys
import time

import image_objects


def sample(library: str, shape: str, count: int) -> dict[str, float]:
    module = importlib.import_module({"tapkit": "tapkit.image"}.get(library, library))
    graph = getattr(image_objects, shape)(count)
    started = time.perf_counter()
    data = module.dumps(graph)
    saved = time.perf_counter()
    module.loads(data)
    return {"save": saved - started, "load": time.perf_counter() - saved, "bytes": len(data)}


if __name__ == "__main__":
    print(json.dumps(sample(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
