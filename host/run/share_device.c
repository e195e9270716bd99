/* share_device.c - gradients of all ranks, added by the devices; and their rounding to bf16, with one rank too. */
#include <string.h>

#include "run/inside.h"
#include "base/err.h"

static float *slot_of(const run *r, int s) {
    return (float *)((char *)r->slab[HONE_GRAD] + (size_t)s * r->plan->slot_bytes);
}

/* The sums have a queue of their own, which waits for the gradients and is waited for by the update. */
static hone_status open_sums(run *r, int linked, hone_err *err) {
    hone_status status = HONE_OK;
    r->sums = r->queue;
    if (!linked) return HONE_OK;
    status = r->table->queue_new(r->device, &r->sums);
    if (!status) status = r->table->event_new(r->device, 0, &r->gradients);
    if (!status) status = r->table->event_new(r->device, 0, &r->summed);
    return status ? hone_fail(err, status, "device %s: making queues and events failed", r->table->name) : HONE_OK;
}

hone_status run_share_device(run *r, comm *ranks, const run_sums *how, hone_err *err) {
    if (!how->linked && !how->wire.bf16) return HONE_OK;
    r->how = *how;
    HONE_TRY(open_sums(r, how->linked, err));
    const int64_t elements = (int64_t)(r->plan->slot_bytes / sizeof(float));
    const tree_device_options o = {.ranks = ranks,
                                   .table = r->table,
                                   .device = r->device,
                                   .queue = r->sums,
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
    if (r->sums && r->sums != r->queue) {
        if (r->gradients) r->table->event_free(r->gradients);
        if (r->summed) r->table->event_free(r->summed);
        r->table->queue_free(r->sums);
    }
}

/* A rank without a shard adds nothing to a plain sum. */
static hone_status clear(run *r, int64_t first, int64_t end, hone_err *err) {
    static const char zeros[1 << 16];
    hone_status status = HONE_OK;
    const size_t to = (size_t)end * sizeof(float);
    for (size_t at = (size_t)first * sizeof(float); at < to && !status; at += sizeof zeros)
        status = r->table->put(r->sums, (char *)slot_of(r, 0) + at, zeros,
                               to - at < sizeof zeros ? to - at : sizeof zeros);
    return status ? hone_fail(err, status, "device %s: clearing gradients failed", r->table->name) : HONE_OK;
}

static int rounds(const run *r) { return r->how.wire.bf16 && !r->how.plain; }

static void follow(run *r) {
    r->table->event_record(r->queue, r->gradients);
    r->table->event_wait(r->sums, r->gradients);
}

hone_status sum_bucket_on_device(run *r, int bucket, int n_held, int n_folds, hone_err *err) {
    const int64_t *cut = r->plan->bucket[bucket].cut, first = cut[0], end = cut[r->plan->n_ranks];
    float *node[TREE_NODES_MAX];
    for (int s = 0; s < n_held; s++) node[s] = slot_of(r, s);
    follow(r);
    for (int s = n_held - 1; s >= n_held - n_folds; s--)
        HONE_TRY(tree_device_fold(r->between, node[s - 1], node[s], first, end, rounds(r), err));
    if (r->how.plain) {
        if (!n_held) HONE_TRY(clear(r, first, end, err));
        return tree_device_sum(r->between, slot_of(r, 0), first, end, err);
    }
    HONE_TRY(tree_device_scatter(r->between, node, slot_of(r, 0), cut, err));
    return r->plan->divided ? HONE_OK : tree_device_gather_sums(r->between, slot_of(r, 0), cut, err);
}

hone_status gather_on_device(run *r, void *x, size_t element_bytes, const int64_t *cut, hone_err *err) {
    follow(r);
    return tree_device_gather(r->between, x, element_bytes, cut, err);
}

void wait_on_device(run *r) {
    r->table->event_record(r->sums, r->summed);
    r->table->event_wait(r->queue, r->summed);
}

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
