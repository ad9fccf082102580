/* The load: a closed loop of HTTP/1.1 requests, or of WebSocket messages, one thread, one epoll set.
 *
 * Each of N connections sends a request, waits for the whole reply and sends the next one. Every reply is read for its
 * status, its length and whether the connection stays; what is not a 200 of the expected length is counted as an error
 * of its kind. Prints one JSON object.
 *
 *   load (--unix PATH | --tcp PORT) [--connections N] [--seconds S] [--requests N] [--warmup S] [--close]
 *        [--path /] [--second /other --one-in 10] [--post BYTES | --websocket BYTES] [--expect BYTES] [--seed N]
 *        [--pids 1,2,3]
 *
 * --seconds   length of the measured time, after the warm-up; --requests ends it earlier
 * --close     a connection a request: latency then runs from before connect() to the last byte of the body, and the
 *             next connection is made when the server has closed this one
 * --second    one request in --one-in, chosen at random, goes to this path; its latencies are kept apart
 * --post      requests are POST, with a body of so many bytes
 * --websocket connections become WebSockets. When all have been let in, the warm-up begins, and a request is a text
 *             message of so many bytes, its reply the same message in one frame; anything else is malformed
 * --expect    bytes that the body of a reply to --path must have
 * --pids      processes whose CPU time is read when the measured time begins and ends. The kernel's process clocks are
 *             read (clock_gettime on a clock of the process), which count in ns and include threads that have ended.
 *             So requests and CPU time are counted over the very same time.
 *
 * Latency here is that of a closed loop: a server that stalls is asked less often. "pending_max_us" is the age of the
 * oldest request that had no reply at the end, so that a stall cannot hide in what was never answered.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "chunked.h"
#include "histogram.h"
#include "websocket.h"

enum { OPEN_SECONDS = 20, BATCH = 256, HEAD_BYTES = 4096, READ_BYTES = 256 * 1024, PIDS = 64, UNTIL_CLOSE = -1, CHUNKED = -2 };

enum state { UNCONNECTED, WAITING, BODY, CLOSING, MESSAGE };
/* WAITING: for the head of a reply. MESSAGE: for a WebSocket's. */

struct connection {
    int fd;
    enum state state;
    int second, closes;
    int opened;  /* let in as a WebSocket */
    size_t sent; /* bytes of the request; if not all, the connection waits to be writable as well */
    uint64_t begun_ns;
    int64_t left; /* body bytes still to come, or UNTIL_CLOSE, or CHUNKED */
    int64_t body; /* body bytes seen */
    struct chunks chunks;
    size_t held; /* bytes of an incomplete head or frame */
    char head[HEAD_BYTES];
};

struct errors {
    uint64_t refused, reset, early_end, malformed, status, length;
};

static struct sockaddr_storage address;
static socklen_t address_bytes;
static struct connection *connections;
static struct histogram *first_seen, *second_seen;
static struct errors errors;
static int number = 32, is_close, one_in = 10, set, measuring, to_retry;
static int64_t expect = -1;
static uint64_t body_bytes, reconnects, randomness = 88172645463325252ull;
static char *request[2];
static size_t request_bytes[2];
static long post_bytes, message_bytes; /* 0: no body, no WebSockets */
static int opened, all_open;
static char message[FRAME_MOST], echo[FRAME_MOST];
static size_t message_frame, echo_frame;
static char buffer[READ_BYTES];

