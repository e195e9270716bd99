/* play.c - playing: batches in, programs through, results out.
 *
 *   host      writes image n + 1        reads result n - 1
 *   copies    image n -> staging
 *   queue     staging -> INPUT, MICRO n ... UPDATE n, result n -> ring
 *
 * On a device with one synchronous queue all of this happens at once, in the same order. */
#include <string.h>

#include "run/inside.h"
#include "base/err.h"
#include "base/hash.h"
#include "plan/own.h"

static hone_status failed(const run *r, hone_status status, const char *what, hone_err *err) {
    return status ? hone_fail(err, status, "device %s: %s failed", r->table->name, what) : HONE_OK;
}

/* ---- queues and events ---- */

static hone_status new_events(run *r) {
    hone_status status = r->table->event_new(r->device, 0, &r->taken);
    for (int i = 0; i < N_IMAGES && !status; i++) status = r->table->event_new(r->device, 0, &r->copied[i]);
    for (int i = 0; i < N_RESULTS && !status; i++)
        status = r->table->event_new(r->device, 0, &r->answered[i]);
    return status;
}

/* Where the step leaves what run_result's marks are made of. Nothing of UPDATE writes over the partial sums after GUARD has
 * read them. */
static void find_marks(run *r) {
    const hone_plan *p = r->plan;
    const hone_program *update = &p->program[HONE_UPDATE_WEIGHTS];
    for (int i = 0; i < update->n_steps; i++) {
        const hone_step *s = &update->step[i];
        if (s->op == HONE_OP_GUARD) r->partials = s->in[0];
        for (int k = 0; r->partials && k < HONE_MAX_OUT; k++)
            HONE_ASSERT(!s->out[k] || p->value[s->out[k]].cls != HONE_ACTIVATION);
    }
    if (r->partials)
        r->partial_bytes = (size_t)p->value[r->partials].dim[0].n * hone_dtype_bytes(p->value[r->partials].dtype);
}

static size_t marks_bytes(const run *r) {
    return 2 * WINDOW * sizeof(float) + (r->partial_bytes + 255) / 256 * 256;
}

hone_status open_queues(run *r, hone_err *err) {
    void *results;
    r->is_late = r->limits.fixed_rows && r->table->event_new;
    r->n_images = r->is_late ? N_IMAGES : 1;
    hone_status status = r->table->queue_new(r->device, &r->queue);
    if (!status && r->is_late) status = r->table->queue_new(r->device, &r->copies);
    if (!status && r->is_late) status = r->table->queue_new(r->device, &r->waiter);
    if (!status && r->is_late) status = new_events(r);
    HONE_TRY(failed(r, status, "making queues and events", err));
    for (int i = 0; i < r->n_images; i++)
        HONE_TRY(r->table->slab_new(r->device, 1, r->plan->input_bytes + 1, &r->image[i], err));
    HONE_TRY(r->table->slab_new(r->device, 1, N_RESULTS * sizeof *r->result, &results, err));
    r->result = results;
    find_marks(r);
    if (!r->partials) return HONE_OK;
    HONE_TRY(r->table->slab_new(r->device, 1, N_RESULTS * marks_bytes(r), &results, err));
    r->marks = results;
    return HONE_OK;
}

static void free_graphs(run *r, bound *b) {
    for (int k = 0; b->graph && k < HONE_N_RUNGS * b->n_parts; k++)
        if (b->graph[k]) r->table->graph_free(b->graph[k]);
}

void close_queues(run *r) {
    const hone_device_v1 *t = r->table;
    if (r->queue) t->queue_wait(r->queue);
    for (int k = 0; k < HONE_N_PROGRAMS; k++)
        for (int s = 0; s < r->plan->n_slots && r->program[k]; s++) free_graphs(r, &r->program[k][s]);
    if (r->taken) t->event_free(r->taken);
    for (int i = 0; i < N_IMAGES; i++) {
        if (r->copied[i]) t->event_free(r->copied[i]);
        if (r->image[i]) t->slab_free(r->device, r->image[i]);
    }
    for (int i = 0; i < N_RESULTS; i++)
        if (r->answered[i]) t->event_free(r->answered[i]);
    if (r->result) t->slab_free(r->device, r->result);
    if (r->marks) t->slab_free(r->device, r->marks);
    if (r->waiter) t->queue_free(r->waiter);
    if (r->copies) t->queue_free(r->copies);
    if (r->queue) t->queue_free(r->queue);
}

hone_status wait_for(run *r, hone_event *e, hone_err *err) {
    if (r->table->event_done(e)) return HONE_OK;
    r->table->event_wait(r->waiter, e);
    return run_settle(r, r->waiter, err);
}

