"""TCP ports that a server of this project is about to take."""

import errno
import socket

from flightline.core.errors import StartError


def check_port(name: str, host: str, port: int, setting: str) -> None:
    """Demand that a server can listen on a port, before anything is loaded for it.

    Parameters
    ----------
    name
        Of the server, for people.
    setting
        The environment variable that moves it.

    Raises
    ------
    StartError
        Naming the setting that chooses another port.
    """
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as taken:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port just left is free
            taken.bind(address)
    except OSError as err:
        is_taken = err.errno == errno.EADDRINUSE
        remedy = f"end what is there (ss -ltnp 'sport = :{port}' names it), or " if is_taken else ""
        raise StartError(
            f"{name} cannot listen on {host}:{port} ({err.strerror}): {remedy}choose another port with {setting}=..."
        ) from err


def free_port() -> int:
    """Give a port that nobody listens on now; until it is taken, another program may."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
