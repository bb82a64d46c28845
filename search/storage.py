"""Where searches, stores and models live: one root, with a folder for each.

ROOT/searches/NAME/study.db        the record
ROOT/searches/NAME/checkpoints/    one file a trial
ROOT/stores/...                    sample stores named by a relative path
ROOT/models/NAME/                  exports
"""

import os
from pathlib import Path

from fxcore.errors import SearchError, did_you_mean

DEFAULT_ROOT = "runs"


class Storage:
    """Resolves names below the root: `--storage`, else `FXSEARCH_STORAGE`, else `./runs`."""

    def __init__(self, root: Path | str | None = None) -> None:
        self.root = Path(root or os.environ.get("FXSEARCH_STORAGE") or DEFAULT_ROOT).absolute()

    def store(self, name: str) -> str:
        """A store's place: URIs, absolute paths and ./relative ones as they are, others below the root.

        >>> Storage("/r").store("stores/amp"), Storage("/r").store("/data/amp")
        ('/r/stores/amp', '/data/amp')
        """
        if "://" in name or name.startswith((".", "/", "~")):
            return name if "://" in name else str(Path(name).expanduser().absolute())
        return str(self.root / name)

    def search(self, name: str) -> Path:
        """The folder of a search."""
        return self.root / "searches" / name

    def models(self, name: str) -> Path:
        """The folder of a search's exports."""
        return self.root / "models" / name

    def searches(self) -> list[str]:
        """The names of all searches."""
        return sorted(p.parent.name for p in (self.root / "searches").glob("*/study.db"))

    def existing_search(self, name: str) -> Path:
        """The folder of a search that is there; raises `SearchError` with near matches."""
        names = self.searches()
        if name not in names:
            raise SearchError(f"no search '{name}' in {self.root}{did_you_mean(name, names)}")
        return self.search(name)
