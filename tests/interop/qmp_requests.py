"""What qmp_dialogue.py says to QEMU and to godwit, state by state, and where the answers may differ."""


class Step:
    """One request: `name` is what the differences call it; `values` compares what is returned, not its types alone."""

    def __init__(self, name, request, values=False):
        self.name = name
        self.request = request
        self.values = values


def ask(command, arguments=None, name=None, values=False, verb="execute"):
    request = {verb: command, "id": name or command}
    if arguments is not None:
        request["arguments"] = arguments
    return Step(name or command, request, values)


def mistakes(command, *cases):
    """`cases`: (what is wrong, arguments)."""
    return [ask(command, arguments, f"{command}: {what}") for what, arguments in cases]


def set_capability(name, state):
    return ask("migrate-set-capabilities", {"capabilities": [{"capability": name, "state": state}]},
               f"migrate-set-capabilities: {name} {'on' if state else 'off'}", values=True)


UNEXPECTED = ("unexpected", {"x": 1})

NEGOTIATION = [
    ask("query-version", name="before the negotiation"),
    ask("qmp_capabilities", name="out-of-band before the negotiation", verb="exec-oob"),
    *mistakes("qmp_capabilities", ("unknown capability", {"enable": ["foo"]}), ("wrong type", {"enable": "oob"}),
              ("element of a wrong type", {"enable": [5]}), UNEXPECTED),
    ask("qmp_capabilities", {"enable": ["oob", "oob"]}, values=True),
    ask("qmp_capabilities", name="qmp_capabilities: twice"),
]

FRAMES = [
    Step("array", []), Step("number", 5), Step("empty object", {}), Step("only an id", {"id": 4}),
    Step("execute of a wrong type", {"execute": 5}), Step("arguments of a wrong type", {"execute": "stop", "arguments": []}),
    Step("unexpected member", {"execute": "stop", "foo": 1}), Step("control", {"execute": "stop", "control": {}}),
    Step("any id", {"execute": "query-name", "id": [1, {"a": None}]}),
    Step("duplicate key", '{"execute":"query-name","execute":"query-name"}'),
    ask("nothing-of-that-name"),
    Step("both verbs", {"execute": "yank", "exec-oob": "yank", "id": 1}),
    Step("exec-oob of a wrong type", {"exec-oob": 5}),
    ask("nothing-of-that-name", name="unknown out-of-band", verb="exec-oob"),
    ask("query-status", name="out-of-band not allowed", verb="exec-oob"),
    ask("qmp_capabilities", name="negotiation out-of-band", verb="exec-oob"),
    ask("migrate_cancel", name="migrate_cancel out-of-band", verb="exec-oob"),
    ask("migrate-pause", name="migrate-pause out-of-band", verb="exec-oob"),
    ask("query-yank", name="query-yank out-of-band", verb="exec-oob", values=True),
]

BASIC = [
    ask("query-version"), ask("query-name", values=True), ask("query-block", values=True), ask("query-status", values=True),
    *[step for name in ("query-version", "query-name", "query-status", "query-commands", "query-qmp-schema", "stop", "quit",
                        "query-migrate", "query-migrate-parameters", "query-migrate-capabilities", "migrate_cancel",
                        "migrate-pause", "query-yank", "query-dirty-rate") for step in mistakes(name, UNEXPECTED)],
    ask("stop", values=True), ask("query-status", name="query-status: stopped", values=True), ask("cont", values=True),
    *mistakes("cont", UNEXPECTED),
    ask("getfd", {"fdname": "x"}), *mistakes("getfd", ("missing", {}), ("wrong type", {"fdname": 5}),
                                             ("unexpected", {"fdname": "x", "y": 1})),
    ask("closefd", {"fdname": "x"}), *mistakes("closefd", ("missing", {}), ("wrong type", {"fdname": 5})),
]

