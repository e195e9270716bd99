/* share_device.c - gradients of all ranks, added by the devices; and their rounding to bf16, with one rank too. */
#include <string.h>

#include "run/inside.h"
#include "run/own.h"
#include "base/err.h"

static float *slot_of(const run *r, int s) {
    return (float *)((char *)r->slab[HONE_GRAD] + (size_t)s * r->plan->slot_bytes);
}

/* The sums have a queue of their own, which waits for the gradients and is waited for by the update. */
static hone_status open_sums(run *r, int linked, hone_err *err) {
    hone_status status = HONE_OK;
    r->adding = r->queue;
    if (!linked) return HONE_OK;
    status = r->table->queue_new(r->device, &r->adding);
    if (!status) status = r->table->event_new(r->device, 0, &r->gradients);
    if (!status) status = r->table->event_new(r->device, 0, &r->summed);
    return status ? hone_fail(err, status, "device %s: making queues and events failed", r->table->name) : HONE_OK;
}

hone_status run_share_device(run *r, comm *ranks, const run_sums *how, hone_err *err) {
    if (!how->linked && !how->wire.bf16) return HONE_OK;
    r->how = *how;
    HONE_TRY(open_sums(r, how->linked, err));
    const int64_t elements = (int64_t)(r->plan->slot_bytes / sizeof(float));
    for (int k = 0; k <= ranks->n; k++) r->bound[k] = own_first(elements, k, ranks->n);
    const tree_device_options o = {.ranks = ranks,
                                   .table = r->table,
                                   .device = r->device,
                                   .queue = r->adding,
                                   .linked = how->linked,
                                   .wire = how->wire,
                                   .slab = r->slab[HONE_WIRE],
                                   .n_elements = elements,
                                   .n_exact = RUN_EXACT};
    HONE_ASSERT(wire_bytes(&how->wire, elements) <= r->plan->slab_bytes[HONE_WIRE]);
    return tree_device_new(&r->between, &o, err);
}

void close_sums(run *r) {
    tree_device_free(r->between);
    if (r->queue) (void)r->table->queue_wait(r->queue); /* it waits for what the sums' queue has recorded */
    if (r->adding && r->adding != r->queue) {
        if (r->gradients) r->table->event_free(r->gradients);
        if (r->summed) r->table->event_free(r->summed);
        r->table->queue_free(r->adding);
    }
}

/* A rank without a shard adds nothing to a plain sum. */
static hone_status clear_slot(run *r, hone_err *err) {
    static const char zeros[1 << 16];
    hone_status status = HONE_OK;
    for (size_t at = 0; at < r->plan->slot_bytes && !status; at += sizeof zeros) {
        const size_t left = r->plan->slot_bytes - at;
        status = r->table->put(r->adding, (char *)slot_of(r, 0) + at, zeros, left < sizeof zeros ? left : sizeof zeros);
    }
    return status ? hone_fail(err, status, "device %s: clearing gradients failed", r->table->name) : HONE_OK;
}

hone_status run_reduce_device(run *r, int n_leaves, int n_nodes, hone_err *err) {
    float *node[TREE_NODES_MAX];
    for (int s = 0; s < n_nodes; s++) node[s] = slot_of(r, s);
    r->table->event_record(r->queue, r->gradients);
    r->table->event_wait(r->adding, r->gradients);
    if (r->how.plain) {
        if (!n_nodes) HONE_TRY(clear_slot(r, err));
        HONE_TRY(tree_device_sum(r->between, slot_of(r, 0), r->bound[tree_sum_ranks(r->sum)], err));
    } else {
        tree_device_begin(r->between, n_leaves);
        HONE_TRY(tree_device_scatter(r->between, node, slot_of(r, 0), r->bound, err));
        HONE_TRY(tree_device_gather_sums(r->between, slot_of(r, 0), r->bound, err));
    }
    r->table->event_record(r->adding, r->summed);
    r->table->event_wait(r->queue, r->summed);
    return HONE_OK;
}

static int rounds(const run *r) { return r->how.wire.bf16 && !r->how.plain; }

hone_status run_fold(run *r, int slot, const int64_t *rows, hone_err *err) {
    for (int s = slot; s < slot + 2 && rounds(r); s++) HONE_TRY(tree_device_round(r->between, r->queue, slot_of(r, s), err));
    return run_play(r, HONE_FOLD, slot, rows, err);
}

hone_status run_round_root(run *r, hone_err *err) {
    if (!rounds(r)) return HONE_OK;
    HONE_TRY(tree_device_round(r->between, r->queue, slot_of(r, 0), err));
    return r->is_late ? HONE_OK : run_settle(r, r->queue, err);
}

hone_status run_settle(run *r, hone_queue *queue, hone_err *err) {
    if (tree_device_is_linked(r->between)) return tree_device_wait(r->between, queue, err);
    const hone_status status = r->table->queue_wait(queue);
    return status ? hone_fail(err, status, "device %s: playing failed", r->table->name) : HONE_OK;
}
