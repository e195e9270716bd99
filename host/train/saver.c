/* saver.c - copy, thread, announcement. */
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "train/saver.h"
#include "train/train.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/version.h"
#include "train/optimizer.h"

typedef enum { IDLE, WRITING, OWN_WRITTEN, DONE } stage;

struct saver {
    training *t;
    int copies; /* on all ranks alike: there is room for a copy, training goes on */
    float *weights, *moment[2];
    int64_t *at; /* where parameter i begins in weights */
    int32_t tick[16];
    int begun; /* on all ranks: a save that has not been waited for */

    /* of the save under way */
    checkpoint_content content;
    checkpoint_writer *writer; /* rank 0's */
    const char *hidden, *final;
    int64_t step, written;
    uint64_t from_ns;
    double held_s; /* that training waited for */
    hone_status status;
    hone_err err;

    pthread_t thread;
    int has_thread;
    pthread_mutex_t lock;
    pthread_cond_t moved;
    stage stage;
    int given_up;
};

/* ---- memory ---- */

static int64_t elements_of(const hone_plan *p, int param) {
    const hone_value *x = &p->value[p->param[param].value];
    return x->dim[0].n * (x->n_dims > 1 ? x->dim[1].n : 1);
}

static int64_t all_elements(const hone_plan *p) {
    int64_t n = 0;
    for (int i = 1; i <= p->n_params; i++) n += elements_of(p, i);
    return n;
}

static int64_t moment_elements(const hone_plan *p, const job *j, int rank, int n_ranks) {
    return j->save_only_model ? 0 : optimizer_elements(p, rank, n_ranks);
}

size_t saver_copy_bytes(const hone_plan *p, const job *j, int rank, int n_ranks) {
    if (!j->save_in_background) return 0;
    return sizeof(float) * (size_t)((rank ? 0 : all_elements(p)) + 2 * moment_elements(p, j, rank, n_ranks));
}

saver *saver_new(training *t, int copies) {
    const hone_plan *p = t->s->plan;
    const comm *c = t->s->comm;
    saver *s = mem_new(sizeof *s, "saver");
    s->t = t;
    s->copies = copies && t->job->save_in_background;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->moved, NULL);
    if (!s->copies) return s;
    const size_t n = (size_t)moment_elements(p, t->job, c->rank, c->n);
    s->at = mem_new(((size_t)p->n_params + 1) * sizeof *s->at, "saver");
    for (int i = 1; i < p->n_params; i++) s->at[i + 1] = s->at[i] + elements_of(p, i);
    s->weights = mem_new(sizeof(float) * (size_t)(c->rank ? 0 : all_elements(p)),
                         "a copy of the weights, to be saved");
    for (int k = 0; k < 2 && n; k++)
        s->moment[k] = mem_new(sizeof(float) * n, "a copy of the optimizer, to be saved");
    return s;
}

/* ---- the thread ---- */

static void reach(saver *s, stage reached) {
    pthread_mutex_lock(&s->lock);
    s->stage = reached;
    pthread_cond_broadcast(&s->moved);
    pthread_mutex_unlock(&s->lock);
}

static void wait_for(saver *s, stage wanted) {
    pthread_mutex_lock(&s->lock);
    while (s->has_thread && s->stage < wanted) pthread_cond_wait(&s->moved, &s->lock);
    pthread_mutex_unlock(&s->lock);
}

static int is_done(saver *s) {
    pthread_mutex_lock(&s->lock);
    const int done = s->stage == DONE;
    pthread_mutex_unlock(&s->lock);
    return done;
}

static int is_given_up(saver *s) {
    pthread_mutex_lock(&s->lock);
    const int given_up = s->given_up;
    pthread_mutex_unlock(&s->lock);
    return given_up;
}

static hone_status get_param(void *from, int i, float *to, hone_err *err) {
    const saver *s = from;
    if (!s->copies) return run_get_param(s->t->s->run, i + 1, to, err);
    memcpy(to, s->weights + s->at[i + 1], sizeof(float) * (size_t)elements_of(s->t->s->plan, i + 1));
    return HONE_OK;
}

static hone_status write_content(void *arg, hone_err *err) {
    const saver *s = arg;
    return content_write(&s->content, s->hidden, get_param, arg, err);
}

