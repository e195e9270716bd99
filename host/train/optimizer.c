/* optimizer.c - slices of the flat moments, out and in. */
#include <stdio.h>
#include <string.h>

#include "train/optimizer.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/vec.h"
#include "model/safetensors.h"
#include "plan/own.h"

#define PART ((int64_t)1 << 17) /* elements that are read at once */

int optimizer_range_of(const hone_plan *p, int rank, int n_ranks, int i, optimizer_range *out) {
    int64_t at = 0, first = 0, end = p->n_trained;
    for (int b = 0; b <= i && n_ranks > 1 && b < p->n_buckets; b++) {
        plan_own(p, b, rank, &first, &end);
        if (b < i) at += end - first;
    }
    *out = (optimizer_range){first, end - first, at};
    return i < (n_ranks > 1 ? p->n_buckets : 1);
}

int64_t optimizer_elements(const hone_plan *p, int rank, int n_ranks) {
    int64_t n = 0;
    optimizer_range r;
    for (int i = 0; optimizer_range_of(p, rank, n_ranks, i, &r); i++) n += r.n;
    return n;
}

const char *optimizer_file(arena *a, const char *folder, int rank, int n_ranks) {
    return n_ranks == 1 ? path_join(a, folder, "optimizer.safetensors")
                        : arena_print(a, "%s/optimizer-%05d-of-%05d.safetensors", folder, rank + 1, n_ranks);
}

/* The name of moment k of a parameter. */
static const char *tensor_name(arena *a, const hone_plan *p, int param, int k) {
    return arena_print(a, "%s.%s", k ? "exp_avg_sq" : "exp_avg", p->value[p->param[param].value].name);
}

/* ---- out ---- */

/* A tensor of the file: n elements of moment k, which are the flat range's from `flat` on and the copy's from `at` on. */
typedef struct {
    int k;
    int64_t flat, at, n;
} slice;

typedef struct {
    arena *a;
    VEC(tensor_form) form;
    VEC(slice) slice;
} part_list;

/* What of moment k of parameter i lies in a range. */
static void add_slice(part_list *l, const optimizer_part *o, const optimizer_range *r, int i, int k) {
    const hone_plan *p = o->plan;
    const hone_value *x = &p->value[p->param[i].value];
    int64_t n;
    const int64_t at = plan_flat(p, i, &n);
    if (!p->param[i].wants_grad) return;
    const char *name = tensor_name(l->a, p, i, k);
    const int64_t from = at > r->first ? at : r->first,
                  to = at + n < r->first + r->n ? at + n : r->first + r->n;
    if (from >= to) return;
    vec_push(&l->slice, (slice){k, from, r->at + from - r->first, to - from});
    if (o->n == 1)
        vec_push(&l->form, (tensor_form){.name = name,
                                         .type = STORED_F32,
                                         .n_dims = x->n_dims,
                                         .dim = {x->dim[0].n, x->dim[1].n}});
    else
        vec_push(&l->form,
                 (tensor_form){.name = arena_print(l->a, "%s@%lld", name, (long long)(from - at)),
                               .type = STORED_F32,
                               .n_dims = 1,
                               .dim = {to - from}});
}

static hone_status add_tensor(safetensors_writer *w, const optimizer_part *o, const slice *s, float *room,
                              hone_err *err) {
    if (o->copy[s->k]) return safetensors_add(w, o->copy[s->k] + s->at, (size_t)s->n * sizeof *room, err);
    for (int64_t at = 0, n; at < s->n; at += n) {
        n = s->n - at < PART ? s->n - at : PART;
        HONE_TRY(run_get_held(o->run, (hone_flat_kind)(HONE_EXP_AVG + s->k), s->flat + at, n, room, err));
        HONE_TRY(safetensors_add(w, room, (size_t)n * sizeof *room, err));
    }
    return HONE_OK;
}

static hone_status add_tick(safetensors_writer *w, const optimizer_part *o, hone_err *err) {
    int32_t tick[16];
    if (o->tick) memcpy(tick, o->tick, sizeof tick);
    else HONE_TRY(run_get(o->run, o->plan->tick, tick, err));
    return safetensors_add(w, tick, sizeof tick, err);
}

hone_status optimizer_write(const optimizer_part *o, const char *folder, hone_err *err) {
    const hone_plan *p = o->plan;
    part_list l = {.a = arena_new("optimizer")};
    optimizer_range r;
    for (int n = 0; optimizer_range_of(p, o->rank, o->n, n, &r); n++)
        for (int i = 1; i <= p->n_params; i++)
            for (int k = 0; k < 2; k++) add_slice(&l, o, &r, i, k);
    const int tick = o->rank ? -1 : (int)l.form.n;
    if (tick >= 0)
        vec_push(&l.form, (tensor_form){.name = "tick", .type = STORED_I32, .n_dims = 1, .dim = {16}});
    float *room = mem_new(PART * sizeof *room, "a part of a tensor");
    safetensors_writer *w;
    hone_status status = safetensors_begin(&w, optimizer_file(l.a, folder, o->rank, o->n), l.form.p,
                                           (int)l.form.n, NULL, 0, err);
    const int begun = !status;
    for (int i; !status && (i = safetensors_next(w)) >= 0;)
        status = i == tick ? add_tick(w, o, err) : add_tensor(w, o, &l.slice.p[i], room, err);
    if (begun && status) safetensors_abort(w);
    else if (begun) status = safetensors_end(w, NULL, err);
    mem_free(room);
    vec_free(&l.form);
    vec_free(&l.slice);
    arena_free(l.a);
    return status;
}

