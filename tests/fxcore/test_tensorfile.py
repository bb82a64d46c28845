import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from fxcore.errors import CheckpointError
from fxcore.tensorfile import encode_tensors, read_tensors, write_tensors

VALUES = {"text": "Röhre", "number": 0.1, "list": [1, None, True], "nested": {"b": 2, "a": 1}}


def some_tensors() -> dict[str, Tensor]:
    """Every shape and type that weights and optimisers hold."""
    return {
        "weights": torch.arange(6.0).reshape(2, 3),
        "step": torch.tensor(5.0),
        "rng": torch.arange(9, dtype=torch.uint8),
        "count": torch.tensor(7),
        "mask": torch.tensor([True, False]),
        "half": torch.ones(3, dtype=torch.bfloat16),
        "empty": torch.zeros(0, 4),
    }


def test_what_was_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    write_tensors(path, some_tensors(), VALUES)
    tensors, values = read_tensors(path)
    assert values == VALUES
    assert tensors.keys() == some_tensors().keys()
    for name, tensor in some_tensors().items():
        assert tensors[name].dtype == tensor.dtype
        assert torch.equal(tensors[name], tensor)
    assert list(tmp_path.iterdir()) == [path]


def test_views_and_trained_tensors_are_written_by_value(tmp_path: Path) -> None:
    trained = torch.arange(6.0).reshape(2, 3).requires_grad_()
    write_tensors(tmp_path / "a", {"turned": trained.T, "row": trained[1]}, {})
    tensors, _ = read_tensors(tmp_path / "a")
    assert tensors["turned"].tolist() == [[0.0, 3.0], [1.0, 4.0], [2.0, 5.0]]
    assert tensors["row"].tolist() == [3.0, 4.0, 5.0]


def test_the_same_input_gives_the_same_bytes_in_any_order() -> None:
    turned = dict(reversed(some_tensors().items()))
    written = {encode_tensors(tensors, VALUES) for tensors in (some_tensors(), turned) for _ in range(8)}
    assert len(written) == 1


def test_another_process_gives_the_same_bytes() -> None:
    code = (
        "import sys, torch; from fxcore.tensorfile import encode_tensors;"
        "sys.stdout.buffer.write(encode_tensors({'b': torch.ones(2), 'a': torch.zeros(1)}, {'x': 1, 'y': 2}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout == encode_tensors({"a": torch.zeros(1), "b": torch.ones(2)}, {"y": 2, "x": 1})


def test_any_flipped_byte_is_noticed(tmp_path: Path) -> None:
    path, whole = tmp_path / "a", encode_tensors({"a": torch.arange(3.0), "b": torch.tensor(1.0)}, {"x": 1})
    for i in range(len(whole)):
        altered = bytearray(whole)
        altered[i] ^= 0x01
        path.write_bytes(altered)
        with pytest.raises(CheckpointError, match=r"is corrupt|was not written by fxsearch"):
            read_tensors(path)


def test_any_missing_end_is_noticed(tmp_path: Path) -> None:
    path, whole = tmp_path / "a", encode_tensors({"a": torch.arange(3.0)}, {})
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match="is corrupt or no safetensors file"):
            read_tensors(path)


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}, {"values": "{}", "sha256": "0"}])
def test_a_file_of_another_program_is_refused(metadata: dict[str, str] | None, tmp_path: Path) -> None:
    save_file({"a": torch.zeros(2)}, tmp_path / "a", metadata=metadata)
    with pytest.raises(
        CheckpointError, match="was not written by fxsearch; give a checkpoint or an exported"
    ):
        read_tensors(tmp_path / "a")


def test_a_missing_file_and_a_folder_are_told(tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(CheckpointError, match="does not exist"):
            read_tensors(path)
