"""Shares: each item once, whatever their number."""

import numpy as np
import pytest

from jaxart.data.shares import Share, choose, parse


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


def chosen(text=None, **environment):
    said = []
    return choose(text, environment, said.append), said


SRUN = {"SLURM_PROCID": "1", "SLURM_STEP_NUM_TASKS": "4", "SLURM_NTASKS": "4"}


@pytest.mark.parametrize(
    ("environment", "share", "said"),
    [
        (SRUN, Share(2, 4), "SLURM_PROCID=1, SLURM_STEP_NUM_TASKS=4"),
        (
            {"OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "3"},
            Share(1, 3),
            "OMPI_COMM_WORLD_RANK=0, OMPI_COMM_WORLD_SIZE=3",
        ),
        (
            {"PMI_RANK": "2", "PMI_SIZE": "3"},
            Share(3, 3),
            "PMI_RANK=2, PMI_SIZE=3",
        ),
        # mpirun in a batch script: srun started one helper on each of two nodes.
        (
            {"SLURM_PROCID": "1", "SLURM_STEP_NUM_TASKS": "2"}
            | {"OMPI_COMM_WORLD_RANK": "5", "OMPI_COMM_WORLD_SIZE": "8"},
            Share(6, 8),
            "OMPI_COMM_WORLD_RANK=5, OMPI_COMM_WORLD_SIZE=8",
        ),
    ],
)
def test_a_launchers_process_takes_its_share_and_says_so(environment, share, said):
    sentence = f"Share {share.number}/{share.count}, by {said}; --share=1/1 takes all"
    assert chosen(**environment) == (share, [sentence])
    assert chosen("3/5", **environment) == (Share(3, 5), [])
    assert chosen("1/1", **environment) == (None, [])


@pytest.mark.parametrize(
    "environment",
    [
        {},
        # A batch script, or a shell of salloc's: python is started by no srun.
        {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "4", "SLURM_PROCID": "0"},
        # salloc's shell where it is a step of its own.
        SRUN | {"SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "1"},
        SRUN | {"SLURM_PROCID": "4"},
        SRUN | {"SLURM_PROCID": "x"},
        {"OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "1"},
        {"PMI_RANK": "0"},
        {"JOB_COMPLETION_INDEX": "3"},
    ],
)
def test_a_process_of_no_launcher_takes_all(environment):
    assert chosen(**environment) == (None, [])
    assert chosen("2/2", **environment) == (Share(2, 2), [])


def test_a_mistaken_share_is_no_reason_to_ask_the_launcher():
    with pytest.raises(ValueError, match="share='0/4'"):
        chosen("0/4", **SRUN)
