"""What a godwit shows to the outside: where it listens, who may connect, what its loading thread may do, what its core dumps hold."""

import argparse
import contextlib
import os
import pathlib
import pwd
import re
import signal
import socket
import stat
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

# pylint: disable=wrong-import-position
from support import disks, memory_compare, pairs, rdma, threads  # noqa: E402
from support.deadlines import wait_for  # noqa: E402
from support.processes import Workspace  # noqa: E402
from support.qmp import QmpClient  # noqa: E402
from support.sockets import Listener, listeners  # noqa: E402

SIZE_MIB = 64
MIB = 1 << 20
# Of a stream, as much as is needed to be taken for one.
STREAM_HEAD = b"QEVM\0\0\0\3"
SECRET = b"what the guest alone knows "

# Numbers of x86-64, with arguments that would do no harm.
AT_FDCWD = -100
FORBIDDEN = {"openat": (257, AT_FDCWD, 0, 0), "socket": (41, socket.AF_UNIX, socket.SOCK_STREAM, 0), "execve": (59, 0, 0, 0),
             "fork": (57,), "clone3": (435, 0, 0), "ptrace": (101, -1, 0, 0, 0), "process_vm_writev": (311, 0, 0, 0, 0, 0, 0),
             "mount": (165, 0, 0, 0, 0, 0), "io_uring_setup": (425, 0, 0), "setuid": (105, 0), "bpf": (321, -1, 0, 0)}
GETPID = (39,)


class Test:
    def __init__(self, workspace, program):
        self.workspace = workspace
        self.program = program

    def start(self, name, *extra, memory=f"{SIZE_MIB}M", qmp=True, before=""):
        """A machine without CPUs, by a shell that first does `before`. Returns its process and, with `qmp`, its client."""
        path = self.workspace.path(f"{name}.qmp")
        command = [self.program, "run", "--machine", "none", "--memory", memory, *extra, *(["--qmp", f"unix:{path}"] if qmp else [])]
        process = self.workspace.start(name, ["sh", "-c", f'{before or ":"}; exec "$0" "$@"', *command])
        if not qmp:
            return process, None
        client = QmpClient(path, is_alive=process.is_alive)
        self.workspace.on_exit(client.close)
        client.run_state()
        return process, client

    def program_status(self, *options):
        """The exit status of a `run` that does not come about."""
        process, _ = self.start("refused", *options, qmp=False)
        return process.wait_exit()

    def unix(self, name):
        return Listener("unix", str(self.workspace.path(name)), 0)


def listening_port(client):
    def addresses():
        return client.migration().get("socket-address")

    return int(wait_for(addresses, 30, "the destination listens")[0]["port"])


def has_ipv6():
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        return True
    return False


def listens_where_told(test):
    """Every kind of listener, and nothing besides."""
    monitor = ["--monitor", f"unix:{test.workspace.path('hmp')}"]
    hosts = {"tcp:127.0.0.1:0": "127.0.0.1", "tcp:localhost:0": None, "rdma:127.0.0.1:0": "127.0.0.1"}
    if has_ipv6():
        hosts |= {"tcp:[::1]:0": "::1", "rdma:[::1]:0": "::1", "tcp::0": "::"}
    for number, (uri, host) in enumerate(hosts.items()):
        process, client = test.start(f"m{number}", "--incoming", uri, *monitor)
        port = listening_port(client)
        found = listeners(process)
        hosts_found = [at.host for at in found if at.kind != "unix"]
        assert hosts_found == [host] or (host is None and hosts_found in (["127.0.0.1"], ["::1"])), (uri, found)
        expected = [*(Listener("tcp", at, port) for at in hosts_found), test.unix("hmp"), test.unix(f"m{number}.qmp")]
        assert found == expected, (uri, found)
        client.command("quit")
        process.wait_exit()
    process, client = test.start("u", "--incoming", f"unix:{test.workspace.path('stream')}", *monitor)
    found = listeners(process)
    assert found == [test.unix("hmp"), test.unix("stream"), test.unix("u.qmp")], found
    process, client = test.start("d", "--incoming", "defer")
    assert listeners(process) == [test.unix("d.qmp")], listeners(process)
    client.command("migrate-incoming", {"uri": "tcp:127.0.0.1:0"})
    assert listeners(process) == [Listener("tcp", "127.0.0.1", listening_port(client)), test.unix("d.qmp")], listeners(process)
    print(f"{len(hosts) + 2} ways to listen")