SETTINGS = [
    ask("query-migrate-parameters", values=True), ask("query-migrate-capabilities", values=True),
    ask("migrate-set-parameters", {}, "migrate-set-parameters: nothing", values=True),
    *mistakes("migrate-set-parameters", UNEXPECTED, *[
        (f"{name} {what}", {name: value}) for name in ("downtime-limit", "max-bandwidth")
        for what, value in (("string", "1"), ("null", None), ("negative", -1), ("fraction", 1.5), ("boolean", True))],
        ("downtime-limit too large", {"downtime-limit": 2000001}),
        ("downtime-limit far too large", {"downtime-limit": 1 << 64}),
        ("max-bandwidth too large", {"max-bandwidth": 1 << 63}),
        *[(f"xbzrle-cache-size {value}", {"xbzrle-cache-size": value}) for value in (0, 4095, 5000, "4096")],
        *[(f"{name} {value}", {name: value}) for name in ("cpu-throttle-initial", "cpu-throttle-increment", "max-cpu-throttle",
                                                          "throttle-trigger-threshold") for value in (0, 101, True)],
        ("max-cpu-throttle below cpu-throttle-initial", {"max-cpu-throttle": 5}),
        *[(f"{name} of a wrong type", {name: 5}) for name in ("tls-creds", "tls-hostname", "tls-authz")],
        ("cpu-throttle-tailslow of a wrong type", {"cpu-throttle-tailslow": 1})),
    ask("migrate-set-parameters", {"xbzrle-cache-size": 4096, "cpu-throttle-initial": 10, "max-cpu-throttle": 90,
                                   "throttle-trigger-threshold": 1, "cpu-throttle-tailslow": True},
        "migrate-set-parameters: several", values=True),
    ask("query-migrate-parameters", name="query-migrate-parameters: several", values=True),
    ask("migrate-set-parameters", {"xbzrle-cache-size": 67108864, "cpu-throttle-initial": 20, "max-cpu-throttle": 99,
                                   "throttle-trigger-threshold": 50, "cpu-throttle-tailslow": False},
        "migrate-set-parameters: several defaults", values=True),
    ask("migrate-set-parameters", {"tls-creds": "x", "tls-hostname": "y", "tls-authz": "z"}, "migrate-set-parameters: tls", values=True),
    ask("query-migrate-parameters", name="query-migrate-parameters: tls", values=True),
    ask("migrate-set-parameters", {"tls-creds": None, "tls-hostname": None, "tls-authz": ""}, "migrate-set-parameters: no tls", values=True),
    ask("migrate-set-parameters", {"downtime-limit": 2000000}, "migrate-set-parameters: largest", values=True),
    ask("migrate-set-parameters", {"downtime-limit": 0}, "migrate-set-parameters: smallest", values=True),
    ask("migrate-set-parameters", {"downtime-limit": 300}, "migrate-set-parameters: default", values=True),
    *mistakes("migrate-set-capabilities", ("missing", {}), ("wrong type", {"capabilities": {}}), UNEXPECTED,
              ("element of a wrong type", {"capabilities": [5]}),
              ("no name", {"capabilities": [{"state": True}]}), ("no state", {"capabilities": [{"capability": "events"}]}),
              ("state of a wrong type", {"capabilities": [{"capability": "events", "state": 1}]}),
              ("name of a wrong type", {"capabilities": [{"capability": 1, "state": True}]}),
              ("unknown", {"capabilities": [{"capability": "foo", "state": True}]}),
              ("unexpected member", {"capabilities": [{"capability": "events", "state": True, "x": 1}]})),
    ask("migrate-set-capabilities", {"capabilities": []}, "migrate-set-capabilities: none", values=True),
    ask("migrate-set-capabilities", {"capabilities": [{"capability": "events", "state": True},
                                                      {"capability": "events", "state": False}]},
        "migrate-set-capabilities: twice", values=True),
]

CONTROL = [
    ask("migrate-pause"), ask("query-yank", values=True),
    ask("yank", {"instances": []}, values=True),
    *mistakes("yank", ("missing", {}), ("missing, and unexpected", {"x": 1}), ("wrong type", {"instances": {}}),
              ("element of a wrong type", {"instances": [1]}), ("no type", {"instances": [{}]}),
              ("type of a wrong type", {"instances": [{"type": 5}]}), ("unknown type", {"instances": [{"type": "foo"}]}),
              ("no such migration", {"instances": [{"type": "migration"}]}),
              ("unexpected member", {"instances": [{"type": "migration", "x": 1}]}),
              ("no node name", {"instances": [{"type": "block-node"}]}),
              ("no such node", {"instances": [{"type": "block-node", "node-name": "n"}]}),
              ("no id", {"instances": [{"type": "chardev"}]}),
              ("id of a wrong type", {"instances": [{"type": "chardev", "id": 4}]}),
              ("no such chardev", {"instances": [{"type": "chardev", "id": "n"}]})),
    ask("announce-self", name="announce-self: bare"),
    ask("announce-self", {"initial": 50, "max": 100, "rounds": 10, "step": 5, "interfaces": ["a", "b"], "id": "x"}, values=True),
    *mistakes("announce-self", *[(f"initial {what}", {"initial": value, "max": 1, "rounds": 1, "step": 1})
                                 for what, value in (("string", "1"), ("fraction", 1.5), ("too large", 1 << 63), ("null", None))],
              ("interface of a wrong type", {"initial": 1, "max": 1, "rounds": 1, "step": 1, "interfaces": [5]}),
              ("id of a wrong type", {"initial": 1, "max": 1, "rounds": 1, "step": 1, "id": 5}),
              ("unexpected", {"initial": 1, "max": 1, "rounds": 1, "step": 1, "x": 1})),
    ask("query-dirty-rate", name="query-dirty-rate: unstarted", values=True),
    # Other modes end a QEMU that has no virtual CPU.
    *mistakes("calc-dirty-rate", ("missing", {}), *[(f"calc-time {what}", {"calc-time": value}) for what, value in (
        ("0", 0), ("61", 61), ("negative", -1), ("fraction", 1.5), ("string", "1"), ("too large", 1 << 63))],
        *[(f"sample-pages {value}", {"calc-time": 1, "sample-pages": value}) for value in (-1, 0, 127, 16385, "512")],
        ("unknown mode", {"calc-time": 1, "mode": "foo"}), ("mode of a wrong type", {"calc-time": 1, "mode": 5}),
        ("unexpected", {"calc-time": 1, "x": 1}),
        ("samples of a ring", {"calc-time": 1, "sample-pages": 512, "mode": "dirty-ring"})),
]

