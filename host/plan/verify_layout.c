/* verify_layout.c - what must hold of a finished plan: every value lies inside its slab, nothing that
 * outlives a step shares bytes, and every trained element has one gradient, two moments and one chunk of the
 * optimizer. */
#include <stdlib.h>

#include "plan/own.h"
#include "plan/passes.h"
#include "base/err.h"

/* Bytes of one storage, for sorting. */
typedef struct {
    size_t from, to;
    int value;
} place;

static int by_class_then_place(const void *a, const void *b) {
    const place *p = a, *q = b;
    return p->from != q->from ? (p->from > q->from) - (p->from < q->from)
                              : (p->value > q->value) - (p->value < q->value);
}

static size_t exact_bytes(const hone_value *x) {
    size_t n = hone_dtype_bytes(x->dtype);
    for (int d = 0; d < x->n_dims; d++) n *= (size_t)x->dim[d].n;
    return n;
}

static hone_status wrong(const hone_plan *p, int v, const char *what, int other, hone_err *err) {
    return hone_fail(err, HONE_EBUG, "plan: %s: %s%s%s", p->value[v].name, what, other ? " " : "",
                     other ? p->value[other].name : "");
}

/* Sort n places and refuse two that share a byte. */
static hone_status check_apart(const hone_plan *p, place *at, int n, hone_err *err) {
    qsort(at, (size_t)n, sizeof *at, by_class_then_place);
    for (int i = 1; i < n; i++)
        if (at[i].from < at[i - 1].to)
            return wrong(p, at[i].value, "shares bytes with", at[i - 1].value, err);
    return HONE_OK;
}

static hone_status check_slabs(const hone_plan *p, place *at, hone_err *err) {
    static const hone_class kept[] = {HONE_INPUT, HONE_CONST, HONE_RESULT, HONE_STATE};
    for (int v = 1; v <= p->n_values; v++) {
        const hone_value *x = &p->value[v];
        if (x->base) continue;
        const size_t images = x->cls == HONE_INPUT && p->fixed_rows ? 2 : 1,
                     slab = x->cls == HONE_GRAD ? p->slot_bytes : p->slab_bytes[x->cls] / images;
        if (x->offset % 64 && !x->param)
            return wrong(p, v, "begins at a byte that is no multiple of 64", 0, err);
        if (x->cls == HONE_GRAD && x->param && !p->param[x->param].wants_grad) continue; /* nobody makes it */
        if (x->offset + exact_bytes(x) > slab) return wrong(p, v, "ends beyond its slab", 0, err);
    }
    const size_t zone = p->slab_bytes[HONE_GRAD] ? p->zone_bytes : 0;
    if (p->slot_bytes * (size_t)p->n_slots + zone != p->slab_bytes[HONE_GRAD] &&
        p->program[HONE_MICRO].n_steps)
        return hone_fail(err, HONE_EBUG, "plan: %d slots of %zu bytes are not the %zu of the gradients",
                         p->n_slots, p->slot_bytes, p->slab_bytes[HONE_GRAD]);
    for (size_t c = 0; c < sizeof kept / sizeof *kept; c++) {
        int n = 0;
        for (int v = 1; v <= p->n_values; v++)
            if (p->value[v].cls == kept[c] && !p->value[v].base && (kept[c] != HONE_STATE || p->value[v].fill_space))
                at[n++] = (place){p->value[v].offset, p->value[v].offset + exact_bytes(&p->value[v]), v};
        HONE_TRY(check_apart(p, at, n, err));
    }
    return HONE_OK;
}

/* Parameters apart from each other; a span is its members without a gap. */
static hone_status check_params(const hone_plan *p, place *at, hone_err *err) {
    const int n = p->n_params;
    for (int i = 1; i <= n; i++) {
        const int v = p->param[i].value;
        if (p->param[i].group < 0 || p->param[i].group >= p->n_groups)
            return wrong(p, v, "is in a group that there is not", 0, err);
        at[i - 1] = (place){p->value[v].offset, p->value[v].offset + exact_bytes(&p->value[v]), v};
    }
    HONE_TRY(check_apart(p, at, n, err));
    for (int v = 1; v <= p->n_values; v++) {
        const hone_value *x = &p->value[v];
        if (x->cls != HONE_PARAM || !x->span) continue;
        size_t to = x->offset;
        const size_t end = to + exact_bytes(x);
        for (int i = 0; i < n; i++)
            if (at[i].from == to && to < end) to = at[i].to;
        if (to != end) return wrong(p, v, "is not the parameters that it spans", 0, err);
    }
    return HONE_OK;
}

