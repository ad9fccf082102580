/* The floor: the least that a request can cost.
 *
 * It answers every request with the same bytes, made once at the start. It parses nothing: of a request it sees only
 * where it ends (the last four bytes read). One thread, one epoll set, two system calls a kept-alive request. What a
 * server costs beyond this is its own doing.
 *
 *   floor (--unix PATH | --tcp PORT) [--body BYTES] [--close]
 *
 * --body   bytes in the reply's body (13 unless given: "Hello, World!")
 * --close  a connection a request: the reply says so and the connection is closed after it
 *
 * It must not know HTTP beyond that, and must not be faster by doing less than a server has to: the reply has the
 * header fields of an ordinary one (Server, Date, Content-Type, Content-Length).
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { BATCH = 64, READ_BYTES = 16384, BACKLOG = 4096 };

/* What is known of one connection, found by its file descriptor. */
struct connection {
    unsigned char tail[4]; /* the last bytes read: a request ends with CR LF CR LF */
    unsigned char watched; /* is in the epoll set */
    unsigned char stalled; /* waits for EPOLLOUT */
    size_t sent;           /* bytes of the reply that have left */
};

static struct connection *connections;
static long capacity;
static char *reply;
static size_t reply_bytes;
static int closes, is_tcp, set;

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void watch(int fd, unsigned events) {
    struct connection *c = &connections[fd];
    struct epoll_event event = {.events = events, .data.fd = fd};
    if (epoll_ctl(set, c->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event) != 0) die("epoll_ctl");
    c->watched = 1;
    c->stalled = (events & EPOLLOUT) != 0;
}

/* Send what is left of the reply. Returns 0 when the connection is gone. */
static int answer(int fd) {
    struct connection *c = &connections[fd];
    while (c->sent < reply_bytes) {
        ssize_t n = send(fd, reply + c->sent, reply_bytes - c->sent, MSG_NOSIGNAL);
        if (n < 0) {
            if (errno == EAGAIN) {
                if (!c->stalled) watch(fd, EPOLLOUT);
                return 1;
            }
            close(fd);
            return 0;
        }
        c->sent += (size_t)n;
    }
    c->sent = 0;
    if (closes) {
        close(fd);
        return 0;
    }
    if (c->stalled) watch(fd, EPOLLIN);
    return 1;
}

/* Read what is there and answer if it ends a request. Returns 0 when the connection is gone. */
static int turn(int fd) {
    static char buffer[READ_BYTES];
    struct connection *c = &connections[fd];
    ssize_t n = recv(fd, buffer, sizeof buffer, 0);
    if (n <= 0) {
        if (n < 0 && errno == EAGAIN) return 1;
        close(fd);
        return 0;
    }
    if (n >= 4) {
        memcpy(c->tail, buffer + n - 4, 4);
    } else {
        memmove(c->tail, c->tail + n, (size_t)(4 - n));
        memcpy(c->tail + 4 - n, buffer, (size_t)n);
    }
    return memcmp(c->tail, "\r\n\r\n", 4) == 0 ? answer(fd) : 1;
}

static void welcome(int listener) {
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) return;
        if (fd >= capacity) {
            close(fd);
            continue;
        }
        if (is_tcp) {
            int on = 1;
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        }
        memset(&connections[fd], 0, sizeof connections[fd]);
        /* The request is often there already: then a closing connection never enters the epoll set. */
        if (turn(fd) && !connections[fd].watched) watch(fd, EPOLLIN);
    }
}

static int listen_on(const char *path, const char *port) {
    int fd, on = 1;
    if (path != NULL) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        if (strlen(path) >= sizeof address.sun_path) {
            fprintf(stderr, "floor: path longer than %zu bytes: %s\n", sizeof address.sun_path - 1, path);
            exit(2);
        }
        strcpy(address.sun_path, path);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0) die("bind");
    } else {
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(port))};
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0) die("socket");
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0) die("bind");
        is_tcp = 1;
    }
    if (listen(fd, BACKLOG) != 0) die("listen");
    return fd;
}

static void make_reply(size_t body_bytes) {
    static const char hello[] = "Hello, World!";
    char head[256];
    int n = snprintf(head, sizeof head,
                     "HTTP/1.1 200 OK\r\nServer: floor\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
                     "Content-Type: text/plain\r\nContent-Length: %zu\r\n%s\r\n",
                     body_bytes, closes ? "Connection: close\r\n" : "");
    reply_bytes = (size_t)n + body_bytes;
    reply = malloc(reply_bytes);
    if (reply == NULL) die("malloc");
    memcpy(reply, head, (size_t)n);
    for (size_t i = 0; i < body_bytes; i++)
        reply[(size_t)n + i] = body_bytes == sizeof hello - 1 ? hello[i] : 'x';
}

int main(int argc, char **argv) {
    const char *path = NULL, *port = NULL;
    size_t body_bytes = 13;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--close") == 0) closes = 1;
        else if (i + 1 < argc && strcmp(argv[i], "--unix") == 0) path = argv[++i];
        else if (i + 1 < argc && strcmp(argv[i], "--tcp") == 0) port = argv[++i];
        else if (i + 1 < argc && strcmp(argv[i], "--body") == 0) body_bytes = strtoul(argv[++i], NULL, 10);
        else path = port = NULL, i = argc;
    }
    if ((path == NULL) == (port == NULL)) {
        fprintf(stderr, "usage: floor (--unix PATH | --tcp PORT) [--body BYTES] [--close]\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    capacity = limit.rlim_cur > 1048576 ? 1048576 : (long)limit.rlim_cur;
    connections = calloc((size_t)capacity, sizeof *connections);
    if (connections == NULL) die("calloc");
    make_reply(body_bytes);

    int listener = listen_on(path, port);
    set = epoll_create1(EPOLL_CLOEXEC);
    if (set < 0) die("epoll_create1");
    watch(listener, EPOLLIN);
    for (;;) {
        struct epoll_event events[BATCH];
        int n = epoll_wait(set, events, BATCH, -1);
        for (int i = 0; i < n; i++) {
            int fd = events[i].data.fd;
            if (fd == listener) welcome(listener);
            else if (events[i].events & EPOLLOUT) answer(fd);
            else turn(fd);
        }
    }
}
