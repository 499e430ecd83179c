"""Codes of TLS: each side has credentials of its own, and something about them is amiss."""

from support import pairs, tls

from ground import fails


def pair(ground, of_source, of_destination, authz=None):
    """Both sides with the credentials of a directory that make-certificates writes, and where the destination listens."""
    credentials = tls.Credentials(ground.workspace, ground.certificates)
    source, destination = ground.source(), ground.destination(incoming="defer")
    credentials.protect(source, of_source, "client")
    if of_destination:
        credentials.protect(destination, of_destination, "server")
    if authz:
        destination.qmp.command("object-add", {"qom-type": "authz-simple", "id": "who", "identity": authz})
        destination.qmp.command("migrate-set-parameters", {"tls-authz": "who"})
    destination.qmp.command("migrate-incoming", {"uri": "tcp:127.0.0.1:0"})
    return source, pairs.listening_uri(destination)


def tls_handshake(ground):
    """The destination has keys, the source certificates."""
    source, uri = pair(ground, "good", "keys")
    return fails(source, uri, "TLS")


def tls_certificate(ground):
    source, uri = pair(ground, "good", "expired")
    return fails(source, uri, "certificate", "expired")


def tls_denied(ground):
    """A good certificate of somebody else than who may come."""
    source, uri = pair(ground, "good", "good", authz="CN=nobody")
    return fails(source, uri, "tls-authz")


CASES = {"tls-handshake": tls_handshake, "tls-certificate": tls_certificate, "tls-denied": tls_denied}
