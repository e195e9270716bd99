/* share.c - gradients of all ranks, added; and, of a divided optimizer, what its ranks tell each other.
 *
 * A bucket's gradients leave while the backward goes on: the run's thread hands buckets over as it comes past the steps
 * that complete them, and a thread of this file exchanges and adds. The run's thread never waits for it before it has
 * nothing else to do; then it takes over what is left, with the threads of its pool. So communicator and sums are used by
 * one of the two at a time: by the thread from the first bucket handed over until share_wait has returned.
 *
 * A device that is late needs no second thread: the run's own has given it the whole backward, with a copy of each bucket
 * to pinned memory behind the steps that complete it, and exchanges and adds while the device goes on.
 *
 * Devices that exchange by themselves gather the weights of a divided plan on the sums' queue while the next step begins: its
 * forward reads the embeddings first, whose gradients are the last to be complete, so buckets come back in the reverse order. */
#include <pthread.h>
#include <string.h>

#include "run/inside.h"
#include "base/err.h"
#include "plan/own.h"

typedef enum { GRADIENTS, WEIGHTS } parcel;

struct sharing {
    run *r;
    tree_sum *sum;
    pool *pool;
    pthread_t thread;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t news;
    parcel what;
    int handed, done; /* buckets, of this round */
    int busy, beside; /* beside: the thread may take buckets */
    int ending;
    hone_status status;
    hone_err err;

    int n_held, n_folds; /* slots that hold values; of those the last ones to be added into the one before */
    int64_t n_beside;    /* buckets done while the run's thread was still playing */
    char *staged;        /* [n_slots] slots; NULL: device memory is ours */
    hone_queue *reduce;
    hone_event *ready, **arrived; /* arrived: [n_buckets] */
    hone_event **gathered;        /* [n_buckets] weights, by devices that exchange by themselves; else NULL */
    int awaited;         /* r->queue waits for those of buckets from here on, or has nothing to wait for */
    float *said, *heard; /* sums over chunks, the loss before them */
};

static hone_status failed(const run *r, hone_status status, hone_err *err) {
    return status ? hone_fail(err, status, "device %s: copying between ranks failed", r->table->name)
                  : HONE_OK;
}

static int is_linked(const run *r) { return tree_device_is_linked(r->between); }

static char *device_slot(const run *r, int s) {
    return (char *)r->slab[HONE_GRAD] + (size_t)s * r->plan->slot_bytes;
}
static float *slot_of(const sharing *x, int s) {
    return (float *)(void *)(x->staged ? x->staged + (size_t)s * x->r->plan->slot_bytes
                                       : device_slot(x->r, s));
}

/* ---- one bucket ---------------------------------------------------------------------------------------------- */

static hone_status sum_bucket(sharing *x, const hone_bucket *b, hone_err *err) {
    const float *node[TREE_NODES_MAX];
    const int64_t first = b->cut[0], n = b->cut[x->r->plan->n_ranks] - first;
    const int n_nodes = x->n_held - x->n_folds;
    tree_sum_threads(x->sum, x->pool);
    for (int s = x->n_held - 1; s >= n_nodes; s--)
        tree_sum_add(x->sum, slot_of(x, s - 1) + first, slot_of(x, s) + first, first, n);
    for (int s = 0; s < n_nodes; s++) node[s] = slot_of(x, s);
    HONE_TRY(tree_sum_scatter(x->sum, node, slot_of(x, 0), b->cut, err));
    return x->r->plan->divided ? HONE_OK : tree_sum_gather_sums(x->sum, slot_of(x, 0), b->cut, err);
}

/* Elements of the flat order instead of those of a slot. */
static void flat_cuts(const hone_plan *p, int b, int64_t *cut) {
    for (int k = 0; k < p->n_ranks; k++) plan_own(p, b, k, &cut[k], &cut[k + 1]);
}

