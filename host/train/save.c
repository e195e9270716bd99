/* save.c - what a checkpoint holds, and the folder handed back; resume.c goes on from one, saver.c says when it is
 * written.
 *
 *   model.safetensors, config.json, tokenizer, README.md   a model folder like any other (fp32 masters)
 *   optimizer.safetensors, or one of each rank              optimizer.h
 *   trainer_state.json      transformers' keys
 *   run_state.json          what else a resumed run needs: sums since the last row of the log, best, patience
 *   measured.txt            what the device measured to choose by (measured.c), where it did */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "train/probe.h"
#include "train/train.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/version.h"
#include "model/architecture.h"
#include "model/export.h"
#include "run/checkpoint.h"

/* ---- the model ---- */

static hone_status get_param(void *from, int i, float *to, hone_err *err) {
    training *t = from;
    return run_get_param(t->s->run, i + 1, to, err);
}

static const char *print_real(arena *a, double x) { return arena_print(a, "%.9g", x); }

static void fill_card(const training *t, arena *a, card *c, int final) {
    const job *j = t->job;
    static const char *const schedules[] = {"linear",     "cosine",      "constant", "constant_with_warmup",
                                            "polynomial", "inverse_sqrt"};
    const card_row settings[] = {
        {"learning_rate", print_real(a, j->learning_rate)},
        {"train_batch_size", arena_print(a, "%lld", (long long)j->per_device_train_batch_size)},
        {"gradient_accumulation_steps", arena_print(a, "%lld", (long long)j->gradient_accumulation_steps)},
        {"seed", arena_print(a, "%lld", (long long)j->seed)},
        {"optimizer", arena_print(a, "AdamW with betas=(%.9g,%.9g) and epsilon=%.9g", j->adam_beta1,
                                  j->adam_beta2, j->adam_epsilon)},
        {"weight_decay", print_real(a, j->weight_decay)},
        {"lr_scheduler_type", schedules[j->lr_scheduler_type]},
        {"warmup_steps", arena_print(a, "%lld", (long long)t->rate.warmup)},
        {"num_epochs", print_real(a, steps_epoch(&t->steps, t->step))},
        {"steps", arena_print(a, "%lld", (long long)t->step)},
        {"max_seq_length", arena_print(a, "%lld", (long long)j->max_seq_length)},
        {"dtype", hone_dtype_name(t->s->plan->dtype)}};
    const card_row facts[] = {{"hone", HONE_VERSION " (" HONE_COMMIT ")"},
                              {"device", t->s->device},
                              {"train data SHA-256", t->in->train->sha256},
                              {"tokenizer SHA-256", tokenizer_sha256(t->s->tok)}};
    card_data *data = ARENA_ARRAY(a, 3, card_data);
    c->data = data;
    data[c->n_data++] = (card_data){"train", j->train_file, t->steps.n_samples};
    if (t->in->validation)
        data[c->n_data++] = (card_data){
            "validation", j->validation_file ? j->validation_file : "held out of the training file",
            t->in->validation->n};
    if (t->in->test) data[c->n_data++] = (card_data){"test", j->test_file, t->in->test->n};
    c->setting = memcpy(arena_alloc(a, sizeof settings), settings, sizeof settings);
    c->n_settings = (int)(sizeof settings / sizeof *settings);
    c->fact = memcpy(arena_alloc(a, sizeof facts), facts, sizeof facts);
    c->n_facts = (int)(sizeof facts / sizeof *facts);
    c->title = j->run_name ? j->run_name : path_name(t->folder);
    c->base_model = j->model_name_or_path ? path_name(j->model_name_or_path) : NULL;
    c->task = architecture_task(architecture_of(t->s->config->family, t->s->head));
    if (t->s->head == HEAD_NEXT) c->example = "the beginning of a text";
    if (t->s->masks) {
        const str mask = tokenizer_token(t->s->tok, t->s->masks->mask_id);
        c->example = arena_print(a, "a text in which a word is %.*s", (int)mask.n, mask.p);
    }
    c->model_type = t->s->config->family->model_type;
    c->label = t->s->labels.name;
    c->n_labels = t->s->labels.n;
    if (!final || !t->n_figures) return;
    card_metric *m = ARENA_ARRAY(a, METRICS_MAX, card_metric);
    for (int i = 0; i < t->n_figures; i++)
        m[c->n_metrics++] = (card_metric){t->figures[i].name, t->figures[i].value};
    c->metric = m;
    c->metric_set = "validation";
    c->metric_file = j->validation_file ? j->validation_file : j->train_file;
}

