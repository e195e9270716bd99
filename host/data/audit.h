/* audit.h - what a look through all of a data file finds: counts, repetitions, contradictions, lengths.
 *
 * An audit judges the rows as a job would use them. Rows are told by their physical line. Texts are compared
 * as they stand, byte for byte; of a pair both texts together. Everything lives in the arena that was given.
 */
#ifndef DATA_AUDIT_H
#define DATA_AUDIT_H
#include "data/columns.h"
#include "data/dataset.h"

#define AUDIT_SHOWN 10 /* examples of each finding that are kept */
#define AUDIT_BUCKETS 12

typedef struct {
    int32_t line, other; /* other: the earlier row (for an overlap: in the other file); 0: none */
    str shown;           /* beginning of the text */
    str label, other_label;
} audit_row;

typedef struct {
    int64_t n; /* how many; the first ones are kept */
    int n_shown;
    audit_row row[AUDIT_SHOWN];
} audit_list;

/* A piece of text that became [UNK]. */
typedef struct {
    str piece;
    int64_t n;
    int32_t line; /* first seen in */
} audit_piece;

typedef struct {
    const char *name;
    int64_t n_rows;
    str text_columns, label_column; /* names, joined by ", "; label empty: none */
    int guessed;                    /* the text columns were guessed */
    label_kind kind;

    const labels *classes; /* LABEL_CLASS */
    int64_t *count;        /* [classes->n] rows */
    int64_t n_unlabelled;
    double target_min, target_max, target_mean; /* LABEL_TARGET */

    audit_list duplicates;     /* same text, same label */
    audit_list contradictions; /* same text, two labels */
    audit_list overlap;        /* text is in the other file as well */
    const char *overlap_with;  /* its name; NULL: not compared */
    audit_list empty;          /* no text but white space */
    audit_list cut;            /* longer than max_length */

    int64_t n_tokens, n_cut_tokens, n_unknown;
    int max_length; /* of the job; 0: no limit */
    int length_min, length_median, length_p95, length_max;
    double length_mean;
    int n_buckets;
    int bucket_to[AUDIT_BUCKETS]; /* longest length of the bucket */
    int64_t bucket_rows[AUDIT_BUCKETS];
    int64_t n_pieces; /* different ones */
    int n_pieces_shown;
    audit_piece piece[AUDIT_SHOWN]; /* most frequent first */
} audit;

/* Read PATH as dataset_open would and look at all of it. known: as there. */
hone_status audit_file(audit **out, arena *a, const char *path, const dataset_options *o, const tokenizer *t,
                       const labels *known, int label_optional, pool *p, hone_err *err);
/* Fill a->overlap: rows of a's file whose text is in the other file too. */
hone_status audit_compare(audit *a, arena *mem, const char *path, const char *other_path,
                          const dataset_options *o, const dataset_options *other, hone_err *err);

/* Number of findings worth a warning (bad-inputs D10, D12, D17); warnings gives them, one line each. */
int audit_warnings(const audit *a, text *out);
void audit_print(const audit *a, text *out); /* for people */
void audit_json(const audit *a, text *out);  /* one object */
#endif
