"""Whom `--allow-peer` names."""

import grp
import os
import pwd

import pytest

from lasthop.errors import PeerError
from lasthop.link.allowed import HIGHEST_ID, Ids, NamedPeer, look_up, parse

USER = pwd.getpwuid(os.geteuid())
GROUP = grp.getgrgid(os.getegid())


@pytest.mark.parametrize(
    ("text", "peer"),
    [
        ("www-data", NamedPeer(False, "www-data")),
        ("user:www-data", NamedPeer(False, "www-data")),
        ("group:www-data", NamedPeer(True, "www-data")),
        ("uid:0", NamedPeer(False, "", 0)),
        ("gid:33", NamedPeer(True, "", 33)),
        (f"uid:{HIGHEST_ID}", NamedPeer(False, "", HIGHEST_ID)),
        ("DOMAIN\\ada", NamedPeer(False, "DOMAIN\\ada")),
    ],
)
def test_a_text_names_a_user_or_a_group(text: str, peer: NamedPeer) -> None:
    assert peer == parse(text)
    assert peer == parse(str(peer))


@pytest.mark.parametrize(
    "text",
    ["", "33", "uid:", "uid:-1", "uid:+1", "uid:1e3", "uid:\u0661", f"uid:{HIGHEST_ID + 1}", "gid:99999999999", "uid:www-data",
     "pid:1", "group:", "user:", "group:a:b", " www-data", "group: a", "a\0b"],
)  # fmt: skip
def test_what_names_nobody_is_refused(text: str) -> None:
    with pytest.raises(PeerError):
        parse(text)


def test_a_number_alone_is_answered_with_what_it_may_mean() -> None:
    with pytest.raises(PeerError) as caught:
        parse("33")
    assert "uid:33 or gid:33" == caught.value.hint


def test_names_become_numbers_each_once() -> None:
    peers = [USER.pw_name, f"uid:{USER.pw_uid}", "uid:41001", f"group:{GROUP.gr_name}", "gid:41002"]
    assert Ids((USER.pw_uid, 41001), (GROUP.gr_gid, 41002)) == look_up(parse(each) for each in peers)


@pytest.mark.parametrize("text", ["nobody-has-this-name", "group:nobody-has-this-name"])
def test_a_name_that_this_system_does_not_know_is_refused(text: str) -> None:
    with pytest.raises(PeerError, match="there is no"):
        look_up([parse(text)])
