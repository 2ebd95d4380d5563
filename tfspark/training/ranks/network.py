"""Addresses and network interfaces of this machine, and settings of sockets."""

from __future__ import annotations

import fcntl
import socket
import struct
from contextlib import suppress
from ipaddress import ip_address

from tfspark.errors import ConfigError


def address_of(interface: str) -> str:
    """The IPv4 address of a network interface, a host name or an address of this machine.

    Raises:
        ConfigError: there is none, or it stands for all interfaces.
    """
    try:
        if interface in {name for _, name in socket.if_nameindex()}:
            return _address_on(interface)
        address = socket.gethostbyname(interface)
    except OSError as error:
        raise ConfigError(
            f"{interface!r} has no IPv4 address ({error}). distributed.interface names a network "
            f"interface ({', '.join(name for _, name in socket.if_nameindex())}) or an address of "
            "the driver's machine"
        ) from error
    if ip_address(address).is_unspecified:
        raise ConfigError(f"{interface}: ranks meet on one private interface, never on all")
    return address


def interface_of(address: str) -> str | None:
    """The network interface of this machine that holds an IPv4 address; None if none does."""
    for _, name in socket.if_nameindex():
        with suppress(OSError):
            if _address_on(name) == address:
                return name
    return "lo" if ip_address(address).is_loopback else None


def limit_waiting(sock: socket.socket, seconds: int) -> None:
    """Of reads and writes, without making the descriptor non-blocking; 0 is without limit."""
    for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
        sock.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", seconds, 0))


def keep_alive(sock: socket.socket) -> None:
    """A machine that vanished without a word is noticed within two minutes."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in ((socket.TCP_KEEPIDLE, 60), (socket.TCP_KEEPINTVL, 15)):
        sock.setsockopt(socket.IPPROTO_TCP, option, value)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4)


def _address_on(interface: str) -> str:
    get_address = 0x8915  # SIOCGIFADDR
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        found = fcntl.ioctl(sock, get_address, struct.pack("256s", interface.encode()[:15]))
    return socket.inet_ntoa(found[20:24])
