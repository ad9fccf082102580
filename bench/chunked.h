/* A chunked body (RFC 9112, 7.1) as the load reads it: how many bytes it has, where it ends. Sans I/O; for load.c only. */
#include <stddef.h>
#include <stdint.h>

enum { CHUNKS_SIZE, CHUNKS_EXTENSION, CHUNKS_DATA, CHUNKS_AFTER, CHUNKS_TRAILER, CHUNKS_ENDED, CHUNKS_BROKEN };
enum { CHUNK_DIGITS = 8 };

struct chunks {
    int at;
    int digits;    /* of the chunk's size, so far */
    int in_line;   /* bytes of the trailer's line, so far */
    uint64_t left; /* bytes of the chunk still to come */
    int64_t bytes; /* of the body, so far */
};

static int hex_digit(char c) {
    return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

/* Takes bytes until they or the body end; says how many it took. */
static size_t take_chunks(struct chunks *it, const char *data, size_t n) {
    size_t used = 0;
    while (used < n && it->at != CHUNKS_ENDED && it->at != CHUNKS_BROKEN) {
        char c = data[used];
        if (it->at == CHUNKS_DATA) {
            size_t some = n - used < it->left ? n - used : (size_t)it->left;
            it->bytes += (int64_t)some;
            it->left -= some;
            used += some;
            if (it->left == 0) it->at = CHUNKS_AFTER;
            continue;
        }
        used++;
        if (it->at == CHUNKS_SIZE) {
            int digit = hex_digit(c);
            if (digit >= 0 && it->digits < CHUNK_DIGITS) {
                it->left = it->left * 16 + (unsigned)digit;
                it->digits++;
            } else if (it->digits > 0 && (c == '\r' || c == ';' || c == ' ')) {
                it->at = CHUNKS_EXTENSION;
            } else {
                it->at = CHUNKS_BROKEN;
            }
        } else if (it->at == CHUNKS_EXTENSION) {
            if (c != '\n') continue;
            it->at = it->left ? CHUNKS_DATA : CHUNKS_TRAILER;
            it->digits = it->in_line = 0;
        } else if (it->at == CHUNKS_AFTER) {
            if (c == '\n') it->at = CHUNKS_SIZE;
            else if (c != '\r') it->at = CHUNKS_BROKEN;
        } else if (c == '\n') { /* of the trailer, which an empty line ends */
            if (it->in_line == 0) it->at = CHUNKS_ENDED;
            it->in_line = 0;
        } else if (c != '\r') {
            it->in_line++;
        }
    }
    return used;
}
