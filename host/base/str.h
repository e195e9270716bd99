/* str.h - borrowed slices, and a growing text buffer. */
#ifndef BASE_STR_H
#define BASE_STR_H
#include <stddef.h>
#include <stdint.h>
#include "hone/status.h"

typedef struct {
    const char *p; /* need not end with NUL */
    size_t n;
} str;
#define STR(literal) ((str){literal, sizeof(literal) - 1})
str str_of(const char *text); /* NULL: empty */
int str_eq(str a, str b);
int str_is(str a, const char *text);
int str_compare(str a, str b); /* by bytes; <0 0 >0 */
int str_matches(const char *pattern, const char *name); /* the whole name; * any bytes, ? one */

/* UTF-8: decode one code point at p (n bytes left); returns its length, 0 if the bytes are not valid UTF-8. */
int utf8_decode(const char *p, size_t n, uint32_t *code);
int utf8_encode(uint32_t code, char out[4]); /* length; 0 for a surrogate or beyond U+10FFFF */
int utf8_valid(const char *p, size_t n, size_t *bad); /* *bad: offset of the first bad byte */

typedef struct {
    char *p; /* always ends with NUL once something was added */
    size_t n, cap;
} text;
void text_add(text *t, const char *p, size_t n);
void text_str(text *t, const char *s);
void text_printf(text *t, const char *fmt, ...) HONE_PRINTF(2, 3);
void text_json(text *t, const char *p, size_t n); /* a JSON string with quotes; invalid UTF-8 becomes U+FFFD */
void text_double(text *t, double x);              /* %.9g, point whatever the locale; must be finite */
void text_clear(text *t);                         /* keeps the storage */
void text_free(text *t);

/* Whole-string number readers, locale-free. 1 and *out on success, else 0 (trailing bytes, overflow, empty). */
int str_to_int64(str s, int64_t *out);
int str_to_double(str s, double *out); /* decimal or scientific; no nan, inf, hex */
#endif
