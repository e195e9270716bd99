/* train.c - a job from start to end: folder, data, plan, loop, the model handed back, the summary. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "train/predict.h"
#include "train/answer_files.h"
#include "train/train.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/file.h"
#include "base/stamp.h"
#include "base/table.h"
#include "base/version.h"
#include "run/checkpoint.h"
#include "run/notice.h"

static hone_status check_job(const job *j, hone_err *err) {
    if (!j->model_name_or_path && !j->config_name) {
        hone_fail(err, HONE_EUSAGE, "%s: no model_name_or_path, expected a model folder", j->file);
        return hone_hint(err, "config_name and tokenizer_name train from nothing");
    }
    if (j->config_name && !j->model_name_or_path && !j->tokenizer_name)
        return hone_fail(err, HONE_EUSAGE, "%s: config_name without tokenizer_name, expected both", j->file);
    if (!j->train_file)
        return hone_fail(err, HONE_EUSAGE, "%s: no train_file, expected a data file", j->file);
    if (!j->output_dir)
        return hone_fail(err, HONE_EUSAGE, "%s: no output_dir, expected a folder for the run", j->file);
    if (j->load_best_model_at_end && j->save_strategy != j->eval_strategy &&
        j->save_strategy != STRATEGY_BEST) {
        hone_fail(err, HONE_EUSAGE, "%s: load_best_model_at_end needs the checkpoint of every evaluation",
                  j->file);
        return hone_hint(err, "give save_strategy the value of eval_strategy, or best");
    }
    return HONE_OK;
}

/* --- the folder
 * ----------------------------------------------------------------------------------------------------*/

static int is_of_a_run(const char *name) {
    static const char *const whole[] = {"log.jsonl",
                                        "log.csv",
                                        "job.json",
                                        "config.json",
                                        "model.safetensors",
                                        "tokenizer.json",
                                        "tokenizer_config.json",
                                        "special_tokens_map.json",
                                        "added_tokens.json",
                                        "vocab.txt",
                                        "README.md",
                                        "probe.json",
                                        "trainer_state.json",
                                        "all_results.json",
                                        "train_results.json",
                                        "eval_results.json",
                                        "test_results.json",
                                        "predict_results.jsonl",
                                        "eval_predictions.json",
                                        "eval_nbest_predictions.json",
                                        "eval_null_odds.json",
                                        "test_predictions.json",
                                        "test_nbest_predictions.json",
                                        "test_null_odds.json"};
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++)
        if (!strcmp(name, whole[i])) return 1;
    return !strncmp(name, "checkpoint-", 11) || !strncmp(name, ".checkpoint-", 12) ||
           !strncmp(name, "events.out.tfevents.", 20);
}

static int begins_anew(const job *j) { return !strcmp(j->resume_from_checkpoint, "false"); }

/* 1 if PATH lies in what clear_folder would remove of the resolved output folder: the folder itself (a model
 * there is one of those files), or a name in it that is a run's. */
static int would_be_removed(const char *output, const char *path) {
    char full[4096], name[256];
    const size_t n = strlen(output);
    if (!path || !path_resolve(full, path) || strncmp(full, output, n)) return 0;
    if (!full[n]) return 1;
    if (full[n] != '/') return 0;
    const char *first = full + n + 1;
    snprintf(name, sizeof name, "%.*s", (int)strcspn(first, "/"), first);
    return is_of_a_run(name);
}

/* What the job reads must not be among what overwrite_output_dir removes. */
static hone_status check_nothing_is_lost(const job *j, hone_err *err) {
    const struct {
        const char *field, *path;
    } read[] = {{"model_name_or_path", j->model_name_or_path},
                {"config_name", j->config_name},
                {"tokenizer_name", j->tokenizer_name},
                {"train_file", j->train_file},
                {"validation_file", j->validation_file},
                {"test_file", j->test_file},
                {"labels_file", j->labels_file}};
    char output[4096];
    if (!j->overwrite_output_dir || !begins_anew(j) || !path_resolve(output, j->output_dir)) return HONE_OK;
    for (size_t i = 0; i < sizeof read / sizeof *read; i++) {
        if (!would_be_removed(output, read[i].path)) continue;
        hone_fail(err, HONE_EUSAGE, "%s: overwrite_output_dir would remove %s of this job (%s)",
                  j->output_dir, read[i].field, read[i].path);
        return hone_hint(err, "name another output_dir, or move what is to be kept out of it first");
    }
    return HONE_OK;
}