/* NULL: the classifier of the family. */
static hone_status write_model(const training *t, const card *c, const char *words, const char *folder,
                               params_get *get, void *from, hone_err *err) {
    arena *a = arena_new("export");
    const export_model m = {.config = t->s->config,
                            .architecture = architecture_of(t->s->config->family, t->s->head),
                            .problem_type = t->s->head == HEAD_MARKS    ? "multi_label_classification"
                                            : t->s->head == HEAD_TOKENS ? "single_label_classification"
                                                                        : NULL,
                            .label = t->s->labels.n ? t->s->labels.name : NULL,
                            .n_labels = t->s->n_labels,
                            .param = params_of_plan(a, t->s->plan),
                            .n_params = t->s->plan->n_params,
                            .get = get,
                            .from = from,
                            .tokenizer_folder = words,
                            .end_id = t->s->end_id,
                            .generation = t->job->generation,
                            .card = c};
    const hone_status status = export_write(&m, folder, NULL, err);
    arena_free(a);
    return status;
}

/* ---- states ---- */

static void add_real(text *out, const char *name, double x) {
    text_printf(out, ",\n  \"%s\": ", name);
    text_double(out, x);
}

static void print_trainer_state(training *t, text *out) {
    const job *j = t->job;
    const text *history = record_history(t->record);
    text_printf(out,
                "{\n  \"global_step\": %lld,\n  \"max_steps\": %lld,\n  \"train_batch_size\": %lld,\n  "
                "\"num_input_tokens_seen\": %lld,\n  \"best_global_step\": ",
                (long long)t->step, (long long)t->steps.total, (long long)j->per_device_train_batch_size,
                (long long)t->tokens);
    if (t->best_step >= 0) {
        text_printf(out, "%lld", (long long)t->best_step);
        add_real(out, "best_metric", t->best_metric);
        text_str(out, ",\n  \"best_model_checkpoint\": ");
        const char *folder = arena_print(t->s->a, "%s/checkpoint-%lld", t->folder, (long long)t->best_step);
        text_json(out, folder, strlen(folder));
    } else text_str(out, "null,\n  \"best_metric\": null,\n  \"best_model_checkpoint\": null");
    add_real(out, "epoch", steps_epoch(&t->steps, t->step));
    add_real(out, "num_train_epochs", t->job->max_steps > 0 ? t->steps.n_epochs : j->num_train_epochs);
    add_real(out, "total_flos", 0);
    text_printf(out, ",\n  \"is_world_process_zero\": true,\n  \"log_history\": [%s]\n}\n",
                history->n ? history->p : "");
}

static void print_hex(text *out, const char *name, double x) {
    uint64_t bits;
    memcpy(&bits, &x, 8);
    text_printf(out, ",\n  \"%s\": \"%016llx\"", name, (unsigned long long)bits);
}

/* Doubles as their bits, so that a resumed run sums to the same. */
static void print_run_state(training *t, text *out) {
    text_printf(out,
                "{\n  \"step\": %lld,\n  \"tokens\": %lld,\n  \"loss_samples\": %lld,\n  \"total_samples\": "
                "%lld,\n  \"best_step\": %lld,\n  \"evaluations_without_gain\": %d,\n  "
                "\"owes_evaluation\": %d",
                (long long)t->step, (long long)t->tokens, (long long)t->loss_samples,
                (long long)t->total_samples, (long long)t->best_step, t->evaluations_without_gain,
                t->owes_evaluation);
    print_hex(out, "loss_sum", t->loss_sum);
    print_hex(out, "total_loss", t->total_loss);
    print_hex(out, "best_metric", t->best_metric);
    if (t->s->pairs) {
        text_printf(out, ",\n  \"sequence_samples\": %lld,\n  \"total_sequences\": %lld", (long long)t->sequence_samples,
                    (long long)t->total_sequences);
        print_hex(out, "sequence_sum", t->sequence_sum);
        print_hex(out, "total_sequence_loss", t->total_sequence_loss);
    }
    text_printf(out, ",\n  \"chain\": \"%016llx\"", (unsigned long long)t->chain);
    text_str(out, "\n}\n");
}

