/* inputs.c - labels first, because the token cache holds label numbers. */
#include <string.h>

#include "train/inputs.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/rng.h"
#include "data/windows.h"

/* 1 if every label that occurs in found is a name of known. */
static int names_all(const labels *known, const labels *found) {
    for (int i = 0; i < found->n; i++)
        if (labels_find(known, found->name[i]) < 0) return 0;
    return known->n > 0;
}

/* "LABEL_0" ...: names that say nothing. */
static int says_nothing(const model_config *c) {
    for (int i = 0; i < c->n_labels && c->label; i++)
        if (c->label[i].n < 6 || memcmp(c->label[i].p, "LABEL_", 6)) return 0;
    return 1;
}

static hone_status labels_of_train_file(labels *out, session *s, hone_err *err) {
    const dataset_options o = session_dataset_options(s, 0);
    return dataset_labels(out, s->a, s->job->train_file, &o, err);
}

static labels labels_of_columns(arena *a, const texts *t) {
    labels l = {t->n, ARENA_ARRAY(a, (size_t)t->n + 1, str)};
    for (int i = 0; i < t->n; i++) l.name[i] = str_of(t->p[i]);
    return l;
}

hone_status inputs_labels(session *s, hone_err *err) {
    const job *j = s->job;
    if (session_guesses_words(s) || s->head == HEAD_SPANS) return HONE_OK;
    if (j->do_regression) {
        session_set_head(s, HEAD_REGRESSION, (labels){0});
        return HONE_OK;
    }
    if (s->head != HEAD_TOKENS) s->head = j->problem_type == PROBLEM_MULTI ? HEAD_MARKS : HEAD_CLASSES;
    if (j->label_column_names.n) {
        session_set_head(s, HEAD_MARKS, labels_of_columns(s->a, &j->label_column_names));
        return HONE_OK;
    }
    const labels own = {.n = s->config->label ? s->config->n_labels : 0, .name = s->config->label};
    if (j->labels_file) {
        HONE_TRY(labels_read(&s->labels, s->a, j->labels_file, err));
    } else if (!j->train_file) {
        s->labels = own;
    } else {
        labels found;
        HONE_TRY(labels_of_train_file(&found, s, err));
        s->labels = !says_nothing(s->config) && names_all(&own, &found) ? own : found;
    }
    if (s->labels.n < (s->head == HEAD_MARKS ? 1 : 2)) {
        hone_fail(err, HONE_EDATA, "%s: %d classes, expected at least 2",
                  j->train_file ? j->train_file : j->labels_file, s->labels.n);
        return hone_hint(
            err, "do_regression: true predicts numbers; label_column_name names the column of labels");
    }
    session_set_head(s, s->head, s->labels);
    return HONE_OK;
}

/* balanced, of marks: how many are 0 for one that is 1, as torch's pos_weight is meant. */
static void balance_marks(double *weight, const dataset *d) {
    for (int c = 0; c < d->n_targets; c++) {
        double is = 0, not = 0;
        for (int64_t i = 0; i < d->n; i++) {
            const double mark = d->target[i * d->n_targets + c];
            is += mark == 1;
            not += mark == 0;
        }
        weight[c] = is > 0 ? not / is : 1;
    }
}

/* balanced: n / (classes * n of the class), as scikit-learn's compute_class_weight. */
static hone_status make_class_weights(inputs *in, const session *s, hone_err *err) {
    const job *j = s->job;
    const int n = s->n_labels;
    if (j->class_weights == WEIGHTS_NONE || s->head == HEAD_REGRESSION || session_guesses_words(s)) return HONE_OK;
    in->class_weight = ARENA_ARRAY(in->a, (size_t)n, double);
    if (j->class_weights == WEIGHTS_LIST) {
        if (j->class_weight_list.n != n)
            return hone_fail(err, HONE_EUSAGE, "class_weights: %d numbers, expected %d, one a class",
                             j->class_weight_list.n, n);
        memcpy(in->class_weight, j->class_weight_list.p, sizeof(double) * (size_t)n);
        return HONE_OK;
    }
    int64_t *count = ARENA_ARRAY(in->a, (size_t)n, int64_t);
    if (s->head == HEAD_MARKS) {
        balance_marks(in->class_weight, in->train);
        return HONE_OK;
    }
    for (int64_t i = 0; i < in->train->n; i++)
        if (in->train->label[i] >= 0) count[in->train->label[i]]++;
    for (int c = 0; c < n; c++)
        in->class_weight[c] = count[c] ? (double)in->train->n / ((double)n * (double)count[c]) : 0;
    return HONE_OK;
}

