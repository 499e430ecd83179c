"""What becomes of one side when the other dies at a named step of the handover, as docs/handover.md says."""

# Step at which a side dies -> what becomes of the other one: (its run states, its migration's end, code of the error).
# None as the run state: the process has ended, with a status other than 0.
RESUMED = ("running", "failed", None)
UNKNOWN_SOURCE = ("paused", "failed", "handover-unknown")
UNKNOWN_DESTINATION = ("paused", "failed", "handover-unknown")
RUNS_HERE = ("running", "completed", None)
ENDED = (None, None, None)
WHEN_SOURCE_DIES = {
    "source-stopping": ENDED,
    "source-stopped": ENDED,
    # The destination has everything and may have said LOADED before it sees that the source is gone.
    "source-sent": UNKNOWN_DESTINATION,
    "source-loaded-seen": UNKNOWN_DESTINATION,
    "source-before-commit": UNKNOWN_DESTINATION,
    "source-committed": RUNS_HERE,
    "source-completed": RUNS_HERE,
}
WHEN_DESTINATION_DIES = {
    "destination-received": RESUMED,
    "destination-loaded": RESUMED,
    # LOADED may arrive before the end of the connection does: then the commit begins.
    "destination-said-loaded": (("running", "failed", None), UNKNOWN_SOURCE),
    "destination-committed": UNKNOWN_SOURCE,
    "destination-running": UNKNOWN_SOURCE,
    # RUNNING has been written, and arrives before the end of the connection.
    "destination-said-running": ("postmigrate", "completed", None),
}
# The same while the source is stopped at this step, and then goes on.
WHEN_DESTINATION_DIES_MEANWHILE = {
    "source-loaded-seen": RESUMED,
    "source-before-commit": RESUMED,
}


def allowed(expected):
    """The outcomes that an entry of the tables names."""
    return expected if isinstance(expected[0], tuple) else (expected,)
