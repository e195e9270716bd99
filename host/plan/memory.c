/* memory.c - which buffer lives when, and where.
 *
 * A buffer is a value with its views, and everything that takes its storage over: what a "+" result adds
 * into, and what
 * "@" lets a result overwrite. Buffers are placed one by one into the tightest gap that is free for their
 * whole life, in three orders (by size, by size times life, by life); the best of the three is kept. */
#include <stdlib.h>
#include <string.h>

#include "plan/passes.h"
#include "base/err.h"

size_t value_bytes(const hone_value *v) {
    size_t n = hone_dtype_bytes(v->dtype);
    for (int d = 0; d < v->n_dims; d++) n *= (size_t)v->dim[d].n;
    return (n + 255) / 256 * 256;
}

/* ---- the planner ---- */

typedef enum { BY_SIZE, BY_SIZE_AND_LIFE, BY_LIFE, N_ORDERS } place_order;

typedef struct {
    buffer *b;
    place_order order;
} entry;

static int compare_entries(const void *x, const void *y) {
    const entry *p = x, *q = y;
    const buffer *a = p->b, *b = q->b;
    const double la = a->last - a->first + 1, lb = b->last - b->first + 1, sa = (double)a->bytes,
                 sb = (double)b->bytes;
    if (p->order == BY_SIZE_AND_LIFE && la * sa != lb * sb) return la * sa < lb * sb ? 1 : -1;
    if (p->order == BY_LIFE && la != lb) return la < lb ? 1 : -1;
    if (a->bytes != b->bytes) return a->bytes < b->bytes ? 1 : -1;
    if (a->first != b->first) return a->first > b->first ? 1 : -1;
    return (a > b) - (a < b);
}

/* The tightest gap for x between placed buffers of its time; placed: by offset. Above them if none is wide
 * enough. */
static size_t best_gap(buffer *const *placed, int n, const buffer *x) {
    size_t at = 0, best = 0, room = 0;
    int found = 0;
    for (int i = 0; i < n; i++) {
        const buffer *b = placed[i];
        if (b->first > x->last || x->first > b->last) continue;
        if (b->offset > at) {
            const size_t gap = b->offset - at;
            if (gap >= x->bytes && (!found || gap < room)) best = at, room = gap, found = 1;
        }
        const size_t end = b->offset + b->bytes;
        if (end > at) at = end;
    }
    return found ? best : at;
}

static size_t place_in_order(buffer *b, int n, place_order order, entry *e, buffer **placed) {
    size_t top = 0;
    for (int i = 0; i < n; i++) e[i] = (entry){&b[i], order};
    qsort(e, (size_t)n, sizeof *e, compare_entries);
    for (int i = 0; i < n; i++) {
        buffer *x = e[i].b;
        x->offset = best_gap(placed, i, x);
        if (x->offset + x->bytes > top) top = x->offset + x->bytes;
        int low = 0, high = i;
        while (low < high) {
            const int mid = (low + high) / 2;
            if (placed[mid]->offset <= x->offset) low = mid + 1;
            else high = mid;
        }
        memmove(placed + low + 1, placed + low, sizeof *placed * (size_t)(i - low));
        placed[low] = x;
    }
    return top;
}

size_t buffers_place(buffer *b, int n, arena *a) {
    entry *e = ARENA_ARRAY(a, (size_t)n + 1, entry);
    buffer **placed = ARENA_ARRAY(a, (size_t)n + 1, buffer *);
    place_order best = BY_SIZE;
    size_t least = 0;
    for (int o = 0; o < N_ORDERS; o++) {
        const size_t bytes = place_in_order(b, n, (place_order)o, e, placed);
        if (o == 0 || bytes < least) least = bytes, best = (place_order)o;
    }
    return place_in_order(b, n, best, e, placed);
}

size_t buffers_bound(const buffer *b, int n, int n_steps, arena *a) {
    size_t *live = ARENA_ARRAY(a, (size_t)n_steps + 1, size_t), most = 0;
    for (int i = 0; i < n; i++)
        for (int t = b[i].first; t <= b[i].last; t++) live[t] += b[i].bytes;
    for (int t = 0; t < n_steps; t++) most = live[t] > most ? live[t] : most;
    return most;
}

/* ---- from values to buffers ---- */

typedef struct {
    int first, last; /* steps that touch the storage */
    int buffer;      /* -1: none yet */
    int taken;       /* its storage went to another value */
} life;

static void find_lives(const graph *g, life *l) {
    for (int v = 0; v <= g->n_values; v++) l[v] = (life){-1, -1, -1, 0};
    for (int i = 0; i < g->n_steps; i++)
        for (int k = 0; k < HONE_MAX_IN + HONE_MAX_OUT; k++) {
            const int v = k < HONE_MAX_IN ? g->step[i].in[k] : g->step[i].out[k - HONE_MAX_IN];
            if (!v) continue;
            life *x = &l[graph_root(g, v)];
            if (x->first < 0) x->first = i;
            x->last = i;
        }
}

/* How many operands of the step lie in v's storage. */
static int times_read(const graph *g, const hone_step *s, int v) {
    int n = 0;
    for (int k = 0; k < HONE_MAX_IN; k++) n += s->in[k] && graph_root(g, s->in[k]) == v;
    return n;
}

/* The input whose storage result k of step i takes over, 0: none. */
static int lender(const graph *g, const life *l, int i, int k) {
    const hone_step *s = &g->step[i];
    const hone_op_info *op = hone_op_find(s->op);
    if (op->out[k].adds && s->in[op->out[k].adds - 1]) return graph_root(g, s->in[op->out[k].adds - 1]);
    if (!op->out[k].shares) return 0;
    const int v = s->in[op->out[k].shares - 1], to = s->out[k];
    if (!v || g->value[v].base || g->value[to].base || g->value[v].cls != HONE_ACTIVATION) return 0;
    if (l[v].last != i || l[v].taken || l[v].buffer < 0 || times_read(g, s, v) != 1) return 0;
    return value_bytes(&g->value[v]) == value_bytes(&g->value[to]) ? v : 0;
}

void pass_memory(graph *g, size_t *bytes, size_t *bound) {
    arena *a = arena_new("memory pass");
    life *l = ARENA_ARRAY(a, (size_t)g->n_values + 1, life);
    buffer *b = ARENA_ARRAY(a, (size_t)g->n_values + 1, buffer);
    int n = 0;
    find_lives(g, l);
    for (int i = 0; i < g->n_steps; i++) {
        const hone_step *s = &g->step[i];
        for (int k = 0; k < HONE_MAX_OUT; k++) {
            const int v = s->out[k] ? graph_root(g, s->out[k]) : 0;
            if (!v || g->value[v].cls != HONE_ACTIVATION || l[v].buffer >= 0) continue;
            const int from = lender(g, l, i, k);
            if (from) {
                HONE_ASSERT(l[from].buffer >= 0);
                l[v].buffer = l[from].buffer;
                l[from].taken = 1;
                if (l[v].last > b[l[v].buffer].last) b[l[v].buffer].last = l[v].last;
                continue;
            }
            l[v].buffer = n;
            b[n++] = (buffer){l[v].first, l[v].last, value_bytes(&g->value[v]) + g->zone_bytes, 0};
        }
    }
    *bytes = buffers_place(b, n, a);
    *bound = buffers_bound(b, n, g->n_steps, a);
    for (int v = 1; v <= g->n_values; v++)
        if (l[v].buffer >= 0) g->value[v].offset = b[l[v].buffer].offset;
    arena_free(a);
}