/* A sample without a word to guess teaches nothing, and a mean over no words is none. */
static hone_status keep_samples(dataset **d, const session *s, const char *path, int64_t max_samples, hone_err *err) {
    const int64_t most = max_samples ? max_samples : (*d)->n;
    int64_t *index = mem_new((size_t)(*d)->n * sizeof *index + 1, "samples"), n = 0, empty = 0;
    for (int64_t i = 0; i < (*d)->n && n < most; i++)
        if (session_words(s, *d, &i, 1, MASKS_EVALUATION)) index[n++] = i;
        else empty++;
    if (empty) log_note("%s: %lld samples without a word to %s are left out", path, (long long)empty, s->masks ? "hide" : "guess");
    if (n < (*d)->n && n) dataset_keep(d, index, n);
    mem_free(index);
    return n ? HONE_OK
             : hone_fail(err, HONE_EDATA, "%s: no text has a word to %s, expected at least one", path,
                         s->masks ? "hide" : "guess");
}

hone_status inputs_samples(dataset **d, const session *s, const char *path, int64_t max_samples, hone_err *err) {
    const int64_t block = session_longest(s);
    const int documents = s->head == HEAD_NEXT && !s->job->cross_documents,
              pieces = s->masks && !s->pairs && !s->job->cross_documents && !s->job->line_by_line;
    const int blocks = s->job->cross_documents;
    if (!session_guesses_words(s)) return HONE_OK;
    if (s->pairs) return pairs_begin(*d, s->pairs, max_samples, MASKS_EVALUATION, path, err);
    if (blocks && (*d)->n_tokens < block) {
        hone_fail(err, HONE_EDATA, "%s: %lld tokens in all, expected at least a block of max_seq_length, %lld", path,
                  (long long)(*d)->n_tokens, (long long)block);
        return hone_hint(err, "cross_documents: false makes shorter samples as well");
    }
    if (blocks) dataset_regroup(*d, block);
    if (documents) dataset_cut(*d, s->end_id, block);
    if (pieces) {
        const tokenizer_roles r = tokenizer_special(s->tok);
        dataset_pieces(*d, block, r.cls, r.sep);
    }
    return keep_samples(d, s, path, max_samples, err);
}

/* The questions of a file and their texts, in windows. */
static hone_status read_questions(dataset **out, const session *s, const char *path, const dataset_options *o, int labelled,
                                  hone_err *err) {
    questions *q;
    HONE_TRY(questions_read(&q, path, &o->rows, o->max_samples, err));
    if (labelled == 2 && !q->has_answers) {
        hone_fail(err, HONE_EDATA, "%s: its questions have no \"answers\"", q->name);
        questions_free(q);
        return HONE_EDATA;
    }
    const window_options w = {o->encode.max_length, (int)s->job->doc_stride, labelled > 0 && q->has_answers,
                              strcmp(path, "-") ? o->cache_folder : NULL, o->rebuild};
    HONE_TRY(windows_make(out, q, &w, s->tok, s->pool, err));
    log_note("%s: %lld questions, %lld windows", path, (long long)(*out)->windows->of->n, (long long)(*out)->n);
    return HONE_OK;
}

