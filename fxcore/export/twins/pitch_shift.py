"""A vocoder whose frames are looked at all at once; only the peaks' rotations wait for the frame before.

How many frames end in a block depends on where the last one ended, and a program's shapes must not: there
are always as many as could end, and what is heard and kept is taken from those that do.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor
from torch._higher_order_ops import scan

from fxcore.models import EffectModel, State
from fxcore.models.pitch_shift import PitchShift
from fxcore.models.vocoder import FAINTEST, HOPS, ROUNDING, windows

TURN = 2 * math.pi


class FramedShift(EffectModel):
    """`pitch_shift` over a fixed number of frames.

    Its state: the dry heard last (1, W + delay), the samples since the last frame (1,), what is still to be
    played (1, 2 tail), and each bin's rotation and last value, (1, K) and (1, K, 2).
    """

    def __init__(self, net: PitchShift) -> None:
        super().__init__(net.spec)
        self.scale, self.settle_samples = net.scale, net.context_samples
        self.window, self.tail, self.hop = net.spec.window_samples, net.spec.tail, net.spec.tail // HOPS
        self.bins, self.heard_samples = self.window // 2 + 1, self.window + int(net.delay_samples)
        self.ratio = 2.0 ** (float(net.semitones) / 12.0)
        self.shifted_gain, self.dry_gain = net.shifted_gain.detach(), net.dry_gain.detach()
        analysis, synthesis = windows(self.window, self.tail)
        self.register_buffer("turn", torch.tensor(TURN, dtype=torch.float64))
        self.register_buffer("analysis", torch.from_numpy(analysis.copy()))
        self.register_buffer("synthesis", torch.from_numpy(synthesis.copy()))
        self.register_buffer("gains", net.bin_gains.detach().double()[:, None])

    @property
    def context_samples(self) -> int:
        return self.settle_samples

    def zero_state(self, batch: int) -> State:
        sizes = (self.heard_samples,), (), (2 * self.tail,), (self.bins,), (self.bins, 2)
        return tuple(torch.zeros(batch, *size, dtype=torch.float64) for size in sizes)

    def initial_state(self, batch: int = 1, start_sample: int = 0) -> State:
        return self.zero_state(batch)

    def step(self, dry: Tensor, state: State) -> tuple[Tensor, State]:
        before, since, pending, angles, last = state
        heard, length = (dry[0, 0] / self.scale[0]).double(), dry.shape[-1]
        played = torch.cat([before[0], heard])
        first = self.hop - since  # samples of this block in the first frame
        most = (length + self.hop - 1) // self.hop
        # at least 2, for of one, tracing makes a constant
        frames = torch.sym_max(most, 2)  # type: ignore[no-untyped-call]  # torch's is untyped
        whole = ((since + length) / self.hop).floor().long()  # frames that end in this block, (1,)

        begins = first.long()[:, None] + self.hop * torch.arange(frames)[:, None]
        framed = F.pad(played, (0, 2 * self.hop))[begins + torch.arange(self.window)]  # (F, W)
        spectra = torch.view_as_real(torch.fft.rfft(framed * self.get_buffer("analysis")))  # (F, K, 2)
        spectra = torch.cat([last, spectra])
        shifted, rotations = self._shifted(spectra, angles)
        grains = torch.fft.irfft(torch.view_as_complex(shifted * self.get_buffer("gains")), n=self.window)
        grains = grains[:, self.window - 2 * self.tail :] * self.get_buffer("synthesis")
        grains = torch.where(torch.arange(frames)[:, None] < whole, grains, torch.zeros_like(grains))
        out = self._overlapped(grains, first, pending[0], length)

        raw = self.shifted_gain * out[:length] + self.dry_gain * heard
        after = (
            played[length:][None],
            since + length - self.hop * whole,
            out[length:][None],
            torch.cat([angles, rotations])[whole],
            spectra[whole],
        )
        return raw.float()[None, None], after

    def _shifted(self, spectra: Tensor, angles: Tensor) -> tuple[Tensor, Tensor]:
        """Shifted spectra (F, K, 2) of spectra (1 + F, K, 2), and the rotations (F, K) after each frame."""
        heard = spectra[1:]
        energy = heard.square().sum(dim=-1).float()
        peak, any_peak = self._peaks(energy)
        shift_radians = self._advance(heard, spectra[:-1]).gather(1, peak)
        (_,), rotations = scan(self._turn, (angles[0],), (peak, shift_radians, any_peak))
        by = (shift_radians * self.window / (TURN * self.hop) + ROUNDING).floor()
        turned = rotations - TURN * (by * (self.window - self.tail)).remainder(self.window) / self.window
        strength = energy.double()
        skirt = (strength / strength.gather(1, peak)).sqrt().sqrt()
        target = torch.arange(self.bins) + by
        kept = any_peak & (target > 0) & (target < self.bins - 1)
        cosine, sine = turned.cos() * skirt, turned.sin() * skirt
        real, imag = heard[..., 0], heard[..., 1]
        moved = torch.stack([real * cosine - imag * sine, real * sine + imag * cosine], dim=-1)
        moved = torch.where(kept[..., None], moved, torch.zeros_like(moved))
        target = torch.where(kept, target, torch.zeros_like(target)).long()
        target = torch.stack([target, target], dim=-1)
        return torch.zeros_like(moved).scatter_add(1, target, moved), rotations

    def _advance(self, heard: Tensor, last: Tensor) -> Tensor:
        """Radians (F, K) by which each bin is to be turned further than it turned by itself, over a hop."""
        real = heard[..., 0] * last[..., 0] + heard[..., 1] * last[..., 1]
        imag = heard[..., 1] * last[..., 0] - heard[..., 0] * last[..., 1]
        expected = TURN * torch.arange(self.bins, dtype=torch.float64) * self.hop / self.window
        excess = torch.atan2(imag, real) - expected
        excess = excess - TURN * (excess / TURN).round()
        unheard = (real == 0) & (imag == 0)
        excess = torch.where(unheard, torch.zeros_like(excess), excess)
        further: Tensor = (self.ratio - 1.0) * (expected + excess)
        return further

    def _peaks(self, energy: Tensor) -> tuple[Tensor, Tensor]:
        """The peak that each bin belongs to (F, K), and whether there is one (F, 1), of energies (F, K)."""
        inner = energy[:, 2:-2]
        peaks = (inner > FAINTEST) & (inner > energy[:, 1:-3]) & (inner > energy[:, :-4])
        peaks = peaks & (inner >= energy[:, 3:-1]) & (inner >= energy[:, 4:])
        places, far = torch.arange(self.bins).double(), 4.0 * self.bins
        below = F.pad(torch.where(peaks, places[2:-2], -far), (2, 2), value=-far)
        above = torch.where(below < 0, far, below)
        reach = 1
        while reach < self.bins:  # the nearest on either side, twice as far away each time
            below = torch.maximum(below, F.pad(below[:, :-reach], (reach, 0), value=-far))
            above = torch.minimum(above, F.pad(above[:, reach:], (0, reach), value=far))
            reach *= 2
        nearest = torch.where(places - below < above - places, below, above)
        found = (nearest >= 0) & (nearest < far)
        return nearest.clamp(0.0, self.bins - 1.0).long(), found[:, :1]

    def _turn(self, carried: tuple[Tensor], frame: State) -> tuple[tuple[Tensor], Tensor]:
        """One frame's rotations (K,): those of the bins that its peaks grew out of, and a hop more."""
        (peak, shift_radians, any_peak), turn = frame, self.get_buffer("turn")
        angle = carried[0].gather(0, peak) + shift_radians
        angle = angle - turn * (angle / turn).floor()
        angle = torch.where(any_peak, angle, torch.zeros_like(angle))
        return (angle,), angle.clone()

    def _overlapped(self, grains: Tensor, first: Tensor, pending: Tensor, length: int) -> Tensor:
        """Sound (T + 2 tail,) of grains (F, 2 tail), a hop apart, after what was pending."""
        parts = 2 * HOPS
        hops = [
            F.pad(grains[:, part * self.hop : (part + 1) * self.hop], (0, 0, part, parts - part))
            for part in range(parts)
        ]
        placed = F.pad(torch.stack(hops).sum(dim=0).flatten(), (self.hop, self.hop))
        begin = self.hop - first.long() + 1
        place = torch.arange(length + 2 * self.tail) + begin
        return placed[place] + F.pad(pending, (0, length))
