"""AAC in an .m4a file, which libsndfile cannot read: ffmpeg or faad decodes it, where one is installed."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fxcore.effects.program import run_program
from fxcore.errors import AudioError, EffectError

TIMEOUT_SECONDS = 600.0
DECODERS = {  # options for 32-bit float
    "ffmpeg": "-nostdin -v error -i {input} -vn -f wav -c:a pcm_f32le {output}",
    "faad": "-q -b 4 -o {output} {input}",
}


@contextmanager
def decoded(path: Path) -> Iterator[Path]:
    """A temporary wav of an .m4a file; raises `AudioError` where nothing can decode it."""
    installed = [name for name in DECODERS if shutil.which(name)]
    if not installed:
        raise AudioError(
            f"{path} needs a decoder for m4a, and neither {' nor '.join(DECODERS)} is installed; "
            "install one, or convert the file to wav or flac"
        )
    with tempfile.TemporaryDirectory(prefix="fxsearch-") as name:
        folder = Path(name)
        wav = folder / "decoded.wav"
        places = {"{input}": str(path.absolute()), "{output}": str(wav)}
        options = [places.get(word, word) for word in DECODERS[installed[0]].split()]
        try:
            run_program([installed[0], *options], installed[0], folder, timeout_seconds=TIMEOUT_SECONDS)
        except EffectError as error:
            raise AudioError(f"{path} cannot be read as audio: {error}") from None
        if not wav.exists():
            raise AudioError(f"{path} cannot be read as audio ({installed[0]} found none in it)")
        yield wav
