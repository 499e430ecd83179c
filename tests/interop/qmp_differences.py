"""Where godwit's answers differ from QEMU 7.2's on purpose. docs/qmp.md tells the same to the reader."""

import fnmatch


class Rule:
    """Patterns of a state, a step's name and a place in the answer, and why it differs there."""

    def __init__(self, state, step, place, reason):
        self.patterns = (state, step, place)
        self.reason = reason

    def matches(self, *names):
        return all(fnmatch.fnmatchcase(name, pattern) for name, pattern in zip(names, self.patterns))

    def __repr__(self):
        return " | ".join(self.patterns)


def rules(reason, *patterns):
    return [Rule(*each, reason) for each in patterns]


NOTHING = "nothing has run"
ALLOWED = [
    *rules("QEMU loses the name of an element of a list", (NOTHING, "qmp_capabilities: unknown capability", "desc")),
    *rules("godwit names the key", (NOTHING, "duplicate key", "desc")),
    *rules("a cancel never waits here, so it may be sent out-of-band",
           (NOTHING, "migrate_cancel out-of-band", "outcome"), ("schema", "migrate_cancel", "allow-oob")),
    *rules("what is not there yet", (NOTHING, "query-migrate-parameters*", "return.* (absent)"),
           (NOTHING, "query-migrate-capabilities", "return.* (absent)"), ("schema", "migrate-set-parameters", "* (absent)")),
    *rules("godwit's own deadlines", ("schema", "migrate-set-parameters", "*-timeout (additional)")),
    *rules("no limit unless one is asked for", (NOTHING, "query-migrate-parameters", "return.max-bandwidth")),
    *rules("the handover needs it", (NOTHING, "query-migrate-capabilities", "return.return-path.state")),
    *rules("QEMU takes a negative number for one near 2^64",
           (NOTHING, "migrate-set-parameters: downtime-limit negative", "desc"),
           (NOTHING, "migrate-set-parameters: max-bandwidth negative", "outcome")),
    *rules("godwit saturates", (NOTHING, "query-migrate-parameters: several", "return.max-bandwidth"),
           (NOTHING, "query-migrate-parameters: tls", "return.max-bandwidth")),
    *rules("QEMU shows a piece of its source", (NOTHING, "migrate-set-parameters: downtime-limit too large", "desc")),
    *rules("there is nothing to announce, so nothing has to be given",
           (NOTHING, "announce-self: bare", "outcome"), ("schema", "announce-self", "*")),
    *rules("godwit says what is wrong with an address", (NOTHING, "migrate: unknown protocol", "desc")),
    *rules("QEMU has two texts for this, godwit one", (NOTHING, "migrate: no such descriptor", "desc")),
    *rules("there is no postcopy", (NOTHING, "migrate: resume", "desc")),
    *rules("how the operator decides who owns the guest", ("schema", "cont", "force (additional)")),
    *rules("QEMU had them until 6.0", ("schema", "migrate_set_*", "command"), ("schema", "migrate-set-cache-size", "command"),
           ("schema", "query-migrate-cache-size", "command")),
    *rules("QEMU got it later", ("schema", "migrate-set-parameters", "avail-switchover-bandwidth (additional)")),
    *rules("godwit has the objects that TLS needs, with the members of all of them", ("schema", "object-add", "*")),
    *rules("godwit's own", ("schema", "migrate-set-parameters", "switchover-policy (additional)")),
]
