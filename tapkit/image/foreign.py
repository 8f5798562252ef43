"""What a file that is no image looks like, in words."""

from __future__ import annotations

SIGNATURES = (
    (b"\x1f\x8b", "a gzip file"),
    (b"BZh", "a bzip2 file"),
    (b"\xfd7zXZ\0", "an xz file"),
    (b"\x28\xb5\x2f\xfd", "a zstd file"),
    (b"PK\x03\x04", "a zip file"),
    (b"\x7fELF", "a program"),
    (b"\x89PNG", "a PNG picture"),
    (b"SQLite format 3\0", "an SQLite database"),
    (b"age-encryption.org/", "an age-encrypted file"),
    (b"%PDF", "a PDF document"),
    (b"#!", "a script"),
    (b"(i", "a pickle of old, perhaps a .tap of Twisted"),
    (b"(d", "a pickle of old, perhaps a .tap of Twisted"),
    (b"ccopy_reg", "a pickle of old, perhaps a .tap of Twisted"),
    (b"ctwisted.", "a .tap of Twisted"),
    (b"<?xml", "XML"),
    (b"<application", "XML"),
)


def looks_like(data: bytes) -> str:
    """What these bytes seem to be: `a gzip file`, `text`, `nothing known`."""
    start = bytes(data[:512])
    if not start:
        return "empty"
    for signature, words in SIGNATURES:
        if start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(signature):
            return words
    if len(start) > 1 and start[0] == 0x80 and start[1] in range(2, 6):
        return "a .tap of Twisted" if b"twisted" in start else "a plain pickle"
    if not start.strip(b"\0"):
        return "zeros, as after a crash of the machine"
    try:
        text = start.decode("utf-8", "strict" if len(data) <= 512 else "ignore")
    except UnicodeDecodeError:
        return "no known format"
    if all(character.isprintable() or character.isspace() for character in text):
        return "Python source" if "import " in text else "text"
    return "no known format"
