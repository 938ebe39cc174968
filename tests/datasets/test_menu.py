"""Data sets: whole or not at all, and every damaged file named."""

import hashlib
import json
import logging
import os
import shutil
import subprocess
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

import init_bench as ib
from init_bench import datasets
from init_bench.datasets import DATASETS, Source, check_name, described
from init_bench.datasets.bundled_mnist import SHA256, unpacked_mnist
from init_bench.datasets.idx import FILES
from init_bench.datasets.menu import classes_of
from init_bench.errors import InitBenchError
from init_bench.files import sha256
from tests.conftest import SIDE, TEST, TRAIN

PROCESSES = 4
RACE = f"""
import json, multiprocessing, sys
from init_bench.datasets.bundled_mnist import unpacked_mnist

context = multiprocessing.get_context("fork")  # one import for all, so that they truly collide
barrier, answers = context.Barrier({PROCESSES}), context.SimpleQueue()

def work():
    barrier.wait()
    try:
        answers.put(str(unpacked_mnist()))
    except BaseException as error:
        answers.put(repr(error))

processes = [context.Process(target=work) for _ in range({PROCESSES})]
for process in processes:
    process.start()
found = [answers.get() for _ in processes]
for process in processes:
    process.join()
print(json.dumps([found, "torchvision" in sys.modules]))
"""


class Race(NamedTuple):
    """What processes did that unpacked at once."""

    cache: Path
    answers: list[str]
    torchvision: bool
    log: str


Damage = Callable[[Path], object]


def raw(root: Path) -> Path:
    return root / "MNIST" / "raw"


def body(path: Path) -> bytes:
    """Return an IDX file's bytes behind its header."""
    return path.read_bytes()[16 if "idx3" in path.name else 8 :]


def replace(path: Path, content: bytes) -> None:
    """Write a file anew: the caches of two tests share theirs by hard links."""
    path.unlink()
    path.write_bytes(content)


def flipped(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :]


