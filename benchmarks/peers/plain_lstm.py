"""The LSTM-40 of Proteus in a plain PyTorch loop with DataLoader windows, turn by turn.

    python plain_lstm.py FOLDER sample     # each window of 150 samples predicts its last (GuitarLSTM)
    python plain_lstm.py FOLDER segment    # half-second windows, an update each 1,000 samples (Proteus)

Run by `benchmarks/training.py`, with the protocol of `nam_a1.py`. Both are what their authors describe
(GuitarLSTM 2020; Wright & Välimäki 2019, the trainer behind Proteus), at their batch sizes.
"""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import soundfile
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

HIDDEN = 40
WINDOW, SEGMENT, WARM_UP, UPDATE = 150, 22_050, 200, 1000  # samples
BATCHES = {"sample": 4096, "segment": 40}
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
RATES = {"sample": 5e-4, "segment": 5e-3}


class Windows(Dataset[tuple[Tensor, Tensor]]):
    """Windows of dry and wet, (T, 1) each."""

    def __init__(self, dry: Tensor, wet: Tensor, length: int, hop: int) -> None:
        self.dry, self.wet, self.length, self.hop = dry, wet, length, hop

    def __len__(self) -> int:
        return (len(self.dry) - self.length) // self.hop

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        start = index * self.hop
        return self.dry[start : start + self.length], self.wet[start : start + self.length]


class Net(nn.Module):
    """LSTM, linear head, and the dry added."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(1, HIDDEN, batch_first=True)
        self.head = nn.Linear(HIDDEN, 1)

    def forward(
        self, dry: Tensor, state: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        out, state = self.lstm(dry, state)
        return self.head(out) + dry, state


def now() -> float:
    """CPU seconds; on a GPU, seconds on the clock."""
    return time.process_time() if DEVICE == "cpu" else time.perf_counter()


def esr(pred: Tensor, wet: Tensor) -> Tensor:
    return (wet - pred).square().sum() / (wet.square().sum() + 1e-5)


def loss_of(pred: Tensor, wet: Tensor) -> Tensor:
    """Pre-emphasised ESR and DC along the first of (T, B) or (B, T)."""
    offset = (wet.mean() - pred.mean()).square() / (wet.square().mean() + 1e-5)
    return 0.75 * esr(pred[:, 1:] - 0.85 * pred[:, :-1], wet[:, 1:] - 0.85 * wet[:, :-1]) + 0.25 * offset


def updates(kind: str, net: Net, loader: DataLoader[tuple[Tensor, Tensor]]) -> Iterator[tuple[Tensor, int]]:
    """Loss of each update and the wet samples that it learns from, for ever."""
    while True:
        for batch in loader:
            dry, wet = (side.to(DEVICE) for side in batch)
            if kind == "sample":
                pred, _ = net(dry, None)
                yield esr(pred[:, -1], wet[:, -1]), len(dry)
                continue
            _, state = net(dry[:, :WARM_UP], None)
            for start in range(WARM_UP, SEGMENT - UPDATE + 1, UPDATE):
                block = slice(start, start + UPDATE)
                pred, state = net(dry[:, block], tuple(s.detach() for s in state))
                yield loss_of(pred, wet[:, block]), pred.numel()


def main(folder: Path, kind: str) -> None:
    """Train until the input ends."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    dry, wet = (
        torch.from_numpy(soundfile.read(folder / f"train_{side}.wav", dtype="float32", always_2d=True)[0])
        for side in ("dry", "wet")
    )
    length, hop = (WINDOW, 1) if kind == "sample" else (SEGMENT, SEGMENT)
    loader = DataLoader(Windows(dry, wet, length, hop), BATCHES[kind], shuffle=True, drop_last=True)
    net = Net().to(DEVICE)
    optimiser = torch.optim.Adam(net.parameters(), RATES[kind])
    steps, samples, zero = updates(kind, net, loader), 0, now()
    print(json.dumps({"samples": samples, "cpu_seconds": 0.0}), flush=True)
    for line in sys.stdin:
        until = now() + float(line)
        while now() < until:
            loss, learned = next(steps)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            samples += learned
        if DEVICE == "cuda":
            torch.cuda.synchronize()  # what is queued counts
        print(json.dumps({"samples": samples, "cpu_seconds": now() - zero}), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