/* What a resumed run is compared with: what was read, what follows from the job, and the job itself. */
void print_facts(const training *t, text *out) {
    const job *j = t->job;
    text_printf(out,
                "{\"data_sha256\": \"%s\", \"tokenizer_sha256\": \"%s\", \"samples\": %lld, \"labels\": %d, "
                "\"reduce_shards\": %lld, \"shard_samples\": %lld, \"data_seed\": %lld, \"job\": ",
                t->in->train->sha256, tokenizer_sha256(t->s->tok), (long long)t->steps.n_samples,
                t->s->n_labels, (long long)t->shards.n, (long long)t->shards.samples,
                (long long)(j->data_seed < 0 ? j->seed : j->data_seed));
    job_print_json(j, out);
    text_str(out, "}");
}

static hone_status write_text(const char *folder, const char *name, const text *t, hone_err *err) {
    arena *a = arena_new("path");
    const hone_status status = file_write(path_join(a, folder, name), t->p, t->n, err);
    arena_free(a);
    return status;
}

size_t content_bytes(const training *t) {
    return (size_t)t->s->plan->n_trained * (t->job->save_only_model ? 4 : 12) + ((size_t)1 << 20);
}

/* Facts, and what only says where they come from: another number of ranks may go on. */
void content_fill(checkpoint_content *c, training *t) {
    text facts = {0};
    c->t = t;
    c->tokenizer_folder = t->s->tokenizer_folder;
    fill_card(t, c->a, &c->card, 0);
    print_trainer_state(t, &c->trainer);
    print_run_state(t, &c->state);
    print_facts(t, &facts);
    text_printf(&c->facts, "{\"world_size\": %d, \"commit\": \"%s\", %s", t->s->comm->n, HONE_COMMIT, facts.p + 1);
    text_free(&facts);
}

hone_status content_write(const checkpoint_content *c, const char *folder, params_get *get, void *from,
                          hone_err *err) {
    HONE_TRY(write_model(c->t, &c->card, c->tokenizer_folder, folder, get, from, err));
    HONE_TRY(write_text(folder, "trainer_state.json", &c->trainer, err));
    HONE_TRY(write_text(folder, "run_state.json", &c->state, err));
    return measured_write(folder, err);
}

void content_free(checkpoint_content *c) {
    text_free(&c->trainer);
    text_free(&c->state);
    text_free(&c->facts);
    arena_free(c->a);
    *c = (checkpoint_content){0};
}

/* ---- the folder handed back ---- */

static hone_status write_last_model(training *t, hone_err *err) {
    arena *a = arena_new("card");
    card c = {0};
    fill_card(t, a, &c, 1);
    const hone_status status = write_model(t, &c, t->s->tokenizer_folder, t->folder, get_param, t, err);
    arena_free(a);
    return status;
}

static hone_status write_final(void *arg, hone_err *err) {
    training *t = arg;
    text trainer = {0};
    print_trainer_state(t, &trainer);
    hone_status status = write_text(t->folder, "trainer_state.json", &trainer, err);
    text_free(&trainer);
    /* The logits of a vocabulary are never whole; random ids are no words. */
    if (!status && !session_guesses_words(t->s) && t->s->head != HEAD_TOKENS && t->s->head != HEAD_SPANS)
        status = probe_write(t->s, t->folder, err); /* before the weights, which make the folder complete */
    if (!status) status = write_last_model(t, err);
    return status;
}

hone_status rank_0_reads(training *t, hone_status (*read)(void *arg, hone_err *err), void *arg, hone_err *err) {
    run *r = t->s->run;
    const hone_plan *p = t->s->plan;
    if (p->n_ranks > 1 && p->rank) return run_answer(r, 0, err);
    run_asks(r);
    const hone_status status = read(arg, err);
    if (status == HONE_ECOMM) return status; /* nobody answers any more */
    HONE_TRY(run_asks_no_more(r, status ? NULL : err));
    return status;
}

hone_status save_final(training *t, hone_err *err) {
    comm *all = t->s->comm;
    comm_seen(all, t->step, "writing the model folder");
    t->s->comm = comm_alone(); /* the probe is this rank's business */
    const hone_status status = rank_0_reads(t, write_final, t, err);
    t->s->comm = all;
    HONE_TRY(status);
    return comm_barrier(all, err);
}
