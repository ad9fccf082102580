"""The one declaration of every setting: its name, type, default, rule, option and words.

The command line, `LASTHOP_*`, the settings file, the checks, `--help`, `--print-config` and docs/reference/settings.md all come
from here. Which source wins is decided in `sources`. Each text says in its first sentence what the setting is (that one is
in `--help`), and then what more and what less of it does.

A value is read by its kind also when `Settings(...)` is made in Python, so `Settings(timeout="2m")` is right and
`Settings(workers=0)` is refused in the same words as on the command line.

This module is long because it is one list.

No `from __future__ import annotations` here: the annotations are read at each start, as objects.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Annotated, NamedTuple, Self

from lasthop import kinds
from lasthop.errors import SettingError, SettingsConflict
from lasthop.kinds import Kind

LISTENING = "Listening"
PROCESSES = "Processes and threads"
TIME_OUTS = "Time-outs towards the peer"
LIMITS = "Limits on a request"
APPLICATION = "Application"
LOGS = "Logs"


class Says(NamedTuple):
    """What is told of a setting, and where."""

    group: str
    short: str
    """One sentence, without its full stop."""
    more: str
    """What more and what less of it does, and the reason of the default; Markdown."""
    letter: str = ""
    """gunicorn's one-letter option, for those which its users type."""
    alias: str = ""
    """Another name of the option that gunicorn's users may type."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How the server listens and serves. Frozen: workers get it by fork, a reload makes another."""

    bind: Annotated[
        kinds.Addresses,
        Says(
            LISTENING,
            "An address to listen on: HOST:PORT, [IPV6]:PORT, unix:/PATH, unix:@NAME, fd:N or systemd",
            "Give it any number of times; TCP and `unix:` together are fine. Port 0 takes a free one and the log says which. "
            "`unix:/PATH` is a socket file, `unix:@NAME` a name in Linux's abstract namespace, `fd:N` a listening socket that "
            "lasthop inherits, `systemd` those of a `.socket` unit. Addresses on the command line replace those of the "
            "environment, which replace those of the file. The default can be reached from this machine only.",
            letter="b",
        ),
    ] = ("127.0.0.1:8000",)

    socket_owner: Annotated[
        kinds.Owner,
        Says(
            LISTENING,
            "The user, by name or number, to whom socket files belong",
            "In force before anyone can connect, as the group and the mode are. Only root may give files away. One address alone: "
            "`unix:/run/app.sock?owner=app`, which wins over this.",
        ),
    ] = None

    socket_group: Annotated[
        kinds.Owner,
        Says(
            LISTENING,
            "The group, by name or number, of socket files: that of the front",
            "The way to let a front of another user in and nobody else: `--socket-group www-data`; the mode is then `0660` unless it is given. "
            "A server that is not root can give a file only to groups that it is in itself. One address alone: `unix:/run/app.sock?group=www-data`.",
        ),
    ] = None

    socket_mode: Annotated[
        kinds.FileMode,
        Says(
            LISTENING,
            "The mode of socket files in octal digits; whoever may write may connect",
            "Whatever the umask. Without it: `0660` where an owner or a group is named, else `0666` less what the umask (027, 077) keeps from reading. "
            "One address alone: `unix:/run/app.sock?mode=0600`. In TOML it is a text.",
        ),
    ] = None

    socket_mkdir: Annotated[
        kinds.Switch,
        Says(
            LISTENING,
            "Make the directory of a socket file if it is missing",
            "With the socket's owner and group, and open to those who may connect: mode `0750` for a group, `0755` for everybody. "
            "A directory that is there stays as it is. What was made is left behind.",
        ),
    ] = False

    backlog: Annotated[
        kinds.CountOrZero,
        Says(
            LISTENING,
            "How many connections may wait to be accepted; 0: as many as the kernel allows",
            "The kernel clips it at `net.core.somaxconn`. Over `unix:` a full queue refuses at once, which the front answers "
            "with 502; over TCP it delays. A short queue makes overload seen early, a long one rides out bursts.",
        ),
    ] = 0

    socket_missing: Annotated[
        kinds.SocketMissing,
        Says(
            LISTENING,
            "What to do when the socket file was removed or replaced while the server lives: restore, warn or exit",
            "It is looked for each second, and its loss is always logged. `restore` binds another socket at the path, with the same owner, "
            "group and mode, and replaces the workers one after another without losing a request; where somebody else listens by then it "
            "says who, waits, and never takes the path away. `exit` stops in order with code 1, for a service manager that "
            "starts it again. HUP makes a lost file again in each case.",
        ),
    ] = "restore"

    replace: Annotated[
        kinds.Switch,
        Says(
            LISTENING,
            "Take over from the lasthop that listens at these addresses, without losing a request",
            "For a new version of the application, of Python or of lasthop itself, in a process of its own. The running one passes its listening sockets on and "
            "serves until all workers of this one are ready; then it finishes what it has in hand (`graceful_timeout`) and ends with code 0. If this one cannot start, "
            "nothing has changed for the other. Addresses that only the old one has end with it; where nobody listens, this one starts as usual. Only a lasthop of the same user is taken "
            "over from, and not the sockets that systemd passes, which outlive each server.",
        ),
    ] = False

    allow_peer: Annotated[
        kinds.Peers,
        Says(
            LISTENING,
            "Who may connect over unix: USER, uid:N, group:NAME or gid:N; everybody else is closed unread; without it whoever the file lets",
            "Give it any number of times. The kernel tells which process connects; its user, its group and its supplementary groups are "
            "looked at, as they were when it connected. root is let in only if it is named. Name the front's user (Debian's nginx and Apache: `www-data`), "
            "and that of whoever checks health. A peer that is named here is believed when it says for whom it asks (`trust_proxy`). "
            "TCP tells nothing of processes, so there it does not apply. In a container with user ids of its own, ids that it does not map all appear as "
            "65534, which is often called `nobody`: do not name that one.",
        ),
    ] = ()

    trust_proxy: Annotated[
        kinds.Proxies,
        Says(
            LISTENING,
            "Whose word counts for who asked (X-Forwarded-For and its kin): addresses, networks, or unix for whoever connects over unix:",
            "Over TCP nobody's does unless the address is named here: 127.0.0.1 for a front on this machine. Over `unix:` a peer is believed without this if `allow_peer` "
            "named it, or if the socket file's mode keeps others out. From everybody else these headers never reach the application. "
            "Of several hops the right-most that is not named here is the client. Too wide a network lets its members pass for anybody; too narrow "
            "a one shows the front's address as the client's.",
        ),
    ] = ()

    proxy_protocol: Annotated[
        kinds.ProxyProtocol,
        Says(
            LISTENING,
            "Whether each connection begins with the PROXY protocol: off, v1, v2 or on for either",
            "For a front that passes connections on unread (HAProxy `send-proxy`, nginx's stream module). Then every connection must begin with it, "
            "on every address, and come from a peer that `trust_proxy` or `allow_peer` makes a trusted one; any other is closed. "
            "With a front that speaks HTTP leave it off: it says more in headers.",
        ),
    ] = "off"

    max_connections: Annotated[
        kinds.Count,
        Says(
            LISTENING,
            "How many connections a worker keeps open at most",
            "At the limit a worker leaves further connections in the queue. It is clipped, with a warning, to what the limit of open files "
            "(`RLIMIT_NOFILE`, raised to its hard limit first) leaves. An idle connection costs some hundred bytes.",
        ),
    ] = 16384

    status_socket: Annotated[
        kinds.StatusAddress,
        Says(
            LISTENING,
            "Where the server tells how it is: auto, unix:/PATH, unix:@NAME, HOST:PORT or none",
            "`auto` is a name in the abstract namespace by which `lasthop status` finds the server, and which answers its own user and root only. "
            "For monitoring name an address: `unix:/run/shop/status.sock?group=monitoring` (mode `0660` then; without an owner, a group and a mode `0600`), or "
            "`127.0.0.1:9100`, which everybody may ask who reaches it. It speaks HTTP: `/status` is JSON, `/metrics` is for Prometheus, `/ready` "
            "for probes. Nothing of requests, headers or the environment is told. A change takes effect on HUP.",
        ),
    ] = "auto"

    ready_fd: Annotated[
        kinds.Descriptor,
        Says(
            LISTENING,
            "A file descriptor that gets one line, `ready ADDRESS ...`, when all workers accept, and is then closed",
            "For whoever starts lasthop and wants to know when, and on which ports. systemd is told by itself (`Type=notify`).",
        ),
    ] = None

    workers: Annotated[
        kinds.Workers,
        Says(
            PROCESSES,
            "Worker processes; auto: as many as this process may use processors",
            "Each worker loads the application once (less with `preload`) and uses about one processor for Python code. "
            "`auto` counts the processor affinity and the cgroup's quota. More workers than processors cost memory and help nothing; "
            "for requests that wait, raise `threads`.",
            letter="w",
        ),
    ] = 1

    threads: Annotated[
        kinds.Threads,
        Says(
            PROCESSES,
            "Threads of each worker: how many requests it can have in the application at once",
            "16 cost about as much as one, so lower it only for an application that is not thread-safe (1), or to bound what it "
            "opens for each request (database connections). Raise it when requests mostly wait for others. An ASGI application "
            "does without: its event loop has as many requests in hand as there are.",
        ),
    ] = 16

    timeout: Annotated[
        kinds.SecondsOrZero,
        Says(
            PROCESSES,
            "A worker in which no thread has got anywhere for so long is stuck: it is replaced; 0: never",
            "Before it is killed, the stack of each of its threads goes to the log. A long request does not count as long as "
            "other threads go on. Lower finds a deadlock sooner, but may kill a worker that is only busy with one very long "
            "computation in C. Of an ASGI application it is the event loop that has to turn.",
            letter="t",
        ),
    ] = 30.0

    graceful_timeout: Annotated[
        kinds.SecondsOrZero,
        Says(
            PROCESSES,
            "How long a worker that leaves may finish what it has begun",
            "After TERM, on reload and at `max_requests`. What is not finished by then is cut off; in an ASGI application it is cancelled a little earlier (a quarter of this, at most 3 s), "
            "so that the lifespan can end. "
            "It should be below what the service manager grants (systemd `TimeoutStopSec`, Kubernetes "
            "`terminationGracePeriodSeconds`: 30 s, so take less there).",
        ),
    ] = 30.0

    max_requests: Annotated[
        kinds.CountOrZero,
        Says(
            PROCESSES,
            "Replace a worker after so many requests; 0: never",
            "A remedy for an application that leaks memory. The next worker is ready before the old one leaves, and no request is lost; "
            "WebSockets are closed with 1012 (come again), and streams that last longer than the graceful time-out are cut off. Each replacement costs an import of the application.",
        ),
    ] = 0

    max_requests_jitter: Annotated[
        kinds.CountOrZero,
        Says(
            PROCESSES,
            "Add to max_requests a random number up to this, for each worker",
            "So that workers which started together are not replaced together.",
        ),
    ] = 0

    pid: Annotated[
        kinds.OptionalPath,
        Says(
            PROCESSES,
            "A file to write the server's pid to, locked while it lives",
            "A second server with the same file refuses to start. Under systemd or in a container it is not needed.",
            letter="p",
        ),
    ] = None

    keep_alive: Annotated[
        kinds.SecondsOrZero,
        Says(
            TIME_OUTS,
            "Close a kept-alive connection that has been idle for so long; 0: close after each reply",
            "Longer than the front keeps its connections (nginx: 60 s), so that it is the front that closes: else it may "
            "send a request on a connection which lasthop is just closing, and answer 502. A connection a request costs "
            "2 to 4 times a kept-alive one.",
        ),
    ] = 75.0

    head_timeout: Annotated[
        kinds.Seconds,
        Says(
            TIME_OUTS,
            "The head of a request must have come within",
            "From its first byte. Against peers that send a byte now and then to hold connections; a front sends heads whole.",
        ),
    ] = 15.0

    body_timeout: Annotated[
        kinds.Seconds,
        Says(
            TIME_OUTS,
            "The body of a request may stall for",
            "The time between two pieces of it, not of the whole: slow uploads are fine, dead ones end.",
        ),
    ] = 30.0

    reply_timeout: Annotated[
        kinds.Seconds,
        Says(
            TIME_OUTS,
            "A peer may leave a reply unread for",
            "The time between two pieces that it takes, not of the whole. A thread may wait for the peer so long.",
        ),
    ] = 60.0

    limit_request_line: Annotated[
        kinds.HeadBytes,
        Says(
            LIMITS,
            "The longest request line; above: 414",
            "Method, target with its query, and version. nginx and Apache allow about 8,190 bytes by default, so a front refuses sooner.",
        ),
    ] = 8190

    limit_request_fields: Annotated[
        kinds.Count,
        Says(LIMITS, "The most header fields; above: 431", "Browsers and fronts send 10 to 30."),
    ] = 100

    limit_request_field_size: Annotated[
        kinds.HeadBytes,
        Says(
            LIMITS, "The longest header field; above: 431", "Raise it for large cookies or Kerberos tickets."
        ),
    ] = 8190

    limit_request_head: Annotated[
        kinds.HeadBytes,
        Says(
            LIMITS,
            "The longest head of a request, all lines together; above: 431",
            "This is what a peer can make lasthop keep in memory before anything is decided.",
        ),
    ] = 65536

    limit_request_body: Annotated[
        kinds.BytesOrZero,
        Says(
            LIMITS,
            "The longest body of a request; above: 413; 0: any length",
            "A body is handed to the application piece by piece and never lies in memory as a whole. A front's own limit (nginx: 1 MiB "
            "unless `client_max_body_size` says otherwise) comes first.",
        ),
    ] = 1 << 30

    interface: Annotated[
        kinds.Interface,
        Says(
            APPLICATION,
            "What the application is: auto, wsgi or asgi",
            "`auto` looks at it: what makes a coroutine when it is called is ASGI. Say it where a wrapper hides that.",
        ),
    ] = "auto"

    loop: Annotated[
        kinds.Loop,
        Says(
            APPLICATION,
            "The event loop of an ASGI application: asyncio or uvloop",
            "`uvloop` is an extra: `pip install 'lasthop[uvloop]'`. lasthop itself asks little of a loop, so it matters for what the application does in it.",
        ),
    ] = "asyncio"

    lifespan: Annotated[
        kinds.Lifespan,
        Says(
            APPLICATION,
            "Whether an ASGI application is told of the worker's start and end: auto, on or off",
            "An application that says `lifespan.startup.failed`, as Starlette and FastAPI do when its start raises, keeps the worker from starting. One that raises itself, as one that knows no lifespan does, is served without with `auto`, which the log says, and not served with `on`. The end has what is left of `graceful_timeout`.",
        ),
    ] = "auto"

    root_path: Annotated[
        kinds.RootPath,
        Says(
            APPLICATION,
            "What the front has cut off the paths of an ASGI application's requests, such as /shop",
            "The application gets it as `root_path`, and before each path.",
        ),
    ] = ""

    ws_max_size: Annotated[
        kinds.ByteCount,
        Says(
            LIMITS,
            "The longest message of a WebSocket; above: close code 1009",
            "After decompression, and all fragments together.",
        ),
    ] = 16 << 20

    ws_ping_interval: Annotated[
        kinds.SecondsOrZero,
        Says(
            TIME_OUTS,
            "How often a WebSocket's peer is asked whether it is there; 0: never",
            "It also keeps a front from closing a connection as idle (nginx: after 60 s).",
        ),
    ] = 20.0

    ws_ping_timeout: Annotated[
        kinds.Seconds,
        Says(
            TIME_OUTS,
            "How long a WebSocket's peer has to answer",
            "Anything that comes counts as an answer. After that the connection is closed, and the application is told of 1006.",
        ),
    ] = 20.0

    ws_per_message_deflate: Annotated[
        kinds.Switch,
        Says(
            LIMITS,
            "Compress the messages of WebSockets whose peers offer it",
            "A connection that has compressed messages both ways holds about 50 KB for it. `--no-ws-per-message-deflate` where many are open, or messages are small.",
        ),
    ] = True

    pathsend: Annotated[
        kinds.Switch,
        Says(
            APPLICATION,
            "Let ASGI frameworks send files by their paths (http.response.pathsend)",
            "Starlette and FastAPI then hand a file's path over instead of its bytes, and sendfile does the rest. `--no-pathsend` where a middleware "
            "works on the bytes of all replies: it would get a message without any.",
        ),
    ] = True

    preload: Annotated[
        kinds.Switch,
        Says(
            APPLICATION,
            "Load the application once, before the workers are forked",
            "Saves memory and the time to start many workers. The application must bear a fork: connections and threads that it makes "
            "while it is imported do not carry over.",
        ),
    ] = False

    reload: Annotated[
        kinds.Switch,
        Says(
            APPLICATION,
            "For development: restart the workers when a source file changes",
            "Needs an extra: `pip install 'lasthop[reload]'`. Not for production: it watches the whole working directory.",
        ),
    ] = False

    chdir: Annotated[
        kinds.OptionalPath,
        Says(
            APPLICATION,
            "The directory to work in",
            "Relative paths in other settings are relative to it; the settings file is looked for before.",
        ),
    ] = None

    pythonpath: Annotated[
        kinds.Directories,
        Says(
            APPLICATION,
            "A directory to import from, before all others",
            "Give it any number of times. The working directory is always among them.",
        ),
    ] = ()

    access_logfile: Annotated[
        kinds.OptionalLogFile,
        Says(
            LOGS,
            "Where the access log goes: a path, or - for standard output; without it there is none",
            "The front has one already, and a line a request costs more than the link does. Reopened on USR1.",
        ),
    ] = None

    access_logformat: Annotated[
        kinds.Text,
        Says(
            LOGS,
            "How a line of the access log looks: combined, json, or gunicorn's atoms such as %(h)s %(r)s %(s)s %(D)s",
            "Size and time are those of what the application gave, when it had given all: a peer that reads slowly, or goes away in a file, may have less.",
        ),
    ] = "combined"

    error_logfile: Annotated[
        kinds.LogFile,
        Says(
            LOGS,
            "Where all other messages go: a path, or - for standard error",
            "Reopened on USR1.",
            alias="log-file",
        ),
    ] = "-"

    log_level: Annotated[
        kinds.Level,
        Says(
            LOGS,
            "The least important messages to write: debug, info, warning, error or critical",
            "`info` tells of each request that breaks a rule before the application has it (400, 413, 414, 417, 431, 501, 505), and which rule. One that comes too slowly (408), or whose body "
            "breaks a rule later, is only counted (`lasthop status`). `debug` also tells of workers that become ready and leave.",
        ),
    ] = "info"

    given = MappingProxyType[str, str]({})
    """Where each came from that was given. Not annotated, and so neither a setting nor a part of what makes two equal."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            try:
                right = kind_of(field.name).read(value)
            except kinds.Misfit as misfit:
                raise misfitting(field.name, value, "given in Python", misfit) from misfit
            object.__setattr__(self, field.name, right)
        self._agree()

    def came_from(self, sources: Mapping[str, str]) -> Self:
        """The same settings, which know where each that was given came from."""
        object.__setattr__(self, "given", MappingProxyType(dict(sources)))
        return self

    def _agree(self) -> None:
        """Refuse what is right by itself and wrong together."""
        if self.max_requests_jitter and not self.max_requests:
            raise SettingsConflict(
                "max_requests_jitter",
                "max_requests",
                f"the first adds up to {self.max_requests_jitter} to the second, which is 0 and means never",
                "set max_requests, or leave max_requests_jitter out",
            )
        for part in ("limit_request_line", "limit_request_field_size"):
            if getattr(self, part) > self.limit_request_head:
                raise SettingsConflict(
                    part,
                    "limit_request_head",
                    f"{kinds.show_bytes(getattr(self, part))} in one line cannot come in a head of at most "
                    f"{kinds.show_bytes(self.limit_request_head)}",
                    f"raise limit_request_head or lower {part}",
                )


NAMES: tuple[str, ...] = tuple(Settings.__annotations__)
"""All settings, in the order of the declaration."""


def kind_of(name: str) -> Kind:
    """The kind of a setting's values."""
    kind, _ = Settings.__annotations__[name].__metadata__
    assert isinstance(kind, Kind)
    return kind


def says_of(name: str) -> Says:
    """What is told of a setting."""
    _, says = Settings.__annotations__[name].__metadata__
    assert isinstance(says, Says)
    return says


def default_of(name: str) -> object:
    """The default of a setting."""
    return getattr(Settings, name)


def option_of(name: str) -> str:
    """The long option of a setting."""
    return f"--{name.replace('_', '-')}"


def variable_of(name: str) -> str:
    """The environment variable of a setting."""
    return f"LASTHOP_{name.upper()}"


def misfitting(name: str, value: object, source: str, misfit: kinds.Misfit) -> SettingError:
    """The error that says which setting, from where, breaks which rule."""
    return SettingError(name, value if misfit.part is None else misfit.part, source, misfit.rule, misfit.hint)
