/* flat.c - weights and moments by parameter, whole or divided among the ranks. */
#include "run/inside.h"
#include "run/convert.h"
#include "base/err.h"
#include "base/mem.h"
#include "plan/own.h"

#define NO_MORE (-1)

/* ---- what this rank holds ---- */

char *flat_address(const run *r, hone_flat_kind kind, int64_t held) {
    const hone_flat *f = &r->plan->flat[kind];
    return (char *)r->slab[f->cls] + f->at + (size_t)held * sizeof(float);
}

static hone_status waited(run *r, hone_status status, const char *what, int param, hone_err *err) {
    if (!status) HONE_TRY(run_settle(r, r->queue, err));
    return status ? hone_fail(err, status, "device %s: %s of %s failed", r->table->name, what,
                              r->plan->param[param].name)
                  : HONE_OK;
}

hone_status run_put_flat(run *r, hone_flat_kind kind, int param, int64_t first, int64_t n, const float *from,
                         hone_err *err) {
    const hone_plan *p = r->plan;
    int64_t all;
    const int64_t at = plan_flat(p, param, &all) + first;
    own_piece piece;
    HONE_ASSERT(first >= 0 && n >= 0 && first + n <= all);
    HONE_TRY(settle_state(r, err));
    for (int next = 0; plan_next_piece(p, p->flat[kind].divided, p->rank, at, at + n, &next, &piece);) {
        const size_t bytes = (size_t)piece.n * sizeof *from;
        HONE_TRY(waited(
            r, r->table->put(r->queue, flat_address(r, kind, piece.held), from + (piece.first - at), bytes),
            "writing", param, err));
    }
    return HONE_OK;
}

/* This rank's pieces of a parameter, each in its place. */
static hone_status get_pieces(run *r, hone_flat_kind kind, int param, float *to, hone_err *err) {
    const hone_plan *p = r->plan;
    int64_t n;
    const int64_t at = plan_flat(p, param, &n);
    own_piece piece;
    HONE_TRY(settle_state(r, err));
    for (int next = 0; plan_next_piece(p, p->flat[kind].divided, p->rank, at, at + n, &next, &piece);)
        HONE_TRY(waited(r,
                        r->table->get(r->queue, to + (piece.first - at), flat_address(r, kind, piece.held),
                                      (size_t)piece.n * sizeof *to),
                        "reading", param, err));
    return HONE_OK;
}

hone_status run_get_held(run *r, hone_flat_kind kind, int64_t first, int64_t n, float *to, hone_err *err) {
    const hone_plan *p = r->plan;
    own_piece piece;
    int64_t got = 0;
    HONE_TRY(settle_state(r, err));
    for (int next = 0; plan_next_piece(p, p->flat[kind].divided, p->rank, first, first + n, &next, &piece);) {
        HONE_TRY(waited(r,
                        r->table->get(r->queue, to + (piece.first - first), flat_address(r, kind, piece.held),
                                      (size_t)piece.n * sizeof *to),
                        "reading", 1, err));
        got += piece.n;
    }
    HONE_ASSERT(got == n);
    return HONE_OK;
}

/* ---- what the others hold ---- */

/* All ranks' pieces into to, bucket by bucket: in each a rank's piece is one range. */
static hone_status gather_pieces(run *r, int param, float *to, hone_err *err) {
    const hone_plan *p = r->plan;
    int64_t n;
    const int64_t at = plan_flat(p, param, &n);
    for (int b = 0; b < p->n_buckets; b++) {
        int64_t cut[COMM_RANKS_MAX + 1], first, end;
        plan_own(p, b, 0, &first, &end);
        plan_own(p, b, p->n_ranks - 1, &cut[0], &end);
        if (end <= at || first >= at + n) continue;
        for (int k = 0; k < p->n_ranks; k++) {
            plan_own(p, b, k, &cut[k], &cut[k + 1]);
            cut[k] = cut[k] < at ? 0 : cut[k] > at + n ? n : cut[k] - at;
        }
        cut[p->n_ranks] = end > at + n ? n : end - at;
        HONE_TRY(tree_sum_gather(sharing_sum(r), to, sizeof *to, cut, err));
    }
    return HONE_OK;
}

