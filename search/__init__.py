"""Searches for the model that sounds like a piece of gear.

from search import launch, open_search
search = launch("search.yaml")      # run it, or resume it; open_search("name") opens one
search.leaderboard()                # a pandas frame, best first
search.export("nam", "plugins")
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from search.config import SearchSpec
    from search.launching import launch
    from search.searches import Search, open_search

__all__ = ["Search", "SearchSpec", "launch", "open_search"]


def __getattr__(name: str) -> Any:
    """Import on first use: the command line's help should not wait for torch."""
    if name == "SearchSpec":
        from search.config import SearchSpec

        return SearchSpec
    if name == "launch":
        from search.launching import launch

        return launch
    if name in __all__:
        from search import searches

        return getattr(searches, name)
    raise AttributeError(f"module 'search' has no attribute '{name}'")
