"""Write every man page and completion anew; remove those whose command is gone."""

from __future__ import annotations

from pathlib import Path

from docs.generate.files import generated
from docs.generate.usage_texts import ROOT


def main() -> None:
    files = generated()
    for folder in {path.parent for path in files}:
        folder.mkdir(parents=True, exist_ok=True)
        for path in set(folder.iterdir()) - set(files):
            print(f"removing {path.relative_to(ROOT)}")
            path.unlink()
    for path, text in sorted(files.items()):
        _write(path, text)


def _write(path: Path, text: str) -> None:
    if not path.exists() or path.read_text() != text:
        print(f"writing {path.relative_to(ROOT)}")
        path.write_text(text)


if __name__ == "__main__":
    main()