def stops_listening(test):
    """Once the machine is on its way nobody else can connect; UCX has a port of its own, as long as it writes pages by tcp."""
    ways = ["tcp", "rdma-shm"] + (["rdma-tcp"] if rdma.has_ucx() else [])
    for way in ways:
        scheme, _, transport = way.partition("-")
        memory = test.workspace.memory_path(f"{way}-memory")
        pairs.write_memory(memory, SIZE_MIB)
        source_process, source = test.start(f"{way}-s", "--memory-file", memory)
        process, client = test.start(f"{way}-d", "--incoming", f"{scheme}:127.0.0.1:0")
        monitors = {source_process: test.unix(f"{way}-s.qmp"), process: test.unix(f"{way}-d.qmp")}
        source.command("migrate-set-parameters", {"max-bandwidth": MIB})
        source.command("migrate", {"uri": f"{scheme}:127.0.0.1:{listening_port(client)}" + (f",transport={transport}" if transport else "")})
        source.wait_migration("active")
        client.wait_migration("active")
        for machine, monitor in monitors.items():
            others = [at for at in listeners(machine) if at != monitor]
            # UCX's own: one, at the address of the interface over which the source has come.
            expected = [("tcp", "127.0.0.1")] if transport == "tcp" else []
            assert [(at.kind, at.host) for at in others] == expected, (way, machine.name, others)
        source.command("migrate-set-parameters", {"max-bandwidth": 0})
        source.wait_migration("completed")
        client.wait_run_state("running")
        for machine, monitor in monitors.items():
            wait_for(lambda machine=machine, monitor=monitor: listeners(machine) == [monitor], 10, f"{way}: nobody listens")
        memory.unlink()
    print(", ".join(ways))


def files_are_the_owners(test):
    """With a mask that hides nothing: sockets, and what the program writes."""
    path = test.workspace.path
    trace, memory = path("trace"), path("memory")
    process, client = test.start("m", "--monitor", f"unix:{path('hmp')}", "--trace", trace, "--memory-file", memory, before="umask 0")
    incoming, _ = test.start("i", "--incoming", f"unix:{path('stream')}", before="umask 0")
    saved = path("saved")
    client.command("migrate", {"uri": f"file:{saved}"})
    client.wait_migration("completed")
    for name in (path("hmp"), path("m.qmp"), path("stream"), path("i.qmp"), trace, memory, saved):
        mode = stat.S_IMODE(name.stat().st_mode)
        assert mode == 0o600, f"{name.name} has the mode {mode:o}"
    assert process.is_alive() and incoming.is_alive()


def half_a_stream(test, uri):
    """A destination whose thread waits for the rest of a stream, and what keeps the connection open."""
    process, client = test.start("d" + re.sub(r"\W", "", uri)[:20], "--incoming", uri)
    kept = None
    if uri.startswith("tcp"):
        kept = socket.create_connection(("127.0.0.1", listening_port(client)))
    elif uri.startswith("unix"):
        kept = socket.socket(socket.AF_UNIX)
        kept.connect(uri.removeprefix("unix:"))
    if kept:
        kept.sendall(STREAM_HEAD)
    # From here on it has looked at what has come.
    client.wait_migration("active")
    return process, kept


