"""Two hosts and a router between them, made of network namespaces: links that go down, that are narrow, that lose one direction.

The namespaces belong to processes of the test and disappear with them, however it ends. Nothing leaves them."""

import os
import pathlib
import subprocess
import sys
import time

from . import machines
from .deadlines import wait_for

_INSIDE = "GODWIT_TEST_INSIDE_NAMESPACE"
SIDES = ("source", "destination")


def enter_namespaces():
    """Has this program go on in network and mount namespaces of its own. Ends it, as a skipped test, where that is not allowed.
    To be called before anything else is done."""
    if os.environ.get(_INSIDE) == str(os.getpid()):
        return
    command = ["unshare", "--net", "--mount"] + ([] if os.getuid() == 0 else ["--map-root-user"])
    works = command + ["sh", "-c", "ip link add name probe type veth && tc qdisc add dev probe root tbf rate 1mbit burst 10k limit 10k"]
    if not _succeeds(works):
        print("no namespaces, veth links or tbf queues may be made here: the test is skipped", flush=True)
        sys.exit(machines.SKIPPED)
    os.environ[_INSIDE] = str(os.getpid())  # unshare keeps the process
    os.execvp(command[0], command + [sys.executable, "-B", *sys.argv])


def _succeeds(command):
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


class Network:
    """The source's host and the destination's, each with one link to the router, which is this process's namespace."""

    def __init__(self, workspace):
        _run("ip", "link", "set", "lo", "up")
        _write("/proc/sys/net/ipv4/ip_forward", "1")
        _write("/proc/sys/net/ipv6/conf/all/forwarding", "1")
        self._host_pids = {}
        for number, side in enumerate(SIDES, start=1):
            holder = workspace.start(f"{side}-host", ["unshare", "--net", "sh", "-c", "echo made; exec cat"])
            holder.output.wait_line("made")
            self._host_pids[side] = holder.pid
            # It goes with its host's namespace, but the kernel takes its time over that.
            workspace.on_exit(lambda link=link_of(side): _succeeds(["ip", "link", "delete", link]))
            self._make_link(side, number)

    def _make_link(self, side, number):
        link = link_of(side)
        _run("ip", "link", "add", "name", link, "type", "veth", "peer", "name", "uplink", "netns", str(self._host_pids[side]))
        _run("ip", "address", "add", f"{router_address(side)}/24", "dev", link)
        _run("ip", "-6", "address", "add", f"fd77:{number}::1/64", "dev", link, "nodad")
        self.run_at(side, "ip", "link", "set", "lo", "up")
        self.run_at(side, "ip", "address", "add", f"{address(side)}/24", "dev", "uplink")
        self.run_at(side, "ip", "-6", "address", "add", f"{address6(side)}/64", "dev", "uplink", "nodad")
        _run("ip", "link", "set", link, "up")
        self._connect(side)

    def _connect(self, side):
        """Brings up the host's end of the link, and the routes, which go whenever it goes down."""
        number = SIDES.index(side) + 1
        self.run_at(side, "ip", "link", "set", "uplink", "up")
        self.run_at(side, "ip", "route", "replace", "default", "via", router_address(side))
        self.run_at(side, "ip", "-6", "address", "replace", f"{address6(side)}/64", "dev", "uplink", "nodad")
        self.run_at(side, "ip", "-6", "route", "replace", "default", "via", f"fd77:{number}::1")
        self._look_again_for(side)

    def _look_again_for(self, side):
        """What is sent while the router, or the host, still waits in vain for the one that was away would come back as unreachable."""
        _run("ip", "neigh", "flush", "nud", "all", "dev", link_of(side))
        self.run_at(side, "ip", "neigh", "flush", "nud", "all", "dev", "uplink")

    def inside(self, side):
        """The beginning of a command that runs on that host, with a /sys that has its devices: there UCX looks for them."""
        return [*self._beside(side), "unshare", "--mount", "sh", "-c", 'mount -t sysfs sysfs /sys && exec "$0" "$@"']

    def run_at(self, side, *command):
        return _run(*self._beside(side), *command)

    def _beside(self, side):
        return ["nsenter", f"--net=/proc/{self._host_pids[side]}/ns/net"]

    # Faults. Each has its remedy below it.

    def link_down(self, side):
        """Takes down the host's own end: the host knows, and its routes are gone."""
        self.run_at(side, "ip", "link", "set", "uplink", "down")

    def link_up(self, side):
        self._connect(side)

    def unplug(self, side):
        """Takes down the router's end: the host has lost its carrier."""
        _run("ip", "link", "set", link_of(side), "down")

    def plug_in(self, side):
        _run("ip", "link", "set", link_of(side), "up")
        self._look_again_for(side)

    def swallow(self, side):
        """What goes towards that host disappears in the router without a word; what it sends arrives."""
        _run("ip", "rule", "add", "priority", "10", "to", address(side), "iif", link_of(other(side)), "blackhole")

    def stop_swallowing(self, side):
        _run("ip", "rule", "delete", "priority", "10", "to", address(side), "iif", link_of(other(side)), "blackhole")

    def remove_address(self, side):
        self.run_at(side, "ip", "address", "delete", f"{address(side)}/24", "dev", "uplink")

    def restore_address(self, side):
        self.run_at(side, "ip", "address", "add", f"{address(side)}/24", "dev", "uplink")
        self._connect(side)

    def shape(self, side, rate, burst_bytes, queue_bytes):
        """Limits what goes towards that host. `rate` in the words of tc."""
        _run("tc", "qdisc", "replace", "dev", link_of(side), "root", "tbf", "rate", rate, "burst", str(burst_bytes), "limit",
             str(queue_bytes))

    def set_mtu(self, side, mtu_bytes, both_ends=True):
        """Of the link; of the router's end alone, so that the host has to be told that its packets are too long."""
        _run("ip", "link", "set", link_of(side), "mtu", str(mtu_bytes))
        if both_ends:
            self.run_at(side, "ip", "link", "set", "uplink", "mtu", str(mtu_bytes))

    def learned_mtu_bytes(self, side):
        """What that host has been told of the way to the other one, or None."""
        words = self.run_at(side, "ip", "route", "get", address(other(side))).split()
        return int(words[words.index("mtu") + 1]) if "mtu" in words else None

    def sent_bytes(self, side):
        """What the router has sent towards that host."""
        lines = pathlib.Path("/proc/self/net/dev").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[9]) for line in lines if line.strip().startswith(f"{link_of(side)}:"))

    def reset_connections(self, side):
        """Has the host's kernel end its connections with a reset."""
        self.run_at(side, "ss", "--kill", "--tcp", "state", "established")


def link_of(side):
    return f"to-{side}"


def other(side):
    return SIDES[1 - SIDES.index(side)]


def router_address(side):
    """Of the router on that host's link."""
    return f"10.77.{SIDES.index(side) + 1}.1"


def address(side):
    return f"10.77.{SIDES.index(side) + 1}.2"


def address6(side):
    return f"fd77:{SIDES.index(side) + 1}::2"


def hold(seconds):
    """How long a fault lasts. Its length is what is being tested, so this is no waiting for a condition."""
    end = time.monotonic() + seconds
    wait_for(lambda: time.monotonic() >= end, seconds + 5, "the end of the fault")


def _run(*command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}: status {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def _write(path, text):
    pathlib.Path(path).write_text(text, encoding="ascii")
