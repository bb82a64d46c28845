"""`python -m search.cli` is `fxsearch`."""

from search.cli import main

main()