def loading_is_confined(test):
    """Whatever the channel, before the first byte: the thread has a filter, and the kernel refuses what it is not to do."""
    head = test.workspace.path("head")
    head.write_bytes(STREAM_HEAD)
    fifo = test.workspace.path("fifo")
    os.mkfifo(fifo)
    uris = ["tcp:127.0.0.1:0", f"unix:{test.workspace.path('s')}", f"exec:cat {head} && sleep 60", f"file:{fifo}"]
    writer = test.workspace.start("writer", ["sh", "-c", f"exec 3>{fifo}; cat {head} >&3; sleep 60"])
    for uri in uris:
        process, kept = half_a_stream(test, uri)
        loading = threads.find(process, "incoming")
        fields = threads.status(process, loading)
        main = threads.status(process, process.pid)
        assert fields["Seccomp"] == "2" and fields["NoNewPrivs"] == "1", (uri, fields)
        assert int(fields["CapPrm"], 16) == int(fields["CapEff"], 16) == 0, (uri, fields)
        assert int(fields["Seccomp_filters"]) == int(main["Seccomp_filters"]) + 1, (uri, fields)
        answers = threads.make_calls(loading, [GETPID, *FORBIDDEN.values()])
        assert answers[0] == process.pid, (uri, answers)
        carried_out = [name for name, answer in zip(FORBIDDEN, answers[1:]) if not threads.is_refused(answer)]
        assert not carried_out, (uri, carried_out, answers)
        process.kill()
        if kept:
            kept.close()
    writer.kill()
    print(f"{len(FORBIDDEN)} calls refused on {len(uris)} ways")


def sandbox_can_be_switched_off(test):
    for mode, seccomp in (("off", None), ("log", "2")):
        process, client = test.start(mode, "--sandbox", mode, "--incoming", "tcp:127.0.0.1:0")
        with socket.create_connection(("127.0.0.1", listening_port(client))) as connection:
            connection.sendall(STREAM_HEAD)
            client.wait_migration("active")
            loading = threads.find(process, "incoming")
            main = threads.status(process, process.pid)
            assert threads.status(process, loading)["Seccomp"] == (seccomp or main["Seccomp"]), mode
            answers = threads.make_calls(loading, [FORBIDDEN["socket"]])
            assert answers[0] >= 0, (mode, answers)
            process.kill()


def command_ends_with_its_migration(test):
    """The confined thread may kill nobody; the command of exec: ends all the same when the stream is no good."""
    mark = test.workspace.path("pid")
    process, _ = test.start("d", "--incoming", f"exec:echo $$ > {mark}; echo nonsense; exec sleep 1000", qmp=False)
    assert process.wait_exit() == 1, process.stderr()
    pid = int(mark.read_text(encoding="ascii"))
    wait_for(lambda: not pathlib.Path(f"/proc/{pid}").exists(), 10, "the command's end")


def goes_on_as_another_user(test):
    """All threads, with no way back, and able to move by every way that needs no root."""
    status = test.program_status("--run-as", "nobody-of-that-name")
    assert status == 2, status
    assert test.program_status("--run-as", "root") == 2
    if os.geteuid() != 0:
        assert test.program_status("--run-as", "nobody") == 1, "only root may become somebody else"
        print("not root: the change itself was not tested")
        return
    nobody = pwd.getpwnam("nobody")
    for way in ("tcp", "rdma"):
        memory = {side: test.workspace.memory_path(f"{way}-{side}") for side in "sd"}
        pairs.write_memory(memory["s"], SIZE_MIB)
        machines = {side: test.start(f"{way}-{side}", "--run-as", "nobody", "--memory-file", memory[side],
                                     *(["--incoming", f"{way}:127.0.0.1:0"] if side == "d" else [])) for side in "sd"}
        assert memory["d"].stat().st_uid == nobody.pw_uid, "it was made for the user"
        (_, source), (_, destination) = machines["s"], machines["d"]
        for process, _ in machines.values():
            for task in pathlib.Path(f"/proc/{process.pid}/task").iterdir():
                fields = threads.status(process, task.name)
                assert fields["Uid"].split() == [str(nobody.pw_uid)] * 4, fields
                assert fields["Gid"].split() == [str(nobody.pw_gid)] * 4, fields
                assert set(fields["Groups"].split()) <= {str(nobody.pw_gid)}, fields
                assert int(fields["CapPrm"], 16) == int(fields["CapEff"], 16) == 0, fields
        source.command("migrate", {"uri": f"{way}:127.0.0.1:{listening_port(destination)}"})
        source.wait_migration("completed")
        destination.wait_run_state("running")
        memory_compare.assert_equal(memory["s"], memory["d"])


