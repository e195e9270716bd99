/* normalizer.h - what happens to a text before it is cut into words: a list of steps, each what the normalizer of
 * that name in tokenizer.json does. Characters keep the places that they came from, as the library hands them on. */
#ifndef TEXT_NORMALIZER_H
#define TEXT_NORMALIZER_H
#include "base/vec.h"
#include "text/normalize.h"

typedef struct charsmap charsmap;

typedef enum {
    NORMALIZE_BERT,
    NORMALIZE_NFC,
    NORMALIZE_NFD,
    NORMALIZE_NFKC,
    NORMALIZE_NFKD,
    NORMALIZE_LOWERCASE,
    NORMALIZE_STRIP_ACCENTS, /* takes marks away */
    NORMALIZE_NMT,           /* control characters go, odd blanks become spaces */
    NORMALIZE_STRIP,         /* white space at the ends goes */
    NORMALIZE_PREPEND,
    NORMALIZE_REPLACE,
    NORMALIZE_MAP /* Precompiled */
} normalize_kind;

typedef struct {
    normalize_kind kind;
    normalize_options bert;
    int left, right; /* STRIP */
    const uint32_t
        *from; /* REPLACE: these characters; where least is set, the one character least times or more */
    size_t n_from, least;
    const uint32_t *to; /* REPLACE, PREPEND */
    size_t n_to;
    const charsmap *map; /* MAP */
    str map_text;        /* as in the file */
} normalize_step;

#define NORMALIZER_STEPS 16
typedef struct {
    normalize_step step[NORMALIZER_STEPS];
    int n; /* 0: text stays as it is */
} normalizer;

/* How characters change, in the library's terms: code replaces one character (change 0), and takes -change further ones
 * away (change below 0), or is put in behind what was replaced last (change above 0). */
typedef struct {
    uint32_t code;
    int32_t change;
} edit;
typedef VEC(edit) edits;

/* What a thread needs for it. */
typedef struct {
    characters spare;
    edits edits;
} normalizer_scratch;
void normalizer_scratch_free(normalizer_scratch *s);

/* Set out to the characters of s, normalised; at: offset of s in the text. */
void normalizer_run(const normalizer *n, str s, size_t at, characters *out, normalizer_scratch *scratch);

/* forms.c: NFD, NFKD, NFC, NFKC of in, as edits. */
void normalize_form(const characters *in, int compat, int compose, edits *out);
#endif
