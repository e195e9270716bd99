/* safetensors_header.c - a parser of exactly the JSON that a safetensors header may hold. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/vec.h"
#include "model/safetensors_header.h"

typedef VEC(stored_tensor) tensors;
typedef VEC(metadata_pair) pairs;
typedef VEC(size_t) offsets;

typedef struct {
    const char *p;
    size_t at, n;
    safetensors *s;
    hone_err *err;
    tensors tensor;
    pairs metadata;
    offsets name_at; /* of each tensor's name */
    char shown[128]; /* the tensor being read, escaped and in quotes; "header" before */
} cursor;

/* byte B (PLACE): WHAT */
static hone_status refuse(const cursor *c, size_t at, const char *place, const char *fmt, ...)
    HONE_PRINTF(4, 5);
static hone_status refuse(const cursor *c, size_t at, const char *place, const char *fmt, ...) {
    char what[400];
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    return hone_fail(c->err, HONE_EDAMAGED, "%s: byte %zu (%s): %s", c->s->path, at + 8, place, what);
}

static void skip_space(cursor *c) {
    while (c->at < c->n &&
           (c->p[c->at] == ' ' || c->p[c->at] == '\n' || c->p[c->at] == '\t' || c->p[c->at] == '\r'))
        c->at++;
}

/* The next character after white space; 0 at the end (a NUL byte is no JSON either). */
static char peek(cursor *c) {
    skip_space(c);
    return c->at < c->n ? c->p[c->at] : 0;
}

static hone_status expect(cursor *c, char want) {
    if (peek(c) != want) return refuse(c, c->at, c->shown, "expected '%c'", want);
    c->at++;
    return HONE_OK;
}

