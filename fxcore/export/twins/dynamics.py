"""A compressor whose loop over samples is a program's own, in place of compiled code.

Only what waits for the sample before is in the loop; all if the level is that of the wet (feedback).
"""

import math
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor
from torch._higher_order_ops import scan

from fxcore.models import EffectModel, State
from fxcore.models.ballistics import KNOT_DB, KNOTS, SILENT_POWER
from fxcore.models.dynamics import Dynamics

LOWEST_DB = -120.0  # where the bends begin


class ScannedDynamics(EffectModel):
    """`dynamics` with only what waits for the sample before in a loop.

    Its state: past powers, oldest first, and the ballistics, the smoothed gain, and the last output.
    """

    def __init__(self, net: Dynamics) -> None:
        super().__init__(net.spec)
        self.scale = net.scale
        settings = [float(s) for s in net._all_settings()]
        self.window, attack, release, smooth = settings[:4]
        self.threshold_db, self.slope, self.knee_db, self.make_up = settings[4:8]
        self.law, self.feedback = int(settings[8]), settings[9] > 0.5
        poles = [math.exp(-1.0 / s) if s > 1e-3 else 0.0 for s in (attack, release)]
        self.smooth = math.exp(-1.0 / smooth) if smooth > 1e-3 else 0.0
        self.register_buffer("poles", torch.tensor(poles, dtype=torch.float64))
        self.register_buffer("bend_db", net.bend_db.double())

    @property
    def context_samples(self) -> int:
        return 0

    def zero_state(self, batch: int) -> State:
        memory = [torch.zeros(batch, dtype=torch.float64) for _ in range(3)]
        return torch.zeros(batch, int(self.window), dtype=torch.float64), *memory

    def initial_state(self, batch: int = 1, start_sample: int = 0) -> State:
        return self.zero_state(batch)

    def step(self, dry: Tensor, state: State) -> tuple[Tensor, State]:
        dry = (dry[0, 0] / self.scale[0]).double()
        powers, held, smoothed, last = state
        if self.feedback:
            (powers, held, smoothed, last), wet = scan(
                self._one, (powers, held, smoothed, last), dry[:, None]
            )
            return wet[:, 0].float()[None, None], (powers, held, smoothed, last)
        joined = torch.cat([powers[0], dry * dry])
        power = self._mean(joined, dry.shape[0])
        level, silent = self._level(power), torch.zeros(1, dtype=torch.float64)
        (held,), followed = scan(self._follow, (held,), level[:, None])
        gain = self._gain(followed[:, 0]) - self._gain(self._level(silent))
        if self.smooth:
            (smoothed,), gains = scan(self._smooth, (smoothed,), gain[:, None])
            gain = gains[:, 0]
        wet = dry * (gain + self._gain(self._level(silent)))
        kept = joined[dry.shape[0] :][None]
        return (self.make_up * wet).float()[None, None], (kept, held, smoothed, last * 1.0)

    def _one(self, carried: State, dry: Tensor) -> tuple[State, Tensor]:
        """A sample whose level is that of the sample before it came out, all (1,) but the powers (1, W)."""
        powers, held, smoothed, last = carried
        power = (last * last)[None]
        joined = torch.cat([powers, power], dim=1)
        (held,), followed = self._follow((held,), self._level(self._mean(joined[0], 1)))
        silent = self._gain(self._level(torch.zeros_like(held)))
        (smoothed,), gain = self._smooth((smoothed,), self._gain(followed) - silent)
        last = dry * (gain + silent)
        return (torch.cat([powers[:, 1:], power], dim=1), held, smoothed, last), self.make_up * last

    def _mean(self, powers: Tensor, length: int) -> Tensor:
        """Mean powers (T,) over the window, of those of the window before and the block's (W + T,)."""
        whole = int(self.window)
        if self.window == 1.0:
            return powers[whole:]
        total = F.pad(powers.cumsum(0), (1, 0))
        recent = total[whole + 1 :] - total[1 : length + 1]
        return (recent + (self.window - whole) * powers[:length]).clamp(min=0.0) / self.window

    def _level(self, power: Tensor) -> Tensor:
        """What the ballistics follow: level, power, or gain in dB less that of silence."""
        if self.law == 2:
            return self._curve_db(power) - self._curve_db(torch.zeros_like(power))
        return power if self.law == 1 else power.sqrt()

    def _follow(self, carried: tuple[Tensor], level: Tensor) -> tuple[tuple[Tensor], Tensor]:
        held, poles = carried[0], cast(Tensor, self.poles)
        rising = level < held if self.law == 2 else level > held
        held = level + torch.where(rising, poles[0], poles[1]) * (held - level)
        return (held,), held.clone()

    def _smooth(self, carried: tuple[Tensor], gain: Tensor) -> tuple[tuple[Tensor], Tensor]:
        smoothed = gain + self.smooth * (carried[0] - gain)
        return (smoothed,), smoothed.clone()

    def _gain(self, followed: Tensor) -> Tensor:
        """Gain, a factor, of what the ballistics gave."""
        if self.law == 2:
            gain_db = followed + self._curve_db(torch.zeros_like(followed))
        else:
            gain_db = self._curve_db(followed if self.law == 1 else followed * followed)
        return torch.exp(gain_db * (math.log(10.0) / 20.0))

    def _curve_db(self, power: Tensor) -> Tensor:
        """The static curve of `ballistics`."""
        level_db = power.clamp(min=SILENT_POWER).log() * (10.0 / math.log(10.0))
        over_db = level_db - self.threshold_db
        half = self.knee_db / 2
        knee_db = -self.slope * (over_db + half) ** 2 / (2 * self.knee_db or 1.0)
        gain_db = torch.where(over_db <= -half, torch.zeros_like(over_db), knee_db)
        gain_db = torch.where(over_db >= half, -self.slope * over_db, gain_db)
        position = ((level_db - LOWEST_DB) / KNOT_DB).clamp(max=KNOTS - 1.001)
        bend_db, knot = cast(Tensor, self.bend_db), position.floor()
        lower, upper = bend_db[knot.long()], bend_db[knot.long() + 1]
        return gain_db + lower + (position - knot) * (upper - lower)
