"""File names that every file system takes."""

import re

RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{i}" for port in ("com", "lpt") for i in range(10))}


def safe_name(name: str) -> str:
    """The name without characters, or whole names, that some file system refuses.

    >>> safe_name("con.nam"), safe_name("a/b: c.nam")
    ('con_.nam', 'a_b_ c.nam')
    """
    clean = re.sub(r'[<>:"/\\\\|?*\x00-\x1f]', "_", name).rstrip(". ") or "_"
    stem, dot, rest = clean.partition(".")
    return f"{stem}_{dot}{rest}" if stem.lower() in RESERVED else clean
