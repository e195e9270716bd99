/* replay.c - a log read, steps played again. */
#include <stdlib.h>
#include <string.h>

#include "train/replay.h"
#include "train/train.h"
#include "base/err.h"
#include "base/file.h"
#include "base/vec.h"

#define LOG_MAX_BYTES ((size_t)4 << 30)

/* A start of the run (a row "run") and a step that was recorded since. Steps beyond the one at which a later start
 * began were played again by it: they are forgotten. */
typedef struct {
    str job;
    const char *device;
} begun;
typedef struct {
    int64_t step;
    uint64_t chain;
    size_t run; /* which start */
} recorded;
typedef struct {
    const char *path;
    VEC(begun) run;
    VEC(recorded) step; /* ascending */
} chain_log;

static void forget_after(chain_log *l, int64_t step) {
    while (l->step.n && l->step.p[l->step.n - 1].step > step) l->step.n--;
}

static int64_t integer_of(const json *row, const char *name) {
    const json *v = json_get(row, name);
    return v && v->is_int ? v->integer : -1;
}

static hone_status take_start(chain_log *l, arena *a, const json *row, const char *line, size_t n,
                              hone_err *err) {
    const json *all = json_get(row, "job"), *device = json_get(row, "device");
    if (!all || all->kind != JSON_OBJECT || all->next)
        return hone_fail(err, HONE_EDAMAGED, "%s: a row of type run that does not end with its job", l->path);
    begun b = {.job = {line + all->offset, n - 1 - (size_t)all->offset}, .device = "auto"};
    if (device && device->kind == JSON_STRING) b.device = arena_copy(a, device->string.p, device->string.n);
    vec_push(&l->run, b);
    forget_after(l, integer_of(row, "start_step"));
    return HONE_OK;
}

static hone_status take_chain(chain_log *l, const json *row, const json *chain, hone_err *err) {
    const int64_t last = integer_of(row, "step");
    if (!l->run.n || chain->kind != JSON_ARRAY || last < (int64_t)chain->n)
        return hone_fail(err, HONE_EDAMAGED, "%s: a chain that is none: expected one hash of each step",
                         l->path);
    int64_t step = last - (int64_t)chain->n;
    forget_after(l, step);
    for (const json *v = chain->child; v; v = v->next) {
        if (v->kind != JSON_STRING || v->string.n != 16)
            return hone_fail(err, HONE_EDAMAGED, "%s: step %lld: a chain is 16 hexadecimal digits", l->path,
                             (long long)step + 1);
        const recorded x = {++step, strtoull(v->string.p, NULL, 16), l->run.n - 1};
        vec_push(&l->step, x);
    }
    return HONE_OK;
}

/* A line that is no JSON is the part of one that a machine left when it lost power. */
static hone_status read_log(chain_log *l, arena *a, hone_err *err) {
    str s;
    HONE_TRY(file_read(&s, a, l->path, LOG_MAX_BYTES, HONE_EDAMAGED, err));
    for (const char *p = s.p, *end; p && (end = memchr(p, '\n', s.n - (size_t)(p - s.p))); p = end + 1) {
        const json *row;
        const size_t n = (size_t)(end - p);
        hone_err ignored = {0};
        if (json_parse(&row, a, l->path, p, n, HONE_EDAMAGED, &ignored)) continue;
        const json *type = json_get(row, "type"), *chain = json_get(row, "chain");
        if (type && type->kind == JSON_STRING && str_is(type->string, "run"))
            HONE_TRY(take_start(l, a, row, p, n, err));
        else if (chain) HONE_TRY(take_chain(l, row, chain, err));
    }
    return HONE_OK;
}

/* Steps after `after`, in a row, made by one start of the run, at most `most`. */
static replay steps_after(const chain_log *l, arena *a, int64_t after, int64_t most) {
    size_t at = 0, n = 0;
    while (at < l->step.n && l->step.p[at].step <= after) at++;
    const recorded *x = l->step.p ? l->step.p + at : NULL;
    while (at + n < l->step.n && (int64_t)n < most && x[n].step == after + 1 + (int64_t)n &&
           x[n].run == x[0].run)
        n++;
    if (!n) return (replay){.first = after + 1};
    uint64_t *chain = ARENA_ARRAY(a, n, uint64_t);
    for (size_t i = 0; i < n; i++) chain[i] = x[i].chain;
    const begun *b = &l->run.p[x[0].run];
    return (replay){.first = after + 1, .n = (int64_t)n, .chain = chain, .job = b->job, .device = b->device};
}

static hone_status choose(replay *out, const chain_log *l, arena *a, const char *run_folder,
                          int64_t from_step, int64_t most, hone_err *err) {
    int64_t *saved;
    int n;
    HONE_TRY(checkpoint_steps(&saved, &n, a, run_folder, err));
    for (int i = 0; i < n && out->n < most; i++) {
        if (from_step >= 0 && saved[i] != from_step) continue;
        const replay r = steps_after(l, a, saved[i], most);
        if (r.n > out->n) *out = r;
    }
    if (out->n) return HONE_OK;
    if (from_step >= 0)
        return hone_fail(
            err, HONE_EUSAGE,
            "%s: no checkpoint of step %lld with steps after it in log.jsonl, expected one to replay from",
            run_folder, (long long)from_step);
    return hone_fail(err, HONE_EUSAGE,
                     "%s: no checkpoint with steps after it in log.jsonl, expected one to replay from",
                     run_folder);
}

hone_status replay_choose(replay *out, checkpoint *from, arena *a, const char *run_folder, int64_t from_step,
                          int64_t most, hone_err *err) {
    chain_log l = {.path = path_join(a, run_folder, "log.jsonl")};
    *out = (replay){0};
    hone_status status = read_log(&l, a, err);
    if (!status) status = choose(out, &l, a, run_folder, from_step, most, err);
    vec_free(&l.run);
    vec_free(&l.step);
    HONE_TRY(status);
    return checkpoint_open(from, a, checkpoint_path(a, run_folder, out->first - 1), err);
}

hone_status replay_step(const training *t, hone_err *err) {
    const replay *r = t->replay;
    const int64_t i = t->step - r->first;
    if (t->chain == r->chain[i]) return HONE_OK;
    hone_fail(err, HONE_ENOTFINITE,
              "step %lld: other bits than the run had (chain %016llx, log.jsonl has %016llx)%s",
              (long long)t->step, (unsigned long long)t->chain, (unsigned long long)r->chain[i],
              i ? "; the replayed steps before it hold" : "; it is the first one after the checkpoint");
    return hone_hint(
        err, "one of the two was computed wrongly, or the checkpoint is not what the run saved; another "
             "build, device or processor may round otherwise");
}

hone_status replay_play(const replay *r, const checkpoint *from, const job *j, pool *p, hone_err *err) {
    training t = {.job = j, .replay = r};
    hone_status status = session_open(&t.s, j, from->path, training_tokenizer(j, from), p, err);
    if (!status) status = training_start(&t, from, err);
    if (!status) status = train_loop(&t, err);
    training_close(&t);
    return status;
}