MEASURING = [
    ask("query-dirty-rate", name="query-dirty-rate: measuring"),
    *mistakes("calc-dirty-rate", ("twice", {"calc-time": 1}), ("twice, and wrong", {"calc-time": 0})),
]

MIGRATE = [
    *mistakes("migrate-continue", ("missing", {}), ("wrong type", {"state": 5}), ("unknown state", {"state": "foo"}),
              ("nothing waits", {"state": "pre-switchover"}), ("another state", {"state": "active"}),
              ("unexpected", {"state": "pre-switchover", "x": 1})),
    *mistakes("migrate", ("missing", {}), ("wrong type", {"uri": 5}), ("unexpected", {"uri": "tcp:127.0.0.1:1", "x": 1}),
              *[(f"{flag} of a wrong type", {"uri": "tcp:127.0.0.1:1", flag: 1}) for flag in ("detach", "blk", "inc", "resume")],
              ("unknown protocol", {"uri": "foo"}), ("no such descriptor", {"uri": "fd:nobody"}),
              ("resume", {"uri": "tcp:127.0.0.1:1", "resume": True})),
    set_capability("block", True),
    *mistakes("migrate", ("disks twice", {"uri": "tcp:127.0.0.1:1", "blk": True}),
              ("disks twice, incrementally", {"uri": "tcp:127.0.0.1:1", "inc": True}),
              ("disks twice, unknown protocol", {"uri": "foo", "blk": True})),
    set_capability("block", False),
    ask("migrate-set-parameters", {"block-incremental": True}, "migrate-set-parameters: block-incremental", values=True),
    *mistakes("migrate", ("incremental parameter", {"uri": "tcp:127.0.0.1:1", "blk": True})),
    ask("migrate-set-parameters", {"block-incremental": False}, "migrate-set-parameters: not block-incremental", values=True),
    *mistakes("migrate-incoming", ("missing", {}), ("wrong type", {"uri": 5}), ("unexpected", {"uri": "tcp:127.0.0.1:0", "x": 1}),
              ("not asked for", {"uri": "tcp:127.0.0.1:0"})),
    ask("migrate_cancel", name="migrate_cancel: nothing runs", values=True),
]

# While a migration runs.
ACTIVE = [
    ask("query-migrate"), ask("query-yank", values=True), ask("query-status", values=True),
    *mistakes("migrate", ("busy", {"uri": "tcp:127.0.0.1:1"})),
    *mistakes("migrate-set-capabilities", ("busy", {"capabilities": [{"capability": "events", "state": True}]})),
    ask("migrate-set-parameters", {"downtime-limit": 301}, "migrate-set-parameters: busy", values=True),
    *mistakes("yank", ("one that exists and one that does not", {"instances": [{"type": "migration"}, {"type": "chardev", "id": "x"}]})),
    ask("migrate-pause"), *mistakes("migrate-continue", ("nothing waits", {"state": "pre-switchover"})),
]

# After each end.
ENDED = [
    ask("query-migrate"), ask("query-yank", values=True), ask("query-status"),
    ask("migrate_cancel", name="migrate_cancel: ended", values=True), ask("query-migrate", name="query-migrate: again"),
    *mistakes("yank", ("ended", {"instances": [{"type": "migration"}]})),
]
