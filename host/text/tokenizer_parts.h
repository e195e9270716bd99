/* tokenizer_parts.h - what a tokenizer is made of; shared by the files that load it and use it. */
#ifndef TEXT_TOKENIZER_PARTS_H
#define TEXT_TOKENIZER_PARTS_H
#include "base/json.h"
#include "base/vec.h"
#include "text/normalizer.h"
#include "text/pretokenize.h"
#include "text/tokenizer.h"
#include "text/vocab.h"

/* A token that is found in text before the model sees it. */
typedef struct {
    str content;    /* as found: in raw text, or in normalised text */
    uint32_t *code; /* the same as code points */
    int n_codes, id;
    str shown;    /* what its id is as text: the normalised form, where that is looked for */
    int left_out; /* where special tokens are left out of decoded text */
    int single_word, lstrip, rstrip, normalized, special;
} added_token;

/* One piece of the template around a text (or pair). */
typedef struct {
    int id;   /* of a special token; -1: a sequence */
    int pair; /* sequence: 0 first, 1 second */
    int type; /* type id */
} template_piece;
#define TEMPLATE_MAX 32
typedef struct {
    template_piece piece[TEMPLATE_MAX];
    int n, n_special;
} template_form;

/* A piece of a word: its id, and the byte of the word behind it. */
typedef struct {
    int32_t id, end;
} piece;
typedef VEC(piece) pieces;
/* What cutting a word needs, kept from word to word by whoever encodes. */
typedef struct {
    VEC(int32_t) number;
    VEC(uint64_t) heap;
    VEC(double) score;
} cut_scratch;
void cut_scratch_free(cut_scratch *s);

/* One kind of model: how a word becomes ids. */
typedef struct {
    const char *name;
    /* Set out to the pieces of a word of 1 byte or more (UTF-8). */
    void (*cut)(const tokenizer *t, str word, cut_scratch *scratch, pieces *out);
} model_kind;
extern const model_kind wordpiece_kind, bpe_kind, unigram_kind, wordlevel_kind; /* wordpiece.c, bpe.c, ... */
#define WORDPIECE_MAX_CHARS 500 /* that max_input_chars_per_word may be */

typedef struct bpe_model bpe_model;         /* bpe.h */
typedef struct unigram_model unigram_model; /* unigram.h */

/* What a decoder does with the texts of tokens, a step after the other. */
typedef enum {
    DECODE_WORDPIECE,
    DECODE_BYTES,
    DECODE_META,
    DECODE_BYTE_FALLBACK,
    DECODE_FUSE,
    DECODE_STRIP,
    DECODE_REPLACE
} decode_kind;
typedef struct {
    decode_kind kind;
    str prefix;  /* WORDPIECE: "##" */
    int cleanup; /* WORDPIECE: take spaces before punctuation away */
    str from;    /* META: the mark; STRIP: a character; REPLACE: a text */
    str to;      /* REPLACE */
    int left;    /* STRIP: so many at most; META: the first mark goes */
    int right;
} decode_step;
#define DECODER_STEPS 8

struct tokenizer {
    arena *a;
    const model_kind *model;
    vocab vocab; /* added tokens included */
    int n_model; /* ids of the model */
    normalizer normalizer;
    pretokenizer pretokenizer;
    int unk;       /* -1: none */
    str prefix;    /* WordPiece: "##" */
    int max_chars; /* WordPiece: longer words are [UNK]: 100 */
    const bpe_model *bpe;
    const unigram_model *unigram;
    added_token *added; /* in the order of the file */
    int32_t *added_of;  /* by id: place in added + 1, 0: none */
    int n_added, added_cap;
    const added_token **sought; /* those with any text, in the order in which they are tried */
    int n_sought;
    uint8_t starts_raw[256];        /* first bytes of those found in raw text */
    uint8_t starts_normalized[256]; /* lowest bytes of the first code points of the others */
    template_form single, pair;
    int trims, trims_prefix; /* offsets leave spaces out; but for the one that add_prefix_space put in */
    decode_step decoder[DECODER_STEPS];
    int n_decoder; /* 0: tokens with a blank between */
    int model_max_length;
    tokenizer_roles roles;
    char sha256[65];
};

/* tokenizer_json.c, tokenizer_vocab.c, tokenizer_merges.c: the ways to load. */
hone_status tokenizer_from_json(tokenizer *t, const char *path, hone_err *err);
hone_status tokenizer_from_vocab(const json **config, tokenizer *t, const char *folder, hone_err *err);
hone_status tokenizer_from_merges(const json **config, tokenizer *t, const char *folder, hone_err *err);
void tokenizer_set_template(tokenizer *t, int cls, int sep);
void tokenizer_set_roberta(tokenizer *t, int cls, int sep); /* two separators between texts, all types 0 */
void tokenizer_set_bare(tokenizer *t);                      /* no special tokens */

/* tokenizer_config.c. Read tokenizer_config.json of the folder, if there (else NULL): model_max_length, and what
 * vocab.txt does not say. */
hone_status tokenizer_read_config(const json **out, tokenizer *t, const char *folder, hone_err *err);
/* The text of a special token as tokenizer_config.json gives it under key: as text, or as an object with
 * content; null: empty, there is no such token. */
str tokenizer_config_token(const json *config, const char *key, const char *otherwise);
int tokenizer_config_flag(const json *config, const char *key, int otherwise);
/* do_lower_case (true), strip_accents (null: as lower-casing), tokenize_chinese_chars (true); config NULL: so. */
normalize_options tokenizer_config_options(const json *config);
/* Beside tokenizer.json: transformers makes a BertTokenizer's normalizer anew from tokenizer_config.json, and so
 * do we, with a note where that changes it. Other classes, or no such file: tokenizer.json counts. */
void tokenizer_follow_config(tokenizer *t, const json *config, const char *folder);
/* Beside vocab.txt: added tokens other than the special ones are refused by name, wherever they are listed
 * (HONE_EUSAGE). */
hone_status tokenizer_check_listed(tokenizer *t, const json *config, const char *folder, hone_err *err);

/* fingerprint.c: sha256 from everything that decides ids. */
void tokenizer_fingerprint(tokenizer *t);

/* encode.c */
void encoding_reserve(encoding *e, size_t n);
void encoding_put(encoding *e, int id, int type, int from, int to, int special);
#endif
