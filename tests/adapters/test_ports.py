"""Whether a server can listen where it is told to."""

import socket

import pytest

from flightline.adapters.ports import check_port
from flightline.core.errors import StartError


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0"])
def test_a_taken_port_is_refused_and_is_free_after_its_end(host: str) -> None:
    with socket.create_server((host, 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(StartError, match=rf"It cannot listen on {host}:{port} .*end what is there.*PORT=\.\.\."):
            check_port("It", host, port, "PORT")
    check_port("It", host, port, "PORT")


def test_an_address_that_is_not_this_machine_s_is_refused() -> None:
    with pytest.raises(
        StartError, match=r"It cannot listen on 192\.0\.2\.1:9 \(Cannot assign requested address\): choose"
    ):
        check_port("It", "192.0.2.1", 9, "PORT")