/* A folder that holds a run is never written over without being told to (bad-inputs C11). */
static hone_status prepare_folder(const job *j, hone_err *err) {
    arena *a = arena_new("output folder");
    const char **names;
    int n = 0, held = 0;
    hone_status status = folder_list(&names, &n, a, j->output_dir, err);
    for (int i = 0; i < n; i++) held += is_of_a_run(names[i]);
    if (!status && held && !j->overwrite_output_dir && begins_anew(j)) {
        hone_fail(err, HONE_EUSAGE, "%s: contains a run, expected an empty or new folder", j->output_dir);
        status = hone_hint(err, "resume_from_checkpoint: true continues it, overwrite_output_dir: true "
                                "removes it, or name another folder");
    }
    if (!status) status = check_nothing_is_lost(j, err);
    if (!status) status = checkpoint_sweep(j->output_dir, err);
    arena_free(a);
    return status;
}

/* What an earlier run left, once everything that could refuse this one has not. A run that resumes removes
 * nothing. */
static hone_status clear_folder(const job *j, hone_err *err) {
    if (!j->overwrite_output_dir || !begins_anew(j)) return HONE_OK;
    arena *a = arena_new("output folder");
    const char **names;
    int n = 0;
    hone_status status = folder_list(&names, &n, a, j->output_dir, err);
    for (int i = 0; i < n && !status; i++) {
        if (!is_of_a_run(names[i])) continue;
        const char *path = path_join(a, j->output_dir, names[i]);
        status = file_is_folder(path) ? folder_remove(path, err) : file_remove(path, err);
    }
    arena_free(a);
    return status;
}

static hone_status lock_folder(file_lock **lock, const job *j, hone_err *err) {
    char path[4352];
    snprintf(path, sizeof path, "%s/.lock", j->output_dir);
    HONE_TRY(file_lock_try(lock, path, err));
    if (*lock) return HONE_OK;
    char holder[FILE_LOCK_HOLDER];
    file_lock_holder(holder, path);
    return hone_fail(err, HONE_EUSAGE,
                     "%s: folder locked by %s: another run is writing there, expected a folder of its own",
                     j->output_dir, holder);
}

/* Which checkpoint to go on from; *found 0: from the beginning. */
static hone_status choose_checkpoint(checkpoint *c, int *found, arena *a, const job *j, hone_err *err) {
    *found = 0;
    const char *which = j->resume_from_checkpoint;
    if (!strcmp(which, "false")) return HONE_OK;
    if (strcmp(which, "true")) {
        *found = 1;
        hone_err why = {0};
        if (checkpoint_open(c, a, which, &why) == HONE_OK) return HONE_OK;
        hone_fail(err, HONE_EDAMAGED, "no valid checkpoint in %s: %.600s; not starting from zero", which,
                  why.text);
        return hone_hint(err, "resume_from_checkpoint: true takes the newest valid one of output_dir");
    }
    HONE_TRY(checkpoint_newest(c, found, a, j->output_dir, err));
    if (!*found) log_note("no checkpoint in %s: starting from the beginning", j->output_dir);
    return HONE_OK;
}

/* Rank 0 chooses, the others open the same one. */
static hone_status find_checkpoint(checkpoint *c, int *found, arena *a, const job *j, comm *ranks,
                                   hone_err *err) {
    struct {
        int found;
        char path[4096];
    } word = {0};
    if (ranks->rank == 0) {
        HONE_TRY(choose_checkpoint(c, found, a, j, err));
        word.found = *found;
        if (*found) snprintf(word.path, sizeof word.path, "%s", c->path);
    }
    HONE_TRY(comm_broadcast(ranks, &word, sizeof word, 0, err));
    if (ranks->rank == 0) return HONE_OK;
    *found = word.found;
    return *found ? checkpoint_open(c, a, arena_print(a, "%s", word.path), err) : HONE_OK;
}

/* --- before the first step
 * -----------------------------------------------------------------------------------------*/

