import pytest
import torch

from spikeproof.sim.layout import Layout

LAST = torch.channels_last


def maps(*, is_last: bool) -> torch.Tensor:
    flat = torch.arange(2.0 * 3 * 4 * 5 * 6).view(6, 4, 5, 6)
    flat = flat.contiguous(memory_format=LAST) if is_last else flat
    return flat.unflatten(0, (2, 3))


@pytest.mark.parametrize("is_last", [False, True])
def test_rows_are_a_view_that_turns_back_into_the_train(is_last):
    x = maps(is_last=is_last)
    layout = Layout.of(x)
    rows = layout.rows(x)
    assert layout.is_last == is_last
    assert rows.data_ptr() == x.data_ptr()
    assert rows.is_contiguous()
    back = layout.train(rows)
    assert torch.equal(back, x)
    assert back.stride() == x.stride()


@pytest.mark.parametrize("is_last", [False, True])
def test_steps_that_share_their_memory_still_do_in_rows(is_last):
    x = maps(is_last=is_last)[:1].expand(7, 3, 4, 5, 6)
    rows = Layout.of(x).rows(x)
    assert (rows.data_ptr(), rows.stride()) == (x.data_ptr(), (0, 1))


def test_rows_of_another_layout_are_copied_into_this_one():
    last, plain = maps(is_last=True), maps(is_last=False)
    assert torch.equal(Layout.of(last).rows(plain), Layout.of(last).rows(last))


def test_an_empty_batch_has_a_layout():
    x = torch.zeros(3, 0, 2, 4, 4)
    layout = Layout.of(x)
    assert layout.train(layout.rows(x)).shape == x.shape
