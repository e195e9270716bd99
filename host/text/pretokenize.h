/* pretokenize.h - a normalised text cut into words, which the model then cuts into pieces. */
#ifndef TEXT_PRETOKENIZE_H
#define TEXT_PRETOKENIZE_H
#include "text/normalize.h"

typedef enum {
    CUT_NOT,   /* the text is one word */
    CUT_BERT,  /* white space ends a word, punctuation is one by itself */
    CUT_BLANK, /* white space ends a word */
    CUT_GPT2,  /* GPT-2's pattern (pretokenize_patterns) */
    CUT_SMILES /* atoms, bonds, rings and branches of a molecule */
} cut_kind;

typedef enum { MARK_NEVER, MARK_FIRST, MARK_ALWAYS } mark_scheme;

typedef struct {
    cut_kind cut;
    int bytes; /* ByteLevel: the characters of words are their bytes, each written as one of 256 characters */
    int prefix_space; /* ByteLevel: a text begins with a space; one is put in where there is none */
    uint32_t mark;    /* Metaspace: spaces become this ... */
    mark_scheme
        scheme; /* ... and words (those at the beginning of the text) begin with one, put in where there is none */
    int at_marks; /* ... and each mark begins a word of its own */
} pretokenizer;

/* The patterns of Split that are known, by the text of their regular expression. */
typedef struct {
    const char *pattern;
    cut_kind cut;
} pretokenize_pattern;
extern const pretokenize_pattern pretokenize_patterns[];
extern const int n_pretokenize_patterns;

/* Call word for each word of characters [first, end) of c. spare: storage for characters that were put in. */
typedef void pretokenize_word(void *arg, const characters *c, size_t first, size_t end);
void pretokenize(const pretokenizer *p, const characters *c, size_t first, size_t end, characters *spare,
                 pretokenize_word *word, void *arg);
#endif
