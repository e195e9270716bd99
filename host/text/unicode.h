/* unicode.h - what normalizers and pre-tokenizers do with a code point, as the `tokenizers` library does it.
 *
 * The tables (unicode_tables.c, unicode_forms.c) were made by asking that library about every code point; its
 * classes belong to no single version of Unicode: its regular expressions know Unicode 16 (tokenizers 0.23.3), its
 * normalization forms none of the characters that came with 13 and later. */
#ifndef TEXT_UNICODE_H
#define TEXT_UNICODE_H
#include <stdint.h>

enum {
    UNICODE_DROP = 1,         /* clean_text takes it away */
    UNICODE_SPACE = 2,        /* clean_text makes it a space */
    UNICODE_CJK = 4,          /* gets spaces around it */
    UNICODE_PUNCTUATION = 8,  /* a token by itself */
    UNICODE_GAP = 16,         /* white space: ends a word */
    UNICODE_STRIP = 32,       /* stripping accents changes it */
    UNICODE_LOWER = 64,       /* lower-casing changes it */
    UNICODE_MARK = 128,       /* canonical combining class above 0: marks behind a starter are put in order */
    UNICODE_LETTER = 256,     /* \p{L} of its regular expressions */
    UNICODE_NUMBER = 512,     /* \p{N} */
    UNICODE_BLANK = 1024,     /* \s */
    UNICODE_EXTENDS = 2048,   /* belongs to the grapheme cluster before it */
    UNICODE_PREPENDS = 4096,  /* begins the cluster of what follows */
    UNICODE_CONTROL = 8192,   /* a cluster by itself */
    UNICODE_PICTURE = 16384,  /* Extended_Pictographic: a zero width joiner binds two of them */
    UNICODE_COMBINING = 32768 /* a mark of any kind, which StripAccents takes away */
};

/* Of the tables. */
extern const uint8_t unicode_block[0x1100];
extern const uint16_t unicode_class_of[][256];
extern const int unicode_n_strip, unicode_n_lower, unicode_n_mark;
extern const uint32_t unicode_strip_code[], unicode_strip_to[], unicode_lower_code[], unicode_lower_to[],
    unicode_mark_code[], unicode_mark_to[];
extern const uint16_t unicode_strip_at[], unicode_lower_at[], unicode_mark_at[];
extern const int unicode_n_word;
extern const uint32_t unicode_word_range[][2]; /* first and last */
extern const int unicode_n_decompose, unicode_n_compat, unicode_n_pair;
extern const uint32_t unicode_decompose_code[], unicode_decompose_to[], unicode_compat_code[],
    unicode_compat_to[];
extern const uint16_t unicode_decompose_at[], unicode_compat_at[];
extern const uint32_t unicode_pair[][3]; /* first, second, what they compose to; sorted */

static inline unsigned unicode_class(uint32_t code) {
    return unicode_class_of[unicode_block[code >> 8]][code & 255];
}

/* The code points that code becomes when accents are stripped (decomposed, nonspacing marks taken away), or
 * lower-cased; at most 8. Returns how many. */
int unicode_strip(uint32_t code, uint32_t out[8]);
int unicode_lower(uint32_t code, uint32_t out[8]);
#define UNICODE_WIDEST 18 /* characters of the longest decomposition */
/* Decomposed whole (NFD, or NFKD where compat is set), not yet in order; at most UNICODE_WIDEST. */
int unicode_decompose(uint32_t code, int compat, uint32_t out[UNICODE_WIDEST]);
uint32_t unicode_compose(uint32_t first, uint32_t second); /* 0: they do not compose */
int unicode_is_word(uint32_t code);   /* part of a word where added tokens must stand alone */
int unicode_combining(uint32_t code); /* canonical combining class, 0: a starter */
#endif
