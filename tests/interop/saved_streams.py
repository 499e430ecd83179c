"""`godwit inspect`, `godwit diff` and `godwit verify` on streams that a real QEMU, or a godwit, has saved: every device is there with its
fields, a machine that was saved twice is the same, one that ran on is not, and no damage to a stream is taken for a good stream or ends
in anything but a verdict."""

import argparse
import json
import pathlib
import random
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

# pylint: disable=wrong-import-position
from support import guest, machines, pairs  # noqa: E402
from support.deadlines import wait_for  # noqa: E402
from support.processes import Workspace  # noqa: E402

MEMORY = "16M"
# A section that each machine has, with fields of it; of QEMU's machines the firmware changes them.
EXPECTED = {
    "pc": {"cpu": ("env.eip", "env.segs"), "PCIBUS": ("nirq",), "fdc": ("state",), "0000:00:01.1/ide": ("parent_obj", "bus[0]")},
    "q35": {"cpu": ("env.eip", "env.segs"), "PCIBUS": ("nirq",), "0000:00:1f.2/ich9_ahci": ()},
    "microvm": {"cpu": ("env.eip", "env.segs"), "serial": ("state",), "ioapic": ()},
    "none": {"timer": ("cpu_clock_offset",), "globalstate": ("runstate",)},
}
BENT_STREAMS = 60
VERDICTS = (0, 1)


class Tool:
    def __init__(self, program):
        self.program = str(program)

    def run(self, *arguments):
        """(exit status, standard output, standard error)"""
        done = subprocess.run([self.program, *(str(argument) for argument in arguments)], capture_output=True, text=True, timeout=60,
                              check=False)
        return done.returncode, done.stdout, done.stderr

    def inspect(self, saved):
        status, out, error = self.run("inspect", saved, "--json")
        assert status == 0, (status, error)
        return json.loads(out)

    def diff(self, a, b, *options):
        """The differences, as JSON; checks that the exit status says the same."""
        status, out, error = self.run("diff", a, b, "--json", *options)
        assert status in (0, 1), (status, error)
        found = json.loads(out)
        assert found["same"] == (status == 0), (status, found)
        text_status, text, _ = self.run("diff", a, b, *options)
        assert text_status == status and (text == "") == found["same"], text
        return found

    def verdict(self, saved, *options):
        status, out, error = self.run("verify", saved, *options)
        assert status in VERDICTS, (status, out, error)
        first = out.splitlines()[0]
        assert first.endswith(": good" if status == 0 else ": refused"), out
        assert status == 0 or "  refused: " in out, out
        return status == 0, out


def start_qemu(workspace, kind, name, incoming=None):
    qmp_path = workspace.path(f"{name}.qmp")
    command = [machines.QEMU, "-display", "none", "-M", kind, "-m", MEMORY, "-nodefaults", "-S", "-accel", "tcg",
               "-qmp", f"unix:{qmp_path},server=on,wait=off"]
    if kind != "none":
        command += ["-serial", "null"]
    if incoming:
        command += ["-incoming", f"exec:cat {incoming}"]
    return machines.Machine(workspace, name, command, qmp_path)


def save(workspace, machine, name):
    saved = workspace.image_path(name)
    machine.qmp.command("migrate", {"uri": f"exec:cat > {saved}.part && mv {saved}.part {saved}"})
    machine.qmp.wait_migration("completed")
    wait_for(saved.exists, 30, "the stream is complete")
    return saved


def sections(document):
    return {(section["name"], section["instance"]): section for section in document["sections"] if section["kind"] == "full"}


