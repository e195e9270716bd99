/* dataset.h - a data file as samples: packed token ids with labels, kept in a memory-mapped cache.
 *
 * A data set is tokenised once, as its rows come: what is held of file and tokens at a time is bounded. The cache is one file keyed by content, tokenizer and settings (SHA-256),
 * built under a temporary name and renamed, so two processes may build it at once; a stale or damaged one is
 * rebuilt. */
#ifndef DATA_DATASET_H
#define DATA_DATASET_H
#include "base/host.h"
#include "data/rows.h"
#include "text/tokenizer.h"

typedef enum {
    LABEL_NONE,
    LABEL_CLASS,  /* int32 class */
    LABEL_TARGET, /* double target (regression) */
    LABEL_MARKS,  /* any number of the classes: a double 0 or 1 of each, NaN where nothing is said */
    LABEL_WORDS   /* a class of each word; with rows.words alone */
} label_kind;

/* What closes a text. EMPTY: the end stands for a text that has no tokens. TEXTS: it stands behind each text. FILE: the same,
 * but the plain lines of a file are one text, with their line breaks. */
typedef enum { ENDS_NOT, ENDS_EMPTY, ENDS_TEXTS, ENDS_FILE } text_ends;

/* Names of classes in id order. */
typedef struct {
    int n;
    str *name;
} labels;

typedef struct {
    const char *const *text_columns;   /* names or numbers; n 0: run_classification's guess (see columns.h) */
    int n_text_columns;                /* 1 text; 2 a pair; more: joined by text_column_delimiter */
    const char *text_column_delimiter; /* NULL: " " */
    int join_texts;           /* 1: two columns are joined as well, as run_classification does, not a pair */
    const char *label_column; /* name or number; NULL: "label" if there, else the only other column */
    label_kind label;
    /* MARKS, where a cell is a list that is text: what items are cut at (lists.h). Without a label_column, in a file that has a
     * column of the name of every class, those say 1 or 0 each, or nothing. */
    const char *label_delimiter;
    encode_options encode;
    text_ends ends;
    int32_t end_id;      /* the token that it is */
    int64_t max_samples; /* 0: all; the first ones, as HF does (after shuffling where asked) */
    rows_options rows;
    const char *cache_folder; /* NULL: keep in memory, no file */
    int rebuild;              /* overwrite_cache */
} dataset_options;

/* Two runs of tokens, between special ones: [CLS] first [SEP] second [SEP] (pairs.h), or one (n[1] 0): [CLS] first [SEP]. */
typedef struct {
    int64_t first[2], n[2];
} token_pair;

/* Offsets and ids are mapped: first row of sample i is at[i], its length at[i + 1] - at[i]. n_truncated
 * samples lost n_cut_tokens; n_unknown tokens are [UNK]; n_empty samples have no text but white space. A data set of pairs
 * (pairs.h) has runs of rows instead, so that only the lengths are those of at: dataset_tokens tells the two apart. */
typedef struct {
    int64_t n; /* samples */
    int64_t n_tokens;
    const int64_t *at;    /* [n + 1] */
    const int32_t *id;    /* [n_tokens] */
    const uint8_t *type;  /* [n_tokens] */
    const int32_t *label; /* [n]; -1: none */
    int n_targets;
    const double *target; /* [n, n_targets] or NULL */
    /* Rows of words, else NULL: at a word's first token its number in the text, elsewhere -1; its class there, -1: none. */
    const int32_t *word, *tag; /* [n_tokens] */
    const int32_t *line;  /* [n] line in the file; of pairs NULL */
    const token_pair *pair; /* [n] or NULL */
    int32_t cls, sep;       /* around the runs of a pair */
    /* Windows, else NULL: [n, 2] first and last token of an answer, from the sample's first; [n_tokens] bytes of the context that
     * a token is, or -1, -1: it is none of the context's. */
    const int32_t *span, *from, *to;
    const struct windows *windows; /* samples that are windows of texts that are asked about (windows.h), else NULL */
    int max_length;       /* longest sample */
    int64_t n_truncated, n_cut_tokens, n_unknown, n_empty;
    char key[65];    /* of the cache: content, tokenizer, settings */
    char sha256[65]; /* of the file */
    int from_cache;  /* 1: mapped, not built */
    rows_format format; /* of the file */
    void *owner;     /* private */
} dataset;

/* Class names of a column, from the block of rows at hand to the last one, as run_classification sorts them: the distinct
 * values, sorted as text (numbers too: "10" stands before "2"). */
hone_status labels_collect(labels *out, arena *a, rows *r, int column, hone_err *err);
/* The same of a column whose cells are lists (lists.h). */
hone_status labels_collect_lists(labels *out, arena *a, rows *r, int column, const char *delimiter, hone_err *err);
hone_status labels_read(labels *out, arena *a, const char *path, hone_err *err); /* one name a line */
int labels_find(const labels *l, str name);                                      /* -1 */

/* The class names of PATH's label column, as labels_collect gives them, through the cache: a file that was
 * read before and has not changed is not read again. */
hone_status dataset_labels(labels *out, arena *a, const char *path, const dataset_options *o, hone_err *err);

/* Tokenise (or map the cache of) the rows of PATH. known: names of classes, needed for LABEL_CLASS. A label
 * that is not among them is HONE_EDATA with its line and the nearest name; where labels are optional, an
 * empty label cell, "-1" (which benchmark test sets have) and a file without a label column give -1, or NaN
 * for a target. p NULL: one thread. */
hone_status dataset_open(dataset **out, const char *path, const dataset_options *o, const tokenizer *t,
                         const labels *known, int label_optional, pool *p, hone_err *err);
/* The samples of base that index[0 .. n) names, in that order, copied (for validation splits). */
dataset *dataset_pick(const dataset *base, const int64_t *index, int64_t n);
/* The same in the place of *d, ascending; of pieces (dataset_pieces) without a copy of their tokens. */
void dataset_keep(dataset **d, const int64_t *index, int64_t n);
/* d's tokens, all texts one behind the other, as samples of `length` tokens each, without labels; what is left at the end
 * belongs to none (a promise: there are that many). */
void dataset_regroup(dataset *d, int64_t length);
/* d's documents, read without special tokens, as samples of at most `length` (3 or more) with [CLS] and [SEP] around them, none
 * with tokens of two: the lines of a plain file between empty ones, each text of a table. Without labels. */
void dataset_pieces(dataset *d, int64_t length, int32_t cls, int32_t sep);
/* d's tokens as samples of at most `length` (2 or more) that lie in one document each: what ends with end_id. A piece of one
 * token is a document of one. */
void dataset_cut(dataset *d, int32_t end_id, int64_t length);
void dataset_free(dataset *d);
/* Tokens of a sample into id and type (which may be NULL), with room for max_length; returns how many. */
int64_t dataset_tokens(const dataset *d, int64_t sample, int32_t *id, int32_t *type);

/* Stratified split: writes the samples of the validation part (fraction of each class, at least one where the
 * class has two or more) and the rest, both ascending. Seeded; LABEL_NONE splits without strata. */
void dataset_split(const dataset *d, double fraction, uint64_t seed, int64_t *train, int64_t *n_train,
                   int64_t *validation, int64_t *n_validation);
#endif