hone_status inputs_read(dataset **out, const session *s, const char *path, int64_t max_samples, int labelled, hone_err *err) {
    dataset_options o = session_dataset_options(s, max_samples);
    if (s->head == HEAD_SPANS) return read_questions(out, s, path, &o, labelled, err);
    if (!labelled) o.label = LABEL_NONE;
    if (!strcmp(path, "-")) o.cache_folder = NULL;
    HONE_TRY(dataset_open(out, path, &o, s->tok, &s->labels, labelled < 2, s->pool, err));
    const dataset *d = *out;
    if (d->n_truncated)
        log_note("%s: %.1f %% of rows truncated at %lld tokens (mean loss %.0f tokens)", path,
                 100.0 * (double)d->n_truncated / (double)d->n, (long long)o.encode.max_length,
                 (double)d->n_cut_tokens / (double)d->n_truncated);
    return inputs_samples(out, s, path, max_samples, err);
}

static void split_validation(inputs *in, const session *s) {
    const dataset *d = in->whole;
    int64_t *train = ARENA_ARRAY(in->a, (size_t)d->n + 1, int64_t),
            *validation = ARENA_ARRAY(in->a, (size_t)d->n + 1, int64_t), n_train, n_validation;
    dataset_split(d, s->job->validation_split_percentage / 100, (uint64_t)s->job->shuffle_seed, train,
                  &n_train, validation, &n_validation);
    in->train = dataset_pick(d, train, n_train);
    in->validation = dataset_pick(d, validation, n_validation);
}

/* The first max_train_samples of the shuffled rows, as run_classification takes them. */
static dataset *shuffle_rows(inputs *in, const dataset *d, const job *j) {
    int64_t *index = ARENA_ARRAY(in->a, (size_t)d->n + 1, int64_t), n = d->n;
    for (int64_t i = 0; i < n; i++) index[i] = i;
    for (int64_t i = n - 1; i > 0; i--) {
        const int64_t k = (int64_t)rng_below((uint64_t)j->shuffle_seed, RNG_SPLIT, 1, (uint64_t)i,
                                             (uint64_t)i + 1),
                      swap = index[i];
        index[i] = index[k];
        index[k] = swap;
    }
    if (j->max_train_samples && j->max_train_samples < n) n = j->max_train_samples;
    return dataset_pick(d, index, n);
}

static hone_status open_all(inputs *in, session *s, hone_err *err) {
    const job *j = s->job;
    if (j->train_file && j->do_train) {
        dataset *d;
        HONE_TRY(inputs_read(&d, s, j->train_file, j->shuffle_train_dataset ? 0 : j->max_train_samples, 2, err));
        if (j->shuffle_train_dataset) {
            in->unshuffled = d;
            d = shuffle_rows(in, d, j);
        }
        if (!j->validation_file && j->validation_split_percentage > 0) {
            in->whole = d;
            split_validation(in, s);
        } else in->train = d;
        if (!in->train->n)
            return hone_fail(err, HONE_EDATA, "%s: no rows are left to train on", j->train_file);
    }
    if (j->validation_file)
        HONE_TRY(inputs_read(&in->validation, s, j->validation_file, j->max_eval_samples, 2, err));
    if (j->test_file) HONE_TRY(inputs_read(&in->test, s, j->test_file, j->max_predict_samples, 1, err));
    return in->train ? make_class_weights(in, s, err) : HONE_OK;
}

hone_status inputs_open(inputs **out, session *s, hone_err *err) {
    HONE_TRY(inputs_labels(s, err));
    arena *a = arena_new("inputs");
    inputs *in = ARENA_NEW(a, inputs);
    in->a = a;
    const hone_status status = open_all(in, s, err);
    if (status) {
        inputs_close(in);
        return status;
    }
    *out = in;
    return HONE_OK;
}

void inputs_close(inputs *in) {
    if (!in) return;
    dataset_free(in->train);
    dataset_free(in->validation);
    dataset_free(in->test);
    dataset_free(in->whole);
    dataset_free(in->unshuffled);
    arena_free(in->a);
}
