"""The command line: every command parses its arguments, makes one library call, and prints.

Commands import what they need when they run, so that help and mistakes answer at once.
"""

import os
import sys

from fxcore.errors import FxError
from fxcore.files import reason
from search.cli import data, launching, looking, models, serving  # noqa: F401  (each adds its commands to `app`)
from search.cli.common import EXIT_INTERRUPTED, EXIT_USER_ERROR, app

__all__ = ["app", "main"]


def main() -> None:
    """Run the command line; a user's mistake is one line on standard error and exit code 2."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # short blocks: more threads on a busy machine cost 20-fold
    try:
        app()
    except FxError as error:
        print(f"fxsearch: {error}", file=sys.stderr)
        sys.exit(EXIT_USER_ERROR)
    except OSError as error:  # of a place that cannot be read or written to
        print(f"fxsearch: {error.filename or 'a file'}: {reason(error)}", file=sys.stderr)
        sys.exit(EXIT_USER_ERROR)
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