def check_inspected(tool, saved, kind):
    document = tool.inspect(saved)
    found = sections(document)
    for name, fields in EXPECTED[kind].items():
        section = found.get((name, 0))
        assert section, (name, sorted(found))
        for field in fields:
            assert field in section["fields"], (name, field, sorted(section["fields"]))
    offset = document["configuration"]["offset"] + document["configuration"]["bytes"]
    for section in document["sections"]:
        assert section["offset"] == offset, section
        offset = section["offset"] + section["bytes"] + (5 if section["kind"] in ("start", "part", "end") else 0)
    assert offset == saved.stat().st_size, (offset, saved.stat().st_size)
    status, text, _ = tool.run("inspect", saved, "--devices", "--all")
    assert status == 0 and text.count("FULL  ") == len(found), text
    status, short, _ = tool.run("inspect", saved)
    assert status == 0 and len(short.splitlines()) < 40 + len(found) + 10 * len(document["ram"]), short
    print(f"{kind}: {len(found)} device sections, {len(text.splitlines())} lines with fields")
    return document


def is_cut(seed):
    return seed % 5 == 0


def damaged(whole, seed):
    """The stream with one bit changed, or without its end."""
    generator = random.Random(seed)
    # Half of them at the end, where the devices are: memory is mostly contents, in which any bit is as good as another.
    low = 0 if seed % 2 else max(0, len(whole) - 24_000)
    at = generator.randrange(low, len(whole))
    if is_cut(seed):
        return whole[:at]
    return whole[:at] + bytes([whole[at] ^ 1 << generator.randrange(8)]) + whole[at + 1:]


def check_damage(workspace, tool, saved):
    """No crash, and one verdict; a stream that lacks its end is never good."""
    whole = saved.read_bytes()
    bent = workspace.image_path("bent")
    # Those that lack their end, and those with another bit.
    cut = flipped = 0
    for seed in range(BENT_STREAMS):
        bent.write_bytes(damaged(whole, seed))
        good, out = tool.verdict(bent)
        if is_cut(seed):
            assert not good, (seed, out)
            cut += 1
        else:
            flipped += not good
        status, out, _ = tool.run("inspect", bent, "--json")
        assert status in (0, 1) and ("error" in json.loads(out)) == (status == 1), (seed, out)
        assert status == 0 or not good, seed
        status, _, error = tool.run("diff", saved, bent)
        assert status in (0, 1, 2) and (status != 2) == (error == ""), (seed, status, error)
    # In memory and in the values of devices any bit is as good as another.
    assert flipped >= 1
    print(f"refused: all of {cut} streams that were cut, {flipped} of {BENT_STREAMS - cut} with another bit")


def check_qemu(workspace, tool, kind):
    first = save(workspace, start_qemu(workspace, kind, "source"), "first")
    check_inspected(tool, first, kind)
    # QEMU saves a machine once only: what it has saved is the same to another one that loads it and saves it again.
    qemu = start_qemu(workspace, kind, "destination", incoming=first)
    qemu.qmp.wait_migration("completed")
    second = save(workspace, qemu, "second")
    # Its clock goes on.
    twice = tool.diff(first, second, "--ignore", "globalstate", "--ignore", "mc146818rtc")
    assert twice["same"], twice
    good, told = tool.verdict(first)
    assert good, told
    if kind == "none":
        good, told = tool.verdict(first, "--machine", "none")
        assert good, told
    else:
        good, told = tool.verdict(first, "--machine", "microvm")
        assert not good, told
        check_ran_on(workspace, tool, qemu, first)
    check_damage(workspace, tool, first)


def check_ran_on(workspace, tool, qemu, before):
    """The firmware runs for a moment."""
    qemu.qmp.command("cont")
    wait_for(lambda: "EIP=0000fff0" not in qemu.qmp.command("human-monitor-command", {"command-line": "info registers"}), 30,
             "the firmware runs")
    qemu.qmp.command("stop")
    after = save(workspace, qemu, "after")
    found = tool.diff(before, after)
    changed = {device["name"]: [one["field"] for one in device["differences"]] for device in found["devices"]}
    assert not found["same"] and "env.eip" in changed["cpu"], changed
    ignored = tool.diff(before, after, "--ignore", "devices", "--ignore", "ram", "--limit", "0")
    assert ignored["same"], ignored
    print(f"after a moment of firmware {len(changed)} device sections differ, {sum(block['differing'] for block in found['ram'])} pages")


