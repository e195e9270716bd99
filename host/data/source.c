#include <string.h>

#include <zlib.h>

#include "data/reader.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/host.h"
#include "base/mem.h"

#define SOURCE_BYTES ((size_t)1 << 40)
#define READ_AT_ONCE ((size_t)512 << 10)
#define PACKED_AT_ONCE ((size_t)256 << 10)
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

/* The bytes as they lie on the disk, from front to back. What does not know its size (standard input, files of /proc) is
 * held as a whole: it may be asked for twice. */
typedef struct {
    file_reader *file; /* NULL: held */
    arena *a;          /* of what is held */
    str held;
    size_t n, at; /* bytes, those taken */
    sha256 hash;  /* of these */
} raw;

static hone_status raw_open(raw *r, const char *path, hone_err *err) {
    const int is_input = !strcmp(path, "-");
    if (!is_input) {
        HONE_TRY(file_reader_open(&r->file, path, HONE_EDATA, err));
        r->n = file_reader_bytes(r->file);
        if (r->n > SOURCE_BYTES)
            return hone_fail(err, HONE_EDATA, "%s: is larger than %zu bytes; expected at most that", path, SOURCE_BYTES);
    }
    if (r->n) return HONE_OK;
    r->a = arena_new("bytes of a file");
    file_reader_close(r->file);
    r->file = NULL;
    HONE_TRY(file_read_data(&r->held, r->a, path, SOURCE_BYTES, HONE_EDATA, err));
    r->n = r->held.n;
    return HONE_OK;
}

/* The next n bytes, or those that are left. */
static hone_status raw_take(raw *r, char *to, size_t n, size_t *got, hone_err *err) {
    HONE_TRY(sig_check(err));
    *got = n < r->n - r->at ? n : r->n - r->at;
    if (r->file) HONE_TRY(file_reader_get(r->file, r->at, to, *got, err));
    else if (*got) memcpy(to, r->held.p + r->at, *got);
    sha256_add(&r->hash, to, *got);
    r->at += *got;
    return HONE_OK;
}

typedef struct {
    z_stream z;
    char *packed; /* [PACKED_AT_ONCE] */
    size_t used, out; /* bytes of both sides so far */
    int between;      /* a member has ended, and no other has begun */
} unpacker;

struct source {
    const char *name;
    raw raw;
    unpacker *gzip; /* NULL: the file is not packed */
    size_t bound, at_once;
    char *window; /* [cap], a NUL behind what is read */
    size_t n, cap;
    char cut[4]; /* the beginning of a character whose rest is not read yet */
    size_t n_cut;
    int64_t line, byte; /* of what comes behind the window, from 1: places in messages */
    int begun;
};

/* Play the stream on; several gzip members one after another are one file. *got less than n: that is all. */
static hone_status unpack(source *s, char *to, size_t n, size_t *got, hone_err *err) {
    unpacker *u = s->gzip;
    *got = 0;
    while (*got < n && !(u->between && !u->z.avail_in && s->raw.at == s->raw.n)) {
        if (!u->z.avail_in) {
            size_t more;
            HONE_TRY(raw_take(&s->raw, u->packed, PACKED_AT_ONCE, &more, err));
            if (!more)
                return hone_fail(err, HONE_EDATA, "%s: byte %zu: gzip data ends early; the file is cut short", s->name, u->used);
            u->z.next_in = (Bytef *)u->packed;
            u->z.avail_in = (uInt)more;
        }
        const uInt in = u->z.avail_in, room = (uInt)(n - *got < (size_t)1 << 30 ? n - *got : (size_t)1 << 30);
        u->z.next_out = (Bytef *)to + *got;
        u->z.avail_out = room;
        const int rc = inflate(&u->z, Z_NO_FLUSH);
        u->used += in - u->z.avail_in;
        u->out += room - u->z.avail_out;
        *got += room - u->z.avail_out;
        u->between = rc == Z_STREAM_END;
        if (u->out > GZIP_RATIO * u->used + GZIP_SLACK || u->out > s->bound)
            return hone_fail(
                err, HONE_EDATA,
                "%s: expands beyond limit at byte %zu; expected at most %d times its size and %zu bytes "
                "(`max_unpacked_bytes`)",
                s->name, u->used, GZIP_RATIO, s->bound);
        if (u->between) inflateReset(&u->z);
        else if (rc != Z_OK && rc != Z_BUF_ERROR)
            return hone_fail(err, HONE_EDATA, "%s: byte %zu: damaged gzip data (%s)", s->name, u->used,
                             u->z.msg ? u->z.msg : "no message");
    }
    return HONE_OK;
}

