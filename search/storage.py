"""Where searches, stores and models live: one root, with a folder for each.

ROOT/searches/NAME/study.db        the record, unless FXSEARCH_DATABASE names a PostgreSQL database
ROOT/searches/NAME/checkpoints/    a folder a trial
ROOT/stores/...                    sample stores named by a relative path
ROOT/models/NAME/                  exports

The root is a path (NFS where several machines search), or s3://bucket/prefix with the record in PostgreSQL.
"""

import os
from pathlib import Path

import sqlalchemy as sa

from datasets.cache import cache_root
from datasets.folder import Folder
from fxcore.errors import SearchError, did_you_mean
from fxcore.spec import digest_of
from search.database import postgresql, sqlite, where
from search.study import names_in

DEFAULT_ROOT = "runs"
DATABASE = "FXSEARCH_DATABASE"


class Storage:
    """Resolves names below the root: `--storage`, else `FXSEARCH_STORAGE`, else `./runs`."""

    def __init__(self, root: Path | str | None = None) -> None:
        given = str(root or os.environ.get("FXSEARCH_STORAGE") or DEFAULT_ROOT)
        self.remote = Folder.at(given) if "://" in given else None
        self.absolute = self.remote is not None or Path(given).expanduser().is_absolute()  # means one thing
        self.root = (
            cache_root() / "remote" / digest_of(given) if self.remote else Path(given).expanduser().absolute()
        )
        address = os.environ.get(DATABASE)
        self.shared = postgresql(address) if address else None

    def __str__(self) -> str:
        return self.remote.uri if self.remote else str(self.root)

    def store(self, name: str) -> str:
        """A store's place: URIs, absolute paths and ./relative ones as they are, others below the root.

        >>> Storage("/r").store("stores/amp"), Storage("/r").store("/data/amp")
        ('/r/stores/amp', '/data/amp')
        """
        if "://" in name or name.startswith((".", "/", "~")):
            return name if "://" in name else str(Path(name).expanduser().absolute())
        return self._place(name)

    def search(self, name: str) -> Path:
        """The folder on this machine for what belongs to a search; a cache where the root is remote."""
        return self.root / "searches" / name

    def checkpoints(self, name: str) -> str:
        """The folder of a search's checkpoints, which all machines that run its trials see."""
        return self._place("searches", name, "checkpoints")

    def models(self, name: str) -> str:
        """The folder of a search's exports."""
        return self._place("models", name)

    def database(self, name: str) -> sa.URL:
        """Where the record of a search is; raises `SearchError` where it cannot be."""
        if self.shared is not None:
            return self.shared
        if self.remote is not None:
            raise SearchError(
                f"a search below {self.remote.uri} keeps its record in PostgreSQL; name the database in "
                f"{DATABASE}, as postgresql://HOST:PORT/DATABASE"
            )
        return sqlite(self.search(name) / "study.db")

    def searches(self) -> list[str]:
        """The names of all searches."""
        if self.shared is not None:
            return names_in(self.shared)
        return sorted(p.parent.name for p in (self.root / "searches").glob("*/study.db"))

    def has(self, name: str) -> bool:
        """Whether there is a search of that name."""
        if self.shared is not None:
            return name in self.searches()
        return (self.search(name) / "study.db").exists()

    def existing_search(self, name: str) -> Path:
        """The folder of a search that is there; raises `SearchError` with near matches."""
        names = self.searches()
        if name not in names:
            place = where(self.shared) if self.shared else self
            raise SearchError(f"no search '{name}' in {place}{did_you_mean(name, names)}")
        return self.search(name)

    def _place(self, *parts: str) -> str:
        """A path below the root, or an address."""
        return self.remote.below(*parts).uri if self.remote else str(self.root.joinpath(*parts))
