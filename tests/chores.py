"""Work for processes of their own, which have to find it in a module."""

import os
import signal

from crystext.errors import InputError


def halver():
    return halve


def halve(number):
    if number < 0:
        raise InputError(f"{number} is negative")
    if number == 13:
        os.kill(os.getpid(), signal.SIGKILL)
    return number / 2


def opener(path):
    """Return a chore that dies the first time that it is done."""

    def chore(number):
        if not path.exists():
            path.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return number

    return chore
