/* card.h - the README.md of a model folder: what it is, what it learned from, how well, how to use it.
 *
 * The front matter is the YAML that the Hub reads. Whatever comes from data or from a user (labels, names of
 * files, settings) is quoted there, and escaped below it, so that it stays text: no markup, no links, no
 * lines of its own. */
#ifndef MODEL_CARD_H
#define MODEL_CARD_H
#include "base/str.h"

typedef struct {
    const char *name, *value;
} card_row;

typedef struct {
    const char *name; /* "accuracy" */
    double value;
} card_metric;

typedef struct {
    const char *role, *file; /* "train", "data/train.csv": only the last part of the path is shown */
    int64_t rows;            /* -1: not counted */
} card_data;

/* Everything may be NULL or 0 where it is not known. */
typedef struct {
    const char *title;      /* heading; "a fine-tuned model" */
    const char *base_model; /* an id of the Hub ("bert-base-uncased", "owner/name"); anything else is only
                               text below */
    const char *task;       /* pipeline_tag; "text-classification" */
    const char *language, *license;
    const char *model_type; /* "bert": a tag */
    const card_data *data;
    int n_data;
    const str *label;
    int n_labels;
    const card_row *setting; /* learning_rate 5e-5, in the order of the table */
    int n_settings;
    const card_metric *metric;
    int n_metrics;
    const char *metric_set; /* "validation", "test": which data the metrics are of */
    const char *metric_file;
    const card_row *fact; /* versions, hashes, time, energy */
    int n_facts;
    const char *example; /* a text to predict in the snippet */
} card;

void card_print(const card *c, text *out);

/* A text as a YAML scalar, always in double quotes, at most 200 characters of it. */
void card_yaml(text *out, const char *p, size_t n);
/* A text as plain words in Markdown, one line, at most 200 characters of it; also within a table's cell. */
void card_markdown(text *out, const char *p, size_t n);

/* Is this YAML front matter followed by a body, of the kind that card_print writes (blocks of mappings and
 * lists, plain and double-quoted scalars)? 1, or 0 with the line (from 1) and what is wrong. */
int card_check(const char *p, size_t n, int *line, const char **what);
#endif
