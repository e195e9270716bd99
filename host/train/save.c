/* save.c - what a checkpoint holds, and the folder handed back; resume.c goes on from one.
 *
 *   model.safetensors, config.json, tokenizer, README.md   a model folder like any other (fp32 masters)
 *   optimizer.safetensors   exp_avg.NAME, exp_avg_sq.NAME of every trained parameter; tick: the 16 words of device.h
 *   trainer_state.json      transformers' keys
 *   run_state.json          what else a resumed run needs: sums since the last row of the log, best, patience */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "train/probe.h"
#include "train/train.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/version.h"
#include "model/export.h"
#include "run/checkpoint.h"

/* ---- the model ---- */

static hone_status get_param(void *from, int i, float *to, hone_err *err) {
    training *t = from;
    return run_get_param(t->s->run, i + 1, to, err);
}

static const char *print_real(arena *a, double x) { return arena_print(a, "%.9g", x); }

static void fill_card(training *t, arena *a, card *c, int final) {
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
    data[c->n_data++] = (card_data){"train", j->train_file, t->in->train->n};
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
    c->task = "text-classification";
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

static hone_status write_model(training *t, const char *folder, int final, hone_err *err) {
    arena *a = arena_new("export");
    card c = {0};
    fill_card(t, a, &c, final);
    const export_model m = {.config = t->s->config,
                            .label = t->s->labels.n ? t->s->labels.name : NULL,
                            .n_labels = t->s->n_outputs,
                            .param = params_of_plan(a, t->s->plan),
                            .n_params = t->s->plan->n_params,
                            .get = get_param,
                            .from = t,
                            .tokenizer_folder = t->s->tokenizer_folder,
                            .card = &c};
    const hone_status status = export_write(&m, folder, NULL, err);
    arena_free(a);
    return status;
}

/* ---- the optimizer ---- */

const char *optimizer_tensor(arena *a, const hone_plan *p, int param, int which) {
    return arena_print(a, "%s.%s", which ? "exp_avg_sq" : "exp_avg", p->value[p->param[param].value].name);
}

typedef struct {
    int param, which;
} moment;

static hone_status write_optimizer(training *t, const char *folder, hone_err *err) {
    const hone_plan *p = t->s->plan;
    arena *a = arena_new("optimizer");
    tensor_form *form = ARENA_ARRAY(a, 2 * (size_t)p->n_params + 1, tensor_form);
    moment *source = ARENA_ARRAY(a, 2 * (size_t)p->n_params + 1, moment);
    int n = 0;
    size_t most = 64;
    for (int i = 1; i <= p->n_params; i++)
        for (int k = 0; k < 2; k++) {
            const hone_value *x = &p->value[p->param[i].value];
            if (!p->param[i].wants_grad) continue;
            form[n] = (tensor_form){.name = optimizer_tensor(a, p, i, k),
                                    .type = STORED_F32,
                                    .n_dims = x->n_dims,
                                    .dim = {x->dim[0].n, x->dim[1].n}};
            const size_t bytes = 4 * (size_t)(x->dim[0].n * (x->n_dims > 1 ? x->dim[1].n : 1));
            most = bytes > most ? bytes : most;
            source[n++] = (moment){i, k};
        }
    form[n] = (tensor_form){.name = "tick", .type = STORED_I32, .n_dims = 1, .dim = {16}};
    n++; /* the tick: of parameter 0 */
    float *copy = mem_new(most, "a tensor of the optimizer");
    safetensors_writer *w;
    hone_status status =
        safetensors_begin(&w, path_join(a, folder, "optimizer.safetensors"), form, n, NULL, 0, err);
    const int begun = !status;
    for (int i; !status && (i = safetensors_next(w)) >= 0;) {
        const size_t bytes = 4 * (size_t)(form[i].dim[0] * (form[i].n_dims > 1 ? form[i].dim[1] : 1));
        status = source[i].param ? run_get_flat(t->s->run, (hone_flat_kind)(HONE_EXP_AVG + source[i].which), source[i].param, copy,
                                                err)
                                 : run_get(t->s->run, p->tick, copy, err);
        if (!status) status = safetensors_add(w, copy, bytes, err);
    }
    if (begun && status) safetensors_abort(w);
    else if (begun) status = safetensors_end(w, NULL, err);
    mem_free(copy);
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
    text_str(out, "\n}\n");
}

/* What a resumed run is compared with: what was read, what follows from the job, and the job itself. */
void print_facts(const training *t, text *out) {
    const job *j = t->job;
    text_printf(out,
                "{\"data_sha256\": \"%s\", \"tokenizer_sha256\": \"%s\", \"samples\": %lld, \"labels\": %d, "
                "\"reduce_shards\": %lld, \"shard_samples\": %lld, \"data_seed\": %lld, \"job\": ",
                t->in->train->sha256, tokenizer_sha256(t->s->tok), (long long)t->in->train->n,
                t->s->n_outputs, (long long)t->shards.n, (long long)t->shards.samples,
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

static hone_status write_states(training *t, const char *folder, hone_err *err) {
    text trainer = {0}, state = {0};
    print_trainer_state(t, &trainer);
    print_run_state(t, &state);
    hone_status status = write_text(folder, "trainer_state.json", &trainer, err);
    if (!status) status = write_text(folder, "run_state.json", &state, err);
    text_free(&trainer);
    text_free(&state);
    return status;
}

static size_t checkpoint_bytes(const training *t) {
    return (size_t)t->s->plan->n_trained * (t->job->save_only_model ? 4 : 12) + ((size_t)1 << 20);
}

static hone_status write_checkpoint(training *t, hone_err *err) {
    checkpoint_writer *w;
    const uint64_t from = clock_ns();
    HONE_TRY(checkpoint_begin(&w, t->folder, t->step, checkpoint_bytes(t), err));
    const char *folder = checkpoint_folder(w);
    hone_status status = write_model(t, folder, 0, err);
    if (!status && !t->job->save_only_model) status = write_optimizer(t, folder, err);
    if (!status) status = write_states(t, folder, err);
    if (status) {
        checkpoint_abort(w);
        return status;
    }
    text facts = {0};
    int64_t written;
    print_facts(t, &facts);
    status = checkpoint_end(w, facts.p, &written, err);
    text_free(&facts);
    HONE_TRY(status);
    const char *name = arena_print(t->s->a, "%s/checkpoint-%lld", t->folder, (long long)t->step);
    record_saved(t->record, t->step, name, written, (double)(clock_ns() - from) * 1e-9);
    t->saved_step = t->step;
    if (t->tokenizer_is_saved)
        t->s->tokenizer_folder = name; /* the checkpoint it came from may be pruned now */
    return t->job->save_total_limit
               ? checkpoint_prune(t->folder, t->step, t->job->save_total_limit, t->best_step, err)
               : HONE_OK;
}

/* What rank 0 has saved, all have: they learn its step, and go on when it has. */
static hone_status learn_saved_step(training *t, hone_err *err) {
    HONE_TRY(comm_broadcast(t->s->comm, &t->saved_step, sizeof t->saved_step, 0, err));
    comm_seen(t->s->comm, t->step, "training");
    return HONE_OK;
}

/* Rank 0 writes; of a divided optimizer it asks the others for their parts. */
static hone_status let_rank_0(training *t, const comm *c, hone_status (*write)(training *t, hone_err *err),
                              hone_err *err) {
    if (c->rank) return run_answer(t->s->run, 0, err);
    run_asks(t->s->run);
    const hone_status status = write(t, err);
    if (status == HONE_ECOMM) return status; /* nobody answers any more */
    HONE_TRY(run_asks_no_more(t->s->run, status ? NULL : err));
    return status;
}

hone_status save_checkpoint(training *t, hone_err *err) {
    comm_seen(t->s->comm, t->step, "saving");
    HONE_TRY(let_rank_0(t, t->s->comm, write_checkpoint, err));
    return learn_saved_step(t, err);
}

static hone_status write_if_room(training *t, hone_err *err) {
    hone_err full = {0};
    if (checkpoint_room(t->folder, checkpoint_bytes(t), &full) == HONE_OK) return write_checkpoint(t, err);
    if (t->saved_step < 0) log_warn("%s; training goes on, nothing is saved yet", full.text);
    else log_warn("%s; training goes on, last saved step %lld", full.text, (long long)t->saved_step);
    return HONE_OK;
}

hone_status save_if_room(training *t, hone_err *err) {
    comm_seen(t->s->comm, t->step, "saving");
    HONE_TRY(let_rank_0(t, t->s->comm, write_if_room, err));
    return learn_saved_step(t, err);
}

static hone_status write_final(training *t, hone_err *err) {
    text trainer = {0};
    print_trainer_state(t, &trainer);
    hone_status status = write_text(t->folder, "trainer_state.json", &trainer, err);
    text_free(&trainer);
    if (!status)
        status = probe_write(t->s, t->folder, err); /* before the weights, which make the folder complete */
    if (!status) status = write_model(t, t->folder, 1, err);
    return status;
}

hone_status save_final(training *t, hone_err *err) {
    comm *all = t->s->comm;
    comm_seen(all, t->step, "writing the model folder");
    t->s->comm = comm_alone(); /* the probe is this rank's business */
    const hone_status status = let_rank_0(t, all, write_final, err);
    t->s->comm = all;
    HONE_TRY(status);
    return comm_barrier(all, err);
}
