"""Shares: each item once, whatever their number."""

import numpy as np
import pytest

from jaxart.data.shares import Share, parse


@pytest.mark.parametrize("count", [1, 2, 3, 7, 50])
@pytest.mark.parametrize(("num_items", "block"), [(0, 4), (1, 4), (23, 4), (40, 1)])
def test_every_item_is_in_one_share_and_blocks_stay_whole(count, num_items, block):
    masks = [Share(i + 1, count).mask(num_items, block) for i in range(count)]
    np.testing.assert_array_equal(np.sum(masks, axis=0), np.ones(num_items))
    for mask in masks:
        for start in range(0, num_items, block):
            assert len(set(mask[start : start + block])) == 1
    sizes = [-(-mask.sum() // block) for mask in masks]
    assert max(sizes) - min(sizes) <= 1


def test_a_share_is_written_as_people_count():
    assert parse("2/4") == Share(2, 4)
    assert str(Share(2, 4)) == "2-of-4"


@pytest.mark.parametrize("text", ["0/4", "5/4", "4", "a/b", "-1/4", "1/0", "", "1/2/3"])
def test_what_is_no_share_is_named_with_the_choices(text):
    with pytest.raises(ValueError, match=f"share='{text}': one of 1/N to N/N"):
        parse(text)
