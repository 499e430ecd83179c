"""`godwit migrate --block` has a QEMU save a machine with disks; `godwit inspect` counts the chunks, and the disks that it extracts are
the images."""

import argparse
import json
import pathlib
import random
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

# pylint: disable=wrong-import-position
from support import pairs  # noqa: E402
from support.machines import QEMU, Machine  # noqa: E402
from support.processes import Workspace  # noqa: E402

CHUNK = 1 << 20


def write_image(path, size, seed):
    """Data in every second chunk, and at the end; zeros that were written and holes between."""
    generator = random.Random(seed)
    with open(path, "wb") as image:
        image.truncate(size)
        for chunk in range(0, size // CHUNK, 2):
            image.seek(chunk * CHUNK + generator.randrange(0, CHUNK // 2, 512))
            image.write(generator.randbytes(CHUNK // 2))
        image.seek(max(0, size - CHUNK // 4))
        image.write(generator.randbytes(512))


def start_qemu(workspace, images, process):
    qmp_path = workspace.path(f"{process}.qmp")
    command = [QEMU, "-display", "none", "-M", "pc", "-m", "16M", "-nodefaults", "-S",
               "-qmp", f"unix:{qmp_path},server=on,wait=off"]
    for name, path in images.items():
        command += ["-drive", f"if=none,id={name},file={path},format=raw", "-device", f"virtio-blk-pci,drive={name}"]
    return Machine(workspace, process, command, qmp_path)


def chunks_of(text, name):
    """(with data, of zeros)"""
    found = re.search(rf'^disk "{name}": (\d+) whole chunks of {CHUNK} bytes, (\d+) zero chunks', text, re.MULTILINE)
    assert found, text
    return tuple(int(number) for number in found.groups())


def check_against_another(workspace, arguments, images, saved):
    """Saved with zeros as data, or the other way round, the machine is the same to `godwit diff`; not with another disk."""
    qemu = start_qemu(workspace, images, "another")
    assert qemu.qmp.run_state() == "prelaunch"
    qemu.close()
    again = workspace.path("again")
    other = "off" if arguments.zero_blocks == "on" else "on"
    pairs.run_checked([arguments.program, "migrate", qemu.qmp_path, f"exec:cat > {again}", "--block", "--set", f"zero-blocks={other}"])
    pairs.run_checked([arguments.program, "verify", again])
    # The clock is set by the host's when the machine is made.
    difference = [arguments.program, "diff", saved, again, "--ignore", "mc146818rtc"]
    pairs.run_checked(difference)
    document = json.loads(pairs.run_checked([arguments.program, "inspect", again, "--json"], capture_output=True).stdout)
    # Its contents are random, and nowhere else.
    with open(again, "r+b") as stream:
        data = stream.read()
        at = data.index(pathlib.Path(workspace.image_path("tiny.img")).read_bytes())
        stream.seek(at)
        stream.write(b"changed")
    # In the order in which QEMU has read them.
    assert sorted(disk["name"] for disk in document["disks"]) == ["tail", "tiny", "vda"], document["disks"]
    found = subprocess.run([*difference, "--json"], capture_output=True, check=False)
    assert found.returncode == 1, found
    disks = json.loads(found.stdout)["disks"]
    assert [(disk["name"], disk["differing"]) for disk in disks] == [("tiny", 1)], disks


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--zero-blocks", choices=("on", "off"), required=True)
    arguments = parser.parse_args()
    sizes = {"vda": 9 * CHUNK, "tail": CHUNK + 512, "tiny": 512}
    with Workspace() as workspace:
        images = {name: workspace.image_path(f"{name}.img") for name in sizes}
        for seed, (name, size) in enumerate(sizes.items()):
            write_image(images[name], size, seed)
        qemu = start_qemu(workspace, images, "qemu")
        assert qemu.qmp.run_state() == "prelaunch"
        qemu.close()  # it talks with one client at a time
        saved = workspace.path("saved")
        told = pairs.run_checked([arguments.program, "migrate", qemu.qmp_path, f"exec:cat > {saved}", "--block", "--set",
                                  f"zero-blocks={arguments.zero_blocks}", "--bandwidth", "200K"], capture_output=True,
                                 text=True).stdout
        assert re.search(r"disks \S+ \S+ of 10.0 MiB", told), told
        assert "migration completed" in told, told
        directory = workspace.path("extracted")
        text = pairs.run_checked([arguments.program, "inspect", saved, "--extract", directory], capture_output=True,
                                 text=True).stdout
        assert "progress 100 %" in text, text
        for name, size in sizes.items():
            image = pathlib.Path(images[name]).read_bytes()
            extracted = pathlib.Path(directory, f"{name}.disk").read_bytes()
            assert len(extracted) == (size + CHUNK - 1) // CHUNK * CHUNK, (name, len(extracted))
            assert extracted[:size] == image, f"{name} is not what QEMU has"
            of_zeros = sum(not any(image[at:at + CHUNK]) for at in range(0, size, CHUNK))
            expected_zeros = of_zeros if arguments.zero_blocks == "on" else 0
            assert chunks_of(text, name) == (len(extracted) // CHUNK - expected_zeros, expected_zeros), text
        check_against_another(workspace, arguments, images, saved)
    print(f"zero-blocks {arguments.zero_blocks}: the extracted disks are the images")


if __name__ == "__main__":
    main()