static void set_groups(training *t) {
    const hone_plan *p = t->s->plan;
    const job *j = t->job;
    t->rate_factor = ARENA_ARRAY(t->s->a, (size_t)p->n_groups + 1, double);
    t->decay = ARENA_ARRAY(t->s->a, (size_t)p->n_groups + 1, double);
    for (int i = 1; i <= p->n_params; i++) {
        const hone_param *x = &p->param[i];
        if (!x->wants_grad) continue;
        const int layers = t->s->config->layers, depth = layers - x->layer;
        double factor = 1;
        for (int k = 0; k < depth; k++) factor *= j->layerwise_lr_decay;
        if (x->layer >= layers && j->head_learning_rate > 0)
            factor = j->head_learning_rate / j->learning_rate;
        t->rate_factor[x->group] = factor;
        t->decay[x->group] = x->decays ? j->weight_decay : 0;
    }
}

static hone_status choose_best_metric(training *t, hone_err *err) {
    const job *j = t->job;
    const char *name = j->metric_for_best_model ? j->metric_for_best_model : "loss",
               *plain = strncmp(name, "eval_", 5) ? name : name + 5;
    metric f[METRICS_MAX];
    char have[256] = "";
    int found = 0;
    t->best_step = t->saved_step = -1;
    if (!t->in->validation) return HONE_OK;
    metrics_begin(&t->validation, t->s->a, t->s, t->in->validation);
    const int n = metrics_figures(&t->validation, f);
    for (int i = 0; i < n; i++) {
        found |= !strcmp(f[i].name, plain);
        snprintf(have + strlen(have), sizeof have - strlen(have), "%seval_%s", i ? ", " : "", f[i].name);
    }
    if (!found)
        return hone_fail(err, HONE_EUSAGE,
                         "metric_for_best_model: \"%.64s\" is not computed, expected one of: %s", name, have);
    t->best_metric_name = arena_print(t->s->a, "eval_%s", plain);
    t->best_larger = j->greater_is_better >= 0 ? (int)j->greater_is_better : metric_larger_is_better(plain);
    return HONE_OK;
}

static void larger(int64_t *to, int64_t x) { *to = x > *to ? x : *to; }

/* A step may have fewer shards than most have, and then their runs other shapes: what the largest of all needs. (More ranks
 * than can be started are only predicted: whole steps.) */
int training_slots(const job *j, int64_t n_shards, int n_ranks) {
    int most = 1;
    if (j->reduce == REDUCE_FAST) return n_shards > n_ranks ? 2 : 1;
    for (int64_t n = n_ranks == 1 || n_ranks > COMM_RANKS_MAX ? n_shards : 1; n <= n_shards; n++)
        for (int r = 0; r < n_ranks; r++) {
            int first, end;
            tree_run_of_rank((int)n, r, n_ranks, &first, &end);
            const int slots = tree_slots((int)n, first, end);
            if (slots > most) most = slots;
        }
    return most;
}

session_limits training_limits(const job *j, const inputs *in, const steps *st, int n_ranks) {
    session_limits l = {.training = 1,
                        .n_ranks = n_ranks,
                        .n_slots = training_slots(j, st->accumulation, n_ranks),
                        .n_shards = (int)st->accumulation,
                        .tokens_max = st->tokens_max,
                        .seqs_max = st->samples_max,
                        .class_weight = in->class_weight};
    const dataset *others[] = {in->validation, in->test};
    for (int i = 0; i < 2; i++) {
        if (!others[i]) continue;
        const eval_batches b = eval_batches_of(j, others[i], st->tokens_max);
        larger(&l.tokens_max, b.tokens);
        larger(&l.seqs_max, b.samples);
    }
    return l;
}

static hone_status check_schedule(const training *t, hone_err *err) {
    if (t->steps.total < 1)
        return hone_fail(err, HONE_EUSAGE, "num_train_epochs: no step comes of %lld samples",
                         (long long)t->steps.n_samples);
    if (t->rate.warmup > t->steps.total)
        return hone_fail(err, HONE_EUSAGE,
                         "warmup_steps: %lld of %lld steps in all, expected no more than there are",
                         (long long)t->rate.warmup, (long long)t->steps.total);
    return HONE_OK;
}

