/* unicode.h - what BERT's normalizer and pre-tokenizer do with a code point, as the `tokenizers` library does
 * it.
 *
 * The tables (unicode_tables.c) were made by asking that library about every code point; its classes belong
 * to no single version of Unicode. */
#ifndef TEXT_UNICODE_H
#define TEXT_UNICODE_H
#include <stdint.h>

enum {
    UNICODE_DROP = 1,        /* clean_text takes it away */
    UNICODE_SPACE = 2,       /* clean_text makes it a space */
    UNICODE_CJK = 4,         /* gets spaces around it */
    UNICODE_PUNCTUATION = 8, /* a token by itself */
    UNICODE_GAP = 16,        /* white space: ends a word */
    UNICODE_STRIP = 32,      /* stripping accents changes it */
    UNICODE_LOWER = 64,      /* lower-casing changes it */
    UNICODE_MARK = 128       /* canonical combining class above 0: marks behind a starter are put in order */
};

/* Of the tables. */
extern const uint8_t unicode_block[0x1100], unicode_class_of[][256];
extern const int unicode_n_strip, unicode_n_lower, unicode_n_mark;
extern const uint32_t unicode_strip_code[], unicode_strip_to[], unicode_lower_code[], unicode_lower_to[],
    unicode_mark_code[], unicode_mark_to[];
extern const uint16_t unicode_strip_at[], unicode_lower_at[], unicode_mark_at[];
extern const int unicode_n_word;
extern const uint32_t unicode_word_range[][2]; /* first and last */

static inline unsigned unicode_class(uint32_t code) {
    return unicode_class_of[unicode_block[code >> 8]][code & 255];
}

/* The code points that code becomes when accents are stripped (decomposed, nonspacing marks taken away), or
 * lower-cased; at most 8. Returns how many. */
int unicode_strip(uint32_t code, uint32_t out[8]);
int unicode_lower(uint32_t code, uint32_t out[8]);
int unicode_is_word(uint32_t code);   /* part of a word where added tokens must stand alone */
int unicode_combining(uint32_t code); /* canonical combining class, 0: a starter */
#endif
