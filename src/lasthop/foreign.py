"""What the options of uvicorn and gunicorn that lasthop does not have are called here, or whose business they are.

The table from which a refused option gets its hint; docs/how-to/asgi.md is held to it by a test. An option that lasthop has under the same name does not stand here.
"""

from typing import NamedTuple


class Foreign(NamedTuple):
    """Some options of other servers, and what is said of each."""

    servers: tuple[str, ...]
    names: tuple[str, ...]
    here: str
    """The end of a sentence that begins with the option."""


TLS = "is the web server's business: it ends TLS"
HTTP2 = "is the web server's business: it speaks HTTP/1.1 with lasthop"
SYSLOG = "has no counterpart here: --error-logfile - and --access-logfile - go where the service manager sends them, such as the journal"

FOREIGN = (
    Foreign(("uvicorn",), ("--uds",), "is --bind unix:PATH here"),
    Foreign(("uvicorn",), ("--host", "--port"), "is --bind HOST:PORT here"),
    Foreign(("uvicorn",), ("--fd",), "is --bind fd:N here"),
    Foreign(("uvicorn",), ("--factory",), "is 'MODULE:FACTORY()' here: with parentheses, in quotes"),
    Foreign(("uvicorn",), ("--app-dir",), "is --pythonpath here; --chdir goes there, too"),
    Foreign(
        ("uvicorn",),
        ("--env-file",),
        "has no counterpart here: systemd's EnvironmentFile=, docker run --env-file, or in a shell: set -a; . ./.env",
    ),
    Foreign(
        ("uvicorn",),
        ("--proxy-headers", "--no-proxy-headers"),
        "is not needed here: forwarded headers count from those alone whom --trust-proxy or --allow-peer names, or whom a socket file lets in that is not open to all",
    ),
    Foreign(
        ("uvicorn", "gunicorn"),
        ("--forwarded-allow-ips",),
        "is --trust-proxy here; over unix: --allow-peer, or a socket file that is not open to all",
    ),
    Foreign(("uvicorn",), ("--timeout-keep-alive",), "is --keep-alive here"),
    Foreign(("uvicorn",), ("--timeout-graceful-shutdown",), "is --graceful-timeout here"),
    Foreign(("uvicorn",), ("--timeout-worker-healthcheck",), "is --timeout here"),
    Foreign(("uvicorn",), ("--limit-max-requests",), "is --max-requests here"),
    Foreign(("uvicorn",), ("--limit-max-requests-jitter",), "is --max-requests-jitter here"),
    Foreign(
        ("uvicorn",),
        ("--limit-concurrency",),
        "is --max-connections here: beyond it connections wait instead of being refused",
    ),
    Foreign(("uvicorn",), ("--h11-max-incomplete-event-size",), "is --limit-request-head here"),
    Foreign(("uvicorn",), ("--access-log",), "is --access-logfile - here: by itself there is none"),
    Foreign(("uvicorn",), ("--no-access-log",), "is not needed here: there is none without --access-logfile"),
    Foreign(
        ("uvicorn", "gunicorn"),
        ("--log-config",),
        "has no counterpart here: --log-level, --error-logfile, --access-logfile and --access-logformat; the application sets its own loggers up",
    ),
    Foreign(
        ("uvicorn",), ("--use-colors", "--no-use-colors"), "has no counterpart here: logs have no colors"
    ),
    Foreign(
        ("uvicorn",),
        ("--reload-dir", "--reload-include", "--reload-exclude", "--reload-delay"),
        "has no counterpart here: --reload watches the Python files below the working directory and each --pythonpath",
    ),
    Foreign(
        ("uvicorn",),
        ("--server-header", "--no-server-header", "--date-header", "--no-date-header"),
        "has no counterpart here: Server and Date are set where the application does not, and the web server may change them",
    ),
    Foreign(
        ("uvicorn",), ("--header",), "has no counterpart here: the web server or a middleware adds headers"
    ),
    Foreign(
        ("uvicorn",),
        ("--reset-contextvars",),
        "is not needed here: each request has context variables of its own",
    ),
    Foreign(("uvicorn",), ("--http",), "is not needed here: lasthop has one reader of HTTP, its own"),
    Foreign(("uvicorn",), ("--http2",), HTTP2),
    Foreign(("uvicorn",), ("--ws",), "is not needed here: pip install 'lasthop[websocket]' is enough"),
    Foreign(
        ("uvicorn",),
        ("--ws-max-queue",),
        "is not needed here: 64 KiB wait for the application, and more is left unread until it takes them",
    ),
    Foreign(
        ("uvicorn",),
        (
            "--ssl-keyfile",
            "--ssl-certfile",
            "--ssl-keyfile-password",
            "--ssl-cert-reqs",
            "--ssl-ca-certs",
            "--ssl-ciphers",
        ),
        TLS,
    ),
    Foreign(("uvicorn", "gunicorn"), ("--ssl-version",), TLS),
    Foreign(
        ("gunicorn",),
        (
            "--keyfile",
            "--certfile",
            "--ca-certs",
            "--cert-reqs",
            "--ciphers",
            "--suppress-ragged-eofs",
            "--do-handshake-on-connect",
        ),
        TLS,
    ),
    Foreign(
        ("gunicorn",),
        ("-k", "--worker-class"),
        "is not needed here: whether the application is ASGI is seen (--interface), and a WSGI worker has --threads",
    ),
    Foreign(("gunicorn",), ("--worker-connections",), "is --max-connections here"),
    Foreign(("gunicorn",), ("--worker-tmp-dir",), "is not needed here: workers share memory, and no file"),
    Foreign(("gunicorn",), ("-c",), "is --config here: a TOML file, not Python"),
    Foreign(
        ("gunicorn",),
        ("-D", "--daemon"),
        "is the service manager's business: systemd keeps what runs in the foreground",
    ),
    Foreign(
        ("gunicorn",),
        ("-e", "--env"),
        "is the shell's or the service manager's business: env NAME=VALUE lasthop serve ..., or systemd's Environment=",
    ),
    Foreign(
        ("gunicorn",),
        ("-u", "--user", "-g", "--group", "--initgroups"),
        "is the service manager's business, such as systemd's User= and Group=; the socket file has --socket-owner and --socket-group",
    ),
    Foreign(
        ("gunicorn",),
        ("-m", "--umask"),
        "is the service manager's business; the socket file has --socket-mode",
    ),
    Foreign(("gunicorn",), ("-n", "--name"), "has no counterpart here: processes keep their command line"),
    Foreign(("gunicorn",), ("--proxy-allow-from",), "is --trust-proxy here"),
    Foreign(
        ("gunicorn",),
        ("--forwarder-headers", "--header-map"),
        "is not needed here: a header with _ in its name never reaches the application",
    ),
    Foreign(
        ("gunicorn",),
        ("--statsd-host", "--statsd-prefix", "--dogstatsd-tags", "--enable-backlog-metric"),
        "has no counterpart here: --status-socket tells Prometheus",
    ),
    Foreign(
        ("gunicorn",),
        ("--control-socket", "--no-control-socket", "--control-socket-mode"),
        "is --status-socket here",
    ),
    Foreign(
        ("gunicorn",),
        (
            "--log-syslog",
            "--log-syslog-to",
            "--log-syslog-facility",
            "--log-syslog-prefix",
            "--disable-redirect-access-to-syslog",
        ),
        SYSLOG,
    ),
    Foreign(
        ("gunicorn",),
        ("--logger-class", "--log-config-json"),
        "has no counterpart here: --access-logformat has json, and the application sets its own loggers up",
    ),
    Foreign(
        ("gunicorn",),
        ("--capture-output", "-R", "--enable-stdio-inheritance"),
        "is not needed here: what the application prints goes where lasthop's own output goes",
    ),
    Foreign(("gunicorn",), ("--asgi-loop",), "is --loop here"),
    Foreign(("gunicorn",), ("--asgi-lifespan",), "is --lifespan here"),
    Foreign(("gunicorn",), ("--asgi-disconnect-grace-period",), "is not needed here: receive tells at once"),
    Foreign(("gunicorn",), ("--websocket-max-message-size",), "is --ws-max-size here"),
    Foreign(
        ("gunicorn",),
        (
            "--http-protocols",
            "--http2-cleartext",
            "--http2-initial-window-size",
            "--http2-max-concurrent-streams",
            "--http2-max-frame-size",
            "--http2-max-header-list-size",
        ),
        HTTP2,
    ),
    Foreign(
        ("gunicorn",),
        ("--protocol", "--uwsgi-allow-from"),
        "has no counterpart here: the web server speaks HTTP with lasthop, nginx by proxy_pass",
    ),
    Foreign(
        ("gunicorn",),
        ("--permit-obsolete-folding", "--strip-header-spaces"),
        "has no counterpart here: such requests are refused",
    ),
    Foreign(("gunicorn",), ("--http-parser",), "is not needed here: lasthop has one reader of HTTP, its own"),
    Foreign(("gunicorn",), ("--reuse-port",), "is not needed here: the load is even among workers"),
    Foreign(("gunicorn",), ("--no-sendfile",), "has no counterpart here: files always go by sendfile"),
    Foreign(("gunicorn",), ("--reload-engine",), "is not needed here: --reload has one"),
    Foreign(
        ("gunicorn",),
        ("--reload-extra-file",),
        "has no counterpart here: --reload watches the Python files below the working directory and each --pythonpath",
    ),
    Foreign(
        ("gunicorn",),
        ("--paste", "--paster"),
        "has no counterpart here: a module that loads the file, and its attribute",
    ),
)


def told(option: str) -> str:
    """What is said of an option of another server, or nothing."""
    for each in FOREIGN:
        if option in each.names:
            whose = " and ".join(f"{server}'s" for server in each.servers)
            return f"{whose} {option} {each.here}"
    return ""