static hone_status send_weights(sharing *x, int b, hone_err *err) {
    const hone_plan *p = x->r->plan;
    int64_t cut[COMM_RANKS_MAX + 1];
    flat_cuts(p, b, cut);
    return tree_sum_gather(x->sum, x->staged ? x->staged : x->r->slab[HONE_PARAM], hone_dtype_bytes(p->dtype),
                           cut, err);
}

static hone_status do_bucket(sharing *x, int b, hone_err *err) {
    if (x->staged) HONE_TRY(wait_for(x->r, x->arrived[b], err));
    return x->what == GRADIENTS ? sum_bucket(x, &x->r->plan->bucket[b], err) : send_weights(x, b, err);
}

/* ---- the thread ---------------------------------------------------------------------------------------------- */

/* The next bucket, with the lock held before and after. */
static void do_next(sharing *x, pool *p) {
    const int b = x->done;
    hone_err why = {0};
    x->busy = 1;
    x->pool = p;
    pthread_mutex_unlock(&x->lock);
    const hone_status status = do_bucket(x, b, &why);
    pthread_mutex_lock(&x->lock);
    x->busy = 0;
    x->done++;
    if (status) x->status = status, x->err = why;
    pthread_cond_broadcast(&x->news);
}

static void *work(void *arg) {
    sharing *x = arg;
    pthread_mutex_lock(&x->lock);
    while (!x->ending) {
        if (x->beside && !x->status && x->done < x->handed) {
            const uint64_t spent = tree_sum_comm(x->sum)->spent_ns;
            do_next(x, NULL);
            tree_sum_comm(x->sum)->spent_ns = spent; /* nobody waited for it */
            x->n_beside += x->beside;
        } else pthread_cond_wait(&x->news, &x->lock);
    }
    pthread_mutex_unlock(&x->lock);
    return NULL;
}

static void begin_round(sharing *x, parcel what, int n_held, int n_folds) {
    if (is_linked(x->r) && what == GRADIENTS) tree_device_begin(x->r->between, tree_sum_leaves(x->sum));
    pthread_mutex_lock(&x->lock);
    x->what = what;
    x->handed = x->done = 0;
    x->beside = !x->staged && !is_linked(x->r);
    x->n_held = n_held;
    x->n_folds = n_folds;
    pthread_mutex_unlock(&x->lock);
}

/* ---- handing over ---- */

/* Bytes of what this rank brings along of bucket b, from the device to pinned memory. */
static hone_status copy_out(sharing *x, int b) {
    const run *r = x->r;
    const hone_plan *p = r->plan;
    const hone_bucket *k = &p->bucket[b];
    hone_status status = HONE_OK;
    r->table->event_record(r->queue, x->ready);
    r->table->event_wait(x->reduce, x->ready);
    const size_t from = (size_t)k->cut[0] * sizeof(float),
                 n = (size_t)k->cut[p->n_ranks] * sizeof(float) - from;
    for (int s = 0; s < x->n_held && !status && x->what == GRADIENTS; s++)
        status = r->table->get(x->reduce, (char *)slot_of(x, s) + from, device_slot(r, s) + from, n);
    if (x->what == WEIGHTS) {
        int64_t first, end;
        plan_own(p, b, p->rank, &first, &end);
        const size_t size = hone_dtype_bytes(p->dtype), at = (size_t)first * size;
        if (end > first)
            status = r->table->get(x->reduce, x->staged + at, (char *)r->slab[HONE_PARAM] + at,
                                   (size_t)(end - first) * size);
    }
    r->table->event_record(x->reduce, x->arrived[b]);
    return status;
}

/* And what came of it, back to the device. */
static hone_status copy_in_bucket(sharing *x, int b) {
    const run *r = x->r;
    const hone_plan *p = r->plan;
    const int64_t *cut = p->bucket[b].cut;
    int64_t first = p->divided ? cut[p->rank] : cut[0], end = p->divided ? cut[p->rank + 1] : cut[p->n_ranks];
    size_t size = sizeof(float);
    char *to = device_slot(r, 0);
    if (x->what == WEIGHTS) {
        int64_t all[COMM_RANKS_MAX + 1];
        flat_cuts(p, b, all);
        first = all[0], end = all[p->n_ranks];
        size = hone_dtype_bytes(p->dtype);
        to = r->slab[HONE_PARAM];
    }
    const size_t at = (size_t)first * size;
    return end > first ? r->table->put(r->queue, to + at, x->staged + at, (size_t)(end - first) * size)
                       : HONE_OK;
}