static hone_status write_job(training *t, hone_err *err) {
    arena *a = t->s->a;
    text job_json = {0}, row = {0};
    job_print_json(t->job, &job_json);
    text_printf(&row, "{\"type\":\"run\",\"version\":\"%s\",\"commit\":\"%s\",\"device\":", HONE_VERSION,
                HONE_COMMIT);
    text_json(&row, t->s->device, strlen(t->s->device));
    text_printf(&row,
                ",\"seed\":%lld,\"train_sha256\":\"%s\",\"tokenizer_sha256\":\"%s\",\"train_samples\":%lld,"
                "\"steps\":%lld,\"planned_device_bytes\":%zu,\"start_step\":%lld,\"job\":%s}",
                (long long)t->job->seed, t->in->train->sha256, tokenizer_sha256(t->s->tok),
                (long long)t->steps.n_samples, (long long)t->steps.total, hone_plan_device_bytes(t->s->plan),
                (long long)t->step, job_json.p);
    record_run(t->record, row.p);
    text_str(&job_json, "\n");
    const hone_status status = file_write(path_join(a, t->folder, "job.json"), job_json.p, job_json.n, err);
    text_free(&job_json);
    text_free(&row);
    return status;
}

/* What the ranks must have in common: job, data, tokenizer, program. */
static hone_status compare_jobs(training *t, hone_err *err) {
    uint64_t all[COMM_RANKS_MAX];
    text facts = {0};
    print_facts(t, &facts);
    uint64_t own = hash64(facts.p, facts.n, 0) ^ hash64(HONE_COMMIT, strlen(HONE_COMMIT), 1);
    text_free(&facts);
    HONE_TRY(comm_gather(t->s->comm, &own, sizeof own, all, err));
    for (int r = 1; r < t->s->comm->n; r++)
        if (all[r] != all[0])
            return hone_fail(err, HONE_EUSAGE,
                             "rank %d runs another job, other data or another build than rank 0", r);
    return HONE_OK;
}

static int64_t shards_kept(const checkpoint *from) {
    const json *n = from ? json_get(from->facts, "reduce_shards") : NULL;
    return n && n->is_int ? n->integer : 0;
}

static hone_status share_sums(training *t, hone_err *err) {
    const run_sums *how = &t->s->sums;
    if (t->s->comm->n > 1) {
        t->sum = tree_sum_new(t->s->comm, (int)t->shards.n, t->s->pool);
        tree_sum_travel(t->sum, how->wire.bf16 && !how->linked, RUN_EXACT, how->plain);
        sig_share(1);
        HONE_TRY(run_share(t->s->run, t->sum, how->linked, err));
    }
    return run_share_device(t->s->run, t->s->comm, how, err);
}

hone_status training_start(training *t, const checkpoint *from, hone_err *err) {
    comm *c = t->s->comm;
    comm_seen(c, 0, "reading data");
    HONE_TRY(inputs_open(&t->in, t->s, err));
    HONE_TRY(steps_shards(&t->shards, t->job, c->n, shards_kept(from), err));
    steps_init(&t->steps, t->s->a, t->job, t->shards, t->in->train);
    t->rate = schedule_of(t->job, t->steps.total);
    HONE_TRY(check_schedule(t, err));
    HONE_TRY(choose_best_metric(t, err));
    session_limits limits = training_limits(t->job, t->in, &t->steps, c->n);
    limits.rank = c->rank;
    if (!from) limits.reinit = &t->job->reinit;
    HONE_TRY(compare_jobs(t, err));
    HONE_TRY(session_link(t->s, err));
    HONE_TRY(measured_start(t, &limits, from, err));
    HONE_TRY(share_sums(t, err));
    set_groups(t);
    if (c->rank == 0 && t->folder) HONE_TRY(clear_folder(t->job, err));
    HONE_TRY(record_open(&t->record, t->job, c->rank ? NULL : t->folder, from != NULL, err));
    if (from) HONE_TRY(resume_training(t, from, err));
    t->saver = saver_new(t, saves_at_all(t));
    t->start_step = t->step;
    t->start_s = clock_process_seconds();
    char classes[40] = "";
    if (!session_guesses_words(t->s)) snprintf(classes, sizeof classes, " %d labels,", t->s->n_labels);
    log_note("%lld samples,%s %lld steps; device %s, %d threads; plan %.1f MiB",
             (long long)t->steps.n_samples, classes, (long long)t->steps.total, t->s->device,
             pool_threads(t->s->pool), (double)hone_plan_device_bytes(t->s->plan) / (1 << 20));
    if (saves_at_all(t) && t->job->save_in_background)
        log_note("%.1f MiB hold a copy of each checkpoint while it is written",
                 (double)saver_copy_bytes(t->s->plan, t->job, c->rank, c->n) / (1 << 20));
    if (c->n > 1)
        log_note("%d ranks%s by %s%s%s; %lld shards a step, %d buckets, %.1f MiB for sums over ranks%s", c->n,
                 c->per_machine ? arena_print(t->s->a, " on %d machines", c->n / c->per_machine) : "", c->way->name, t->s->sums.linked ? ", their devices by " : "",
                 t->s->sums.linked ? t->s->table->comm->name : "", (long long)t->shards.n, t->s->plan->n_buckets,
                 (double)(t->s->sums.linked ? t->s->plan->slab_bytes[HONE_WIRE] : tree_sum_bytes(t->sum)) / (1 << 20),
                 t->s->plan->divided ? "; the optimizer is divided" : "");
    return c->rank || !t->folder ? HONE_OK : write_job(t, err);
}

