#!/usr/bin/env python3
"""Configures godwit without its optional libraries, in every way that leads there, and looks at which sources such a build has.

Sources that it shares with a build with the libraries must not need their headers: what those compiled with is known from Ninja.
"""

import argparse
import json
import pathlib
import re
import subprocess
import sys

OPTIONAL_HEADER = re.compile(r"/(unicorn|ucp|uct|ucs|ucm)/")
MISSING = {"src/machine/emulator_missing.cpp", "src/rdma/ucx_missing.cpp"}
WITHOUT = ("RDMA: without UCX", "Emulator: without Unicorn")


def configure(arguments, name, *options):
    """Returns the directory, the exit status and what CMake said."""
    folder = pathlib.Path(arguments.work) / name
    command = [arguments.cmake, "--fresh", "-G", "Ninja", "-S", arguments.source, "-B", str(folder), "-DCMAKE_BUILD_TYPE=Release",
               f"-DCMAKE_CXX_COMPILER={arguments.compiler}", "-DGODWIT_TESTS=ON", "-DGODWIT_BENCH=OFF", *options]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return folder, done.returncode, done.stdout


def configured_without(arguments, name, *options):
    """The sources of a build that has to come about without the libraries."""
    folder, status, said = configure(arguments, name, *options)
    assert status == 0, f"{name}: CMake ended with {status}\n{said}"
    for words in WITHOUT:
        assert words in said, f"{name}: CMake has not said \"{words}\"\n{said}"
    commands = json.loads((folder / "compile_commands.json").read_text())
    root = pathlib.Path(arguments.source)
    sources = {str(pathlib.Path(command["file"]).relative_to(root)) for command in commands
               if pathlib.Path(command["file"]).is_relative_to(root) and not pathlib.Path(command["file"]).is_relative_to(folder)}
    assert MISSING <= sources, f"{name} lacks {MISSING - sources}"
    left = {source for source in sources if pathlib.Path(source).name.startswith("emulator_")} - MISSING
    assert not left, f"{name} has parts of the emulator, or their tests: {left}"
    return sources


def refused(arguments, name, hidden, library, variable):
    """ON insists on a library."""
    _, status, said = configure(arguments, name, hidden, f"-D{variable}=ON")
    assert status != 0, f"{variable}=ON did without {library}\n{said}"
    assert f"Could not find GODWIT_{library}" in said, said
    print(f"{variable}=ON without the library: CMake says that it cannot find {library}")


def unknown_value(arguments, value):
    _, status, said = configure(arguments, "unknown", f"-DGODWIT_EMULATOR={value}")
    assert status != 0, f"GODWIT_EMULATOR={value} was taken\n{said}"
    assert "it takes AUTO, ON or OFF" in said, said


def old_unicorn(arguments, name, *options):
    """Configures with a library and a header of version 1. Returns the exit status and what CMake said."""
    include = pathlib.Path(arguments.work) / "unicorn1"
    (include / "unicorn").mkdir(parents=True, exist_ok=True)
    (include / "unicorn" / "unicorn.h").write_text("#define UC_API_MAJOR 1\n", encoding="ascii")
    (include / "libunicorn.a").touch()
    _, status, said = configure(arguments, name, f"-DGODWIT_UNICORN={include}/libunicorn.a", f"-DGODWIT_UNICORN_INCLUDE={include}",
                                "-DGODWIT_RDMA=OFF", *options)
    return status, said


def old_unicorn_is_none(arguments):
    status, said = old_unicorn(arguments, "old")
    assert status == 0 and "Unicorn 2 is needed" in said and "Emulator: without Unicorn" in said, said
    status, said = old_unicorn(arguments, "old_on", "-DGODWIT_EMULATOR=ON")
    assert status != 0 and "Unicorn 2 is needed" in said, said
    print("Unicorn 1 is none")


def needing_the_libraries(build):
    """Sources of this build, by their objects' names, whose headers are of the optional libraries."""
    done = subprocess.run(["ninja", "-C", build, "-t", "deps"], capture_output=True, text=True, check=True)
    found, count, target = set(), 0, ""
    for line in done.stdout.splitlines():
        if line and not line.startswith(" "):
            target = line.split(":", 1)[0]
            count += 1
        elif OPTIONAL_HEADER.search(line):
            found.add(target)
    assert count > 100, f"Ninja knows of {count} objects"
    assert found, "no object needs a header of Unicorn or UCX: nothing can be told from this"
    return found


def check_sources(build, sources):
    needing = needing_the_libraries(build)
    wrong = sorted(target for target in needing
                   for source in sources if target.endswith(f"/{source}.o") or target.endswith(f"/{source.removeprefix('tests/')}.o"))
    assert not wrong, "a build without Unicorn and UCX has sources that include their headers: " + ", ".join(wrong)
    print(f"{len(needing)} objects need headers of Unicorn or UCX, none of which is among the {len(sources)} sources of a build without them")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cmake", default="cmake", help="the program (%(default)s)")
    parser.add_argument("--compiler", required=True)
    parser.add_argument("--source", required=True, help="the source directory")
    parser.add_argument("--work", required=True, help="where the builds are configured")
    parser.add_argument("--build", help="a build with the libraries, by Ninja")
    arguments = parser.parse_args()
    hidden = f"-DCMAKE_PROJECT_INCLUDE={pathlib.Path(__file__).resolve().parent / 'hide_libraries.cmake'}"
    off = configured_without(arguments, "off", "-DGODWIT_RDMA=OFF", "-DGODWIT_EMULATOR=OFF")
    automatic = configured_without(arguments, "auto", hidden)
    assert off == automatic, off ^ automatic
    refused(arguments, "on", hidden, "UCX_INCLUDE", "GODWIT_RDMA")
    refused(arguments, "on", hidden, "UNICORN", "GODWIT_EMULATOR")
    unknown_value(arguments, "YES")
    old_unicorn_is_none(arguments)
    if arguments.build:
        check_sources(arguments.build, off)


if __name__ == "__main__":
    sys.exit(main())