def overlay_moves_as_another_user(test):
    """The bitmap of an overlay is opened anew whenever the guest comes or goes: as the user, or the machine does not start."""
    if os.geteuid() != 0:
        print("not root: not tested")
        return
    user = pwd.getpwnam("nobody")
    test.workspace.directory.chmod(0o755)
    base = disks.write_raw(test.workspace.path("base"), 4 * MIB, [(0, MIB)])
    tops = {side: test.workspace.path(f"top-{side}") for side in "sd"}

    def options(side):
        return ["--run-as", "nobody", "--disk", f"id=a,file={tops[side]},base={base}",
                *(["--incoming", "tcp:127.0.0.1:0"] if side == "d" else [])]

    def bitmap(side):
        return tops[side].with_name(tops[side].name + ".bitmap")

    # New ones are the user's, as private as ever.
    machines = {side: test.start(side, *options(side)) for side in "sd"}
    for path in (*tops.values(), *(bitmap(side) for side in tops)):
        found = path.stat()
        assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (user.pw_uid, user.pw_gid, 0o600), (path, found)
    (source_process, source), (process, destination) = machines["s"], machines["d"]
    source.command("migrate", {"uri": f"tcp:127.0.0.1:{listening_port(destination)}", "blk": True})
    source.wait_migration("completed")
    destination.wait_run_state("running")
    for client, ended in ((source, source_process), (destination, process)):
        client.command("quit")
        ended.wait_exit()
    # One of somebody else's: by name, before anybody can come.
    os.chown(bitmap("d"), 0, 0)
    for side, extra in (("d", options("d")), ("r", [*options("d")[:4]])):
        refused, _ = test.start(f"refused-{side}", *extra, qmp=False)
        assert refused.wait_exit() == 1
        refused.output.join()
        said = refused.stderr()
        assert f"the user 'nobody' cannot take over the disk 'a': cannot open disk image {bitmap('d')}" in said, said
        assert "chown" in said and "waiting for a migration" not in said, said
    # Nor where he cannot come to it.
    os.chown(bitmap("d"), user.pw_uid, user.pw_gid)
    test.workspace.directory.chmod(0o700)
    refused, _ = test.start("refused-folder", *options("d"), qmp=False)
    assert refused.wait_exit() == 1
    refused.output.join()
    assert f"{bitmap('d')}: Permission denied" in refused.stderr(), refused.stderr()


def mappings(process):
    """Of each mapping its size, its flags, and what it shows."""
    text = pathlib.Path(f"/proc/{process.pid}/smaps").read_text(encoding="ascii", errors="replace")
    for part in re.split(r"(?m)^(?=[0-9a-f]+-[0-9a-f]+ )", text):
        if part:
            begin, end = (int(number, 16) for number in part.split(maxsplit=1)[0].split("-"))
            flags = re.search(r"(?m)^VmFlags: (.*)$", part)[1].split()
            yield end - begin, flags, part.splitlines()[0]


def hidden_copies(process, size_bytes):
    """Whether core dumps go without a buffer of this size. It begins and ends within pages, which it shares with others."""
    return any("dd" in flags and size == size_bytes - 4096 for size, flags, _ in mappings(process))


