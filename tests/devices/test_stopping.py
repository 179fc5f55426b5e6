"""Signals: the first is remembered, the second ends, and none is swallowed."""

import os
import signal
import subprocess
import sys
import time

import pytest

from jaxart.devices import stopping
from jaxart.devices.stopping import Stopped


def wait_until(condition):
    for _ in range(1000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it did not come")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_a_signal_is_remembered_until_someone_asks(number, capfd):
    before = signal.getsignal(number)
    with stopping.listening(signal.SIGUSR1):
        stopping.check()
        os.kill(os.getpid(), number)
        wait_until(stopping.requested)
        with pytest.raises(Stopped, match="step 3 is kept") as raised:
            stopping.check("step 3 is kept")
        assert raised.value.status == 128 + number
        wait_until(lambda: f"jaxart: {number.name}: ends" in capfd.readouterr().err)
    assert not stopping.requested() and signal.getsignal(number) == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_one_ends_at_once_whatever_the_main_thread_does(number):
    # One call of C, of hours, that holds no lock: as XLA's.
    script = (
        "import hashlib; from jaxart.devices import stopping\n"
        "with stopping.listening():\n"
        "    print('ready', flush=True)\n"
        "    hashlib.pbkdf2_hmac('sha256', b'', b'', 2**31 - 1)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    said = f"jaxart: {number.name}: ends after what it is at; once more ends it at once"
    assert [process.stderr.readline() for _ in range(2)] == ["\n", f"{said}\n"]
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == 128 + number