/* ---- batches in ---- */

hone_status run_feed(run *r, hone_err *err) {
    if (!r->is_late) return HONE_OK;
    r->image_now = (r->image_now + 1) % r->n_images;
    return wait_for(r, r->copied[r->image_now], err);
}

/* The image goes to its staging place while the program before is still being played; INPUT itself, whose
 * address graphs know, is written in the order of the programs. */
hone_status copy_in(run *r, hone_err *err) {
    const hone_device_v1 *t = r->table;
    const size_t bytes = r->plan->input_bytes;
    char *input = r->slab[HONE_INPUT], *staging = input + bytes;
    const void *image = r->image[r->image_now];
    if (!r->is_late) return failed(r, t->put(r->queue, input, image, bytes), "copying a batch in", err);
    t->event_wait(r->copies, r->taken);
    hone_status status = t->put(r->copies, staging, image, bytes);
    t->event_record(r->copies, r->copied[r->image_now]);
    t->event_wait(r->queue, r->copied[r->image_now]);
    if (!status) status = t->put(r->queue, input, staging, bytes);
    t->event_record(r->queue, r->taken);
    return failed(r, status, "copying a batch in", err);
}

/* ---- programs ---- */

int set_rows(run *r, bound *b, const int64_t *rows) {
    const int rung = plan_rung(r->plan, rows, r->played);
    for (int i = 0; i < b->n_extents; i++) *b->extent[i].extent = r->played[b->extent[i].space];
    for (int i = 0; i < b->n_by_rung; i++) b->step[b->by_rung[i].step].call.choice = b->by_rung[i].of[rung];
    return b->n_extents ? rung : 0; /* what has no rows is the same at every rung */
}

/* ---- ranges: a name that is NULL costs a test ---- */

static void range_begin(const run *r, const char *name) {
    if (name) r->table->range(name);
}
static void range_end(const run *r, const char *name) {
    if (name) r->table->range(NULL);
}

static void name_steps(run *r, const hone_program *p, bound *b, const char *program) {
    b->name = program;
    b->captured = arena_print(r->a, "%s captured", program);
    b->replayed = arena_print(r->a, "%s as a graph", program);
    for (int i = 0; i < b->n_steps; i++)
        b->step[i].name =
            arena_print(r->a, "%d %s layer %d", i, hone_op_find(p->step[i].op)->name, p->step[i].layer);
}

hone_status run_ranges(run *r, hone_err *err) {
    static const char *const kind[] = {
#define XX(name, text) text,
        HONE_PROGRAM_MAP(XX)
#undef XX
    };
    if (!r->table->range)
        return hone_fail(err, HONE_EUSAGE,
                         "nvtx: true, but device %s has no profiler; expected device cuda%s", r->table->name,
                         strcmp(r->table->name, "cuda") ? "" : " built where nvtx3/nvToolsExt.h is");
    for (int k = 0; k < HONE_N_PROGRAMS; k++)
        for (int s = 0; s < r->plan->n_slots; s++)
            if (r->program[k][s].n_steps)
                name_steps(r, &r->plan->program[k], &r->program[k][s],
                           arena_print(r->a, "%s %d", kind[k], s));
    return HONE_OK;
}

hone_status play_step(run *r, const hone_program *p, const bound *b, int i, hone_err *err) {
    if (b->step[i].slice && !r->played[b->step[i].slice]) return HONE_OK;
    range_begin(r, b->step[i].name);
    hone_status status = zones_arm(r, &p->step[i], i);
    trace_begin(r, p, i);
    if (!status) status = b->step[i].fn(r->queue, &b->step[i].call);
    if (!status) status = trace_end(r, err);
    range_end(r, b->step[i].name);
    if (!status) return zones_check(r, &p->step[i], i, err);
    return hone_fail(err, status, "device %s: step %d, %s of layer %d failed", r->table->name, i,
                     hone_op_find(p->step[i].op)->name, p->step[i].layer);
}

/* Steps from .. to - 1, call by call. A phase that is timed is waited for. */
static hone_status play_calls(run *r, const hone_program *p, const bound *b, int from, int to, hone_err *err) {
    uint64_t before = r->timed ? r->host->clock_ns(r->host->context) : 0;
    for (int i = from; i < to; i++) {
        HONE_TRY(play_step(r, p, b, i, err));
        if (!r->timed || (i + 1 < to && p->step[i + 1].phase == p->step[i].phase)) continue;
        HONE_TRY(run_settle(r, r->queue, err));
        const uint64_t now = r->host->clock_ns(r->host->context);
        r->phase_s[p->step[i].phase] += (double)(now - before) * 1e-9;
        before = now;
    }
    return HONE_OK;
}