def core_dumps_are_without_the_guest(test):
    """A machine that has got its memory over the wire ends by an abort. While a migration goes on the copies of pages, in the
    buffer of the stream and in the cache of XBZRLE, are as little to be seen as the memory is."""
    pattern = pathlib.Path("/proc/sys/kernel/core_pattern").read_text(encoding="ascii").strip()
    memory = test.workspace.memory_path("memory")
    memory.write_bytes((SECRET * (4096 // len(SECRET) + 1))[:4096] * (SIZE_MIB * 256))
    for name, options, is_there in (("without", [], False), ("with", ["--dump-guest-memory"], True)):
        directory = test.workspace.path(name)
        directory.mkdir()
        source_process, source = test.start(f"{name}-s", "--memory-file", memory, *options)
        process, client = test.start(f"{name}-d", "--incoming", "tcp:127.0.0.1:0", *options, before=f"cd {directory}; ulimit -c unlimited")
        source.command("migrate-set-capabilities", {"capabilities": [{"capability": "xbzrle", "state": True}]})
        source.command("migrate-set-parameters", {"xbzrle-cache-size": CACHE_BYTES, "max-bandwidth": MIB})
        source.command("migrate", {"uri": f"tcp:127.0.0.1:{listening_port(client)}"})
        for machine, at, copies_bytes in ((source_process, source, CACHE_BYTES), (process, client, STREAM_BUFFER_BYTES)):
            at.wait_migration("active")
            wait_for(lambda machine=machine, copies_bytes=copies_bytes: hidden_copies(machine, copies_bytes) is not is_there, 10,
                     f"{machine.name}: copies of pages in {copies_bytes} bytes are {'shown' if is_there else 'hidden'}")
        source.command("migrate-set-parameters", {"max-bandwidth": 0})
        source.wait_migration("completed")
        client.wait_run_state("running")
        large = [(flags, line) for size, flags, line in mappings(process) if size == SIZE_MIB * MIB]
        assert large and all(("dd" in flags) != is_there for flags, _ in large), large
        if pattern.startswith(("|", "/")):
            print(f"core dumps go to {pattern}: only the mappings were looked at")
            continue
        process.signal(signal.SIGABRT)
        process.wait_exit()
        cores = list(directory.iterdir())
        assert len(cores) == 1, cores
        count = cores[0].read_bytes().count(SECRET)
        print(f"{name}: a core of {cores[0].stat().st_size / MIB:.1f} MiB, {count} traces of the guest")
        assert count * len(SECRET) > SIZE_MIB * MIB // 2 if is_there else count * len(SECRET) <= LEFT_IN_BUFFERS, count
        cores[0].unlink()


def secrets_are_not_shown(test):
    """Neither on the standard error, nor in what QMP tells, nor by a peer."""
    secret = "geheim"
    process, _ = test.start("d", "--incoming", f"exec:false {secret}", qmp=False)
    assert process.wait_exit() == 1
    process.output.join()
    _, client = test.start("s")
    client.command("migrate", {"uri": f"exec:exit 3 {secret}"})
    told = client.wait_migration("failed")
    assert "exit ..." in told["error-desc"], told
    # The last two cannot be read: the library that is to read them quotes them.
    disks_shown = {f"nbd://user:{secret}@127.0.0.1:1/x": "nbd://user:***@127.0.0.1:1/x",
                   f"nbd://user:a {secret}@127.0.0.1:1/x": "parse URI: nbd://user:***@127.0.0.1:1/x",
                   f"nbd://user:a/{secret}@127.0.0.1:1/x": "the NBD disk nbd:...: "}
    refused_texts = []
    for number, (uri, shown) in enumerate(disks_shown.items()):
        refused, _ = test.start(f"n{number}", "--disk", f"id=a,nbd={uri}", qmp=False)
        assert refused.wait_exit() == 1
        refused.output.join()
        assert shown in refused.stderr(), refused.stderr()
        refused_texts.append(refused.stderr())
    for text in (process.stderr(), *refused_texts, str(told)):
        assert secret not in text, text


CACHE_BYTES = 8 * MIB
# What a stream is read through, with what may be put back into it.
STREAM_BUFFER_BYTES = (64 + 600) << 10

# Copies of single pages that differences and records are taken apart in.
LEFT_IN_BUFFERS = 8 << 10

CASES = {case.__name__: case for case in (listens_where_told, stops_listening, files_are_the_owners, loading_is_confined,
                                          sandbox_can_be_switched_off, command_ends_with_its_migration,
                                          goes_on_as_another_user, overlay_moves_as_another_user, core_dumps_are_without_the_guest, secrets_are_not_shown)}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--case", choices=list(CASES), help="only this one")
    arguments = parser.parse_args()
    for name, case in CASES.items():
        if arguments.case in (None, name):
            with Workspace() as workspace:
                case(Test(workspace, arguments.program))
                print(f"{name}: as it should be", flush=True)


main()
