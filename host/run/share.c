/* share.c - gradients of all ranks, added. */
#include "run/inside.h"
#include "run/own.h"
#include "base/err.h"

hone_status run_share(run *r, tree_sum *t, hone_err *err) {
    const int n = tree_sum_ranks(t);
    const int64_t elements = (int64_t)(r->plan->slot_bytes / sizeof(float));
    r->sum = t;
    for (int k = 0; k <= n; k++) r->bound[k] = own_first(elements, k, n);
    if (r->limits.host_memory) return HONE_OK;
    r->staged = ARENA_ARRAY(r->a, (size_t)r->plan->n_slots, float *);
    for (int s = 0; s < r->plan->n_slots; s++) {
        void *p;
        HONE_TRY(r->table->slab_new(r->device, 1, r->plan->slot_bytes, &p, err));
        r->staged[s] = p;
    }
    return HONE_OK;
}

static char *slot_of(const run *r, int s) {
    return (char *)r->slab[HONE_GRAD] + (size_t)s * r->plan->slot_bytes;
}

static hone_status failed(const run *r, hone_status status, hone_err *err) {
    return status ? hone_fail(err, status, "device %s: reading gradients failed", r->table->name) : HONE_OK;
}

hone_status run_reduce(run *r, int n_nodes, hone_err *err) {
    const float *node[TREE_NODES_MAX];
    const size_t bytes = r->plan->slot_bytes;
    hone_status status = HONE_OK;
    for (int s = 0; s < n_nodes; s++) {
        node[s] = r->staged ? r->staged[s] : (float *)slot_of(r, s);
        if (r->staged && !status) status = r->table->get(r->queue, r->staged[s], slot_of(r, s), bytes);
    }
    HONE_TRY(failed(r, status ? status : r->table->queue_wait(r->queue), err));
    float *out = r->staged ? r->staged[0] : (float *)slot_of(r, 0);
    HONE_TRY(tree_sum_scatter(r->sum, node, out, r->bound, err));
    HONE_TRY(tree_sum_gather(r->sum, out, sizeof *out, r->bound, err));
    return r->staged ? failed(r, r->table->put(r->queue, slot_of(r, 0), out, bytes), err) : HONE_OK;
}
