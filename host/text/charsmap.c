/* charsmap.c - a double array walked byte by byte. */
#include <string.h>

#include "text/charsmap.h"
#include "text/grapheme.h"

#define CLUSTER_BYTES 6

struct charsmap {
    const uint32_t *unit;
    size_t n_units;
    const char *replacement;
    size_t n_bytes;
    uint8_t kept[128]; /* ASCII characters that stay as they are */
};

static int digit_of(char c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Bytes of base64 text into out; -1: it is none. */
static int64_t decode_base64(str s, uint8_t *out) {
    int64_t n = 0;
    uint32_t bits = 0;
    int have = 0;
    while (s.n && s.p[s.n - 1] == '=') s.n--;
    for (size_t i = 0; i < s.n; i++) {
        const int digit = digit_of(s.p[i]);
        if (digit < 0) return -1;
        bits = bits << 6 | (uint32_t)digit;
        if ((have += 6) >= 8) out[n++] = (uint8_t)(bits >> (have -= 8));
    }
    return n;
}

const charsmap *charsmap_read(arena *a, str base64, const char **what) {
    charsmap *m = ARENA_NEW(a, charsmap);
    uint8_t *bytes = arena_alloc(a, base64.n + 4);
    const int64_t n = decode_base64(base64, bytes);
    *what = n < 0 ? "expected base64" : "the map of characters is cut short";
    if (n < 4) return NULL;
    const size_t size = bytes[0] | (size_t)bytes[1] << 8 | (size_t)bytes[2] << 16 | (size_t)bytes[3] << 24;
    if (size % 4 || !size || size > (size_t)n - 4) return NULL;
    uint32_t *unit = ARENA_ARRAY(a, size / 4, uint32_t);
    for (size_t i = 0; i < size / 4; i++) {
        const uint8_t *p = bytes + 4 + 4 * i;
        unit[i] = p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
    }
    m->unit = unit;
    m->n_units = size / 4;
    m->replacement = (const char *)bytes + 4 + size;
    m->n_bytes = (size_t)n - 4 - size;
    for (char c = 1; c > 0; c++) {
        str to;
        m->kept[(int)c] = !charsmap_find(m, (str){&c, 1}, &to);
    }
    return m;
}

static size_t offset_of(uint32_t unit) { return (size_t)(unit >> 10) << ((unit & 1u << 9) >> 6); }

int charsmap_find(const charsmap *m, str key, str *out) {
    size_t at = offset_of(m->unit[0]);
    for (size_t i = 0; i < key.n && key.p[i]; i++) {
        const unsigned char label = (unsigned char)key.p[i];
        at ^= label;
        if (at >= m->n_units || (m->unit[at] & (1u << 31 | 255)) != label) return 0;
        const uint32_t unit = m->unit[at];
        at ^= offset_of(unit);
        if (!(unit >> 8 & 1)) continue;
        const size_t value = at < m->n_units ? m->unit[at] & ~(1u << 31) : m->n_bytes;
        if (value >= m->n_bytes) return 0; /* a damaged map replaces nothing there */
        const char *p = m->replacement + value, *end = memchr(p, 0, m->n_bytes - value);
        *out = (str){p, end ? (size_t)(end - p) : m->n_bytes - value};
        return 1;
    }
    return 0;
}

/* n_old characters become those of `to`. */
static void replace(edits *out, size_t n_old, str to) {
    const size_t first = out->n;
    for (size_t i = 0; i < to.n;) {
        uint32_t code;
        const int n = utf8_decode(to.p + i, to.n - i, &code);
        if (n) vec_push(out, (edit){code, 0});
        i += n ? (size_t)n : 1;
    }
    const size_t n_new = out->n - first;
    for (size_t i = n_old; i < n_new; i++) out->p[out->n - 1 - (i - n_old)].change = 1;
    if (n_new < n_old && out->n) out->p[out->n - 1].change -= (int32_t)(n_old - n_new);
}

static void run_characters(const charsmap *m, const uint32_t *code, size_t n, edits *out) {
    for (size_t i = 0; i < n; i++) {
        char bytes[4];
        str to;
        const size_t n_bytes = (size_t)utf8_encode(code[i], bytes);
        if (charsmap_find(m, (str){bytes, n_bytes}, &to)) replace(out, 1, to);
        else vec_push(out, (edit){code[i], 0});
    }
}

void charsmap_run(const charsmap *m, const characters *in, edits *out) {
    for (size_t i = 0; i < in->n;) {
        const uint32_t *code = in->code + i;
        if (code[0] < 128 && m->kept[code[0]] && (i + 1 == in->n || code[1] < 128)) {
            vec_push(out, (edit){code[0], 0});
            i++;
            continue;
        }
        const size_t n = grapheme_end(in->code, i, in->n) - i;
        char bytes[CLUSTER_BYTES + 4];
        size_t n_bytes = 0;
        str to;
        for (size_t k = 0; k < n && n_bytes < CLUSTER_BYTES; k++)
            n_bytes += (size_t)utf8_encode(code[k], bytes + n_bytes);
        if (n_bytes < CLUSTER_BYTES && charsmap_find(m, (str){bytes, n_bytes}, &to)) replace(out, n, to);
        else run_characters(m, code, n, out);
        i += n;
    }
}
