"""Messages of RDMA that break the rules, in the middle of an otherwise good migration, to either side: one clear error each, the
destination exits with status 1, the source's machine runs on, nobody crashes, hangs or takes much memory. Without a guest."""

import pathlib
import struct
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

# pylint: disable=wrong-import-position
from support import rdma  # noqa: E402
from support import rdma_wire as wire  # noqa: E402
from support.processes import Workspace  # noqa: E402
from support.rdma_victims import LIMIT_S, SIZE, SIZE_MIB, expect_end, expect_runs_on, run_cases  # noqa: E402

U64_MAX = (1 << 64) - 1

# Messages in the middle of a migration. Each is put in place of a good one.
BAD_HEADS = {"no type": wire.message(0), "an unknown type": wire.message(14), "a huge type": wire.message(0xffffffff),
             "padding": wire.message(wire.HEARTBEAT, padding=1), "no entries": wire.message(wire.HEARTBEAT, repeat=0),
             "many entries": wire.message(wire.STREAM, b"x", repeat=5000),
             "a huge length": wire.message(wire.STREAM, payload_bytes=0xffffffff),
             "a length too great": wire.message(wire.STREAM, payload_bytes=wire.MOST_PAYLOAD_BYTES + 1),
             "a heartbeat with something in it": wire.message(wire.HEARTBEAT, b"x"), "an empty stream": wire.message(wire.STREAM),
             "entries that do not fit": wire.message(wire.COMPRESS, bytes(24), repeat=4096),
             "an answer unasked": wire.message(wire.UNREGISTER_FINISHED), "text": b"hello world, is anybody there? " * 3}


def ranges(*fields):
    return struct.pack(">QIIQ", *fields)


def zeros(*fields):
    return struct.pack(">IIQQ", *fields)


def blocks(*sizes, flags=0, name=b"ram"):
    return struct.pack(">I", flags) + b"".join(bytes([len(name)]) + name + struct.pack(">Q", size) for size in sizes)


def instead(kind, name, *payloads, repeat=1):
    return {f"{name} {number}": (kind, wire.message(kind if len(payload) else wire.STREAM, payload, repeat))
            for number, payload in enumerate(payloads)}