/* Gradients that the backward makes, against the trained parameters: each byte once. */
static hone_status check_gradients(const hone_plan *p, place *at, hone_err *err) {
    const hone_program *m = &p->program[HONE_MICRO];
    int n = 0;
    for (int i = 0; i < m->n_steps; i++) {
        const hone_op_info *op = hone_op_find(m->step[i].op);
        for (int k = 0; k < op->n_out; k++) {
            const int v = m->step[i].out[k], plus = op->out[k].adds ? m->step[i].in[op->out[k].adds - 1] : 0;
            if (v && !plus && p->value[v].cls == HONE_GRAD && p->value[v].param)
                at[n++] = (place){p->value[v].offset, p->value[v].offset + exact_bytes(&p->value[v]), v};
        }
    }
    HONE_TRY(check_apart(p, at, n, err));
    const size_t f = hone_dtype_bytes(p->value[p->loss].dtype), size = hone_dtype_bytes(p->dtype),
                 first = p->slot_bytes - (size_t)p->n_trained * f;
    for (int i = 1; i <= p->n_params; i++) {
        const hone_value *x = &p->value[p->param[i].value];
        if (!p->param[i].wants_grad) continue;
        size_t from = first + x->offset / size * f;
        const size_t to = from + exact_bytes(x) / size * f;
        int low = 0, high = n; /* the last place that begins at or before from */
        while (high - low > 1) {
            const int mid = (low + high) / 2;
            if (at[mid].from <= from) low = mid;
            else high = mid;
        }
        if (!n || at[low].from > from || at[low].to < to)
            return wrong(p, p->param[i].value, "is trained, but no step makes its gradient", 0, err);
    }
    return HONE_OK;
}

/* Chunk q of those that SQSUM plays: where its elements begin, and in which group they are. */
static int64_t chunk_first(const hone_plan *p, int64_t q) {
    return (int64_t)((const int32_t *)p->value[p->chunk].data)[3 * q] * 64;
}
static int64_t n_chunks(const hone_plan *p) { return p->chunk ? p->value[p->chunk].dim[0].n : 0; }

/* Elements first .. end are chunks, from chunk *q on, with gaps of alignment only. */
static hone_status check_range(const hone_plan *p, int64_t first, int64_t end, int64_t *q, hone_err *err) {
    int64_t at = first;
    for (; *q < n_chunks(p) && chunk_first(p, *q) < end; ++*q) {
        const int32_t *chunk = (const int32_t *)p->value[p->chunk].data + 3 * *q;
        const int64_t from = chunk_first(p, *q), n = chunk[1];
        if (from < 0 || n < 1 || n > 8192 || from + n > end || chunk[2] < 0 || chunk[2] >= p->n_groups)
            return hone_fail(err, HONE_EBUG, "plan: chunk %lld is not a piece of what is trained", (long long)*q);
        if (from < at || from - at >= 64)
            return hone_fail(err, HONE_EBUG, "plan: chunk %lld does not follow the one before it", (long long)*q);
        at = from + n;
    }
    return end - at < 64 ? HONE_OK
                         : hone_fail(err, HONE_EBUG, "plan: no chunk holds element %lld", (long long)at);
}

/* The chunks of the optimizer cover what this rank updates. */
static hone_status check_chunks(const hone_plan *p, hone_err *err) {
    own_piece piece;
    int64_t q = 0;
    for (int next = 0; plan_next_piece(p, p->divided, p->rank, 0, p->n_trained, &next, &piece);)
        HONE_TRY(check_range(p, piece.first, piece.first + piece.n, &q, err));
    return q == n_chunks(p) ? HONE_OK
                            : hone_fail(err, HONE_EBUG, "plan: chunk %lld is not of this rank", (long long)q);
}

/* Every element of a trained parameter that this rank updates is in a chunk of its group; it has two moments. */
static hone_status check_trained(const hone_plan *p, int i, hone_err *err) {
    const int32_t *chunk = p->chunk ? p->value[p->chunk].data : NULL;
    int64_t n;
    const int64_t first = plan_flat(p, i, &n);
    own_piece piece;
    for (int next = 0; plan_next_piece(p, p->divided, p->rank, first, first + n, &next, &piece);) {
        int64_t low = 0, high = n_chunks(p); /* the last chunk that begins at or before the piece */
        while (high - low > 1) {
            const int64_t mid = (low + high) / 2;
            if (chunk_first(p, mid) <= piece.first) low = mid;
            else high = mid;
        }
        int64_t at = piece.first;
        const int64_t end = at + piece.n;
        for (; low < n_chunks(p) && at < end && chunk_first(p, low) <= at && chunk[3 * low + 2] == p->param[i].group;
             low++)
            at = chunk_first(p, low) + chunk[3 * low + 1];
        if (at < end) return wrong(p, p->param[i].value, "is trained, but in no chunk of its group", 0, err);
    }
    for (int m = 0; m < 2 && !p->divided; m++)
        if (!p->param[i].moment[m])
            return wrong(p, p->param[i].value, "is trained, but has no moments", 0, err);
    return HONE_OK;
}

