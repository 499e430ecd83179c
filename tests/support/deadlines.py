"""Waiting for conditions with a deadline."""

import os
import time

# How many times as long everything may take: more than 1 for programs that a sanitizer or valgrind makes slow. What a test says about times,
# it says all the same.
PATIENCE = float(os.environ.get("GODWIT_TEST_PATIENCE", "1"))


class DeadlineExpired(Exception):
    """A condition did not come true in time."""


class Deadline:
    """A point on the monotonic clock."""

    def __init__(self, timeout_s):
        self.timeout_s = timeout_s * PATIENCE
        self.end = time.monotonic() + self.timeout_s

    def left_s(self):
        return max(0.0, self.end - time.monotonic())

    def expired(self):
        return time.monotonic() >= self.end


def wait_for(condition, timeout_s, what, poll_s=0.005):
    """Returns the first true value of condition(). Raises DeadlineExpired; `what` says what was waited for (text or callable)."""
    deadline = Deadline(timeout_s)
    while True:
        value = condition()
        if value:
            return value
        if deadline.expired():
            raise DeadlineExpired(f"after {deadline.timeout_s} s: {what() if callable(what) else what}")
        time.sleep(min(poll_s, deadline.left_s()))