/* After an item: ',' goes on, `close` ends. */
static hone_status next_item(cursor *c, char close, int *more) {
    const char seen = peek(c);
    if (seen != ',' && seen != close) return refuse(c, c->at, c->shown, "expected ',' or '%c'", close);
    c->at++;
    *more = seen == ',';
    return HONE_OK;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int read_hex4(const cursor *c, size_t at, uint32_t *code) {
    *code = 0;
    if (c->n - at < 4) return 0;
    for (int i = 0; i < 4; i++) {
        const int digit = hex_digit(c->p[at + (size_t)i]);
        if (digit < 0) return 0;
        *code = *code << 4 | (uint32_t)digit;
    }
    return 1;
}

/* The escape at c->at (behind the backslash), decoded to `to`; returns bytes written, 0 if it is none. */
static size_t read_escape(cursor *c, char *to) {
    static const char plain[] = "\"\\/bfnrt", means[] = "\"\\/\b\f\n\r\t";
    if (c->at >= c->n || !c->p[c->at]) return 0;
    const char *found = strchr(plain, c->p[c->at]);
    if (found) {
        *to = means[found - plain];
        c->at++;
        return 1;
    }
    uint32_t code, low;
    if (c->p[c->at] != 'u' || !read_hex4(c, c->at + 1, &code) || code == 0) return 0;
    c->at += 5;
    if (code >= 0xd800 && code < 0xdc00) {
        if (c->n - c->at < 6 || c->p[c->at] != '\\' || c->p[c->at + 1] != 'u' ||
            !read_hex4(c, c->at + 2, &low))
            return 0;
        if (low < 0xdc00 || low > 0xdfff) return 0;
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        c->at += 6;
    }
    return (size_t)utf8_encode(code, to);
}

/* A string, decoded into the arena. */
static hone_status read_string(cursor *c, str *out) {
    HONE_TRY(expect(c, '"'));
    const size_t first = c->at;
    size_t end = first;
    while (end < c->n && c->p[end] != '"') end += c->p[end] == '\\' && end + 1 < c->n ? 2 : 1;
    if (end >= c->n) return refuse(c, first - 1, c->shown, "a string that does not end; expected '\"'");
    char *to = arena_alloc(c->s->a, end - first + 1); /* an escape is never shorter than what it means */
    size_t n = 0;
    while (c->at < end) {
        const char byte = c->p[c->at];
        if ((unsigned char)byte < 0x20)
            return refuse(c, c->at, c->shown, "control byte 0x%02x in a string", (unsigned char)byte);
        c->at++;
        if (byte != '\\') {
            to[n++] = byte;
            continue;
        }
        const size_t at = c->at - 1, written = read_escape(c, to + n);
        if (!written) return refuse(c, at, c->shown, "an escape that is none, or of a NUL");
        n += written;
    }
    c->at = end + 1;
    *out = (str){to, n};
    return HONE_OK;
}

/* An integer of 0 or more. place: "shape[3]" of the tensor being read. */
static hone_status read_natural(cursor *c, const char *what, int index, uint64_t *out) {
    char place[200], seen[48];
    snprintf(place, sizeof place, "%s.%s[%d]", c->shown, what, index);
    peek(c);
    const size_t at = c->at;
    size_t end = at;
    while (end < c->n && end - at < 40 &&
           (strchr("+-.eE", c->p[end]) ? c->p[end] != 0 : c->p[end] >= '0' && c->p[end] <= '9'))
        end++;
    text_escape(seen, sizeof seen, c->p + at, end - at);
    if (end == at) return refuse(c, at, place, "expected an integer >= 0");
    uint64_t value = 0;
    for (size_t i = at; i < end; i++) {
        const char digit = c->p[i];
        if (digit < '0' || digit > '9') return refuse(c, at, place, "%s, expected an integer >= 0", seen);
        if (__builtin_mul_overflow(value, 10u, &value) ||
            __builtin_add_overflow(value, (uint64_t)(digit - '0'), &value) || value > INT64_MAX)
            return refuse(c, at, place, "%s is beyond 2^63 - 1", seen);
    }
    if (c->p[at] == '0' && end - at > 1)
        return refuse(c, at, place, "%s, expected a number without leading zeros", seen);
    c->at = end;
    *out = value;
    return HONE_OK;
}

static hone_status read_type(cursor *c, stored_type *type) {
    static const char *const unsupported[] = {"F8_E4M3",     "F8_E5M2", "F8_E8M0", "F8_E4M3FNUZ",
                                              "F8_E5M2FNUZ", "F6_E2M3", "F6_E3M2", "F4",
                                              "I4",          "U4",      "C64"};
    if (peek(c) != '"') return refuse(c, c->at, c->shown, "dtype: expected a string");
    const size_t at = c->at;
    str name;
    HONE_TRY(read_string(c, &name));
    for (int t = 0; t < N_STORED_TYPES; t++)
        if (str_is(name, stored_type_name((stored_type)t))) {
            *type = (stored_type)t;
            return HONE_OK;
        }
    for (size_t i = 0; i < sizeof unsupported / sizeof *unsupported; i++)
        if (str_is(name, unsupported[i]))
            return refuse(c, at, c->shown, "dtype %s is not supported for training", unsupported[i]);
    char shown[40];
    return refuse(c, at, c->shown,
                  "dtype \"%s\" unknown; known: F32 F16 BF16 F64 I64 I32 I16 I8 U64 U32 U16 U8 BOOL",
                  text_escape(shown, sizeof shown, name.p, name.n));
}

static hone_status read_shape(cursor *c, stored_tensor *t) {
    int64_t dim[STORED_MAX_DIMS], *copy;
    int more = 1;
    if (peek(c) != '[') return refuse(c, c->at, c->shown, "shape: expected a list of integers");
    c->at++;
    if (peek(c) == ']') c->at++, more = 0;
    while (more) {
        uint64_t value;
        if (t->n_dims == STORED_MAX_DIMS)
            return refuse(c, c->at, c->shown, "shape: more than %d dimensions", STORED_MAX_DIMS);
        HONE_TRY(read_natural(c, "shape", t->n_dims, &value));
        dim[t->n_dims++] = (int64_t)value;
        HONE_TRY(next_item(c, ']', &more));
    }
    copy = ARENA_ARRAY(c->s->a, (size_t)t->n_dims, int64_t);
    memcpy(copy, dim, (size_t)t->n_dims * sizeof *dim);
    t->dim = copy;
    return HONE_OK;
}

static hone_status read_span(cursor *c, stored_tensor *t) {
    uint64_t bound[2] = {0, 0};
    const size_t at = (peek(c), c->at);
    int n = 0, more = 1;
    if (peek(c) != '[') return refuse(c, at, c->shown, "data_offsets: expected [begin, end]");
    c->at++;
    if (peek(c) == ']') c->at++, more = 0;
    while (more) {
        if (n == 2) return refuse(c, at, c->shown, "data_offsets: more than two; expected [begin, end]");
        HONE_TRY(read_natural(c, "data_offsets", n, &bound[n]));
        n++;
        HONE_TRY(next_item(c, ']', &more));
    }
    if (n != 2) return refuse(c, at, c->shown, "data_offsets: expected [begin, end]");
    if (bound[0] > bound[1])
        return refuse(c, at, c->shown, "data_offsets: [%llu, %llu] ends before it begins",
                      (unsigned long long)bound[0], (unsigned long long)bound[1]);
    t->begin = bound[0];
    t->end = bound[1];
    return HONE_OK;
}

/* {"dtype": ..., "shape": ..., "data_offsets": ...} in any order, each once. */
static hone_status read_tensor(cursor *c, stored_tensor *t) {
    static const char *const fields[] = {"dtype", "shape", "data_offsets"};
    int more = 1, seen[3] = {0};
    if (peek(c) != '{')
        return refuse(c, c->at, c->shown, "expected an object with dtype, shape and data_offsets");
    c->at++;
    if (peek(c) == '}') c->at++, more = 0;
    while (more) {
        str key;
        int field = 0;
        const size_t at = (peek(c), c->at);
        HONE_TRY(read_string(c, &key));
        while (field < 3 && !str_is(key, fields[field])) field++;
        if (field == 3) {
            char shown[40];
            return refuse(c, at, c->shown, "field \"%s\", expected dtype, shape or data_offsets",
                          text_escape(shown, sizeof shown, key.p, key.n));
        }
        if (seen[field]++) return refuse(c, at, c->shown, "%s given twice", fields[field]);
        HONE_TRY(expect(c, ':'));
        HONE_TRY(field == 0 ? read_type(c, &t->type) : field == 1 ? read_shape(c, t) : read_span(c, t));
        HONE_TRY(next_item(c, '}', &more));
    }
    for (int field = 0; field < 3; field++)
        if (!seen[field]) return refuse(c, c->at - 1, c->shown, "%s is missing", fields[field]);
    return HONE_OK;
}

static hone_status read_metadata(cursor *c) {
    int more = 1;
    if (peek(c) != '{') return refuse(c, c->at, "__metadata__", "expected an object of strings");
    c->at++;
    if (peek(c) == '}') c->at++, more = 0;
    while (more) {
        metadata_pair pair = {0};
        char shown[60], place[80];
        HONE_TRY(read_string(c, &pair.key));
        HONE_TRY(expect(c, ':'));
        snprintf(place, sizeof place, "__metadata__.%s",
                 text_escape(shown, sizeof shown, pair.key.p, pair.key.n));
        if (peek(c) != '"') return refuse(c, c->at, place, "expected a string");
        HONE_TRY(read_string(c, &pair.value));
        vec_push(&c->metadata, pair);
        HONE_TRY(next_item(c, '}', &more));
    }
    return HONE_OK;
}

static hone_status read_members(cursor *c) {
    int more = 1, metadata_seen = 0;
    size_t bad;
    if (!utf8_valid(c->p, c->n, &bad))
        return refuse(c, bad, "header", "invalid UTF-8 byte 0x%02x", (unsigned char)c->p[bad]);
    HONE_TRY(expect(c, '{'));
    if (peek(c) == '}') c->at++, more = 0;
    while (more) {
        stored_tensor t = {0};
        str name;
        strcpy(c->shown, "header");
        const size_t at = (peek(c), c->at);
        HONE_TRY(read_string(c, &name));
        HONE_TRY(expect(c, ':'));
        if (str_is(name, "__metadata__")) {
            if (metadata_seen++) return refuse(c, at, "header", "__metadata__ given twice");
            HONE_TRY(read_metadata(c));
        } else {
            char shown[120];
            snprintf(c->shown, sizeof c->shown, "\"%s\"", text_escape(shown, sizeof shown, name.p, name.n));
            HONE_TRY(read_tensor(c, &t));
            t.name = name.p; /* ends with NUL: arena memory is zeroed */
            vec_push(&c->tensor, t);
            vec_push(&c->name_at, at);
        }
        strcpy(c->shown, "header");
        HONE_TRY(next_item(c, '}', &more));
    }
    skip_space(c);
    return c->at < c->n ? refuse(c, c->at, "header", "bytes after the closing '}'") : HONE_OK;
}

static hone_status take_metadata(cursor *c) {
    safetensors *s = c->s;
    const char **key = ARENA_ARRAY(s->a, c->metadata.n, const char *);
    int twice, first;
    for (size_t i = 0; i < c->metadata.n; i++) key[i] = c->metadata.p[i].key.p;
    s->n_metadata = (int)c->metadata.n;
    names_index(s->a, key, s->n_metadata, &twice, &first);
    if (twice >= 0) {
        char shown[60];
        return hone_fail(c->err, HONE_EDAMAGED, "%s: __metadata__.%s given twice", s->path,
                         text_escape(shown, sizeof shown, key[twice], strlen(key[twice])));
    }
    s->metadata = ARENA_ARRAY(s->a, c->metadata.n, metadata_pair);
    if (s->n_metadata) memcpy(s->metadata, c->metadata.p, c->metadata.n * sizeof *s->metadata);
    return HONE_OK;
}

static hone_status index_tensors(cursor *c) {
    safetensors *s = c->s;
    const char **name = ARENA_ARRAY(s->a, c->tensor.n, const char *);
    int twice, first;
    for (size_t i = 0; i < c->tensor.n; i++) name[i] = c->tensor.p[i].name;
    s->n = (int)c->tensor.n;
    s->names = names_index(s->a, name, s->n, &twice, &first);
    if (twice >= 0) {
        char shown[120];
        return hone_fail(c->err, HONE_EDAMAGED, "%s: byte %zu: tensor \"%s\" given twice, first at byte %zu",
                         s->path, c->name_at.p[twice] + 8,
                         text_escape(shown, sizeof shown, name[twice], strlen(name[twice])),
                         c->name_at.p[first] + 8);
    }
    s->tensor = ARENA_ARRAY(s->a, c->tensor.n, stored_tensor);
    if (s->n) memcpy(s->tensor, c->tensor.p, c->tensor.n * sizeof *s->tensor);
    return take_metadata(c);
}

hone_status header_read(safetensors *s, const char *p, size_t n, hone_err *err) {
    cursor c = {.p = p, .n = n, .s = s, .err = err};
    strcpy(c.shown, "header");
    hone_status status = read_members(&c);
    if (!status) status = index_tensors(&c);
    vec_free(&c.tensor);
    vec_free(&c.metadata);
    vec_free(&c.name_at);
    return status;
}