/* Devices that add by themselves are only given the work. */
static hone_status give_to_device(sharing *x, int b, hone_err *err) {
    x->done = b + 1;
    return sum_bucket_on_device(x->r, b, x->n_held, x->n_folds, err);
}

static hone_status gather_weights(sharing *x, hone_err *err) {
    run *r = x->r;
    int64_t cut[COMM_RANKS_MAX + 1];
    for (int b = r->plan->n_buckets - 1; b >= 0; b--) {
        flat_cuts(r->plan, b, cut);
        HONE_TRY(gather_on_device(r, r->slab[HONE_PARAM], hone_dtype_bytes(r->plan->dtype), cut, err));
        r->table->event_record(r->sums, x->gathered[b]);
    }
    x->awaited = r->plan->n_buckets;
    return HONE_OK;
}

void await_weights(run *r, int from) {
    sharing *x = r->sharing;
    if (!x || !x->gathered || x->awaited <= from) return;
    r->table->event_wait(r->queue, x->gathered[from]); /* those of later buckets came before it */
    x->awaited = from;
}

hone_status settle_weights(run *r, hone_err *err) {
    const sharing *x = r->sharing;
    if (!x || !x->gathered || !x->awaited) return HONE_OK;
    await_weights(r, 0);
    return run_settle(r, r->queue, err);
}

/* All buckets before `end` may leave. */
static hone_status hand_over(sharing *x, int end, hone_err *err) {
    for (int b = x->handed; b < end && x->staged; b++) HONE_TRY(failed(x->r, copy_out(x, b), err));
    for (int b = x->handed; b < end && is_linked(x->r); b++) HONE_TRY(give_to_device(x, b, err));
    pthread_mutex_lock(&x->lock);
    x->handed = end;
    const hone_status status = x->status;
    if (status && err) *err = x->err;
    pthread_cond_broadcast(&x->news);
    pthread_mutex_unlock(&x->lock);
    return status;
}

hone_status share_gradients(run *r, int played, hone_err *err) {
    int end = r->sharing->handed;
    while (end < r->plan->n_buckets && r->plan->bucket[end].ready < played) end++;
    return end > r->sharing->handed ? hand_over(r->sharing, end, err) : HONE_OK;
}

/* Until all buckets are done; what has not been begun is done here. */
static hone_status share_wait(sharing *x, hone_err *err) {
    const int n = x->r->plan->n_buckets;
    HONE_TRY(hand_over(x, n, err));
    pthread_mutex_lock(&x->lock);
    x->beside = 0;
    const uint64_t from = clock_ns();
    const int waits = x->busy;
    while (x->busy) pthread_cond_wait(&x->news, &x->lock);
    if (waits) tree_sum_comm(x->sum)->spent_ns += clock_ns() - from;
    while (!x->status && x->done < n) do_next(x, x->r->pool);
    const hone_status status = x->status;
    if (status && err) *err = x->err;
    pthread_mutex_unlock(&x->lock);
    if (is_linked(x->r) && !status) wait_on_device(x->r);
    for (int b = 0; b < n && x->staged && !status; b++) HONE_TRY(failed(x->r, copy_in_bucket(x, b), err));
    return status;
}

int run_buckets_done(run *r) {
    pthread_mutex_lock(&r->sharing->lock);
    const int n = r->sharing->what == GRADIENTS ? r->sharing->done : r->plan->n_buckets;
    pthread_mutex_unlock(&r->sharing->lock);
    return n;
}

int64_t run_buckets_beside(const run *r) { return r->sharing ? r->sharing->n_beside : 0; }

/* ---- a step ---------------------------------------------------------------------------------------------------- */