/* --- after the last
 * ------------------------------------------------------------------------------------------------*/

typedef struct {
    text train, eval, test; /* ,"name":value ... */
} results;

static void add_metrics(text *out, const char *prefix, const metric *f, int n, double seconds,
                        int64_t samples) {
    for (int i = 0; i < n; i++) {
        text_printf(out, ",\"%s_%s\":", prefix, f[i].name);
        text_double(out, f[i].value);
    }
    text_printf(out, ",\"%s_samples\":%lld,\"%s_runtime\":", prefix, (long long)samples, prefix);
    text_double(out, seconds);
    text_printf(out, ",\"%s_samples_per_second\":", prefix);
    text_double(out, seconds > 0 ? (double)samples / seconds : 0);
}

static hone_status evaluate_finally(training *t, const dataset *d, const char *prefix, text *out,
                                    text *people, hone_err *err) {
    metrics m;
    metric f[METRICS_MAX];
    double seconds;
    metrics_begin(&m, t->s->a, t->s, d);
    const int answering = t->s->head == HEAD_SPANS;
    answer_files files = {.d = d, .negative = answering && answer_rules_of(t->job, d).negative};
    const hone_status status = evaluate_answers(t->s, d, eval_batches_in(t->s), &m, &seconds,
                                                answering ? answer_files_add : NULL, &files, err);
    if (status || t->s->comm->rank) answer_files_drop(&files);
    HONE_TRY(status);
    if (answering && !t->s->comm->rank) HONE_TRY(answer_files_end(&files, t->folder, prefix, err));
    if (!m.n_samples) return HONE_OK; /* a test file without labels */
    const int n = metrics_figures(&m, f);
    add_metrics(out, prefix, f, n, seconds, m.n_samples);
    text_printf(people, "%-12s", prefix);
    for (int i = 0; i < n && i < 3; i++) text_printf(people, "  %s %.4f", f[i].name, f[i].value);
    text_printf(people, "  (%lld samples)\n", (long long)m.n_samples);
    if (d == t->in->validation) memcpy(t->figures, f, sizeof f), t->n_figures = n;
    return HONE_OK;
}

static void write_rows(void *arg, text *out) {
    hone_err ignored = {0};
    file_write_add(arg, out->p, out->n, &ignored); /* a failure is met again by file_write_end */
    text_clear(out);
}

static void drop_rows(void *arg, text *out) {
    (void)arg;
    text_clear(out);
}

static hone_status predict_finally(training *t, hone_err *err) {
    if (t->s->comm->rank) { /* plays its part of the batches; rank 0 writes them all */
        text out = {0};
        const predict_options o = {0};
        const hone_status status = predict_rows(t->s, t->in->test, &o, &out, drop_rows, NULL, err);
        text_free(&out);
        return status;
    }
    file_writer *w;
    text out = {0};
    const predict_options o = {0};
    HONE_TRY(file_write_begin(&w, path_join(t->s->a, t->folder, "predict_results.jsonl"), err));
    const hone_status status = predict_rows(t->s, t->in->test, &o, &out, write_rows, w, err);
    text_free(&out);
    if (!status) return file_write_end(w, NULL, err);
    file_write_abort(w);
    return status;
}