static hone_status unpack_begin(source *s, hone_err *err) {
    s->gzip = mem_new(sizeof *s->gzip, "gzip");
    s->gzip->packed = mem_new(PACKED_AT_ONCE, "gzip");
    s->gzip->z.zalloc = zlib_new, s->gzip->z.zfree = zlib_free;
    if (inflateInit2(&s->gzip->z, 16 + MAX_WBITS) != Z_OK)
        return hone_fail(err, HONE_EDATA, "%s: cannot start zlib", s->name);
    return HONE_OK;
}

static void unpack_end(source *s) {
    if (!s->gzip) return;
    inflateEnd(&s->gzip->z);
    mem_free(s->gzip->packed);
    mem_free(s->gzip);
    s->gzip = NULL;
}

/* Step over bytes: how many lines, and where in the last one. */
static void step_over(source *s, const char *p, size_t n) {
    const char *last = n ? memrchr(p, '\n', n) : NULL;
    int64_t lines = 0;
    for (size_t i = 0; i < n; i++) lines += p[i] == '\n';
    s->line += lines;
    s->byte = last ? (int64_t)(p + n - last) : s->byte + (int64_t)n;
}

/* D6: UTF-16 has a byte order mark, or NUL as every other byte of its ASCII characters. */
static hone_status check_mark(const source *s, const char *p, size_t n, hone_err *err) {
    const unsigned char *u = (const unsigned char *)p;
    if (n >= 2 && ((u[0] == 0xff && u[1] == 0xfe) || (u[0] == 0xfe && u[1] == 0xff))) {
        hone_fail(err, HONE_EDATA, "%s: looks like UTF-16 (BOM %02x %02x); expected UTF-8", s->name, u[0], u[1]);
        return hone_hint(err, "convert it, for example: iconv -f %s -t UTF-8", "UTF-16");
    }
    if (n >= 4 && (!u[0] != !u[1]) && (!u[2] != !u[3]) && !u[0] == !u[2]) {
        hone_fail(err, HONE_EDATA, "%s: looks like UTF-16 (every other byte is NUL); expected UTF-8", s->name);
        return hone_hint(err, "convert it, for example: iconv -f %s -t UTF-8", u[0] ? "UTF-16LE" : "UTF-16BE");
    }
    return HONE_OK;
}

/* Whether [p, p + n) is how a character may begin that is longer. */
static int may_go_on(const char *p, size_t n) {
    const unsigned char c = (unsigned char)p[0];
    return n < 4 && c >= 0xc2 && c < 0xf5 && n < (size_t)(c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4);
}

/* New bytes [p, p + *n) of the window: valid UTF-8 without NUL, or refused. A character that they cut is put aside. */
static hone_status check_text(source *s, const char *p, size_t *n, int is_end, hone_err *err) {
    const char *nul = *n ? memchr(p, 0, *n) : NULL;
    size_t bad = 0;
    s->n_cut = 0;
    if (nul) {
        step_over(s, p, (size_t)(nul - p));
        return hone_fail(err, HONE_EDATA, "%s: line %lld byte %lld: NUL byte; expected UTF-8 text", s->name,
                         (long long)s->line, (long long)s->byte);
    }
    if (!utf8_valid(p, *n, &bad)) {
        if (is_end || !may_go_on(p + bad, *n - bad)) {
            step_over(s, p, bad);
            hone_fail(err, HONE_EDATA, "%s: line %lld byte %lld: invalid UTF-8 byte 0x%02x; expected UTF-8", s->name,
                      (long long)s->line, (long long)s->byte, (unsigned char)p[bad]);
            return hone_hint(err, "convert it, for example: iconv -f %s -t UTF-8", "ISO-8859-1");
        }
        s->n_cut = *n - bad;
        memcpy(s->cut, p + bad, s->n_cut);
        *n = bad;
    }
    step_over(s, p, *n);
    return HONE_OK;
}

static hone_status take(source *s, char *to, size_t n, size_t *got, hone_err *err) {
    return s->gzip ? unpack(s, to, n, got, err) : raw_take(&s->raw, to, n, got, err);
}

static void make_room(source *s, size_t n) {
    if (s->cap - s->n > n) return;
    const size_t cap = s->n + n + 1;
    s->window = mem_grow(s->window, s->cap, cap, "window of a file");
    s->cap = cap;
}

