#include <string.h>

#include <zlib.h>

#include "data/reader.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/host.h"
#include "base/mem.h"

#define SOURCE_BYTES ((size_t)1 << 40)
#define HASHED_AT_ONCE ((size_t)16 << 20)
#define GZIP_RATIO 1100 /* DEFLATE reaches 1,032 at most */
#define GZIP_SLACK ((size_t)1 << 16)

static void *zlib_new(void *context, unsigned n, unsigned bytes) {
    (void)context;
    size_t total;
    return size_mul(n, bytes, &total) ? mem_new(total, "gzip window") : NULL;
}

static void zlib_free(void *context, void *p) {
    (void)context;
    mem_free(p);
}

typedef struct {
    z_stream z;
    char *out;
    size_t n, cap, bound;
} unpacker;

static void make_room(unpacker *u) {
    if (u->cap - u->n > 1) return;
    const size_t cap = u->cap ? 2 * u->cap : (size_t)1 << 18;
    u->out = mem_grow(u->out, u->cap, cap, "unpacked data");
    u->cap = cap;
}

/* Play the stream to its end; several gzip members one after another are one file. */
static hone_status inflate_all(unpacker *u, str packed, const char *name, hone_err *err) {
    size_t used = 0;
    while (used < packed.n) {
        HONE_TRY(sig_check(err));
        make_room(u);
        const size_t take = packed.n - used < (size_t)1 << 20 ? packed.n - used : (size_t)1 << 20;
        const size_t room = u->cap - u->n - 1 < (size_t)1 << 30 ? u->cap - u->n - 1 : (size_t)1 << 30;
        u->z.next_in = (Bytef *)(uintptr_t)(packed.p + used);
        u->z.avail_in = (uInt)take;
        u->z.next_out = (Bytef *)u->out + u->n;
        u->z.avail_out = (uInt)room;
        const int rc = inflate(&u->z, Z_NO_FLUSH);
        used += take - u->z.avail_in;
        u->n += room - u->z.avail_out;
        if (u->n > GZIP_RATIO * used + GZIP_SLACK || u->n > u->bound)
            return hone_fail(
                err, HONE_EDATA,
                "%s: expands beyond limit at byte %zu; expected at most %d times its size and %zu bytes "
                "(`max_unpacked_bytes`)",
                name, used, GZIP_RATIO, u->bound);
        if (rc == Z_STREAM_END) {
            if (used == packed.n) return HONE_OK;
            inflateReset(&u->z);
        } else if (rc != Z_OK && rc != Z_BUF_ERROR) {
            return hone_fail(err, HONE_EDATA, "%s: byte %zu: damaged gzip data (%s)", name, used,
                             u->z.msg ? u->z.msg : "no message");
        }
    }
    return hone_fail(err, HONE_EDATA, "%s: byte %zu: gzip data ends early; the file is cut short", name,
                     used);
}

static hone_status unpack(str *out, void **unpacked, str packed, size_t bound, const char *name,
                          hone_err *err) {
    unpacker u = {.z = {.zalloc = zlib_new, .zfree = zlib_free}, .bound = bound};
    if (inflateInit2(&u.z, 16 + MAX_WBITS) != Z_OK)
        return hone_fail(err, HONE_EDATA, "%s: cannot start zlib", name);
    const hone_status status = inflate_all(&u, packed, name, err);
    inflateEnd(&u.z);
    if (status != HONE_OK) {
        mem_free(u.out);
        return status;
    }
    u.out[u.n] = 0;
    *unpacked = u.out;
    *out = (str){u.out, u.n};
    return HONE_OK;
}

hone_status source_hash_bytes(char hex[65], str bytes, hone_err *err) {
    sha256 hash;
    uint8_t digest[32];
    sha256_begin(&hash);
    for (size_t at = 0, n; at < bytes.n; at += n) {
        HONE_TRY(sig_check(err));
        n = bytes.n - at < HASHED_AT_ONCE ? bytes.n - at : HASHED_AT_ONCE;
        sha256_add(&hash, bytes.p + at, n);
    }
    sha256_end(&hash, digest);
    sha256_hex(digest, hex);
    return HONE_OK;
}

