"""Import an uploaded pair: `python -m search.service.intake DRY WET STORE SECONDS`."""

import json
import sys

import soundfile

from datasets.recordings import import_recordings
from fxcore.errors import AudioError, FxError


def check_length(path: str, most_seconds: float) -> None:
    """Raise `AudioError` for a file that says it is longer than that, or that is no audio."""
    try:
        info = soundfile.info(path)
    except (soundfile.LibsndfileError, RuntimeError) as error:
        raise AudioError(f"{path} cannot be read as audio ({error}); give a wav, flac, ogg or mp3") from None
    if info.duration > most_seconds:
        raise AudioError(
            f"an uploaded recording lasts {most_seconds:.0f} s at most; {path} lasts {info.duration:.0f} s; "
            "import longer ones with `fxsearch import`"
        )


def main(dry: str, wet: str, store: str, seconds: str) -> None:
    """Print the import's report as JSON, or one line of complaint with exit code 2."""
    try:
        for path in (dry, wet):
            check_length(path, float(seconds))
        print(json.dumps(import_recordings(dry, wet, store).as_dict()))
    except FxError as error:
        print(f"fxsearch: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main(*sys.argv[1:])
