/* json.h - JSON read strictly. A scan checks UTF-8, RFC 8259 grammar, depth (64), duplicate keys, NUL in keys and
 * trailing bytes before cJSON builds the tree, because cJSON accepts all of those. Every message names line and column.
 * Integers are kept as int64 from the text; objects of more than 16 members are looked up by hash. */
#ifndef BASE_JSON_H
#define BASE_JSON_H
#include "base/arena.h"
#include "base/str.h"

typedef enum { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT } json_kind;

typedef struct json json;
struct json {
    json_kind kind;
    int is_int;      /* NUMBER: written without point and exponent, and fits int64 */
    int boolean;
    int64_t integer; /* where is_int */
    double number;   /* always for NUMBER; finite */
    str string;      /* STRING: decoded, NUL-terminated; never holds NUL, U+0000 is refused */
    str key;         /* as a member of an object */
    size_t n;        /* ARRAY, OBJECT: how many */
    const json *child, *next;
    size_t offset;   /* byte of its first character in the text */
    const void *index; /* private: hash of a large object's members */
};

/* Parse n bytes into a. `name` is the file's name in messages. On failure status is `kind` (HONE_EUSAGE, ...) and the
 * text reads "NAME: line L column C: WHAT; expected WHAT". A number has at most 63 characters; a byte order mark is refused. */
hone_status json_parse(const json **out, arena *a, const char *name, const char *text, size_t n, hone_status kind, hone_err *err);

const json *json_get(const json *object, const char *key); /* NULL: absent, or not an object */
const json *json_get_str(const json *object, str key);
/* Line and column (from 1, in bytes) of an offset. */
void json_place(const char *text, size_t n, size_t offset, int *line, int *column);
const char *json_kind_name(json_kind kind); /* "a number", "text", "an object", ... */
#endif