/* Line, and byte in it, of a place: both from 1. */
static void find_place(str s, size_t at, int64_t *line, int64_t *byte) {
    *line = 1;
    size_t start = 0;
    for (size_t i = 0; i < at; i++)
        if (s.p[i] == '\n') ++*line, start = i + 1;
    *byte = (int64_t)(at - start) + 1;
}

/* D6: UTF-16 has a byte order mark, or NUL as every other byte of its ASCII characters. */
static hone_status check_text(str s, const char *name, hone_err *err) {

    const unsigned char *u = (const unsigned char *)s.p;
    if (s.n >= 2 && ((u[0] == 0xff && u[1] == 0xfe) || (u[0] == 0xfe && u[1] == 0xff))) {
        hone_fail(err, HONE_EDATA, "%s: looks like UTF-16 (BOM %02x %02x); expected UTF-8", name, u[0], u[1]);
        hone_hint(err, "convert it, for example: iconv -f %s -t UTF-8", "UTF-16");
        return HONE_EDATA;
    }
    int64_t line, byte;
    const char *nul = s.n ? memchr(s.p, 0, s.n) : NULL;
    size_t bad = 0;
    if (nul) {
        find_place(s, (size_t)(nul - s.p), &line, &byte);
        if (s.n >= 4 && (!u[0] != !u[1]) && (!u[2] != !u[3]) && !u[0] == !u[2]) {
            hone_fail(err, HONE_EDATA, "%s: looks like UTF-16 (every other byte is NUL); expected UTF-8",
                      name);
            hone_hint(err, "convert it, for example: iconv -f %s -t UTF-8", u[0] ? "UTF-16LE" : "UTF-16BE");
            return HONE_EDATA;
        }
        return hone_fail(err, HONE_EDATA, "%s: line %lld byte %lld: NUL byte; expected UTF-8 text", name,
                         (long long)line, (long long)byte);
    }
    if (utf8_valid(s.p, s.n, &bad)) return HONE_OK;
    find_place(s, bad, &line, &byte);
    hone_fail(err, HONE_EDATA, "%s: line %lld byte %lld: invalid UTF-8 byte 0x%02x; expected UTF-8", name,
              (long long)line, (long long)byte, u[bad]);
    hone_hint(err, "convert it, for example: iconv -f %s -t UTF-8", "ISO-8859-1");
    return HONE_EDATA;
}

static str without_mark(str s) {
    return s.n >= 3 && !memcmp(s.p, "\xef\xbb\xbf", 3) ? (str){s.p + 3, s.n - 3} : s;
}

hone_status source_read(str *out, void **unpacked, char sha256_text[65], arena *a, const char *path,
                        const char *name, size_t bound, hone_err *err) {
    *unpacked = NULL;
    str bytes;
    HONE_TRY(file_read_data(&bytes, a, path, SOURCE_BYTES, HONE_EDATA, err));
    HONE_TRY(source_hash_bytes(sha256_text, bytes, err));

    if (bytes.n >= 2 && (uint8_t)bytes.p[0] == 0x1f && (uint8_t)bytes.p[1] == 0x8b)
        HONE_TRY(unpack(&bytes, unpacked, bytes, bound, name, err));
    const hone_status status = check_text(bytes, name, err);
    if (status != HONE_OK) {
        mem_free(*unpacked);
        *unpacked = NULL;
        return status;
    }
    *out = without_mark(bytes);
    return HONE_OK;
}

hone_status source_check(str *bytes, char sha256_text[65], const char *name, hone_err *err) {
    HONE_TRY(source_hash_bytes(sha256_text, *bytes, err));
    HONE_TRY(check_text(*bytes, name, err));
    *bytes = without_mark(*bytes);
    return HONE_OK;
}
