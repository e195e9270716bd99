/* bytelevel.c - in the order of bytes the unseen ones are counted up from U+0100: 33 control characters and the blank
 * (0 to 32), DEL to U+00A0 (127 to 160), and the soft hyphen (173). */
#include "text/bytelevel.h"

uint32_t byte_character(uint8_t byte) {
    if (byte <= 32) return 256u + byte;
    if (byte >= 127 && byte <= 160) return 256u + 33 + (byte - 127u);
    return byte == 173 ? 256 + 33 + 34 : byte;
}

int byte_of_character(uint32_t code) {
    if (code < 256) return byte_character((uint8_t)code) == code ? (int)code : -1;
    if (code < 256 + 33) return (int)code - 256;
    if (code < 256 + 33 + 34) return (int)code - 256 - 33 + 127;
    return code == 256 + 33 + 34 ? 173 : -1;
}

void bytes_write(text *out, const char *p, size_t n) {
    for (size_t i = 0; i < n; i++) {
        char c[4];
        text_add(out, c, (size_t)utf8_encode(byte_character((uint8_t)p[i]), c));
    }
}