static hone_status get_whole(run *r, hone_flat_kind kind, int param, float *to, hone_err *err) {
    HONE_TRY(get_pieces(r, kind, param, to, err));
    return r->plan->flat[kind].divided ? gather_pieces(r, param, to, err) : HONE_OK;
}

/* ---- one asks, the others answer ---- */

static int is_divided(const run *r) { return r->plan->divided && r->sharing; }

hone_status run_answer(run *r, int reader, hone_err *err) {
    const hone_plan *p = r->plan;
    float *room = NULL;
    hone_status status = HONE_OK;
    if (!is_divided(r)) return HONE_OK;
    for (int64_t most = 0, n, i = 1; i <= p->n_params + 1; i++) { /* room for the largest */
        if (i > p->n_params) room = mem_new((size_t)most * sizeof *room + 1, "a parameter");
        else plan_flat(p, (int)i, &n), most = n > most ? n : most;
    }
    for (int32_t word[2];;) {
        status = comm_broadcast(tree_sum_comm(sharing_sum(r)), word, sizeof word, reader, err);
        if (status || word[0] == NO_MORE) break;
        status = get_whole(r, (hone_flat_kind)word[0], word[1], room, err);
        if (status) break;
    }
    mem_free(room);
    return status;
}

static hone_status say(run *r, int32_t kind, int32_t param, hone_err *err) {
    int32_t word[2] = {kind, param};
    return comm_broadcast(tree_sum_comm(sharing_sum(r)), word, sizeof word, r->plan->rank, err);
}

void run_asks(run *r) { r->asks = 1; }

hone_status run_asks_no_more(run *r, hone_err *err) {
    r->asks = 0;
    return is_divided(r) ? say(r, NO_MORE, 0, err) : HONE_OK;
}

hone_status run_get_flat(run *r, hone_flat_kind kind, int param, float *to, hone_err *err) {
    if (r->asks && r->plan->flat[kind].divided) HONE_TRY(say(r, (int32_t)kind, param, err));
    return get_whole(r, kind, param, to, err);
}

/* ---- weights ---- */

hone_status run_put_param(run *r, int param, int64_t first, int64_t n, const float *from, hone_err *err) {
    const hone_plan *p = r->plan;
    const int v = p->param[param].value;
    const hone_dtype dtype = p->value[v].dtype;
    const size_t size = hone_dtype_bytes(dtype), many = (size_t)n;
    if (p->flat[HONE_MASTER].cls == HONE_STATE || dtype == HONE_F32)
        HONE_TRY(run_put_flat(r, HONE_MASTER, param, first, n, from, err));
    if (dtype == HONE_F32) return HONE_OK;
    void *copy = mem_new(many * size, "weights in the compute type");
    convert_from_float(copy, dtype, from, many);
    const hone_status status = run_put_part(r, v, size * (size_t)first, copy, size * many, err);
    mem_free(copy);
    return status;
}

hone_status run_get_param(run *r, int param, float *to, hone_err *err) {
    const hone_plan *p = r->plan;
    const int v = p->param[param].value;
    const hone_dtype dtype = p->value[v].dtype;
    if (p->flat[HONE_MASTER].cls == HONE_STATE || dtype == HONE_F32)
        return run_get_flat(r, HONE_MASTER, param, to, err);
    int64_t n; /* without masters: an evaluation in bf16, or fp64 */
    plan_flat(p, param, &n);
    void *copy = mem_new((size_t)n * hone_dtype_bytes(dtype), "weights in the compute type");
    const hone_status status = run_get(r, v, copy, err);
    convert_to_float(to, copy, dtype, (size_t)n);
    mem_free(copy);
    return status;
}
