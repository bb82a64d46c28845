"""Models known by name: what a search tries first, and what benchmarks compare with.

`thesis_cnn` and `thesis_lstm` are the nets of McCool's thesis (2018) as it describes them, made
causal: the window of 64 samples ends in the current one, and the LSTM keeps its state. The others
are the sizes of Neural Amp Modeler, and the LSTM that Proteus plays.
"""

from fxcore.models.base import ModelSpec
from fxcore.models.conv import ConvSpec
from fxcore.models.lstm import LstmSpec
from fxcore.models.nam_wavenet import SIZES, NamWaveNetSpec

PRESETS: dict[str, ModelSpec] = {
    "thesis_cnn": ConvSpec(layers=6, window=64, channels=64, pool=2, linear=3),
    "thesis_lstm": LstmSpec(layers=7, hidden=800),
    **{size: NamWaveNetSpec(size=size) for size in SIZES},
    "proteus": LstmSpec(hidden=40, skip=True),
}
