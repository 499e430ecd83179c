"""Threads of another process: what /proc tells of them, and system calls made in their name."""

import contextlib
import ctypes
import errno
import os
import pathlib

_PTRACE_SINGLESTEP = 9
_PTRACE_GETREGS = 12
_PTRACE_SETREGS = 13
_PTRACE_DETACH = 17
_PTRACE_SEIZE = 0x4206
_PTRACE_INTERRUPT = 0x4207
_WALL = 0x40000000
# `syscall`, two bytes, behind which a thread that waits in the kernel goes on.
_SYSCALL_BYTES = 2

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long


class _Registers(ctypes.Structure):
    _fields_ = [(name, ctypes.c_ulonglong) for name in (
        "r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss fs_base gs_base ds es fs gs").split()]


def find(process, name):
    """The id of the thread with that name; None: there is none."""
    for task in pathlib.Path(f"/proc/{process.pid}/task").iterdir():
        with contextlib.suppress(OSError):
            if (task / "comm").read_text(encoding="ascii").strip() == name:
                return int(task.name)
    return None


def status(process, thread):
    """The fields of its status."""
    text = pathlib.Path(f"/proc/{process.pid}/task/{thread}/status").read_text(encoding="ascii")
    return {key: value.strip() for key, _, value in (line.partition(":") for line in text.splitlines())}


def _ptrace(request, thread, address=None, data=None):
    if _libc.ptrace(request, thread, address, data) == -1:
        error = ctypes.get_errno()
        raise OSError(error, f"ptrace({request:#x}): {os.strerror(error)}")


def make_calls(thread, calls):
    """Has a thread that waits in a system call make others, given as tuples of number and arguments; returns what the kernel
    answers to each (negative: an error's number). Afterwards the thread goes on in its own call."""
    _ptrace(_PTRACE_SEIZE, thread)
    _ptrace(_PTRACE_INTERRUPT, thread)
    os.waitpid(thread, _WALL)
    registers = _Registers()
    _ptrace(_PTRACE_GETREGS, thread, None, ctypes.byref(registers))
    assert ctypes.c_longlong(registers.orig_rax).value >= 0, "the thread does not wait in a system call"
    before = _Registers.from_buffer_copy(registers)
    instruction = registers.rip - _SYSCALL_BYTES
    answers = []
    for number, *arguments in calls:
        # Nothing is to be restarted in the call's place.
        registers.orig_rax = ctypes.c_ulonglong(-1).value
        registers.rip, registers.rax = instruction, number
        for name, value in zip(("rdi", "rsi", "rdx", "r10", "r8", "r9"), [*arguments, *[0] * (6 - len(arguments))]):
            setattr(registers, name, ctypes.c_ulonglong(value).value)
        _ptrace(_PTRACE_SETREGS, thread, None, ctypes.byref(registers))
        _ptrace(_PTRACE_SINGLESTEP, thread)
        os.waitpid(thread, _WALL)
        _ptrace(_PTRACE_GETREGS, thread, None, ctypes.byref(registers))
        answers.append(ctypes.c_longlong(registers.rax).value)
    _ptrace(_PTRACE_SETREGS, thread, None, ctypes.byref(before))
    _ptrace(_PTRACE_DETACH, thread)
    return answers


def is_refused(answer):
    return answer == -errno.EPERM