static int is_at_end(const source *s) {
    return s->raw.at == s->raw.n && (!s->gzip || (s->gzip->between && !s->gzip->z.avail_in));
}

hone_status source_more(source *s, const char **p, const char **end, int *more, hone_err *err) {
    const size_t kept = *p ? (size_t)(*end - *p) : 0;
    const size_t left = s->raw.n - s->raw.at;
    size_t got, n = kept > s->at_once ? kept : s->at_once; /* a window that grows doubles */
    if (!s->gzip && n > left) n = left;
    if (kept && *p > s->window) memmove(s->window, *p, kept);
    s->n = kept;
    make_room(s, n + sizeof s->cut);
    memcpy(s->window + kept, s->cut, s->n_cut);
    HONE_TRY(take(s, s->window + kept + s->n_cut, n, &got, err));
    *more = !is_at_end(s);
    n = s->n_cut + got;
    if (!s->begun) HONE_TRY(check_mark(s, s->window, n, err));
    HONE_TRY(check_text(s, s->window + kept, &n, !*more, err));
    s->n += n;
    s->window[s->n] = 0;
    *p = s->window;
    if (!s->begun && s->n >= 3 && !memcmp(s->window, "\xef\xbb\xbf", 3)) *p += 3;
    s->begun = 1;
    *end = s->window + s->n;
    return HONE_OK;
}

hone_status source_all(source *s, const char **p, const char **end, hone_err *err) {
    const size_t at = *p ? (size_t)(*p - s->window) : 0;
    if (!s->gzip) make_room(s, s->raw.n - s->raw.at + sizeof s->cut);
    if (*p) *p = s->window + at, *end = s->window + s->n;
    for (int more = 1; more;) HONE_TRY(source_more(s, p, end, &more, err));
    return HONE_OK;
}

hone_status source_rewind(source *s, hone_err *err) {
    char head[2];
    size_t n;
    sha256_begin(&s->raw.hash);
    s->raw.at = 0;
    HONE_TRY(raw_take(&s->raw, head, sizeof head, &n, err));
    unpack_end(s);
    if (n == 2 && !memcmp(head, "\x1f\x8b", 2)) HONE_TRY(unpack_begin(s, err));
    sha256_begin(&s->raw.hash);
    s->raw.at = s->n = s->n_cut = 0;
    s->line = s->byte = 1;
    s->begun = 0;
    return HONE_OK;
}

hone_status source_open(source **out, const char *path, const char *name, size_t bound, size_t at_once, hone_err *err) {
    source *s = mem_new(sizeof *s, "source");
    s->name = name;
    s->bound = bound;
    s->at_once = at_once ? at_once < 4 ? 4 : at_once : READ_AT_ONCE; /* a mark has four bytes at most */
    *out = NULL;
    hone_status status = raw_open(&s->raw, path, err);
    if (status == HONE_OK) status = source_rewind(s, err);
    if (status == HONE_OK) *out = s;
    else source_close(s);
    return status;
}

void source_hash_so_far(const source *s, char hex[65]) {
    sha256 hash = s->raw.hash;
    uint8_t digest[32];
    sha256_end(&hash, digest);
    sha256_hex(digest, hex);
}

void source_close(source *s) {
    if (!s) return;
    unpack_end(s);
    file_reader_close(s->raw.file);
    arena_free(s->raw.a);
    mem_free(s->window);
    mem_free(s);
}

hone_status source_hash_file(char hex[65], const char *path, hone_err *err) {
    file_reader *r;
    HONE_TRY(file_reader_open(&r, path, HONE_EDATA, err));
    sha256 hash;
    uint8_t digest[32];
    char *part = mem_new(READ_AT_ONCE, "part of a file");
    const size_t all = file_reader_bytes(r);
    hone_status status = HONE_OK;
    sha256_begin(&hash);
    for (size_t at = 0, n; at < all && status == HONE_OK; at += n) {
        n = all - at < READ_AT_ONCE ? all - at : READ_AT_ONCE;
        status = sig_check(err);
        if (status == HONE_OK) status = file_reader_get(r, at, part, n, err);
        if (status == HONE_OK) sha256_add(&hash, part, n);
    }
    mem_free(part);
    file_reader_close(r);
    sha256_end(&hash, digest);
    sha256_hex(digest, hex);
    return status;
}
