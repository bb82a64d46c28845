"""Searches for the model that sounds like a piece of gear: launch them, open them, export from them."""

from search.config import SearchSpec
from search.searches import Search, launch, open_search

__all__ = ["Search", "SearchSpec", "launch", "open_search"]