/* Rows that fill rungs, by those of the data. */
static double padded_fraction(const training *t) {
    return t->tokens_now ? (double)(t->rows_played - t->tokens_now) / (double)t->tokens_now : 0;
}

static void add_training(training *t, text *out, double runtime) {
    const hone_plan *p = t->s->plan;
    const int64_t steps_now = t->step - t->start_step;
    text_str(out, ",\"output_dir\":");
    text_json(out, t->folder, strlen(t->folder));
    text_str(out, ",\"device\":");
    text_json(out, t->s->table->name, strlen(t->s->table->name));
    text_printf(out, ",\"dtype\":\"%s\",\"world_size\":%d,\"threads\":%d,\"global_step\":%lld,\"epoch\":",
                hone_dtype_name(p->dtype), t->s->comm->n, pool_threads(t->s->pool), (long long)t->step);
    text_double(out, steps_epoch(&t->steps, t->step));
    text_printf(out,
                ",\"train_samples\":%lld,\"train_tokens\":%lld,\"train_loss\":", (long long)t->steps.n_samples,
                (long long)t->tokens);
    text_double(out, (t->total_samples ? t->total_loss / (double)t->total_samples : 0) +
                         (t->total_sequences ? t->total_sequence_loss / (double)t->total_sequences : 0));
    text_str(out, ",\"train_runtime\":");
    text_double(out, runtime);
    text_str(out, ",\"train_samples_per_second\":");
    text_double(out, steps_now ? (double)t->samples_now / runtime : 0);
    text_str(out, ",\"train_tokens_per_second\":");
    text_double(out, steps_now ? (double)t->tokens_now / runtime : 0);
    text_str(out, ",\"padded_rows_fraction\":");
    text_double(out, padded_fraction(t));
    text_str(out, ",\"startup_seconds\":");
    text_double(out, t->first_step_s);
    text_printf(out, ",\"peak_host_bytes\":%lld,\"peak_device_bytes\":%zu,\"planned_device_bytes\":%zu",
                (long long)rss_peak_bytes(), run_device_bytes(t->s->run), hone_plan_device_bytes(p));
}

static void add_best(training *t, text *out) {
    if (t->best_step < 0) {
        text_str(out, ",\"best_metric\":null,\"best_model_checkpoint\":null");
        return;
    }
    text_str(out, ",\"best_metric\":");
    text_double(out, t->best_metric);
    text_str(out, ",\"best_model_checkpoint\":");
    const char *folder = arena_print(t->s->a, "%s/checkpoint-%lld", t->folder, (long long)t->best_step);
    if (file_is_folder(folder)) text_json(out, folder, strlen(folder));
    else text_str(out, "null");
}

static hone_status write_results(training *t, const results *r, hone_err *err) {
    const struct {
        const char *name;
        const text *a, *b, *c;
    } files[] = {{"train_results.json", &r->train, NULL, NULL},
                 {"eval_results.json", &r->eval, NULL, NULL},
                 {"test_results.json", &r->test, NULL, NULL},
                 {"all_results.json", &r->train, &r->eval, &r->test}};
    hone_status status = HONE_OK;
    for (int i = 0; i < 4 && !status; i++) {
        if (!files[i].a->n) continue;
        text out = {0};
        const text *parts[] = {files[i].a, files[i].b, files[i].c};
        for (int k = 0; k < 3; k++)
            if (parts[k]) text_add(&out, parts[k]->p, parts[k]->n);
        out.p[0] = '{'; /* instead of the first member's comma */
        text_str(&out, "}\n");
        status = file_write(path_join(t->s->a, t->folder, files[i].name), out.p, out.n, err);
        text_free(&out);
    }
    return status;
}

static hone_status load_best(training *t, hone_err *err) {
    if (!t->job->load_best_model_at_end || t->best_step < 0 || t->best_step == t->step) return HONE_OK;
    const char *folder = arena_print(t->s->a, "%s/checkpoint-%lld", t->folder, (long long)t->best_step);
    log_note("taking the weights of step %lld (%s %.4f)", (long long)t->best_step, t->best_metric_name,
             t->best_metric);
    t->has_best = 1;
    return session_load_weights(t->s, folder, err);
}

