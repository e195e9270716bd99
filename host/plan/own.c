/* own.c - buckets of whole units, cut for the ranks between chunks. */
#include "plan/layout.h"
#include "base/err.h"

/* ---- cutting ---- */

static int64_t chunks_of(const unit *u) { return (u->n + CHUNK - 1) / CHUNK; }

/* The last step of MICRO that adds to the gradient of what lies in units `from` .. `to` - 1. */
static int last_maker(const hone_plan *p, const layout *l, int from, int to) {
    const int64_t first = l->unit[from].first, end = l->unit[to - 1].first + l->unit[to - 1].n;
    const hone_program *m = &p->program[HONE_MICRO];
    for (int i = m->n_steps - 1; i >= 0; i--)
        for (int k = 0; k < HONE_MAX_OUT; k++) {
            const hone_value *x = &l->g->value[m->step[i].out[k]];
            if (!m->step[i].out[k] || x->cls != HONE_GRAD || !x->param) continue;
            if (l->at[x->param] >= first && l->at[x->param] < end) return i;
        }
    return 0;
}

/* Rank k's cut is the chunk that begins nearest to k / n of the elements. */
static void cut_bucket(hone_plan *p, const layout *l, int from, int to, int64_t first_chunk, hone_bucket *b) {
    const int n = p->n_ranks;
    const int64_t begin = from ? ALIGN + l->unit[from].first : 0, /* the first one takes the loss along */
        end = ALIGN + (to < l->n_units ? l->unit[to].first : p->n_trained);
    int64_t *cut = ARENA_ARRAY(l->g->a, (size_t)n + 1, int64_t),
            *chunk = ARENA_ARRAY(l->g->a, (size_t)n + 1, int64_t);
    int64_t q = first_chunk;
    int k = 1;
    cut[0] = begin;
    chunk[0] = first_chunk;
    for (int i = from; i < to; i++)
        for (int64_t at = 0; at < l->unit[i].n; at += CHUNK, q++) {
            const int64_t here = ALIGN + l->unit[i].first + at,
                          half = (l->unit[i].n - at < CHUNK ? l->unit[i].n - at : CHUNK) / 2;
            for (; k < n && here + half >= begin + (end - begin) * k / n; k++)
                cut[k] = q > first_chunk ? here : begin, chunk[k] = q;
        }
    for (; k <= n; k++) cut[k] = end, chunk[k] = q;
    const int ready = last_maker(p, l, from, to), before = b == p->bucket ? 0 : b[-1].ready;
    *b = (hone_bucket){cut, chunk, ready > before ? ready : before, -1};
}

void cut_buckets(hone_plan *p, const layout *l, const plan_options *o) {
    const size_t element = hone_dtype_bytes(graph_float(l->g));
    int64_t chunks = 0;
    p->n_ranks = o->n_ranks > 1 ? o->n_ranks : 1;
    p->rank = o->n_ranks > 1 ? o->rank : 0;
    p->divided = p->n_ranks > 1 && o->divide;
    if (p->n_ranks > 1) p->bucket = ARENA_ARRAY(l->g->a, (size_t)l->n_units + 1, hone_bucket);
    for (int from = 0, to; from < l->n_units; from = to) {
        int64_t q = 0;
        size_t bytes = 0;
        for (to = from; to < l->n_units; to++) {
            const size_t more = (size_t)l->unit[to].n * element;
            if (o->bucket_bytes && to > from && bytes + more > o->bucket_bytes) break;
            bytes += more;
            q += chunks_of(&l->unit[to]);
        }
        if (p->n_ranks > 1) cut_bucket(p, l, from, to, chunks, &p->bucket[p->n_buckets++]);
        chunks += q;
    }
    p->n_chunks = chunks;
}

/* ---- asking ---- */

void plan_own(const hone_plan *p, int b, int rank, int64_t *first, int64_t *end) {
    const int64_t *cut = p->bucket[b].cut;
    *first = cut[rank] > ALIGN ? cut[rank] - ALIGN : 0;
    *end = cut[rank + 1] > ALIGN ? cut[rank + 1] - ALIGN : 0;
}

int64_t plan_own_elements(const hone_plan *p, int rank) {
    int64_t n = 0;
    for (int b = 0; b < p->n_buckets; b++) {
        int64_t first, end;
        plan_own(p, b, rank, &first, &end);
        n += end - first;
    }
    return n;
}

int64_t plan_own_chunks(const hone_plan *p, int rank) {
    int64_t n = 0;
    for (int b = 0; b < p->n_buckets; b++) n += p->bucket[b].chunk[rank + 1] - p->bucket[b].chunk[rank];
    return n;
}

int64_t plan_flat(const hone_plan *p, int param, int64_t *n) {
    const hone_value *x = &p->value[p->param[param].value];
    *n = x->dim[0].n * (x->n_dims > 1 ? x->dim[1].n : 1);
    return (int64_t)(x->offset / hone_dtype_bytes(x->dtype));
}

int plan_next_piece(const hone_plan *p, int divided, int rank, int64_t first, int64_t end, int *next,
                    own_piece *out) {
    int64_t held = 0;
    if (!divided) {
        *out = (own_piece){first, end - first, first};
        return end > first && !(*next)++;
    }
    for (int b = 0; b <= p->n_buckets; b++) {
        int64_t from = p->n_trained, to = end; /* what is frozen */
        if (b < p->n_buckets) plan_own(p, b, rank, &from, &to);
        const int64_t at = first > from ? first : from, stop = end < to ? end : to;
        if (b >= *next && at < stop) {
            *out = (own_piece){at, stop - at, held + at - from};
            *next = b + 1;
            return 1;
        }
        held += to - from;
    }
    return 0;
}