/* ---- in ---- */

typedef struct {
    arena *a;
    safetensors *file[COMM_RANKS_MAX];
    int n;
    float *room;
} parts;

/* Of how many ranks the folder's parts are; 0: there are none. */
static hone_status count_parts(int *n, arena *a, const char *folder, hone_err *err) {
    const char **names;
    int n_names;
    *n = 0;
    HONE_TRY(folder_list(&names, &n_names, a, folder, err));
    for (int i = 0; i < n_names; i++) {
        int rank, all;
        char rest[16];
        if (!strcmp(names[i], "optimizer.safetensors")) *n = 1;
        else if (sscanf(names[i], "optimizer-%5d-of-%5d.%15s", &rank, &all, rest) == 3 && rank == 1 &&
                 all <= COMM_RANKS_MAX && !strcmp(rest, "safetensors"))
            *n = all;
    }
    return HONE_OK;
}

static hone_status open_parts(parts *p, const char *folder, hone_err *err) {
    int n;
    HONE_TRY(count_parts(&n, p->a, folder, err));
    if (n < 1)
        return hone_fail(err, HONE_EUSAGE,
                         "%s/optimizer.safetensors: missing, the checkpoint was written with save_only_model",
                         folder);
    for (; p->n < n; p->n++)
        HONE_TRY(safetensors_open(&p->file[p->n], optimizer_file(p->a, folder, p->n, n), err));
    return HONE_OK;
}

/* Elements of moment k of a parameter from `first` on: the rank takes what it holds. */
static hone_status put_tensor(run *r, const parts *p, const safetensors *f, const stored_tensor *t, int param, int k,
                              int64_t first, hone_err *err) {
    for (int64_t at = 0, n; at < t->n; at += n) {
        n = t->n - at < PART ? t->n - at : PART;
        HONE_TRY(safetensors_read(f, t, (size_t)at * sizeof *p->room, p->room, (size_t)n * sizeof *p->room, err));
        HONE_TRY(run_put_flat(r, (hone_flat_kind)(HONE_EXP_AVG + k), param, first + at, n, p->room, err));
    }
    return HONE_OK;
}

/* The elements of a moment from `first` on, in whichever file they are; NULL: in none. */
static const stored_tensor *find_slice(parts *p, const char *name, int64_t first, const safetensors **in) {
    char wanted[1024];
    if (p->n == 1) snprintf(wanted, sizeof wanted, "%s", name);
    else snprintf(wanted, sizeof wanted, "%s@%lld", name, (long long)first);
    for (int i = 0; i < p->n; i++) {
        const stored_tensor *t = safetensors_find(p->file[i], wanted);
        *in = p->file[i];
        if (t) return t;
    }
    return NULL;
}

static hone_status read_tensor(run *r, const hone_plan *plan, parts *p, int param, int k, hone_err *err) {
    const char *name = tensor_name(p->a, plan, param, k);
    const safetensors *in;
    int64_t all;
    plan_flat(plan, param, &all);
    for (int64_t done = 0; done < all;) {
        const stored_tensor *t = find_slice(p, name, done, &in);
        if (!t || t->type != STORED_F32 || t->n < 1 || t->n > all - done || (p->n == 1 && t->n != all))
            return hone_fail(err, HONE_EDAMAGED, "%s: no \"%.200s\" of %lld F32 numbers from number %lld on",
                             p->file[0]->path, name, (long long)(all - done), (long long)done);
        HONE_TRY(put_tensor(r, p, in, t, param, k, done, err));
        done += t->n;
    }
    return HONE_OK;
}

static hone_status read_all(run *r, const hone_plan *plan, parts *p, hone_err *err) {
    for (int i = 1; i <= plan->n_params; i++)
        for (int k = 0; k < 2 && plan->param[i].wants_grad; k++) HONE_TRY(read_tensor(r, plan, p, i, k, err));
    const stored_tensor *tick = safetensors_find(p->file[0], "tick");
    if (!tick || tick->type != STORED_I32 || tick->n != 16)
        return hone_fail(err, HONE_EDAMAGED, "%s: no \"tick\" of 16 I32 numbers", p->file[0]->path);
    HONE_TRY(safetensors_read(p->file[0], tick, 0, p->room, sizeof(hone_tick), err));
    return run_put(r, plan->tick, p->room, err);
}

hone_status optimizer_read(run *r, const hone_plan *plan, const char *folder, hone_err *err) {
    parts p = {.a = arena_new("optimizer"), .room = mem_new(PART * sizeof(float), "a part of a tensor")};
    hone_status status = open_parts(&p, folder, err);
    if (!status) status = read_all(r, plan, &p, err);
    for (int i = 0; i < p.n; i++) safetensors_close(p.file[i]);
    mem_free(p.room);
    arena_free(p.a);
    return status;
}
