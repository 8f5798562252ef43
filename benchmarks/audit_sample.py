"""One sample: an image loaded, audited, and loaded under restrictions, in turns.

    python audit_sample.py application|accounts COUNT ROUNDS

prints one JSON object: operation -> CPU seconds, a round each. Each begins with the bytes of the
`.tap`, so the check of its digests is in all of them.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import form_objects
import image_objects

from tapkit import image
from tapkit.image import restricted
from tapkit.image.audit import audit
from tapkit.image.collector import no_collector
from tapkit.image.forms import FORMS
from tapkit.image.permitted import Permitted

MAKERS = {"application": form_objects.application, "accounts": image_objects.accounts}


def sample(shape: str, count: int, rounds: int) -> dict[str, list[float]]:
    data = image.dumps(MAKERS[shape](count))
    form = FORMS[0]
    allowed = ["form_objects", "image_objects"]

    def look() -> Any:
        with no_collector():
            nodes, info = form.decode(data, "x")
            return audit(nodes, info.modules).findings

    operations: dict[str, Callable[[], Any]] = {
        "load": lambda: image.loads(data),
        "audit": look,
        "restricted load": lambda: restricted.load(form, data, "x", Permitted(allowed)).obj,
    }
    taken: dict[str, list[float]] = {name: [] for name in operations}
    for _ in range(rounds):
        for name, operation in operations.items():
            gc.collect()
            began = time.process_time()
            result = operation()
            taken[name].append(time.process_time() - began)
            assert name != "audit" or result == 0
            del result
    return taken


if __name__ == "__main__":
    print(json.dumps(sample(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