TO_DESTINATION = {
    **instead(wire.RAM_BLOCKS_REQUEST, "false blocks", blocks(SIZE, flags=2), blocks(SIZE - 4096), blocks(U64_MAX), blocks(SIZE, name=b""),
              blocks(SIZE, name=b"\xff" * 255), blocks(SIZE) + b"x", blocks(SIZE)[:-1]),
    **instead(wire.RAM_BLOCKS_REQUEST, "a block twice", blocks(SIZE, SIZE), repeat=2),
    **instead(wire.RAM_BLOCKS_REQUEST, "many blocks", blocks(*[SIZE] * 4096), repeat=4096),
    **instead(wire.REGISTER_REQUEST, "false chunks", ranges(SIZE_MIB, 0, 0, 0), ranges(0, 1, 0, 0), ranges(0, 0, 0, SIZE_MIB),
              ranges(0, 0, 0, 1023), ranges(0, 0, 0, U64_MAX), ranges(U64_MAX, 0, 0, 1), ranges(0, 0xffffffff, 0, 0), ranges(0, 0, 1, 0)),
    **instead(wire.REGISTER_REQUEST, "a chunk twice", ranges(0, 0, 0, 0) * 2, repeat=2),
    **instead(wire.REGISTER_REQUEST, "many chunks", ranges(0, 0, 0, 1023) * 4096, repeat=4096),
    **instead(wire.COMPRESS, "false zeros", zeros(1, 0, 0, 4096), zeros(0, 1, 0, 4096), zeros(0, 0, 1, 4096), zeros(0, 0, 0, 0), zeros(0, 0, 0, 100),
              zeros(0, 0, SIZE, 4096), zeros(0, 0, 4096, SIZE), zeros(0, 0, U64_MAX - 4095, 8192), zeros(0, 0, 4096, U64_MAX - 4095)),
    "blocks a second time": (wire.REGISTER_REQUEST, wire.message(wire.RAM_BLOCKS_REQUEST, blocks(SIZE))),
    "chunks before blocks": (wire.RAM_BLOCKS_REQUEST, wire.message(wire.REGISTER_REQUEST, ranges(0, 0, 0, 0))),
    "the end of a registration that is not": (wire.REGISTER_REQUEST, wire.message(wire.UNREGISTER_REQUEST, ranges(0, 0, 0, 0))),
    "a round that ends before blocks": (wire.RAM_BLOCKS_REQUEST, wire.message(wire.REGISTER_FINISHED, bytes(16))),
    "stream within a round": (wire.REGISTER_REQUEST, wire.message(wire.STREAM, b"x" * 100)),
    "a round within the stream": (wire.STREAM, wire.message(wire.RAM_BLOCKS_REQUEST, blocks(SIZE))),
    "the end within a round": (wire.REGISTER_REQUEST, wire.message(wire.END_OF_STREAM)),
    "the end at the beginning": (wire.STREAM, wire.message(wire.END_OF_STREAM)),
    "two without READY": (wire.STREAM, wire.message(wire.STREAM, b"QEVM") * 2),
    "READY twice": (wire.READY, wire.message(wire.READY) * 2),
    "an error": (wire.REGISTER_REQUEST, wire.message(wire.ERROR, b"no \x1b[31mway\n")),
    "an error too long": (wire.REGISTER_REQUEST, wire.message(wire.ERROR, bytes(1025))),
}
TO_DESTINATION_PINNED = {
    "chunks where everything is pinned": (wire.REGISTER_FINISHED, wire.message(wire.REGISTER_REQUEST, ranges(0, 0, 0, 0))),
    "the end of a chunk where everything is pinned": (wire.REGISTER_FINISHED, wire.message(wire.UNREGISTER_REQUEST, ranges(0, 0, 0, 0))),
}
STAGES_TO_DESTINATION = {"the stream": wire.STREAM, "blocks": wire.RAM_BLOCKS_REQUEST, "chunks": wire.REGISTER_REQUEST,
                         "the end of a round": wire.REGISTER_FINISHED}


def told_blocks(*entries, limit=U64_MAX):
    return struct.pack(">Q", limit) + b"".join(struct.pack(">QQH", address, size, len(key)) + key for address, size, key in entries)


def changed_key(_, payload):
    """The first key of a REGISTER_RESULT made one that covers other memory than it is for."""
    size = struct.unpack(">H", payload[8:10])[0]
    return payload[:10] + b"\xff" * size + payload[10 + size:]


def elsewhere(_, payload):
    return struct.pack(">Q", struct.unpack(">Q", payload[:8])[0] + 4096) + payload[8:]