@pytest.fixture(scope="module")
def race(tmp_path_factory: pytest.TempPathFactory) -> Race:
    """Let several processes unpack MNIST into a fresh cache at once."""
    cache = tmp_path_factory.mktemp("race")
    done = subprocess.run(
        [sys.executable, "-c", RACE],
        env={**os.environ, "INIT_BENCH_CACHE": str(cache)},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    answers, torchvision = json.loads(done.stdout)
    return Race(cache, answers, torchvision, done.stderr)


@pytest.fixture
def cache(race: Race, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own with MNIST unpacked; change files by ``replace`` only."""
    own = tmp_path / "cache"
    shutil.copytree(race.cache, own, copy_function=os.link)
    monkeypatch.setenv("INIT_BENCH_CACHE", str(own))
    return own


@pytest.mark.slow
def test_several_processes_unpack_at_once(race: Race) -> None:
    assert race.answers == [str(race.cache / "mnist")] * PROCESSES
    assert not race.torchvision


def test_no_process_ever_sees_half_a_file(race: Race) -> None:
    assert "is damaged" not in race.log


def test_the_unpacked_files_are_whole_and_alone(race: Race) -> None:
    files = {path.name: sha256(path) for path in raw(race.cache / "mnist").iterdir()}
    assert files == SHA256, "temporary files left, or a file differs"


def test_an_unpacked_cache_is_left_as_it_is(cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    before = {path: path.stat().st_mtime_ns for path in raw(cache / "mnist").iterdir()}
    assert unpacked_mnist() == cache / "mnist"
    assert {path: path.stat().st_mtime_ns for path in raw(cache / "mnist").iterdir()} == before
    assert not caplog.records


@pytest.mark.parametrize("name", FILES.values())
def test_a_flipped_byte_is_repaired_with_a_warning(
    cache: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    target = raw(cache / "mnist") / name
    content = target.read_bytes()
    replace(target, flipped(content, len(content) // 2))
    with caplog.at_level(logging.WARNING):
        unpacked_mnist()
    assert target.read_bytes() == content
    assert [r.getMessage() for r in caplog.records] == [f"{target} is damaged; unpacking it again"]
    assert len(list(target.parent.iterdir())) == len(FILES)


def test_a_repaired_file_takes_the_damaged_ones_place_whole(cache: Path) -> None:
    target = raw(cache / "mnist") / FILES["test_labels"]
    replace(target, b"damaged")
    before = target.stat().st_ino
    unpacked_mnist()
    assert target.stat().st_ino != before, "written in place: others may read half a file"


def test_a_missing_file_is_unpacked_without_a_warning(
    cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    target = raw(cache / "mnist") / FILES["test_labels"]
    target.unlink()
    unpacked_mnist()
    assert sha256(target) == SHA256[target.name]
    assert not caplog.records


def test_a_cache_that_cannot_be_made_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("INIT_BENCH_CACHE", str(tmp_path / "file"))
    with pytest.raises(InitBenchError, match=r"cannot unpack MNIST into .*file.*INIT_BENCH_CACHE"):
        unpacked_mnist()


def test_mnist_is_the_bytes_of_its_files(cache: Path) -> None:
    folder = raw(cache / "mnist")
    digest = hashlib.sha256(b"".join(body(folder / name) for name in FILES.values()))
    assert datasets.load("mnist").sha256 == digest.hexdigest()


def test_mnist_has_its_shapes_and_known_numbers(cache: Path) -> None:
    data = datasets.load("mnist")
    assert data.inputs.shape == (60000, 784) and data.test_inputs.shape == (10000, 784)
    assert data.inputs.dtype is torch.float32 and data.targets.dtype is torch.int64
    assert (data.inputs.min().item(), data.inputs.max().item()) == (0.0, 1.0)
    assert (data.features, data.classes) == (784, 10)
    assert data.targets[:5].tolist() == [5, 0, 4, 1, 9]
    assert data.inputs.double().mean().item() == pytest.approx(0.1306605, abs=1e-6)


def test_a_folder_of_ones_own_is_loaded(fake_idx: Path) -> None:
    data = datasets.load(f"idx:{fake_idx}")
    pixels = body(fake_idx / FILES["train_images"])
    assert data.inputs.shape == (TRAIN, SIDE * SIDE) and data.test_inputs.shape[0] == TEST
    assert data.inputs[0, :50].mul(255).round().tolist() == list(pixels[:50])
    assert data.targets.tolist() == list(body(fake_idx / FILES["train_labels"]))
    assert data.classes == 10


def test_the_sha_follows_the_files(own_idx: Path, fake_idx: Path) -> None:
    target = own_idx / FILES["test_labels"]
    replace(target, target.read_bytes()[:-1] + b"\1")
    first, other = datasets.load(f"idx:{fake_idx}"), datasets.load(f"idx:{own_idx}")
    assert first.sha256 != other.sha256


def test_a_data_set_on_the_cpu_is_not_copied(fake_idx: Path) -> None:
    data = datasets.load(f"idx:{fake_idx}")
    assert data.to(torch.device("cpu")).inputs is data.inputs


def cut(path: Path) -> None:
    replace(path, path.read_bytes()[:-1])


def lengthen(path: Path) -> None:
    replace(path, path.read_bytes() + b"\0")


def flip_magic(path: Path) -> None:
    replace(path, flipped(path.read_bytes(), 2))


def flip_size(path: Path) -> None:
    replace(path, flipped(path.read_bytes(), 7))


def no_idx(path: Path) -> None:
    replace(path, b"<html>404 Not Found</html>")


def empty(path: Path) -> None:
    replace(path, b"")


def header_only(path: Path) -> None:
    replace(path, path.read_bytes()[:6])


def zipped(path: Path) -> None:
    path.rename(path.with_name(path.name + ".gz"))


DAMAGES: list[tuple[Damage, str]] = [
    (cut, r"{} is cut short: header .* means \d+ bytes, the file has \d+"),
    (lengthen, r"{} is longer than its header says: .* the file has \d+"),
    (
        flip_magic,
        r"{} is not an IDX file of .*: it starts with 00 00 f7 0\d, expected 00 00 08 0\d",
    ),
    (flip_size, r"{} is (cut short|longer than its header says)"),
    (no_idx, r"{} is not an IDX file of .*: it starts with 3c 68 74 6d"),
    (empty, r"{} is not an IDX file of .*: it starts with nothing"),
    (header_only, r"{} is not an IDX file|{} is cut short"),
    (zipped, r"no file {}; unpack it first: gunzip -k {}\.gz"),
    (Path.unlink, r"no file {}; expected: train-images-idx3-ubyte, .*, t10k-labels-idx1-ubyte"),
]


@pytest.mark.parametrize("ask", [datasets.load, check_name])
@pytest.mark.parametrize("part", FILES)
@pytest.mark.parametrize(("damage", "message"), DAMAGES, ids=[d.__name__ for d, _ in DAMAGES])
def test_a_damaged_file_is_named(
    own_idx: Path, damage: Damage, message: str, part: str, ask: Callable[[str], object]
) -> None:
    path = own_idx / FILES[part]
    damage(path)
    with pytest.raises(InitBenchError, match=message.replace("{}", str(path))):
        ask(f"idx:{own_idx}")


@pytest.mark.parametrize("split", ["train", "test"])
def test_images_and_labels_that_differ_in_number_are_refused(own_idx: Path, split: str) -> None:
    path = own_idx / FILES[f"{split}_labels"]
    content = path.read_bytes()
    number = len(content) - 8 - 1
    replace(path, content[:4] + number.to_bytes(4, "big") + content[8:-1])
    with pytest.raises(InitBenchError, match=rf"{number + 1} {split} images but {number} {split}"):
        datasets.load(f"idx:{own_idx}")


def test_a_folder_without_samples_is_refused(own_idx: Path) -> None:
    for part in ("train_images", "train_labels"):
        path = own_idx / FILES[part]
        size = 16 if "images" in part else 8
        replace(path, path.read_bytes()[:4] + bytes(4) + path.read_bytes()[8:size])
    with pytest.raises(InitBenchError, match=str(own_idx)):
        datasets.load(f"idx:{own_idx}")


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(InitBenchError, match=rf"no folder {tmp_path / 'none'}"):
        check_name(f"idx:{tmp_path / 'none'}")


def test_a_folder_is_named_absolutely(fake_idx: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(fake_idx.parent)
    assert check_name(f"idx:{fake_idx.name}") == f"idx:{fake_idx}"


@pytest.mark.parametrize("name", DATASETS)
def test_every_data_set_on_the_menu_has_a_source(name: str) -> None:
    assert described()[name] == DATASETS[name].help != ""
    assert check_name(name) == name


def test_an_unknown_data_set_is_shown_with_the_nearest() -> None:
    expected = r"unknown dataset 'minst': did you mean 'mnist'\? Known: mnist, .*, idx:FOLDER"
    with pytest.raises(InitBenchError, match=expected):
        check_name("minst")


def test_the_identity_of_mnist_is_pinned(cache: Path) -> None:
    assert (
        datasets.load("mnist").sha256
        == "06b0d1f124c4e5fa796686ade41a9b778edacc8622f2195a352ef479ad44fc16"
    )


def test_a_data_set_added_from_outside_is_listed_loaded_and_trained_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One record in ``DATASETS`` is all: the catalog, grids and runs take the name."""
    g = torch.Generator().manual_seed(0)
    tensors = {
        "train_images": torch.randint(0, 256, (40, 3, 3), generator=g, dtype=torch.uint8),
        "train_labels": torch.arange(40) % 2,
        "test_images": torch.randint(0, 256, (10, 3, 3), generator=g, dtype=torch.uint8),
        "test_labels": torch.arange(10) % 2,
    }
    dice = Source(read=lambda: tensors, help="50 dice, thrown for this test")
    monkeypatch.setitem(DATASETS, "dice", dice)
    assert described()["dice"] == "50 dice, thrown for this test"
    data = datasets.load("dice")
    assert (data.inputs.shape, data.classes, data.image) == ((40, 9), 2, (1, 3, 3))
    grid = ib.Grid(dataset="dice", width=4, depth=2, batch_size=8, steps=3)
    results = ib.run(grid, tmp_path, device="cpu", progress=False)
    assert results.cells["dataset"].tolist() == ["dice"]
    assert results.cells["status"].tolist() == ["ok"]


@pytest.mark.parametrize("name", ["mnist", "mnist_short_test", "mnist_pixels"])
def test_the_menu_knows_the_number_of_classes_that_the_data_have(name: str) -> None:
    data = datasets.load(name)
    assert classes_of(name) == (data.classes if data.has_classes else None)


def test_a_released_data_set_is_freed_and_read_again() -> None:
    name = "mnist_pixels"
    data = datasets.load(name)
    assert datasets.load(name) is data
    freed = weakref.ref(data)
    del data
    datasets.release()
    assert freed() is None
    assert datasets.load(name).classes == 1
