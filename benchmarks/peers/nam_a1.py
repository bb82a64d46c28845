"""Neural Amp Modeler trains its A1-standard WaveNet by its own recipe, turn by turn.

    python nam_a1.py FOLDER          # with {train,validation}_{dry,wet}.wav in it

Run by `benchmarks/training.py` with a Python that has neural-amp-modeler. Each line of the input is
a number of CPU seconds to train for; each line of the output says where it stands then. Models, data
and optimiser are its own classes with the settings of its `nam_full_configs`.
"""

import json
import sys
import time
import warnings
from importlib.metadata import version
from pathlib import Path

import pytorch_lightning as pl
import torch
from nam.data import Split, apply_joint_dataset_hooks, get_joint_dataset_hooks, init_dataset
from nam.train.lightning_module import LightningModule
from torch.utils.data import DataLoader

BATCH, BLOCK_SAMPLES = 16, 8192
ON_GPU = torch.cuda.is_available()


def array(input_size: int, channels: int, head_size: int, head_bias: bool) -> dict[str, object]:
    """One of A1's two layer arrays."""
    return {
        "condition_size": 1,
        "input_size": input_size,
        "channels": channels,
        "kernel_size": 3,
        "dilations": [2**i for i in range(10)],
        "activation": "Tanh",
        "gated": False,
        "head": {"out_channels": head_size, "kernel_size": 1, "bias": head_bias},
    }


MODEL = {
    "net": {
        "name": "WaveNet",
        "config": {"layers_configs": [array(1, 16, 8, False), array(16, 8, 1, True)], "head_scale": 0.02},
    },
    "optimizer": {"lr": 0.004},
    "lr_scheduler": {"class": "ExponentialLR", "kwargs": {"gamma": 0.997}},
}


def now() -> float:
    """CPU seconds; where there is a GPU, seconds on the clock."""
    return time.perf_counter() if ON_GPU else time.process_time()


class Turns(pl.Callback):
    """Trains as long as it is told to, then says where it stands and waits."""

    def __init__(self) -> None:
        self.samples, self.validation = 0, list[tuple[float, float]]()

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.zero = now()  # what importing and loading took is given to it
        self._await_turn(trainer)

    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, *_: object) -> None:
        self.samples += BATCH * BLOCK_SAMPLES
        if now() >= self._until:
            self._await_turn(trainer)

    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.validation.append((now() - self.zero, float(trainer.callback_metrics["ESR"])))

    def _await_turn(self, trainer: pl.Trainer) -> None:
        if ON_GPU:
            torch.cuda.synchronize()  # what is queued counts
        state = {
            "samples": self.samples,
            "cpu_seconds": now() - self.zero,
            "validation": self.validation,
            "version": version("neural-amp-modeler"),
        }
        print(json.dumps(state), flush=True)
        seconds = sys.stdin.readline()
        trainer.should_stop = not seconds
        self._until = now() + float(seconds or 0)


def main(folder: Path) -> None:
    """Train until the input ends."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    warnings.simplefilter("ignore")
    module = LightningModule.init_from_config(MODEL)

    def files(split: str) -> dict[str, str]:
        return {"x_path": str(folder / f"{split}_dry.wav"), "y_path": str(folder / f"{split}_wet.wav")}

    data = {
        "train": {**files("train"), "ny": BLOCK_SAMPLES},
        "validation": {**files("validation"), "ny": None},
        "common": {"nx": module.net.receptive_field, "require_input_pre_silence": None},
    }
    train, validation = init_dataset(data, Split.TRAIN), init_dataset(data, Split.VALIDATION)
    normalise = {"name": "nam.data.normalize_joint_dataset_output", "kwargs": {"level_rms_dbfs": -18.0}}
    apply_joint_dataset_hooks(
        dataset_train=train,
        dataset_validation=validation,
        hooks=get_joint_dataset_hooks([normalise]),
    )
    module.net.sample_rate = train.sample_rate
    trainer = pl.Trainer(
        accelerator="gpu" if ON_GPU else "cpu",
        max_epochs=10**6,
        callbacks=[Turns()],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        logger=False,
        num_sanity_val_steps=0,
    )
    loader = DataLoader(train, batch_size=BATCH, shuffle=True, drop_last=True, pin_memory=ON_GPU)
    trainer.fit(module, loader, DataLoader(validation))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