static hone_exec **graph_of(const bound *b, int rung, int k) { return &b->graph[rung * b->n_parts + k]; }

/* The graph of part k; 0: it could not be captured. */
static int capture_part(run *r, const hone_program *p, bound *b, int rung, int k) {
    hone_err why = {0};
    hone_exec *graph = NULL;
    if (*graph_of(b, rung, k) || b->part[k] == b->part[k + 1]) return 1;
    range_begin(r, b->captured);
    hone_status status = r->table->capture(r->queue, 1, NULL);
    const int begun = !status;
    for (int i = b->part[k]; i < b->part[k + 1] && !status; i++) status = play_step(r, p, b, i, &why);
    const hone_status ended = begun ? r->table->capture(r->queue, 0, &graph) : status;
    range_end(r, b->captured);
    if (!status && !ended) {
        *graph_of(b, rung, k) = graph;
        return 1;
    }
    if (!ended && graph) r->table->graph_free(graph);
    return 0;
}

void run_prepare(run *r, hone_program_kind kind, int slot, const int64_t *rows) {
    const hone_program *p = &r->plan->program[kind];
    bound *b = &r->program[kind][slot];
    if (!r->graphs || r->zones || !r->limits.fixed_rows || !r->table->capture || !b->n_played || b->refused) return;
    const int rung = set_rows(r, b, rows);
    for (int k = 0; k < b->n_parts && !b->refused; k++) b->refused = !capture_part(r, p, b, rung, k);
    if (b->refused)
        r->host->log(r->host->context,
                     "a program could not be captured as a graph: it is played call by call");
}

/* What the ranks say to each other when the first `played` steps of a program are on their way. */
static hone_status between_parts(run *r, hone_program_kind kind, int played, hone_err *err) {
    const hone_plan *p = r->plan;
    if (kind == HONE_MICRO && r->hands_over) return share_gradients(r, played, err);
    if (kind != HONE_UPDATE_WEIGHTS || !p->divided) return HONE_OK;
    if (played > (p->own_part != 0)) return share_weights(r, played, err);
    HONE_TRY(share_sums(r, err));
    share_begin_weights(r);
    return HONE_OK;
}

hone_status run_play(run *r, hone_program_kind kind, int slot, const int64_t *rows, hone_err *err) {
    const hone_program *p = &r->plan->program[kind];
    bound *b = &r->program[kind][slot];
    const int rung = set_rows(r, b, rows);
    const int reads = kind != HONE_FOLD && kind != HONE_UPDATE_WEIGHTS;
    if (reads) HONE_TRY(copy_in(r, err));
    if (kind != HONE_MICRO) await_weights(r, 0);
    if (reads) HONE_TRY(kind == HONE_MICRO ? update_rows_of_batch(r, rows, err) : update_all_rows(r, err));
    if (kind == HONE_UPDATE_WEIGHTS) r->rows_missed = r->plan->table.param != 0;
    for (int k = 0; k < b->n_parts; k++) {
        if (kind == HONE_MICRO) await_weights(r, b->reads[k]);
        hone_exec *graph = *graph_of(b, rung, k);
        const int as_graph = graph && r->graphs && !r->timed;
        const char *const name = as_graph ? b->replayed : b->name;
        range_begin(r, name);
        const hone_status status = as_graph ? failed(r, r->table->graph_launch(r->queue, graph), "a graph", err)
                                            : play_calls(r, p, b, b->part[k], b->part[k + 1], err);
        range_end(r, name);
        HONE_TRY(status);
        HONE_TRY(between_parts(r, kind, b->part[k + 1], err));
    }
    b->n_played++;
    if (kind == HONE_UPDATE_WEIGHTS && r->plan->divided) HONE_TRY(share_end_weights(r, err));
    return r->is_late ? HONE_OK : run_settle(r, r->queue, err);
}

void run_time(run *r, int on) {
    r->timed = on;
    memset(r->phase_s, 0, sizeof r->phase_s);
}

void run_times(run *r, double phase_s[3]) {
    memcpy(phase_s, r->phase_s, sizeof r->phase_s);
    memset(r->phase_s, 0, sizeof r->phase_s);
}

void run_graphs(run *r, int on) { r->graphs = on; }
int run_is_late(const run *r) { return r->is_late; }

/* ---- results out ---- */

/* The windows of steps follow each other through the trained range; the last one may be short. */
static void choose_window(run *r, int k, int64_t step) {
    const int64_t all = r->plan->n_trained, n = (all + WINDOW - 1) / WINDOW, at = step % n * WINDOW;
    r->window_at[k] = at;
    r->window_n[k] = all - at < WINDOW ? all - at : WINDOW;
}

