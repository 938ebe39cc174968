"""Files are audited like the state dicts they hold, and what cannot be read is refused."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from torch import Tensor, nn

import init_bench as ib
from init_bench.diagnosis.checkpoint import stored_tensor
from init_bench.errors import InitBenchError

save_file = pytest.importorskip("safetensors.torch").save_file


def state_dict() -> dict[str, Tensor]:
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(32, 10))
    return {**net.state_dict(), "scale": torch.tensor(0.5)}


def by_name(source: Any) -> pd.DataFrame:
    return ib.audit(source).table.set_index("parameter").sort_index()


def test_a_safetensors_file_is_audited_as_its_state_dict(tmp_path: Path) -> None:
    own = state_dict()
    save_file(own, tmp_path / "a.safetensors")
    pd.testing.assert_frame_equal(by_name(tmp_path / "a.safetensors"), by_name(own))
    assert set(ib.diff(own, tmp_path / "a.safetensors").table["state"]) == {"equal"}


def test_a_tensor_larger_than_a_piece_is_read_piece_by_piece(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = {"w": nn.Linear(40, 30).weight.detach().clone(), "v": torch.randn(1000)}
    save_file(own, tmp_path / "a.safetensors")
    whole = by_name(own)
    monkeypatch.setattr(stored_tensor, "PIECE", 100)
    pd.testing.assert_frame_equal(by_name(tmp_path / "a.safetensors"), whole)


def test_the_files_of_a_folder_are_one_checkpoint(tmp_path: Path) -> None:
    own = state_dict()
    for i, (name, value) in enumerate(own.items()):
        save_file({name: value}, tmp_path / f"model-{i}.safetensors")
    pd.testing.assert_frame_equal(by_name(tmp_path), by_name(own))


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("key", [None, "state_dict", "model"])
@pytest.mark.parametrize("ending", ["pt", "bin"])
def test_a_pickle_is_audited_as_its_state_dict(
    key: str | None, zipped: bool, ending: str, tmp_path: Path
) -> None:
    own, path = state_dict(), tmp_path / f"a.{ending}"
    held = own if key is None else {key: own, "epoch": 3}
    torch.save(held, path, _use_new_zipfile_serialization=zipped)
    pd.testing.assert_frame_equal(by_name(path), by_name(own))


def test_tied_weights_of_a_pickle_are_told(tmp_path: Path) -> None:
    weight = torch.randn(30, 20)
    torch.save({"a": weight, "b": weight}, tmp_path / "a.pt")
    assert by_name(tmp_path / "a.pt").loc["b", "tied_to"] == "a"


def damaged(folder: Path, kind: str) -> Path:
    """Write a file that cannot be audited."""
    if kind == "cut safetensors":
        save_file(state_dict(), folder / "a.safetensors")
        whole = (folder / "a.safetensors").read_bytes()
        (folder / "a.safetensors").write_bytes(whole[: len(whole) // 2])
        return folder / "a.safetensors"
    if kind == "text":
        (folder / "a.txt").write_text("hello")
        return folder / "a.txt"
    held = {"objects": nn.Linear(2, 2), "list": [1, 2], "no tensors": {"epoch": 1}}
    torch.save(held.get(kind, state_dict()), folder / "a.pt")
    if kind == "cut pickle":
        whole = (folder / "a.pt").read_bytes()
        (folder / "a.pt").write_bytes(whole[: len(whole) // 2])
    return {"missing": folder / "b.pt", "empty folder": folder}.get(kind, folder / "a.pt")


REFUSALS = {
    "missing": "there is no file .*b.pt: give a file that ends in",
    "empty folder": "holds no .safetensors file",
    "text": "a.txt cannot be audited: give a file that ends in",
    "cut safetensors": "cut off or no safetensors file.*download it again",
    "cut pickle": "cannot be read: it is no file of torch.save, or is damaged",
    "objects": r"Python objects beside tensors \(torch.nn.*weights_only=False",
    "list": "holds a list, not a state dict: save model.state_dict()",
    "no tensors": "is no state dict.*its keys are: 'epoch'",
}


@pytest.mark.parametrize("kind", REFUSALS)
def test_what_cannot_be_audited_is_refused_in_words(kind: str, tmp_path: Path) -> None:
    with pytest.raises(InitBenchError, match=REFUSALS[kind]):
        ib.audit(damaged(tmp_path, kind))


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "safetensors", None)
    (tmp_path / "a.safetensors").write_bytes(b"")
    with pytest.raises(InitBenchError, match="pip install safetensors"):
        ib.audit(tmp_path / "a.safetensors")


@pytest.mark.parametrize("junk", [b"hello junk, not a model", bytes(range(256)), b"\x80\x02}q."])
def test_junk_is_refused_without_the_readers_own_error(junk: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_bytes(junk)
    with pytest.raises(InitBenchError, match=r"a\.pt cannot be read: it is no file of torch\.save"):
        ib.audit(tmp_path / "a.pt")