ADDRESS = 0x7f0000000000
TO_SOURCE = {
    **instead(wire.RAM_BLOCKS_RESULT, "false blocks", told_blocks((ADDRESS, SIZE - 4096, b"")), told_blocks((ADDRESS + 1, SIZE, b"")),
              told_blocks((U64_MAX - 4095, SIZE, b"")), told_blocks((ADDRESS, SIZE, b"a key")), told_blocks((ADDRESS, SIZE, b"")) + b"x",
              told_blocks((ADDRESS, SIZE, bytes(257))), told_blocks((ADDRESS, SIZE, b""))[:-1]),
    **instead(wire.RAM_BLOCKS_RESULT, "two blocks", told_blocks(*[(ADDRESS, SIZE, b"")] * 2), repeat=2),
    **instead(wire.RAM_BLOCKS_RESULT, "many blocks", told_blocks(*[(ADDRESS, SIZE, b"")] * 4096), repeat=4096),
    **instead(wire.REGISTER_RESULT, "many keys", struct.pack(">QH", ADDRESS, 0) * 4096, repeat=4096),
    **instead(wire.REGISTER_RESULT, "a key too long", struct.pack(">QH", ADDRESS, 0xffff) + bytes(0xffff)),
    **instead(wire.REGISTER_RESULT, "no key", struct.pack(">QH", ADDRESS, 0)),
    "keys for blocks": (wire.RAM_BLOCKS_RESULT, wire.message(wire.REGISTER_RESULT, struct.pack(">QH", ADDRESS, 0))),
    "blocks for keys": (wire.REGISTER_RESULT, wire.message(wire.RAM_BLOCKS_RESULT, told_blocks((ADDRESS, SIZE, b"")))),
    "two answers": (wire.RAM_BLOCKS_RESULT, wire.message(wire.RAM_BLOCKS_RESULT, told_blocks((ADDRESS, SIZE, b""))) * 2),
    "READY twice": (wire.READY, wire.message(wire.READY) * 2),
    "an error": (wire.REGISTER_RESULT, wire.message(wire.ERROR, b"no \x1b[31mway\n")),
}
TO_SOURCE_PINNED = instead(wire.RAM_BLOCKS_RESULT, "blocks without a key, or with a false one", told_blocks((ADDRESS, SIZE, b"")),
                           told_blocks((ADDRESS, SIZE, b"\xff" * 20)), told_blocks((ADDRESS, SIZE, bytes(257))))
STAGES_TO_SOURCE = {"the stream": wire.STREAM, "blocks": wire.RAM_BLOCKS_RESULT, "keys": wire.REGISTER_RESULT}
CHANGED = {"a false key": changed_key, "a chunk elsewhere": elsewhere}


def attacks(named, stages):
    for name, (kind, data) in named.items():
        yield name, wire.Attack(kind, lambda _, __, data=data: data)
    for stage, kind in stages.items():
        for name, data in BAD_HEADS.items():
            yield f"{name} in place of {stage}", wire.Attack(kind, lambda _, __, data=data: data)
        yield f"half a head in place of {stage}", wire.Attack(kind, lambda _, __: bytes(7), ends=True)
        yield f"half of {stage}", wire.Attack(kind, lambda repeat, payload, kind=kind: wire.message(kind, payload, repeat)[:-1], ends=True)


def attack_each(victims, plan, side, way=rdma.WAYS["shm"]):
    count = 0
    for name, attack in plan:
        with Workspace() as workspace:
            source = victims.source(workspace)
            destination, port = victims.destination(workspace)
            begin = time.monotonic()
            with wire.ManInTheMiddle(port, **{side: attack}) as middle:
                way.prepare(source, pinned_bytes=SIZE)
                source.qmp.command("migrate", {"uri": way.uri(middle.port)})
                expect_runs_on(source, name)
                expect_end(destination, name)
            took_s = time.monotonic() - begin
            assert attack.done.is_set(), f"{name}: it never came to this"
            assert took_s < LIMIT_S, f"{name}: took {took_s:.1f} s"
        count += 1
    print(f"{side} over {way}: {count} bad messages, an error each", flush=True)


def to_destination(victims):
    attack_each(victims, attacks(TO_DESTINATION, STAGES_TO_DESTINATION), "to_destination")
    if rdma.may_pin(SIZE):
        attack_each(victims, attacks(TO_DESTINATION_PINNED, {}), "to_destination", rdma.WAYS["shm-pinned"])


def to_source(victims):
    changed = ((name, wire.Attack(wire.REGISTER_RESULT, lambda repeat, payload, change=change:
                                  wire.message(wire.REGISTER_RESULT, change(repeat, payload), repeat))) for name, change in CHANGED.items())
    attack_each(victims, [*attacks(TO_SOURCE, STAGES_TO_SOURCE), *changed], "to_source")
    if rdma.may_pin(SIZE):
        attack_each(victims, attacks(TO_SOURCE_PINNED, {}), "to_source", rdma.WAYS["shm-pinned"])


run_cases(to_destination, to_source)
