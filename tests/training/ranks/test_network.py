"""Addresses and interfaces of this machine."""

from __future__ import annotations

import pytest

from tfspark.errors import ConfigError
from tfspark.training.ranks.network import address_of, interface_of


def test_an_interface_has_an_address_and_back() -> None:
    assert address_of("lo") == "127.0.0.1"
    assert address_of("localhost") == "127.0.0.1"
    assert interface_of("127.0.0.1") == "lo"


def test_an_address_of_elsewhere_has_no_interface() -> None:
    assert interface_of("203.0.113.9") is None


def test_never_on_all_interfaces() -> None:
    with pytest.raises(ConfigError, match="never on all"):
        address_of("0.0.0.0")  # noqa: S104


def test_an_unknown_name_says_what_there_is() -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.invalid.*\blo\b"):
        address_of("nowhere.invalid")
