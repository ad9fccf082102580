/* WebSocket frames (RFC 6455, 5.2) as the load sends and expects them: short, whole, without extensions. For load.c only. */
#include <stddef.h>
#include <string.h>

enum { MESSAGE_MOST = 1024, FRAME_MOST = MESSAGE_MOST + 8, CONTROL_MOST = 125, PONG_MOST = CONTROL_MOST + 6 };

/* The lines of the handshake. The key may be any 16 bytes in base64: nobody between here and the server caches. */
#define UPGRADE \
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" \
    "Sec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==\r\n"

static const unsigned char MASK[4] = {0x37, 0xfa, 0x21, 0x3d};

/* A text message in one frame, masked as a client must, or plain as a server must. Returns the frame's length. */
static size_t make_message(char *into, size_t bytes, int masked) {
    size_t at = 0;
    into[at++] = (char)0x81;
    into[at++] = (char)((masked ? 0x80 : 0) | (bytes < 126 ? bytes : 126));
    if (bytes >= 126) {
        into[at++] = (char)(bytes >> 8);
        into[at++] = (char)(bytes & 255);
    }
    if (masked) {
        memcpy(into + at, MASK, 4);
        at += 4;
    }
    for (size_t i = 0; i < bytes; i++) into[at++] = (char)('x' ^ (masked ? MASK[i % 4] : 0));
    return at;
}

/* The length of the ping frame that begins here, or 0 if it is none. Two bytes are looked at only where there are two. */
static size_t ping_frame(const char *data, size_t n) {
    if ((unsigned char)data[0] != 0x89) return 0;
    return n < 2 ? 2 : 2 + (size_t)((unsigned char)data[1] & 127);
}

/* The answer to a whole ping. Returns its length. */
static size_t make_pong(char *into, const char *ping) {
    size_t bytes = (size_t)((unsigned char)ping[1] & 127);
    if (bytes > CONTROL_MOST) bytes = CONTROL_MOST;
    into[0] = (char)0x8a;
    into[1] = (char)(0x80 | bytes);
    memcpy(into + 2, MASK, 4);
    for (size_t i = 0; i < bytes; i++) into[6 + i] = (char)(ping[2 + i] ^ MASK[i % 4]);
    return bytes + 6;
}