hone_status run_play_last(run *r, int slot, const int64_t *rows, int n_folds, hone_err *err) {
    HONE_ASSERT(r->sharing && n_folds <= slot);
    begin_round(r->sharing, GRADIENTS, slot + 1, n_folds);
    r->hands_over = 1;
    const hone_status status = run_play(r, HONE_MICRO, slot, rows, err);
    r->hands_over = 0;
    HONE_TRY(status);
    return share_wait(r->sharing, err);
}

hone_status run_play_none(run *r, hone_err *err) {
    begin_round(r->sharing, GRADIENTS, 0, 0);
    HONE_TRY(copy_in(r, err));
    return share_wait(r->sharing, err);
}

/* The rank that adds up the loss, the first element of all. */
static int rank_of_loss(const hone_plan *p) {
    int k = 0;
    while (p->bucket[0].cut[k + 1] == 0) k++;
    return k;
}

/* What rank k says: the losses, if they are its own, and its chunks' sums. */
static size_t losses_of(const hone_plan *p) { return p->sequence_loss ? 2 : 1; }
static size_t floats_of(const hone_plan *p, int k) { return losses_of(p) + (size_t)plan_own_chunks(p, k); }

static hone_status read_own(sharing *x, hone_err *err) {
    run *r = x->r;
    const hone_plan *p = r->plan;
    const size_t n = (size_t)plan_own_chunks(p, p->rank) * sizeof(float);
    hone_status status = r->table->get(r->queue, x->said, run_address(r, p->loss, 0), sizeof(float));
    if (!status && p->sequence_loss)
        status = r->table->get(r->queue, x->said + 1, run_address(r, p->sequence_loss, 0), sizeof(float));
    if (!status && n) status = r->table->get(r->queue, x->said + losses_of(p), run_address(r, p->own_part, 0), n);
    return status ? failed(r, status, err) : run_settle(r, r->queue, err);
}

/* Everybody's sums in the order of the chunks: of a bucket, rank after rank. */
static void put_in_place(sharing *x, const float *const *of_rank) {
    const hone_plan *p = x->r->plan;
    for (int k = 0; k < p->n_ranks; k++) {
        const float *from = of_rank[k] + losses_of(p);
        for (int b = 0; b < p->n_buckets; b++) {
            const int64_t *chunk = p->bucket[b].chunk, n = chunk[k + 1] - chunk[k];
            memcpy(x->said + losses_of(p) + chunk[k], from, (size_t)n * sizeof *from);
            from += n;
        }
    }
    memcpy(x->said, of_rank[rank_of_loss(p)], losses_of(p) * sizeof(float));
}

hone_status share_sums(run *r, hone_err *err) {
    sharing *x = r->sharing;
    const hone_plan *p = r->plan;
    comm_piece to[COMM_RANKS_MAX], from[COMM_RANKS_MAX];
    const float *of_rank[COMM_RANKS_MAX];
    float *at = x->heard;
    HONE_TRY(read_own(x, err));
    for (int k = 0; k < p->n_ranks; k++) {
        to[k] = (comm_piece){x->said, floats_of(p, p->rank) * sizeof(float)};
        from[k] = (comm_piece){at, floats_of(p, k) * sizeof(float)};
        of_rank[k] = at;
        at += floats_of(p, k);
    }
    HONE_TRY(comm_exchange(tree_sum_comm(x->sum), to, from, err));
    put_in_place(x, of_rank);
    hone_status status = r->table->put(r->queue, run_address(r, p->loss, 0), x->said, sizeof(float));
    if (!status && p->sequence_loss)
        status = r->table->put(r->queue, run_address(r, p->sequence_loss, 0), x->said + 1, sizeof(float));
    if (!status)
        status = r->table->put(r->queue, run_address(r, p->part, 0), x->said + losses_of(p),
                               (size_t)p->n_chunks * sizeof(float));
    return status ? failed(r, status, err) : run_settle(r, r->queue, err);
}