static hone_status write_own(saver *s, hone_err *err) {
    training *t = s->t;
    const comm *c = t->s->comm;
    if (s->copies && c->rank == 0) HONE_TRY(write_content(s, err));
    if (!s->copies) HONE_TRY(rank_0_reads(t, write_content, s, err));
    if (t->job->save_only_model) return HONE_OK;
    const optimizer_part part = {.plan = t->s->plan,
                                 .rank = c->rank,
                                 .n = c->n,
                                 .run = t->s->run,
                                 .copy = {s->moment[0], s->moment[1]},
                                 .tick = s->copies ? s->tick : NULL};
    return optimizer_write(&part, s->hidden, err);
}

static void write_files(saver *s) {
    s->status = write_own(s, &s->err);
    reach(s, OWN_WRITTEN);
}

/* A part has its name once it is synced. Where they never come the main thread says so. */
static hone_status await_parts(saver *s, hone_err *err) {
    const int n = s->t->job->save_only_model ? 1 : s->t->s->comm->n;
    const struct timespec moment = {0, 2000000};
    arena *a = arena_new("parts");
    hone_status status = HONE_OK;
    for (int r = 1; r < n && !status; r++) {
        const char *part = optimizer_file(a, s->hidden, r, n);
        for (int last = 0; !status && !file_exists(part); nanosleep(&moment, NULL)) {
            if (last) status = hone_fail(err, HONE_ESTORAGE, "%s: its rank has not written it", part);
            last = is_given_up(s);
        }
    }
    arena_free(a);
    return status;
}

static void *write_all(void *arg) {
    saver *s = arg;
    mem_leave(1); /* playing allocates nothing; this is no part of it */
    if (s->copies) write_files(s);
    hone_status status = s->status;
    if (s->writer) {
        if (!status) status = await_parts(s, &s->err);
        if (!status) status = checkpoint_end(s->writer, s->content.facts.p, &s->written, &s->err);
        else checkpoint_abort(s->writer);
        s->writer = NULL;
        s->status = status;
    }
    reach(s, DONE);
    return NULL;
}

/* ---- the main thread ---- */

static hone_status copy_weights(void *arg, hone_err *err) {
    saver *s = arg;
    for (int i = 1; i <= s->t->s->plan->n_params; i++)
        HONE_TRY(run_get_param(s->t->s->run, i, s->weights + s->at[i], err));
    return HONE_OK;
}

static hone_status copy_all(saver *s, hone_err *err) {
    training *t = s->t;
    const hone_plan *p = t->s->plan;
    optimizer_range own;
    if (!s->copies) return HONE_OK;
    HONE_TRY(rank_0_reads(t, copy_weights, s, err));
    HONE_TRY(run_get(t->s->run, p->tick, s->tick, err));
    for (int k = 0; k < 2 && s->moment[k]; k++)
        for (int i = 0; optimizer_range_of(p, t->s->comm->rank, t->s->comm->n, i, &own); i++)
            HONE_TRY(run_get_held(t->s->run, (hone_flat_kind)(HONE_EXP_AVG + k), own.first, own.n,
                                  s->moment[k] + own.at, err));
    return HONE_OK;
}

/* Where rank 0 says that the files go; *go 0: there is no room, which it has warned of. */
static hone_status begin(saver *s, int may_skip, int *go, hone_err *err) {
    training *t = s->t;
    struct {
        int go;
        char hidden[4096];
    } word = {0};
    if (t->s->comm->rank == 0) {
        hone_err full = {0};
        if (may_skip && checkpoint_room(t->folder, content_bytes(t), &full)) {
            if (t->saved_step < 0) log_warn("%s; training goes on, nothing is saved yet", full.text);
            else log_warn("%s; training goes on, last saved step %lld", full.text, (long long)t->saved_step);
        } else {
            HONE_TRY(checkpoint_begin(&s->writer, t->folder, t->step, content_bytes(t), err));
            word.go = 1;
            snprintf(word.hidden, sizeof word.hidden, "%s", checkpoint_folder(s->writer));
        }
    }
    HONE_TRY(comm_broadcast(t->s->comm, &word, sizeof word, 0, err));
    *go = word.go;
    if (word.go) s->hidden = arena_print(s->content.a, "%s", word.hidden);
    return HONE_OK;
}

