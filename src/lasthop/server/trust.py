"""Who is let in, and who is believed: what the settings say of it for the engine, and what is to be said to people, once.

The engine decides by numbers, for each connection and request; here are the names, the sentences, and a page of memory that all workers of
a generation share, so that of many workers one tells.
"""

import mmap
import pwd
import socket
from logging import getLogger
from typing import TYPE_CHECKING, Any

from lasthop.link import allowed
from lasthop.link.listener import Listener
from lasthop.link.peer import Peer, described

if TYPE_CHECKING:
    from lasthop.settings import Settings

NOTICES = (
    "unnamed",
    "unbelieved",
    "disagree",
    "malformed",
    "unproxied",
    "unspoken",
    "contradicted",
    "outdated",
)
"""What an engine may have to tell, once: in the words of `_sentence`."""

NGINX_LINES = (
    "proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Proto $scheme; "
    "proxy_set_header X-Forwarded-Host $http_host;"
)

log = getLogger("lasthop")


class Trust:
    """For one generation. Made before anything is opened: a name that nobody has is a fault in the settings."""

    def __init__(self, settings: "Settings") -> None:
        self.proxies = settings.trust_proxy
        self.allowed: allowed.Ids | None = None
        if settings.allow_peer:
            self.allowed = allowed.look_up(allowed.parse(text) for text in settings.allow_peer)
        # Shared with every fork, and with those of a loader, which is one itself.
        self._told = mmap.mmap(-1, mmap.PAGESIZE)

    def believes(self, listener: Listener) -> bool:
        """Whether whoever connects to this ``unix:`` listener is believed. Over TCP the peer's address decides."""
        if listener.socket.family != socket.AF_UNIX:
            return False
        return self.allowed is not None or "unix" in self.proxies or listener.keeps_strangers_out

    def tell(self, listeners: list[Listener]) -> None:
        """Say where ``--allow-peer`` does not do what one might think."""
        tcp = [each.address for each in listeners if each.socket.family != socket.AF_UNIX]
        if self.allowed is not None and tcp:
            log.warning(
                "--allow-peer does not apply to %s: over TCP nobody can know which process connects, "
                "and every user of this machine may; --bind unix:/PATH alone keeps them out",
                " and ".join(tcp),
            )

    def notice(self, kind: str, environ: dict[str, Any], more: str = "") -> None:
        """Tell what an engine has seen, if no worker of this generation has told it yet."""
        place = NOTICES.index(kind)
        if self._told[place]:
            return
        self._told[place] = 1
        log.warning("%s", _sentence(kind, environ, more))


def _sentence(kind: str, environ: dict[str, Any], more: str) -> str:
    peer: Peer | None = environ.get("lasthop.peer")
    who = described(peer) if peer is not None else environ.get("REMOTE_ADDR", "")
    match kind:
        case "unnamed":
            return (
                f"a request came over unix: from {who} without X-Forwarded-For, so the application cannot know who asks, "
                f"nor whether by https; if that is the front, it should say it, in nginx by: {NGINX_LINES}"
            )
        case "unbelieved" if peer is not None:
            return (
                f"X-Forwarded-For or one of its kin came over unix: from {who} and was dropped, because whoever "
                f"can connect to the socket could send it; if that is the front: --allow-peer {_name_of(peer)}"
            )
        case "unbelieved":
            return (
                f"X-Forwarded-For or one of its kin came from {who} and was dropped, because --trust-proxy does not "
                f"name that address; if that is the front: --trust-proxy {who}"
            )
        case "disagree":
            return (
                f"Forwarded and X-Forwarded-* of a request from {who} disagree; the latter count, and Forwarded was "
                'dropped; the front should clear what it does not set, nginx by: proxy_set_header Forwarded "";'
            )
        case "contradicted":
            return (
                f"a request from {who} says by X-Forwarded-Host or Forwarded that its host is {more}: the former counts; where the "
                "client may have said it, the front should set or clear both, in nginx by: "
                'proxy_set_header X-Forwarded-Host $http_host; proxy_set_header Forwarded "";'
            )
        case "outdated":
            return (
                "a WebSocket's handshake was served as a plain request: it came by HTTP/1.0, which has none; "
                "if from a front, in nginx by: proxy_http_version 1.1;"
            )
        case "unspoken":
            return "a WebSocket's handshake was served as a plain request: WebSockets need pip install 'lasthop[websocket]'"
        case "unproxied" if "not trusted" in more:
            option = f"--allow-peer {_name_of(peer)}" if peer is not None else f"--trust-proxy {who}"
            return f"a connection from {who} was closed: {more}; if that is the front: {option}"
        case "unproxied":
            return (
                f"a connection from {who} was closed: {more}; with --proxy-protocol each connection begins with a line "
                "from a trusted front, in nginx's stream module or HAProxy by: proxy_protocol on; or send-proxy"
            )
    return f"{more} of a request from {who} cannot be understood and was ignored"


def _name_of(peer: Peer) -> str:
    try:
        return pwd.getpwuid(peer.uid).pw_name
    except KeyError:
        return f"uid:{peer.uid}"