hone_status share_marks(run *r, uint64_t *x, hone_err *err) {
    uint64_t all[COMM_RANKS_MAX];
    HONE_TRY(comm_gather(tree_sum_comm(r->sharing->sum), x, sizeof *x, all, err));
    *x = 0;
    for (int k = 0; k < r->plan->n_ranks; k++) *x += all[k];
    return HONE_OK;
}

void share_begin_weights(run *r) { begin_round(r->sharing, WEIGHTS, 0, 0); }

/* Weights leave in the order of the buckets: those before the first one that is still to be updated. */
hone_status share_weights(run *r, int played, hone_err *err) {
    int end = r->sharing->handed;
    if (r->sharing->gathered) return HONE_OK;
    while (end < r->plan->n_buckets && r->plan->bucket[end].update < played) end++;
    return end > r->sharing->handed ? hand_over(r->sharing, end, err) : HONE_OK;
}
hone_status share_end_weights(run *r, hone_err *err) {
    return r->sharing->gathered ? gather_weights(r->sharing, err) : share_wait(r->sharing, err);
}

/* ---- opening and closing --------------------------------------------------------------------------------------- */

static hone_status open_staging(sharing *x, int linked, hone_err *err) {
    run *r = x->r;
    void *p;
    if (linked && r->plan->divided) {
        hone_status made = HONE_OK;
        x->gathered = ARENA_ARRAY(r->a, (size_t)r->plan->n_buckets + 1, hone_event *);
        for (int b = 0; b < r->plan->n_buckets && !made; b++)
            made = r->table->event_new(r->device, 0, &x->gathered[b]);
        return failed(r, made, err);
    }
    if (r->limits.host_memory || linked) return HONE_OK;
    HONE_TRY(r->table->slab_new(r->device, 1, r->plan->slab_bytes[HONE_GRAD], &p, err));
    x->staged = p;
    hone_status status = r->table->queue_new(r->device, &x->reduce);
    if (!status) status = r->table->event_new(r->device, 0, &x->ready);
    x->arrived = ARENA_ARRAY(r->a, (size_t)r->plan->n_buckets + 1, hone_event *);
    for (int b = 0; b < r->plan->n_buckets && !status; b++)
        status = r->table->event_new(r->device, 0, &x->arrived[b]);
    return failed(r, status, err);
}

hone_status run_share(run *r, tree_sum *t, int linked, hone_err *err) {
    const hone_plan *p = r->plan;
    HONE_ASSERT(p->n_buckets && p->n_ranks == tree_sum_comm(t)->n);
    sharing *x = ARENA_NEW(r->a, sharing);
    *x = (sharing){.r = r, .sum = t};
    x->said = ARENA_ARRAY(r->a, (size_t)p->n_chunks + 2, float);
    x->heard = ARENA_ARRAY(r->a, (size_t)p->n_chunks + losses_of(p) * (size_t)p->n_ranks + 1, float);
    pthread_mutex_init(&x->lock, NULL);
    pthread_cond_init(&x->news, NULL);
    if (pthread_create(&x->thread, NULL, work, x))
        return hone_fail(err, HONE_ENOFIT, "the system gives no thread for sums over ranks");
    r->sharing = x; /* from here on close_sharing ends it */
    return open_staging(x, linked, err);
}

tree_sum *sharing_sum(const run *r) { return r->sharing->sum; }

void close_sharing(run *r) {
    sharing *x = r->sharing;
    if (!x) return;
    pthread_mutex_lock(&x->lock);
    x->ending = 1;
    pthread_cond_broadcast(&x->news);
    pthread_mutex_unlock(&x->lock);
    pthread_join(x->thread, NULL);
    for (int b = 0; x->arrived && b < r->plan->n_buckets; b++)
        if (x->arrived[b]) r->table->event_free(x->arrived[b]);
    for (int b = 0; x->gathered && b < r->plan->n_buckets; b++)
        if (x->gathered[b]) r->table->event_free(x->gathered[b]);
    if (x->ready) r->table->event_free(x->ready);
    if (x->reduce) r->table->queue_free(x->reduce);
    if (x->staged) r->table->slab_free(r->device, x->staged);
}