/* The device is this thread's: without a copy the files are written here. */
static hone_status start_thread(saver *s, hone_err *err) {
    s->stage = WRITING;
    if (!s->copies) write_files(s);
    s->has_thread = 1;
    if (!pthread_create(&s->thread, NULL, write_all, s)) return HONE_OK;
    s->has_thread = 0;
    checkpoint_abort(s->writer);
    s->writer = NULL;
    s->stage = IDLE;
    return hone_fail(err, HONE_ENOFIT, "the system gives no thread to write a checkpoint");
}

static hone_status save(training *t, int may_skip, hone_err *err) {
    saver *s = t->saver;
    int go = 0;
    HONE_TRY(save_wait(t, err));
    comm_seen(t->s->comm, t->step, "saving");
    s->from_ns = clock_ns();
    s->step = t->step;
    s->status = HONE_OK;
    s->given_up = 0;
    content_free(&s->content);
    s->content.a = arena_new("checkpoint");
    hone_status status = begin(s, may_skip, &go, err);
    if (!status && go) status = copy_all(s, err);
    if (!status && go && t->s->comm->rank == 0) content_fill(&s->content, t);
    if (status || !go) {
        checkpoint_abort(s->writer);
        s->writer = NULL;
        return status;
    }
    s->begun = 1;
    s->held_s = (double)(clock_ns() - s->from_ns) * 1e-9;
    HONE_TRY(start_thread(s, err));
    comm_seen(t->s->comm, t->step, "training");
    return s->copies ? HONE_OK : save_wait(t, err);
}

hone_status save_checkpoint(training *t, hone_err *err) { return save(t, 0, err); }
hone_status save_if_room(training *t, hone_err *err) { return save(t, 1, err); }

static hone_status announce(saver *s, hone_err *err) {
    training *t = s->t;
    if (s->status) {
        *err = s->err;
        return s->status;
    }
    if (t->s->comm->rank) return HONE_OK;
    const char *name = checkpoint_path(t->s->a, t->folder, s->step);
    const double seconds = (double)(clock_ns() - s->from_ns) * 1e-9;
    record_saved(t->record, s->step, name, s->written, seconds, s->copies ? s->held_s : seconds);
    t->saved_step = s->step;
    if (t->tokenizer_is_saved)
        t->s->tokenizer_folder = name; /* the checkpoint it came from may be pruned now */
    return t->job->save_total_limit
               ? checkpoint_prune(t->folder, s->step, t->job->save_total_limit, t->best_step, err)
               : HONE_OK;
}

hone_status save_look(training *t, hone_err *err) {
    saver *s = t->saver;
    if (!s || !is_done(s)) return HONE_OK;
    if (s->has_thread) pthread_join(s->thread, NULL);
    s->has_thread = 0;
    s->stage = IDLE;
    return announce(s, err);
}

/* Two agreements: that all parts are there, and that rank 0 has announced. */
hone_status save_wait(training *t, hone_err *err) {
    saver *s = t->saver;
    if (!s || !s->begun) return HONE_OK;
    comm_seen(t->s->comm, t->step, "saving");
    wait_for(s, OWN_WRITTEN);
    if (t->s->comm->n > 1) HONE_TRY(ranks_agree(t, err));
    wait_for(s, DONE);
    HONE_TRY(ranks_agree(t, err));
    s->begun = 0;
    comm_seen(t->s->comm, t->step, "training");
    return HONE_OK;
}

void saver_free(saver *s) {
    hone_err why = {0};
    if (!s) return;
    wait_for(s, OWN_WRITTEN);
    pthread_mutex_lock(&s->lock);
    s->given_up = 1;
    pthread_mutex_unlock(&s->lock);
    wait_for(s, DONE);
    if (save_look(s->t, &why)) log_warn("%s", why.text);
    content_free(&s->content);
    mem_free(s->weights);
    for (int k = 0; k < 2; k++) mem_free(s->moment[k]);
    mem_free(s->at);
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->moved);
    mem_free(s);
}
