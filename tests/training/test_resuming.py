"""Which run may go on, with what, and what is written down of it."""

import dataclasses
import json

import pytest

from jaxart.data import trained_on
from jaxart.data.files import File
from jaxart.runs import Progress, Saved
from jaxart.training import resuming
from jaxart.training.config import Config
from jaxart.training.resuming import FIXED_FIELDS, STEP_FIELDS, ResumeError

FIXED = dict.fromkeys(FIXED_FIELDS, 1)
# 3 epochs of 4 steps, of which 2 are done.
CONFIG = Config(train_data="x", batch_size=10, num_epochs=3, learning_rate=0.1)


def saved(config=CONFIG, step=8):
    return Saved(config.to_dict(), Progress(step, 1.0, 37))


def test_a_fixed_field_is_named_with_both_values(tmp_path):
    before = Saved(FIXED, Progress(1, 1.0, 5))
    resuming.check_fixed(None, FIXED, tmp_path)  # an empty workdir takes any
    resuming.check_fixed(before, FIXED, tmp_path)
    for field in FIXED_FIELDS:
        with pytest.raises(ResumeError, match=f"{field}=1; this one has {field}=2"):
            resuming.check_fixed(before, FIXED | {field: 2}, tmp_path)


def test_an_older_run_goes_on_with_the_split_that_its_seed_drew(tmp_path):
    older = {field: 3 for field in FIXED_FIELDS if field != "split_seed"}
    before = Saved(older, Progress(1, 1.0, 5))
    resuming.check_fixed(before, older | {"split_seed": 3}, tmp_path)
    with pytest.raises(ResumeError, match="split_seed=3; this one has split_seed=0"):
        resuming.check_fixed(before, older | {"split_seed": 0}, tmp_path)


def test_the_fields_are_config_fields():
    assert {*FIXED_FIELDS, *STEP_FIELDS} < set(CONFIG.to_dict())


CHANGES = {
    "learning_rate": 0.2,
    "weight_decay": 0.01,
    "dropout_rate": 0.1,
    "schedule": "cosine",
    "warmup_epochs": 1.0,
}


@pytest.mark.parametrize("field", CHANGES)
def test_steps_go_on_as_they_were_unless_told_otherwise(tmp_path, caplog, field):
    changed = dataclasses.replace(CONFIG, **{field: CHANGES[field]})
    resuming.check_steps(None, changed, tmp_path)
    resuming.check_steps(saved(), CONFIG, tmp_path)
    both = f"{field}={getattr(CONFIG, field)!r} until step 8; this one has {field}="
    with pytest.raises(ResumeError, match=f"{both}{CHANGES[field]!r}.*--config.on_ch"):
        resuming.check_steps(saved(), changed, tmp_path)
    going_on = dataclasses.replace(changed, on_change="continue")
    resuming.check_steps(saved(), going_on, tmp_path)
    assert both in caplog.text
    with pytest.raises(ResumeError, match="It is finished, so nothing would be train"):
        resuming.check_steps(saved(step=12), going_on, tmp_path)


def test_a_schedule_that_is_stretched_says_where_the_rate_jumps(tmp_path, caplog):
    cosine = dataclasses.replace(CONFIG, schedule="cosine")
    longer = dataclasses.replace(cosine, num_epochs=6)
    # Cosine from 0.1 over 24 steps, after 12 of them: 0.1 (1 + cos(pi / 2)) / 2.
    said = "The learning rate of step 13 is 0.05, where it was to be 0"
    with pytest.raises(ResumeError, match=said):
        resuming.check_steps(saved(cosine, step=12), longer, tmp_path)
    longer = dataclasses.replace(longer, on_change="continue")
    resuming.check_steps(saved(cosine, step=12), longer, tmp_path)
    assert said in caplog.text


@pytest.mark.parametrize("num_epochs, is_refused", [(1, True), (2, False), (9, False)])
def test_a_constant_rate_takes_any_number_of_epochs_not_yet_done(
    tmp_path, num_epochs, is_refused
):
    config = dataclasses.replace(CONFIG, num_epochs=num_epochs)
    if is_refused:
        with pytest.raises(ResumeError, match="of 8 steps; num_epochs=1 is 4. Choose"):
            resuming.check_steps(saved(), config, tmp_path)
    else:
        resuming.check_steps(saved(), config, tmp_path)


NAMES = ("a/1.jpg", "a/=2.jpg", "b/1.jpg")
LABELS = ("a", "a", "b")
FILES = (File("11"), File("22"), File("33"))


@pytest.mark.parametrize(
    "names, labels, files, said",
    [
        (NAMES, LABELS, FILES, ""),
        ((*NAMES, "c/1.jpg"), (*LABELS, "c"), (*FILES, File("44")), "c/1.jpg is new"),
        (NAMES[1:], LABELS[1:], FILES[1:], "a/1.jpg is missing or unreadable"),
        (NAMES, LABELS, (File(reason="gone"), *FILES[1:]), "a/1.jpg is missing or unr"),
        (NAMES, ("a", "b", "b"), FILES, "a/=2.jpg was of a and is of b"),
        (
            NAMES,
            LABELS,
            (FILES[2], FILES[1], FILES[0]),
            "a/1.jpg is another picture; b",
        ),
        (NAMES[::-1], LABELS[::-1], FILES[::-1], "they are in another order"),
        (("d/1.jpg", *NAMES[1:]), ("d", *LABELS[1:]), FILES, "a/1.jpg is missing or"),
    ],
    ids="same new missing unreadable label swapped order renamed".split(),
)
def test_the_images_stay_what_they_were(tmp_path, names, labels, files, said):
    table = tmp_path / "training_images.csv"
    resuming.check_images(table, names, labels, files)  # an older run has none
    trained_on.write(table, NAMES, LABELS, FILES)
    if not said:
        resuming.check_images(table, names, labels, files)
        return
    with pytest.raises(ResumeError, match=said):
        resuming.check_images(table, names, labels, files)


def test_the_record_says_with_what_each_step_was_taken(tmp_path):
    other = dataclasses.replace(CONFIG, learning_rate=0.5)
    for num_done, config in ((0, CONFIG), (4, other), (8, CONFIG), (4, CONFIG)):
        resuming.write_session(tmp_path, config, num_done)
    sessions = json.loads((tmp_path / "sessions.json").read_text())["sessions"]
    assert [each["first_step"] for each in sessions] == [1, 5]
    assert all(each["config"] == CONFIG.to_dict() for each in sessions)
