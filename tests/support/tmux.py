"""A real terminal for tests: a shell in a tmux of its own."""

import os
import subprocess

from .deadlines import wait_for

PROMPT = "ready>"


class Terminal:
    """One window. `text()` is what a person would see in it."""

    def __init__(self, workspace, width=100, height=40):
        self._socket = workspace.path("tmux")
        environment = {**os.environ, "LC_ALL": "C.UTF-8", "ENV": ""}
        environment.pop("TMUX", None)
        self._run("-u", "-f", "/dev/null", "new-session", "-d", "-x", str(width), "-y", str(height), "sh", env=environment)
        workspace.on_exit(lambda: self._run("kill-server", check=False))
        # Shells begin with a prompt of their own.
        self.run(f"PS1='{PROMPT} '; clear")
        self.wait(lambda text: text.startswith(PROMPT))

    def _run(self, *words, **options):
        options.setdefault("check", True)
        command = ["tmux", "-S", str(self._socket), *words]
        return subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=30, **options).stdout

    def type(self, text):
        self._run("send-keys", "-l", text)

    def press(self, key):
        """Enter, C-c, ..."""
        self._run("send-keys", key)

    def run(self, command):
        self.type(command)
        self.press("Enter")

    def resize(self, width, height):
        self._run("resize-window", "-x", str(width), "-y", str(height))

    def text(self):
        return self._run("capture-pane", "-p")

    def property(self, name):
        """What tmux knows of the window, such as cursor_flag or alternate_on."""
        return self._run("display-message", "-p", f"#{{{name}}}").strip()

    def wait(self, expected, timeout_s=20):
        """Until the window shows the text, or the function of it says so; returns what it shows."""
        matches = expected if callable(expected) else (lambda text: expected in text)
        shown = []

        def is_there():
            shown[:] = [self.text()]
            return matches(shown[0])

        wait_for(is_there, timeout_s, lambda: f"{expected!r} in the window, which shows:\n{shown[0]}", poll_s=0.02)
        return shown[0]