def check_microvm_of_kvm(workspace, tool):
    """A machine that a godwit takes in, to the last byte of its devices."""
    machines.need_kvm()
    image = workspace.image_path("d0.img")
    image.write_bytes(bytes(1 << 20))
    source = machines.start_qemu(workspace, "source", memory=MEMORY, cpus=2, paused=True, extra=machines.qemu_disks([image]))
    saved = save(workspace, source, "saved")
    for options in ((), ("--machine", "microvm")):
        good, told = tool.verdict(saved, *options)
        assert good, told
    print(told)


def check_godwit(workspace, tool, arguments):
    """A guest of godwit saved, taken in again and saved when it has run on."""
    if arguments.accel == "kvm":
        machines.need_kvm()
    first, second = workspace.image_path("first"), workspace.image_path("second")
    source = machines.start_godwit(workspace, "source", tool.program, kernel=arguments.workload, accel=arguments.accel, memory=MEMORY,
                                   append=f"working-set=1M rate=200 heartbeat-ms=100 tsc-khz={guest.host_tsc_khz()}")
    guest.wait_ready(source)
    guest.wait_heartbeats(source, 1)
    source.qmp.command("migrate", {"uri": f"file:{first}"})
    source.qmp.wait_migration("completed")
    good, told = tool.verdict(first, "--machine", "microvm")
    assert good, told
    destination = machines.start_godwit(workspace, "destination", tool.program, accel=arguments.accel, memory=MEMORY,
                                        incoming=f"file:{first}")
    destination.qmp.wait_migration("completed")
    guest.wait_heartbeats(destination, 2)
    destination.qmp.command("migrate", {"uri": f"file:{second}"})
    destination.qmp.wait_migration("completed")
    assert tool.diff(first, first)["same"]
    found = tool.diff(first, second)
    assert found["ram"][0]["differing"] > 0 and "cpu" in [device["name"] for device in found["devices"]], found
    assert sections(tool.inspect(first))[("serial", 0)]["fields"]["state"]["divider"] > 0
    check_damage(workspace, tool, first)


def save_memory(workspace, tool, name, changed_pages=()):
    """A machine without a guest and what it saves, in the file `name`."""
    memory = workspace.memory_path(f"{name}-memory")
    pairs.write_memory(memory, 8)
    with open(memory, "r+b") as file:
        for page in changed_pages:
            file.seek(page * pairs.PAGE + 77)
            file.write(b"changed")
    saved = workspace.image_path(name)
    machine = pairs.start_godwit(workspace, f"{name}-machine", tool.program, 8, memory_file=memory)
    machine.qmp.command("migrate", {"uri": f"file:{saved}"})
    machine.qmp.wait_migration("completed")
    return saved


def check_godwit_none(workspace, tool):
    """Two memories: diff finds exactly the pages that are changed."""
    pages = (0, 1, 63, 64, 1500, 2047)
    first, second = save_memory(workspace, tool, "first"), save_memory(workspace, tool, "second", pages)
    good, told = tool.verdict(first, "--machine", "none")
    assert good, told
    found = tool.diff(first, second, "--limit", "0")
    assert not found["devices"] and len(found["ram"]) == 1, found
    block = found["ram"][0]
    differing = [run["offset"] // pairs.PAGE + index for run in block["differences"] for index in range(run["pages"])]
    assert differing == list(pages) and block["differing"] == len(pages), block
    assert tool.diff(first, first)["same"]
    check_damage(workspace, tool, first)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--machine", choices=[*EXPECTED, "microvm-of-kvm", "godwit", "godwit-none"], required=True)
    parser.add_argument("--workload")
    parser.add_argument("--accel", choices=["emulate", "kvm"])
    arguments = parser.parse_args()
    tool = Tool(arguments.program)
    with Workspace() as workspace:
        if arguments.machine == "godwit":
            check_godwit(workspace, tool, arguments)
        elif arguments.machine == "microvm-of-kvm":
            check_microvm_of_kvm(workspace, tool)
        elif arguments.machine == "godwit-none":
            check_godwit_none(workspace, tool)
        else:
            check_qemu(workspace, tool, arguments.machine)


if __name__ == "__main__":
    main()