/* ---- buckets ---- */

static hone_status bad_bucket(int b, const char *what, hone_err *err) {
    return hone_fail(err, HONE_EBUG, "plan: bucket %d %s", b, what);
}

/* A bucket leaves after the last step that makes a gradient in it. */
static hone_status check_ready(const hone_plan *p, int b, hone_err *err) {
    const hone_program *m = &p->program[HONE_MICRO];
    const hone_bucket *x = &p->bucket[b];
    const size_t f = hone_dtype_bytes(p->value[p->loss].dtype), from = (size_t)x->cut[0] * f,
                 to = (size_t)x->cut[p->n_ranks] * f;
    if (x->ready < 0 || x->ready >= m->n_steps || (b && x->ready < x[-1].ready))
        return bad_bucket(b, "leaves before the one before it", err);
    for (int i = x->ready + 1; i < m->n_steps; i++)
        for (int k = 0; k < HONE_MAX_OUT; k++) {
            const hone_value *v = &p->value[m->step[i].out[k]];
            if (m->step[i].out[k] && v->cls == HONE_GRAD && v->offset < to && v->offset + exact_bytes(v) > from)
                return bad_bucket(b, "leaves before its last gradient is made", err);
        }
    return HONE_OK;
}

/* Buckets follow each other from the loss to the last trained element, and so do the parts and chunks of the ranks. */
static hone_status check_buckets(const hone_plan *p, hone_err *err) {
    int64_t at = 0, chunk = 0;
    for (int b = 0; b < p->n_buckets; b++) {
        const hone_bucket *x = &p->bucket[b];
        if (x->cut[0] != at || x->chunk[0] != chunk) return bad_bucket(b, "does not follow the one before it", err);
        for (int k = 0; k < p->n_ranks; k++)
            if (x->cut[k + 1] < x->cut[k] || x->chunk[k + 1] < x->chunk[k] || x->cut[k] % 64)
                return bad_bucket(b, "is cut where it may not be", err);
        at = x->cut[p->n_ranks], chunk = x->chunk[p->n_ranks];
        HONE_TRY(check_ready(p, b, err));
    }
    const int64_t all = (int64_t)(p->slot_bytes / hone_dtype_bytes(p->value[p->loss].dtype));
    return at == all && chunk == p->n_chunks ? HONE_OK : bad_bucket(p->n_buckets - 1, "does not end the slot", err);
}

static hone_status check_programs(const hone_plan *p, uint8_t *made, hone_err *err) {
    for (int k = 0; k < HONE_N_PROGRAMS; k++)
        for (int i = 0; i < p->program[k].n_steps; i++) {
            const hone_step *s = &p->program[k].step[i];
            if (s->work_bytes > p->slab_bytes[HONE_WORK])
                return hone_fail(err, HONE_EBUG, "plan: step %d, %s: wants more workspace than there is", i,
                                 hone_op_find(s->op)->name);
            for (int o = 0; o < HONE_MAX_OUT; o++) made[s->out[o]] = made[p->value[s->out[o]].base] = 1;
        }
    for (int v = 1; v <= p->n_values; v++)
        if (p->value[v].cls == HONE_RESULT && !made[v])
            return wrong(p, v, "is for the host, but no step makes it", 0, err);
    return HONE_OK;
}

hone_status plan_verify_layout(const hone_plan *p, hone_err *err) {
    arena *a = arena_new("verify layout");
    int most = p->n_values;
    for (int k = 0; k < HONE_N_PROGRAMS; k++) most += p->program[k].n_steps * HONE_MAX_OUT;
    place *at = ARENA_ARRAY(a, (size_t)most + 1, place);
    hone_status status = check_slabs(p, at, err);
    if (!status) status = check_params(p, at, err);
    if (!status && p->program[HONE_MICRO].n_steps) status = check_gradients(p, at, err);
    const int trains = p->program[HONE_UPDATE_WEIGHTS].n_steps > 0;
    if (!status && trains && p->n_buckets) status = check_buckets(p, err);
    if (!status && trains) status = check_chunks(p, err);
    for (int i = 1; i <= p->n_params && !status && trains; i++)
        if (p->param[i].wants_grad) status = check_trained(p, i, err);
    if (!status) status = check_programs(p, arena_alloc(a, (size_t)p->n_values + 1), err);
    arena_free(a);
    return status;
}
