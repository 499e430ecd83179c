"""TLS credentials for machines under test, QEMU's and godwit's."""

import itertools

from . import pairs

_numbers = itertools.count(1)


class Credentials:
    """The directories that the program make-certificates writes (src/io/tls_testing.h says which)."""

    def __init__(self, workspace, program):
        self.root = workspace.path("tls")
        if not self.root.exists():
            pairs.run_checked([program, self.root])

    def protect(self, machine, directory, endpoint, **more):
        """tls-creds of the machine are from now on those of the directory; None switches TLS off."""
        name = f"tls{next(_numbers)}"
        if directory:
            kind = "tls-creds-psk" if directory.endswith("keys") else "tls-creds-x509"
            given = {"qom-type": kind, "id": name, "dir": str(self.root / directory), "endpoint": endpoint, **more}
            if kind == "tls-creds-x509":
                # Certificates that are out of their time are for the peer to refuse.
                given["sanity-check"] = False
            machine.qmp.command("object-add", given)
        machine.qmp.command("migrate-set-parameters", {"tls-creds": name if directory else ""})
