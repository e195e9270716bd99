/* resume.c - going on from a checkpoint: whether the job is still the same one, and the state it left. */
#include <stdlib.h>
#include <string.h>

#include "train/optimizer.h"
#include "train/train.h"
#include "base/err.h"
#include "base/file.h"
#include "base/table.h"

/* ---- the job then and now ---- */

/* Fields that decided the steps already taken: with another value these would not have been a part of the
 * same run. Every other field may change; from here on the job's value counts. */
static int is_fixed(str name) {
    static const char *const names[] = {"model_name_or_path",
                                        "config_name",
                                        "task",
                                        "mlm_probability",
                                        "line_by_line",
                                        "whole_word_mask",
                                        "nsp_probability",
                                        "short_seq_prob",
                                        "split_sentences",
                                        "cross_documents",
                                        "do_regression",
                                        "labels_file",
                                        "text_column_names",
                                        "text_column_delimiter",
                                        "label_column_name",
                                        "label_column_names",
                                        "label_column_delimiter",
                                        "problem_type",
                                        "doc_stride",
                                        "header",
                                        "quoting",
                                        "shuffle_train_dataset",
                                        "shuffle_seed",
                                        "validation_split_percentage",
                                        "max_seq_length",
                                        "truncation",
                                        "max_tokens_per_batch",
                                        "train_sampling_strategy",
                                        "seed",
                                        "per_device_train_batch_size",
                                        "gradient_accumulation_steps",
                                        "train_batch_size",
                                        "dataloader_drop_last",
                                        "freeze",
                                        "reinit",
                                        "bf16",
                                        "fp16",
                                        "tf32"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (str_is(name, names[i])) return 1;
    return 0;
}

/* Fields that say how to begin, not what to do; and those that are compared as what follows from them: the shards of a
 * step and their samples, the seed of the order. */
static int is_of_the_command(str name) {
    static const char *const names[] = {"resume_from_checkpoint", "overwrite_output_dir",
                                        "accept_data_change",     "accept_tokenizer_change",
                                        "reduce_shards",          "data_seed"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (str_is(name, names[i])) return 1;
    return 0;
}

/* Other values of these, with another number of ranks, may come to the same shards. */
static int cuts_a_step(str name) {
    return str_is(name, "gradient_accumulation_steps") || str_is(name, "train_batch_size");
}

/* A value of a job or fact as people write it. */
static void add_value(text *out, const json *v) {
    if (!v || v->kind == JSON_NULL || (v->kind == JSON_STRING && !v->string.n)) text_str(out, "none");
    else if (v->kind == JSON_BOOL) text_str(out, v->boolean ? "true" : "false");
    else if (v->kind == JSON_NUMBER && v->is_int) text_printf(out, "%lld", (long long)v->integer);
    else if (v->kind == JSON_NUMBER) text_printf(out, "%.9g", v->number);
    else if (v->kind == JSON_STRING) {
        char shown[200];
        text_str(out, text_escape(shown, sizeof shown, v->string.p, v->string.n));
    } else {
        if (!v->child) text_str(out, "none");
        for (const json *x = v->child; x; x = x->next) {
            if (x != v->child) text_str(out, " ");
            add_value(out, x);
        }
    }
}

typedef struct {
    table *rows;
    int n;
    text fixed; /* "seed 7 -> 8, ...": what must not differ */
} differences;

static void compare_value(differences *d, const json *was, const json *is, int fixed) {
    text before = {0}, now = {0};
    add_value(&before, was);
    add_value(&now, is);
    if (strcmp(before.p, now.p)) {
        table_cell(d->rows, "%s", is->key.p);
        table_cell(d->rows, "%s", before.p);
        table_cell(d->rows, "%s", now.p);
        table_cell(d->rows, "%s", fixed ? "not allowed" : "allowed: the job counts");
        d->n++;
        if (fixed)
            text_printf(&d->fixed, "%s%s %s -> %s", d->fixed.n ? ", " : "", is->key.p, before.p, now.p);
    }
    text_free(&before);
    text_free(&now);
}

static void print_differences(const differences *d, const checkpoint *from) {
    text lines = {0};
    if (!d->n) return;
    log_warn("the job differs from that of %s in %d %s", from->path, d->n, d->n == 1 ? "field" : "fields");
    table_print(d->rows, &lines);
    for (char *line = lines.p, *end; (end = strchr(line, '\n')); line = end + 1)
        log_note("  %.*s", (int)(end - line), line);
    text_free(&lines);
}

static int same_text(const json *facts, const json *now, const char *name) {
    const json *was = json_get(facts, name), *is = json_get(now, name);
    return was && was->kind == JSON_STRING && str_eq(was->string, is->string);
}

static hone_status compare_files(const training *t, const json *was, const json *is, hone_err *err) {
    if (!same_text(was, is, "data_sha256") && !t->job->accept_data_change) {
        hone_fail(err, HONE_EDATA, "%s: changed since the checkpoint (SHA-256); resuming would not be exact",
                  t->job->train_file);
        return hone_hint(err, "--accept_data_change");
    }
    if (!same_text(was, is, "tokenizer_sha256") && !t->job->accept_tokenizer_change) {
        hone_fail(err, HONE_EDAMAGED, "%s: tokenizer changed since the checkpoint", t->s->tokenizer_folder);
        return hone_hint(err, "--accept_tokenizer_change");
    }
    return HONE_OK;
}

static hone_status compare_facts(const training *t, const checkpoint *from, hone_err *err) {
    text facts = {0};
    arena *a = arena_new("facts");
    const json *now;
    differences d = {.rows = table_new(4)};
    const char *const head[] = {"field", "checkpoint", "job", ""};
    for (int i = 0; i < 4; i++) table_cell(d.rows, "%s", head[i]);
    print_facts(t, &facts);
    HONE_ASSERT(json_parse(&now, a, "facts", facts.p, facts.n, HONE_EBUG, err) == HONE_OK);
    const json *job_was = json_get(from->facts, "job"), *job_is = json_get(now, "job");
    /* A shard has per_device_train_batch_size samples unless reduce_shards says how many there are: the name that people
     * know is told. */
    const char *const of_shards = t->job->reduce_shards ? "per_device_train_batch_size" : "shard_samples";
    step_shards anew;
    const int as_before =
        steps_shards(&anew, t->job, t->s->comm->n, 0, NULL) == HONE_OK && anew.n == t->shards.n;
    for (const json *v = now->child; v; v = v->next)
        if (v->kind == JSON_NUMBER && !str_is(v->key, of_shards))
            compare_value(&d, json_get_str(from->facts, v->key), v, 1);
    for (const json *v = job_is->child; v && job_was; v = v->next)
        if (!is_of_the_command(v->key) && !str_is(v->key, of_shards) && !(as_before && cuts_a_step(v->key)))
            compare_value(&d, json_get_str(job_was, v->key), v, is_fixed(v->key));
    hone_status status = compare_files(t, from->facts, now, err);
    print_differences(&d, from);
    if (!status && d.fixed.n) {
        hone_fail(err, HONE_EUSAGE, "%s: the job differs from the checkpoint's: %.600s", from->path,
                  d.fixed.p);
        status = hone_hint(
            err, "these decide the bits of a run; give the old values, or start in another output_dir");
    }
    table_free(d.rows);
    text_free(&d.fixed);
    text_free(&facts);
    arena_free(a);
    return status;
}

/* ---- states ---- */

static uint64_t read_bits(const json *root, const char *name) {
    const json *v = json_get(root, name);
    return v && v->kind == JSON_STRING ? strtoull(v->string.p, NULL, 16) : 0;
}

static double read_hex(const json *root, const char *name) {
    double x = 0;
    const uint64_t bits = read_bits(root, name);
    memcpy(&x, &bits, 8);
    return x;
}

static int64_t read_integer(const json *root, const char *name) {
    const json *v = json_get(root, name);
    return v && v->is_int ? v->integer : 0;
}

static hone_status read_json(const json **out, arena *a, const char *folder, const char *name, str *content,
                             hone_err *err) {
    const char *path = path_join(a, folder, name);
    HONE_TRY(file_read(content, a, path, (size_t)256 << 20, HONE_EDAMAGED, err));
    return json_parse(out, a, path, content->p, content->n, HONE_EDAMAGED, err);
}

hone_status resume_training(training *t, const checkpoint *from, hone_err *err) {
    arena *a = arena_new("resume");
    const json *state, *trainer;
    str content;
    hone_status status = compare_facts(t, from, err);
    if (!status) status = optimizer_read(t->s->run, t->s->plan, from->path, err);
    if (!status) status = read_json(&state, a, from->path, "run_state.json", &content, err);
    if (!status) {
        t->step = read_integer(state, "step");
        t->tokens = read_integer(state, "tokens");
        t->loss_samples = read_integer(state, "loss_samples");
        t->total_samples = read_integer(state, "total_samples");
        t->best_step = read_integer(state, "best_step");
        t->evaluations_without_gain = (int)read_integer(state, "evaluations_without_gain");
        t->owes_evaluation = (int)read_integer(state, "owes_evaluation");
        t->loss_sum = read_hex(state, "loss_sum");
        t->total_loss = read_hex(state, "total_loss");
        t->best_metric = read_hex(state, "best_metric");
        t->chain = read_bits(state, "chain");
        if (t->s->pairs) {
            t->sequence_samples = read_integer(state, "sequence_samples");
            t->total_sequences = read_integer(state, "total_sequences");
            t->sequence_sum = read_hex(state, "sequence_sum");
            t->total_sequence_loss = read_hex(state, "total_sequence_loss");
        }
        t->saved_step = t->step;
        t->tokenizer_is_saved = !strcmp(t->s->tokenizer_folder, from->path);
        t->stop =
            t->job->early_stopping_patience && t->evaluations_without_gain >= t->job->early_stopping_patience;
        status = read_json(&trainer, a, from->path, "trainer_state.json", &content, err);
    }
    if (!status) { /* the elements between the brackets, as they were written */
        const json *history = json_get(trainer, "log_history");
        const char *open = history ? content.p + history->offset : NULL, *close = strrchr(content.p, ']');
        if (open && close > open) record_set_history(t->record, open + 1, (size_t)(close - open) - 1);
        log_note("going on from %s (step %lld)", from->path, (long long)t->step);
    }
    arena_free(a);
    return status;
}
