"""Loading by SPEC, limits and splits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeproof.core.errors import ConfigError, DataError
from spikeproof.datasets.images import READERS, fingerprint, load, split
from spikeproof.datasets.spec import IMAGE_KINDS


@pytest.fixture(scope="module")
def digits():
    return load("digits")


def test_load_has_a_reader_for_every_kind_with_a_path():
    assert set(READERS) == {kind for kind, argument in IMAGE_KINDS.items() if argument}


def test_load_reads_each_container(
    write_folder, cifar10_files, cifar100_files, mnist_folder, write_npz
):
    write_folder("cifar-10-batches-py", cifar10_files)
    root = write_folder("cifar-100-python", cifar100_files).parent
    specs = {
        f"cifar10:{root}": "cifar10",
        f"cifar100:{root}": "cifar100",
        f"mnist:{mnist_folder}": "mnist",
        f"fashion-mnist:{mnist_folder}": "fashion-mnist",
        f"npz:{write_npz()}": "small",
    }
    assert {spec: load(spec).name for spec in specs} == specs


def test_load_limit_keeps_the_first_of_both_parts(digits):
    cut = load("digits", limit=7)
    np.testing.assert_array_equal(cut.train_images, digits.train_images[:7])
    np.testing.assert_array_equal(cut.test_labels, digits.test_labels[:7])
    assert cut.classes == digits.classes


def test_load_limit_beyond_the_data_keeps_all(digits):
    assert fingerprint(load("digits", limit=10**6)) == fingerprint(digits)


@pytest.mark.parametrize("limit", [0, -1])
def test_load_refuses_a_limit_below_one(limit):
    with pytest.raises(ConfigError, match=f"expected a limit of at least 1, got {limit}"):
        load("digits", limit=limit)


def test_load_refuses_an_absent_folder(tmp_path):
    with pytest.raises(DataError, match="expected cifar-10-batches-py or"):
        load(f"cifar10:{tmp_path / 'absent'}")


def test_load_gives_one_fingerprint_for_every_container(write_folder, write_npz, cifar10_files):
    from_folder = load(f"cifar10:{write_folder('cifar-10-batches-py', cifar10_files)}")
    arrays = {
        "train_images": from_folder.train_images.transpose(0, 2, 3, 1),
        "train_labels": from_folder.train_labels,
        "test_images": from_folder.test_images.transpose(0, 2, 3, 1),
        "test_labels": from_folder.test_labels.astype(np.int16),
    }
    assert fingerprint(load(f"npz:{write_npz(**arrays)}")) == fingerprint(from_folder)


@given(
    seed=st.integers(0, 2**32),
    holdout=st.one_of(st.integers(1, 1436), st.floats(0.001, 0.999)),
)
def test_split_divides_without_loss_or_overlap(digits, seed, holdout):
    rest, validation = split(digits, seed=seed, holdout=holdout)
    count = holdout if isinstance(holdout, int) else round(holdout * 1437)
    assert len(validation) == count
    together = np.concatenate([rest.indices, validation.indices])
    np.testing.assert_array_equal(np.sort(together), np.arange(1437))


def test_split_parts_hold_what_their_indices_say(digits):
    for part in split(digits, seed=3, holdout=100):
        assert (np.diff(part.indices) > 0).all()
        np.testing.assert_array_equal(part.images, digits.train_images[part.indices])
        np.testing.assert_array_equal(part.labels, digits.train_labels[part.indices])


def test_split_depends_on_the_seed_alone(digits):
    first, again, other = (split(digits, seed=seed, holdout=0.1)[1] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.indices, again.indices)
    assert not np.array_equal(first.indices, other.indices)


@pytest.mark.parametrize("holdout", [0, -5, 1437, 10**6, 0.0, 1.0, 1.5, 1e-9, 0.99999, True])
def test_split_refuses_an_empty_part(digits, holdout):
    with pytest.raises(ConfigError, match="expected a holdout"):
        split(digits, seed=0, holdout=holdout)


def test_split_refuses_nan(digits):
    with pytest.raises(ConfigError, match="share between 0 and 1, got nan"):
        split(digits, seed=0, holdout=float("nan"))