static void die(const char *what) {
    perror(what);
    exit(1);
}

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* CPU time of a whole process, ended threads included: the kernel's MAKE_PROCESS_CPUCLOCK(pid, CPUCLOCK_SCHED). */
static uint64_t cpu_ns(int pid) {
    struct timespec t;
    if (clock_gettime((clockid_t)((~(unsigned)pid << 3) | 2), &t) != 0) return 0;
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int chance(int in) {
    randomness ^= randomness << 13;
    randomness ^= randomness >> 7;
    randomness ^= randomness << 17;
    return randomness % (uint64_t)in == 0;
}

static void drop(struct connection *c) {
    close(c->fd);
    c->fd = -1;
    c->state = UNCONNECTED;
    opened -= c->opened;
    c->opened = 0;
}

static void failed(struct connection *c, uint64_t *kind) {
    if (measuring) ++*kind;
    drop(c);
    to_retry = 1;
}

static void watch(struct connection *c, int operation, unsigned wanted) {
    struct epoll_event event = {.events = wanted, .data.ptr = c};
    if (epoll_ctl(set, operation, c->fd, &event) != 0) die("epoll_ctl");
}

/* Sends what the socket takes of the request or message; the rest when it takes more, also while the reply comes. */
static void push(struct connection *c, int was_partial) {
    const char *what = c->opened ? message : request[c->second];
    size_t all = c->opened ? message_frame : request_bytes[c->second];
    ssize_t n = send(c->fd, what + c->sent, all - c->sent, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN) {
        failed(c, &errors.reset);
        return;
    }
    c->sent += n > 0 ? (size_t)n : 0;
    if (c->sent < all && !was_partial) watch(c, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
    else if (c->sent == all && was_partial) watch(c, EPOLL_CTL_MOD, EPOLLIN);
}

static int is_sent(const struct connection *c) {
    return c->sent == (c->opened ? message_frame : request_bytes[c->second]);
}

static void ask(struct connection *c, uint64_t begun_ns) {
    c->begun_ns = begun_ns;
    c->sent = c->held = 0;
    c->state = c->opened ? MESSAGE : WAITING;
    push(c, 0);
}

static void connect_and_ask(struct connection *c) {
    uint64_t begun = now_ns();
    c->second = request_bytes[1] != 0 && chance(one_in);
    c->fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) die("socket");
    if (address.ss_family == AF_INET) {
        int on = 1;
        setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    if (connect(c->fd, (struct sockaddr *)&address, address_bytes) != 0 && errno != EINPROGRESS) {
        failed(c, &errors.refused); /* over unix: a full queue refuses at once */
        return;
    }
    c->state = UNCONNECTED;
    watch(c, EPOLL_CTL_ADD, EPOLLIN);
    ask(c, begun);
}

/* A whole reply was read. */
static void done(struct connection *c) {
    uint64_t now = now_ns();
    if (!is_sent(c)) {
        failed(c, &errors.malformed); /* a reply to what was not asked yet */
        return;
    }
    if (!c->second && expect >= 0 && c->body != expect) {
        failed(c, &errors.length);
        return;
    }
    if (measuring) {
        record(c->second ? second_seen : first_seen, now - c->begun_ns);
        body_bytes += (uint64_t)c->body;
    }
    if (c->closes) {
        c->state = CLOSING; /* the server closes first, so that its side keeps TIME_WAIT and ports do not run out */
        return;
    }
    c->second = request_bytes[1] != 0 && chance(one_in);
    ask(c, now);
}

/* Reads a head that is complete. Returns 1 for a reply, 2 for a WebSocket's beginning, 0 if it makes no sense. */
static int read_head(struct connection *c, const char *head, const char *end) {
    if (end - head < 12 || memcmp(head, "HTTP/1.", 7) != 0 || head[8] != ' ') return 0;
    int status = atoi(head + 9);
    c->closes = is_close || head[7] == '0';
    c->left = UNTIL_CLOSE;
    c->body = 0;
    for (const char *line = memchr(head, '\n', (size_t)(end - head)); line != NULL && ++line < end;
         line = memchr(line, '\n', (size_t)(end - line))) {
        if ((*line | 32) == 't' && strncasecmp(line, "transfer-encoding: chunked\r", 27) == 0) {
            c->left = CHUNKED;
            c->chunks = (struct chunks){0};
        }
        if ((*line | 32) != 'c') continue;
        if (strncasecmp(line, "content-length:", 15) == 0) {
            char *stop;
            c->left = strtoll(line + 15, &stop, 10);
            if (c->left < 0 || *stop != '\r') return 0;
        } else if (strncasecmp(line, "connection:", 11) == 0) {
            const char *value = line + 11;
            while (*value == ' ') value++;
            if (strncasecmp(value, "close", 5) == 0) c->closes = 1;
            else if (strncasecmp(value, "keep-alive", 10) == 0) c->closes = is_close;
        }
    }
    if (c->left == UNTIL_CLOSE && !c->closes && status != 101) return 0;
    if (message_bytes != 0 && status == 101) return 2;
    if (status != 200 || message_bytes != 0) {
        failed(c, &errors.status);
        return -1;
    }
    return 1;
}

static void took(struct connection *c, const char *data, int64_t n) {
    if (c->left == CHUNKED) {
        int64_t before = c->chunks.bytes;
        size_t used = take_chunks(&c->chunks, data, (size_t)n);
        c->body += c->chunks.bytes - before;
        if (c->chunks.at == CHUNKS_BROKEN) failed(c, &errors.malformed);
        else if (used < (size_t)n) failed(c, &errors.length);
        else if (c->chunks.at == CHUNKS_ENDED) done(c);
        return;
    }
    c->body += n;
    if (c->left == UNTIL_CLOSE) return;
    c->left -= n;
    if (c->left < 0) failed(c, &errors.length);
    else if (c->left == 0) done(c);
}

/* Bytes that a WebSocket's peer sent: the message that was sent to it, in one frame, and pings between. */
static void echoed(struct connection *c, const char *data, size_t n) {
    if (c->held + n > HEAD_BYTES) {
        failed(c, &errors.malformed);
        return;
    }
    memcpy(c->head + c->held, data, n);
    c->held += n;
    while (c->state == MESSAGE && c->held != 0) {
        size_t ping = ping_frame(c->head, c->held), all = ping ? ping : echo_frame;
        if (ping) {
            char pong[PONG_MOST];
            if (all > c->held) return;
            size_t long_as = make_pong(pong, c->head);
            if (send(c->fd, pong, long_as, MSG_NOSIGNAL) != (ssize_t)long_as) {
                failed(c, &errors.reset);
                return;
            }
        } else if (memcmp(c->head, echo, c->held < all ? c->held : all) != 0) {
            failed(c, &errors.malformed);
            return;
        } else if (c->held < all) {
            return;
        }
        size_t more = c->held - all;
        memmove(c->head, c->head + all, more);
        c->held = more;
        if (ping) continue;
        if (more != 0) {
            failed(c, &errors.length);
            return;
        }
        c->body = message_bytes;
        done(c);
        return; /* nothing was held, and done() has asked for the next */
    }
}

static void readable(struct connection *c) {
    for (;;) {
        ssize_t n = recv(c->fd, buffer, sizeof buffer, 0);
        if (n < 0) {
            if (errno == EAGAIN) return;
            failed(c, &errors.reset);
            return;
        }
        if (n == 0) {
            if (c->state == BODY && c->left == UNTIL_CLOSE) done(c); /* may find the length wrong and drop it */
            if (c->state == UNCONNECTED) return;
            if (c->state != CLOSING) {
                failed(c, &errors.early_end);
                return;
            }
            if (measuring) reconnects++;
            drop(c);
            connect_and_ask(c);
            return;
        }
        if (c->state == CLOSING) {
            failed(c, &errors.length);
            return;
        }
        if (c->state == MESSAGE) {
            echoed(c, buffer, (size_t)n);
            return;
        }
        if (c->state == BODY) {
            took(c, buffer, n);
        } else {
            const char *head = buffer;
            size_t held = (size_t)n;
            if (c->held != 0) { /* a head in pieces is rare: put together in the connection's own buffer */
                if (c->held + (size_t)n > HEAD_BYTES) {
                    failed(c, &errors.malformed);
                    return;
                }
                memcpy(c->head + c->held, buffer, (size_t)n);
                held = c->held + (size_t)n;
                head = c->head;
            }
            const char *end = memmem(head, held, "\r\n\r\n", 4);
            if (end == NULL) {
                if (held > HEAD_BYTES) {
                    failed(c, &errors.malformed);
                    return;
                }
                if (head == buffer) memcpy(c->head, buffer, held);
                c->held = held;
                return;
            }
            int sense = read_head(c, head, end + 2);
            if (sense <= 0) {
                if (sense == 0) failed(c, &errors.malformed);
                return;
            }
            if (sense == 2) { /* latencies of messages alone are kept */
                c->opened = 1;
                opened++;
                c->state = MESSAGE;
                c->held = 0;
                c->sent = message_frame;
                if (all_open) ask(c, now_ns());
                return;
            }
            c->state = BODY;
            took(c, end + 4, (int64_t)(held - (size_t)(end + 4 - head)));
        }
        if (c->state != BODY && c->state != CLOSING) return;
        if (c->state == BODY && n < READ_BYTES / 4) return; /* little was there: wait for more */
    }
}

static void make_request(int which, const char *path) {
    size_t room = 1024 + strlen(path) + (size_t)post_bytes;
    char *into = request[which] = malloc(room), length[64] = "";
    if (into == NULL) die("load");
    if (post_bytes != 0) snprintf(length, sizeof length, "Content-Length: %ld\r\n", post_bytes);
    int n = snprintf(into, room, "%s %s HTTP/1.1\r\nHost: localhost\r\nUser-Agent: load\r\nAccept: */*\r\n%s%s%s\r\n",
                     post_bytes ? "POST" : "GET", path, is_close ? "Connection: close\r\n" : "", length,
                     message_bytes ? UPGRADE : "");
    memset(into + n, 'x', (size_t)post_bytes);
    request_bytes[which] = (size_t)n + (size_t)post_bytes;
}

static void usage(void) {
    fprintf(stderr, "usage: load (--unix PATH | --tcp PORT) [--connections N] [--seconds S] [--requests N] [--warmup S]\n"
        "            [--close] [--path /] [--second PATH --one-in 10] [--post BYTES | --websocket BYTES] [--expect BYTES] [--seed N]\n"
                    "            [--pids 1,2,3]\n");
    exit(2);
}

int main(int argc, char **argv) {
    const char *path = "/", *second = NULL;
    double seconds = 1, warmup = 0;
    uint64_t most = UINT64_MAX;
    int pids[PIDS], pid_count = 0;
    for (int i = 1; i < argc; i++) {
        const char *option = argv[i];
        if (strcmp(option, "--close") == 0) {
            is_close = 1;
            continue;
        }
        if (++i >= argc) usage();
        char *value = argv[i];
        if (strcmp(option, "--unix") == 0) {
            struct sockaddr_un *unix_address = (struct sockaddr_un *)&address;
            if (strlen(value) >= sizeof unix_address->sun_path) usage();
            unix_address->sun_family = AF_UNIX;
            strcpy(unix_address->sun_path, value);
            address_bytes = sizeof *unix_address;
        } else if (strcmp(option, "--tcp") == 0) {
            struct sockaddr_in *tcp_address = (struct sockaddr_in *)&address;
            tcp_address->sin_family = AF_INET;
            tcp_address->sin_port = htons((unsigned short)atoi(value));
            tcp_address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
            address_bytes = sizeof *tcp_address;
        } else if (strcmp(option, "--connections") == 0) number = atoi(value);
        else if (strcmp(option, "--seconds") == 0) seconds = atof(value);
        else if (strcmp(option, "--requests") == 0) most = strtoull(value, NULL, 10);
        else if (strcmp(option, "--warmup") == 0) warmup = atof(value);
        else if (strcmp(option, "--path") == 0) path = value;
        else if (strcmp(option, "--second") == 0) second = value;
        else if (strcmp(option, "--one-in") == 0) one_in = atoi(value);
        else if (strcmp(option, "--post") == 0) post_bytes = atol(value);
        else if (strcmp(option, "--websocket") == 0) message_bytes = atol(value);
        else if (strcmp(option, "--expect") == 0) expect = atoll(value);
        else if (strcmp(option, "--seed") == 0) randomness ^= strtoull(value, NULL, 10) * 0x9E3779B97F4A7C15ull;
        else if (strcmp(option, "--pids") == 0) {
            for (char *p = strtok(value, ","); p != NULL && pid_count < PIDS; p = strtok(NULL, ","))
                pids[pid_count++] = atoi(p);
        } else usage();
    }
    if (address_bytes == 0 || number < 1 || one_in < 1 || post_bytes < 0) usage();
    if (message_bytes < 0 || message_bytes > MESSAGE_MOST || (message_bytes != 0 && (is_close || post_bytes))) usage();
    signal(SIGPIPE, SIG_IGN);
    make_request(0, path);
    if (second != NULL) make_request(1, second);
    message_frame = make_message(message, (size_t)message_bytes, 1);
    echo_frame = make_message(echo, (size_t)message_bytes, 0);
    connections = calloc((size_t)number, sizeof *connections);
    first_seen = calloc(1, sizeof *first_seen);
    second_seen = calloc(1, sizeof *second_seen);
    set = epoll_create1(EPOLL_CLOEXEC);
    if (connections == NULL || first_seen == NULL || second_seen == NULL || set < 0) die("load");

    uint64_t cpu_before[PIDS], own_before = 0, begin = 0;
    uint64_t start = now_ns(), warm = start + (uint64_t)(warmup * 1e9), end = UINT64_MAX;
    for (int i = 0; i < number; i++) connect_and_ask(&connections[i]);
    for (;;) {
        uint64_t now = now_ns();
        if (message_bytes != 0 && !all_open) {
            if (opened == number) {
                all_open = 1;
                for (int i = 0; i < number; i++) ask(&connections[i], now);
            }
            warm = now + (uint64_t)(warmup * 1e9);
            if (now > start + OPEN_SECONDS * 1000000000ull) {
                fprintf(stderr, "load: of %d WebSockets only %d were let in within %d s\n", number, opened, OPEN_SECONDS);
                return 1;
            }
        }
        if (!measuring && now >= warm) {
            measuring = 1;
            for (int i = 0; i < pid_count; i++) cpu_before[i] = cpu_ns(pids[i]);
            own_before = cpu_ns(getpid());
            begin = now_ns();
            end = begin + (uint64_t)(seconds * 1e9);
        }
        if (measuring && (now >= end || first_seen->count + second_seen->count >= most)) break;
        struct epoll_event events[BATCH];
        int n = epoll_wait(set, events, BATCH, to_retry ? 1 : 5);
        for (int i = 0; i < n; i++) {
            struct connection *c = events[i].data.ptr;
            unsigned is = events[i].events;
            if (c->state == UNCONNECTED) continue;
            if ((is & (EPOLLERR | EPOLLHUP)) && c->sent == 0) {
                failed(c, &errors.refused);
                continue;
            }
            if (is & EPOLLOUT) push(c, 1);
            if ((is & ~(unsigned)EPOLLOUT) && c->state != UNCONNECTED) readable(c);
        }
        if (to_retry && n == 0) { /* after a failure: try again in a quiet moment, not in a busy loop */
            to_retry = 0;
            for (int i = 0; i < number; i++)
                if (connections[i].state == UNCONNECTED) connect_and_ask(&connections[i]);
        }
    }
    uint64_t finish = now_ns(), own_after = cpu_ns(getpid()), pending = 0;
    double elapsed = (double)(finish - begin) / 1e9;
    printf("{\"seconds\": %.6f, \"pids\": {", elapsed);
    for (int i = 0; i < pid_count; i++) {
        uint64_t after = cpu_ns(pids[i]);
        printf("%s\"%d\": %lld", i ? ", " : "", pids[i],
               after == 0 || cpu_before[i] == 0 ? -1LL : (long long)(after - cpu_before[i]));
    }
    for (int i = 0; i < number; i++) {
        const struct connection *c = &connections[i];
        if (c->state == WAITING || c->state == BODY || c->state == MESSAGE)
            pending = finish - c->begun_ns > pending ? finish - c->begun_ns : pending;
    }
    uint64_t requests = first_seen->count + second_seen->count;
    printf("}, \"requests\": %llu, \"requests_per_second\": %.1f, \"body_bytes\": %llu, \"reconnects\": %llu, ",
           (unsigned long long)requests, (double)requests / elapsed, (unsigned long long)body_bytes,
           (unsigned long long)reconnects);
    printf("\"load_busy\": %.4f, \"pending_max_us\": %.1f, ", (double)(own_after - own_before) / 1e9 / elapsed,
           (double)pending / 1000);
    show("first", first_seen);
    show("second", second_seen);
    printf("\"errors\": {\"refused\": %llu, \"reset\": %llu, \"early_end\": %llu, \"malformed\": %llu, "
           "\"status\": %llu, \"length\": %llu}}\n",
           (unsigned long long)errors.refused, (unsigned long long)errors.reset, (unsigned long long)errors.early_end,
           (unsigned long long)errors.malformed, (unsigned long long)errors.status, (unsigned long long)errors.length);
    return 0;
}