static char *marks_of(const run *r, int k) { return r->marks + (size_t)k * marks_bytes(r); }

/* The sum over those of the window's elements that are this rank's of a hash of gradient, weight and place; the partial
 * sums, which all have, are hashed by the first. */
static uint64_t hash_marks(const run *r, int k) {
    const hone_plan *p = r->plan;
    const char *marks = marks_of(r, k);
    const uint32_t *gradient = (const uint32_t *)(const void *)marks, *weight = gradient + WINDOW;
    const int64_t at = r->window_at[k], end = at + r->window_n[k];
    uint64_t sum = p->divided && p->rank ? 0 : hash64(weight + WINDOW, r->partial_bytes, 0);
    own_piece piece;
    for (int next = 0; plan_next_piece(p, p->divided, p->rank, at, end, &next, &piece);)
        for (int64_t i = piece.first - at; i < piece.first - at + piece.n; i++) {
            uint64_t x = ((uint64_t)gradient[i] << 32 | weight[i]) + (uint64_t)(at + i + 1) * 0x9e3779b97f4a7c15u;
            x = (x ^ x >> 32) * 0xd6e8feb86659fd93u;
            x = (x ^ x >> 29) * 0xd6e8feb86659fd93u;
            sum += x ^ x >> 32;
        }
    return sum;
}

/* Gradients and weights of the window, as far as this rank holds them. */
static hone_status ask_window(run *r, int k) {
    const hone_plan *p = r->plan;
    const int64_t at = r->window_at[k], end = at + r->window_n[k];
    const size_t f = sizeof(float);
    char *gradient = marks_of(r, k), *weight = gradient + WINDOW * f,
         *from = (char *)r->slab[HONE_GRAD] + p->slot_bytes - (size_t)p->n_trained * f;
    hone_status status = r->table->get(r->queue, gradient, from + (size_t)at * f, (size_t)(end - at) * f);
    own_piece piece;
    for (int next = 0; !status && plan_next_piece(p, p->flat[HONE_MASTER].divided, p->rank, at, end, &next, &piece);)
        status = r->table->get(r->queue, weight + (size_t)(piece.first - at) * f,
                               flat_address(r, HONE_MASTER, piece.held), (size_t)piece.n * f);
    return status;
}

hone_status run_ask(run *r, int64_t step, hone_err *err) {
    const hone_plan *p = r->plan;
    const int k = (int)(r->n_asked % N_RESULTS);
    run_result *to = &r->result[k];
    HONE_ASSERT(r->n_asked - r->n_heard < N_RESULTS && r->partials);
    choose_window(r, k, step);
    HONE_TRY(update_rows_between(r, r->window_at[k], r->window_at[k] + r->window_n[k], err));
    char *marks = marks_of(r, k);
    const struct {
        void *to;
        const void *from;
        size_t bytes;
    } get[] = {{&to->loss, run_address(r, p->loss, 0), sizeof to->loss},
               {&to->norm, run_address(r, p->norm, 0), sizeof to->norm},
               {&to->ok, run_address(r, p->ok, 0), sizeof to->ok},
               {&to->tick, run_address(r, p->tick, 0), sizeof to->tick},
               {marks + 2 * WINDOW * sizeof(float), run_address(r, r->partials, 0), r->partial_bytes}};
    if (p->sequence_loss)
        HONE_TRY(failed(r, r->table->get(r->queue, &to->sequence_loss, run_address(r, p->sequence_loss, 0), sizeof(float)),
                        "reading a result", err));
    for (size_t i = 0; i < sizeof get / sizeof *get; i++)
        HONE_TRY(failed(r, r->table->get(r->queue, get[i].to, get[i].from, get[i].bytes), "reading a result",
                        err));
    HONE_TRY(failed(r, ask_window(r, k), "reading a result", err));
    if (r->is_late) r->table->event_record(r->queue, r->answered[k]);
    r->n_asked++;
    return r->is_late ? HONE_OK : failed(r, r->table->queue_wait(r->queue), "reading a result", err);
}

hone_status run_hear(run *r, run_result *out, hone_err *err) {
    const int k = (int)(r->n_heard % N_RESULTS);
    HONE_ASSERT(r->n_heard < r->n_asked);
    r->n_heard++;
    if (r->is_late) HONE_TRY(wait_for(r, r->answered[k], err));
    *out = r->result[k];
    out->marks = hash_marks(r, k);
    if (r->n_heard == r->n_asked) HONE_TRY(settle_weights(r, err)); /* nothing is played meanwhile */
    return r->plan->divided ? share_marks(r, &out->marks, err) : HONE_OK;
}

int run_is_asked(const run *r) { return r->n_heard < r->n_asked; }
