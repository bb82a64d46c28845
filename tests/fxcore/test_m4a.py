"""m4a: decoded by what is installed, and a clear line where nothing is."""

import base64
import zlib
from pathlib import Path

import numpy as np
import pytest
import soundfile

from fxcore.errors import AudioError
from fxcore.m4a import decoded

TONE = b"""
eNpjYGCQSSupLPA1cVRgYGBiANGZxfm5QGzEwMDAkVaUmsrAwLYtNyWxhFEnaM0ZLaGc0PS3a76Wr9o9rVNIxWOSY2602dXNQOKa
dm7Stqubu6Mttil3g1hA7jVt32CTq5t9ow0znyXNy1yVOnfufBnDw4d3Bk71SllrEN7/8WVx6v/83mZmJRcenpw7m07rbDqVF5k6
LTLVXAfEoR/SZxSYc9NK2mXfovhI/fn58/93/7e/vs5qb9yO+//s/f/z//kvV/G6N27H9//Hn//3/1e36/HarK9r//+oq//y//3X
47LZ4Wt5jc0k1mUui7mck9N3YpvLzc2JvvO0T2lZL5Xw2zxXNCRZqtndVfBCXuMVjUWNFou6eK1WLOpSn9elseBQKZfGoi4NpsoD
QBKIDOZVPhe9e9ryZUz5VrnKc8UrvXq9Qj6ft/m8qtTfBkQjkNVyoFogEobyLYCMR5XP58bH/hZ5HmJz+bP2rPop//Xyp5v815/y
+c/O5XMKGJU+dT9LCyveLz//V/23172F5eV6MZM8i1xPsO9R/N9g/IL9xxn2fQ31DbKc31ls/35xYj/YvO+B/YeE9zuZ/0io32n8
J835XaG+7cD3Fv6eg3a/GP8Zs/x+wfzYQO4Xw48zbLUMNWnM9x3kJZtq/x74cUb4/Tv24wfk/j2oqWGEMVPOMG9onLjBFiQPtMnO
mPH9Ap6ZEPXsexRSHjB8MOp+lpqWXwcM+af//5SuXL1T9cQkj0kuzU8//QQFgeXzOZ/PqQMxvwW7TQI0MM6xAMXmYQQRHZA9o51R
g0a1UO7/f9v3ft77/+/7/7FxW4ueTHLpFBSQvXfBwNq1cccGczG2j43dzMwChcJL8mZ7/3vxganAwMDAWCHHQkKaj42N7YAEGEg3
kgkmMtMSQGIlLC2/9tf/P/b/bV99LVeZ5KnkKeRhN99/qUigq4hel7grUxerCJeGiAOHt6tIQJaGqQijq4gUOFXTA7VedAU5BIy4
YQ7+vu8/OBnlh6+ergJMRSqe7KfAmQacfoQ7nwufYzy3AChS6m+1fK5T5XNwXgMmJbAiuqH5DYxmQPeKrDr3/9/5//OD3j0BudXF
4WjW8aU863dmHV+2LPxu1caXK6d2/2psDeeaGV90tY8jtUg34suVU0+iNkZJRumHaa+cuuhrcmt4WPfjo6WxURJrwkOvLvrxMWrd
WvGvSVuBAjlha00XTv2uG5XtbLUxauNanvWiq+WmGO17ulpG4NSlrcmX2sLvbE1ukozpDtN21na62idqtBNqbNKumUADw9YxBoGd
uT4+/3nn6kmXPJVUPDpEWU6n3J6wgm+b706uZq2bZs+ZinZznLpsuV0xgG2m0Z0QjszJukcd2mbPzNNiMTk57dECp9kzc4CiO6c9
MVBcVwkifc9stwQLawgABU4ucNr5LFqtkaspdVPKwoDUaLU7rY5Tc2YXibKFbkoPWCEfrRbd1fhtpvE6LfZbKacLAxSX+WxXbPw2
e+Z1xUZec3NgbfYrNz+/DFiL5eSWZaQwoAB5BzBmZAAhBGBEVYXOd2DAC5iAyLOkKDEbyI4pyQbbyYxpmjyyMYyMpNurkppSUgyk
ZVJziksQOkDmskD1Mh7MTclMBDIUclOw+V3ZIfQImKObkZJTBJMpzi/NQ1YZDOSneCTmpeSkgtQw5uRm5qUBGQLFuSiGqqRAxGVS
ilLTkLzAU1qUowBhMxoUlyTlANlZxSXFKUhqonILTBIxvM3IIIAUVGapxSkgDzMwNzQ0qAIlWYC0uIMoWFI/HoRZgSKsoh1hTxnY
gCxGJpDXi0vAwQSNGgYOcPCAbWEGmSsDdEkyks0gzAmlLYByVUg+BInfB+KXQLwYiDcC8VMovQGIlwPxUiAWKS5JzkcyUweIpYrT
C1JAnKL8nByoWxj//we7ICm9gAEhg+wC29KUElC4mOamlsDCRxE5soARXJRYUJCDHGEcmcAUAQBBmKwL
"""  # one second of 440 Hz at 8 kHz


@pytest.fixture
def tone(tmp_path: Path) -> Path:
    path = tmp_path / "tone.m4a"
    path.write_bytes(zlib.decompress(base64.b64decode(TONE)))
    return path


def test_without_a_decoder_the_remedy_is_told(tone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tone.parent))
    with (
        pytest.raises(AudioError, match=r"tone\.m4a needs a decoder .* neither ffmpeg nor faad is installed"),
        decoded(tone),
    ):
        pass


@pytest.mark.hosts
def test_a_tone_is_decoded_and_the_wav_vanishes(tone: Path) -> None:
    with decoded(tone) as wav:
        samples, sample_rate = soundfile.read(wav, dtype="float32", always_2d=True)
    assert not wav.exists()
    assert sample_rate == 8000
    assert len(samples) == pytest.approx(8000, abs=1024)  # a frame of AAC
    spectrum = np.abs(np.fft.rfft(samples[2000:6000].mean(axis=1)))
    assert np.argmax(spectrum) * sample_rate / 4000 == 440.0


@pytest.mark.hosts
def test_what_is_no_m4a_is_named(tmp_path: Path) -> None:
    (tmp_path / "notes.m4a").write_bytes(b"words" * 100)
    with (
        pytest.raises(AudioError, match=r"notes\.m4a cannot be read as audio"),
        decoded(tmp_path / "notes.m4a"),
    ):
        pass