static hone_status finish(training *t, double runtime, results *r, text *summary, text *people,
                          hone_err *err) {
    char hex[65];
    HONE_TRY(load_best(t, err));
    if (t->job->do_eval && t->in->validation)
        HONE_TRY(evaluate_finally(t, t->in->validation, "eval", &r->eval, people, err));
    if (t->job->do_eval && t->in->test)
        HONE_TRY(evaluate_finally(t, t->in->test, "test", &r->test, people, err));
    if (t->job->do_predict && t->in->test) HONE_TRY(predict_finally(t, err));
    HONE_TRY(session_params_sha256(t->s, hex, err));
    add_training(t, &r->train, runtime);
    text_printf(&r->train, ",\"params_sha256\":\"%s\"", hex);
    add_best(t, &r->train);
    HONE_TRY(session_compare_ranks(t->s, t->step, err));
    if (t->s->comm->rank == 0) HONE_TRY(write_results(t, r, err));
    HONE_TRY(save_final(t, err));
    text_add(summary, r->train.p, r->train.n);
    text_add(summary, r->eval.p, r->eval.n);
    text_add(summary, r->test.p, r->test.n);
    summary->p[0] = '{';
    text_str(summary, "}");
    if (padded_fraction(t) > 0)
        text_printf(people, "%.1f %% of the rows played were added to fill graphs\n",
                    100 * padded_fraction(t));
    text_printf(people,
                "%lld steps in %.1f s (%.0f tokens a second), first step after %.2f s, params %.16s\nmodel "
                "folder: %s\n",
                (long long)t->step, runtime, runtime > 0 ? (double)t->tokens_now / runtime : 0,
                t->first_step_s, hex, t->folder);
    return HONE_OK;
}

void training_close(training *t) {
    saver_free(t->saver); /* announces what it waited for */
    record_close(t->record);
    steps_deinit(&t->steps);
    inputs_close(t->in);
    session_close(t->s);
    tree_sum_free(t->sum);
}

/* A resumed run reads the job's tokenizer again, to be compared with the one that the checkpoint was made
 * with (bad-inputs F42); the checkpoint's own copy stands in where the job's is gone. */
const char *training_tokenizer(const job *j, const checkpoint *from) {
    const char *own = j->tokenizer_name ? j->tokenizer_name : j->model_name_or_path;
    if (!from || (own && file_is_folder(own))) return own;
    log_note("%s: is no longer there, the tokenizer is the checkpoint's own", own ? own : "tokenizer_name");
    return from->path;
}

static hone_status run_job(training *t, const job *j, pool *p, comm *c, text *summary, text *people, arena *a,
                           hone_err *err) {
    checkpoint from;
    int found;
    results r = {0};
    HONE_TRY(find_checkpoint(&from, &found, a, j, c, err));
    const char *model = found ? from.path : j->model_name_or_path;
    HONE_TRY(session_open(&t->s, j, model, training_tokenizer(j, found ? &from : NULL), p, err));
    t->s->comm = c;
    HONE_TRY(training_start(t, found ? &from : NULL, err));
    const uint64_t begun = clock_ns();
    HONE_TRY(train_loop(t, err));
    const double runtime = (double)(clock_ns() - begun) * 1e-9;
    const hone_status status = obey_signal(t, finish(t, runtime, &r, summary, people, err), err);
    text_free(&r.train);
    text_free(&r.eval);
    text_free(&r.test);
    return status;
}

/* Rank 0 holds the folder. */
static hone_status take_folder(file_lock **lock, const job *j, hone_err *err) {
    HONE_TRY(folder_make(j->output_dir, err));
    HONE_TRY(lock_folder(lock, j, err));
    return prepare_folder(j, err);
}

hone_status train_job(const job *j, pool *p, comm *c, text *summary, text *people, hone_err *err) {
    training t = {.job = j, .folder = j->output_dir};
    file_lock *lock = NULL;
    notice *taken_away = NULL;
    HONE_TRY(check_job(j, err));
    if (j->preempt_notice) HONE_TRY(notice_open(&taken_away, j->preempt_notice, err));
    arena *a = arena_new("train");
    hone_status status = c->rank ? HONE_OK : take_folder(&lock, j, err);
    if (!status) status = run_job(&t, j, p, c, summary, people, a, err);
    if (status && status != HONE_EPREEMPTED && status != HONE_EINTERRUPTED) comm_abandon(c);
    training_close(&t);
    notice_close(taken_away);
    arena_free(a);
    file_lock_close(lock);
    return status;
}
