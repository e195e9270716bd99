/* attention.c - softmax(scale q k' + mask) v for each sequence and head, and its gradient, over packed rows.
 *   forward   S = scale q k',  o = drop(softmax(S)) v,  lse = log of the sum of exp(S)
 *   backward  P = exp(S - lse),  dS = scale P (drop'(do v') - delta),  delta = sum of do o
 *             dv = drop(P)' do,  dk = dS' q,  dq = dS k
 * A head of a sequence (backward: a head of keys, with all heads of queries that it serves) owns what it
 * writes; an item is some heads of a sequence. Scores exist only as a tile of TILE_Q queries by TILE_K keys
 * in the thread's scratch; where a sequence has more keys, the forward goes on with the running maximum and
 * sum (online softmax). Everything is computed in fp32. Each mask leaves a query one range of keys. Plain
 * version: kernels/ref/attention.inc. */
#include "ops.h"
#include "drop.h"
#include "outside.h"
#include "pack.h"
#include "product.h"

#include <math.h>

#define TILE_Q 64
#define TILE_K 128
#define TILE_FLOATS (TILE_Q * TILE_K)

/* Numbers of dropout for 16 queries and TILE_K keys, kept while the next query needs the same. */
typedef struct {
    uint32_t word[TILE_K / 16][4][32];
    uint32_t sample, query16;
    int64_t first;
    int head, is_drawn;
} score_bits;

/* A call, and what both directions name alike. */
typedef struct {
    hone_queue *q_of;
    const hone_call *c;
    const hone_tensor *q, *k, *v, *q_at, *k_at, *q_pos, *key;
    int64_t K, wide; /* head width, and up to whole vectors */
    int heads, groups, bf;
    int per_item, items; /* heads of an item, items of a sequence */
    dropper drop;
    float scale;
} attention_job;

static attention_job attention_job_of(hone_queue *queue, const hone_call *c, int first_operand) {
    const hone_tensor *q = &c->in[first_operand];
    attention_job job = {.q_of = queue, .c = c, .q = q, .k = q + 1, .v = q + 2};
    job.q_at = q + 3, job.k_at = q + 4, job.q_pos = q + 5, job.key = q + 6;
    job.K = q->dim[2], job.wide = round_up(q->dim[2], VW);
    job.heads = (int)q->dim[1], job.groups = (int)q[1].dim[1], job.bf = is_bf(q);
    job.drop = dropper_of(c->tick, c->attr.p, c->attr.site);
    job.scale = (float)c->attr.attention.scale;
    return job;
}

/* Neighbouring heads share pages and lines, so an item takes as many of them as leaves work for all threads.
 */
static void cut_heads(attention_job *job, int64_t n_sequences, int n_heads) {
    const int64_t wanted = 16 * (int64_t)job->q_of->device->host->n_threads;
    const int64_t items = least(n_heads, blocks_of(wanted, most(n_sequences, 1)));
    job->per_item = (int)blocks_of(n_heads, items);
    job->items = (int)blocks_of(n_heads, job->per_item);
}

/* Numbers of query i's probabilities of keys first .. + n - 1, into bits. */
static void draw_scores(uint16_t *bits, score_bits *s, const dropper *d, hone_key key, int head,
                        int64_t first, int64_t n) {
    const uint32_t query16 = key.position >> 4;
    if (!s->is_drawn || s->sample != key.sample || s->query16 != query16 || s->first != first ||
        s->head != head) {
        s->is_drawn = 1, s->sample = key.sample, s->query16 = query16, s->first = first, s->head = head;
        for (int64_t t = 0; t < blocks_of(n, 16); t++)
            for (int lane = 0; lane < 32; lane += VW) {
                vu x[4] = {vu_lanes((uint32_t)((first >> 4) + t) * 32 + (uint32_t)lane),
                           vu_set(query16 | (uint32_t)head << 20), vu_set(key.sample), vu_set(0)};
                philox(x, d->key);
                for (int w = 0; w < 4; w++) vu_store(&s->word[t][w][lane], x[w]);
            }
    }
    const uint32_t word = key.position >> 3 & 1, lane = (key.position & 7) * 4;
    for (int64_t t = 0; t < blocks_of(n, 16); t++) {
        memcpy(bits + t * 16, &s->word[t][word][lane], 16);
        memcpy(bits + t * 16 + 8, &s->word[t][word + 2][lane], 16);
    }
}

/* Rows row .. + n - 1 of the columns of a head, in fp32, and zeros up to whole tiles. */
static void load_rows(const attention_job *job, float *to, const hone_tensor *t, int64_t row, int64_t n,
                      int head) {
    for (int64_t r = 0; r < round_up(n, TILE_ROWS); r++, to += job->wide) {
        if (r >= n) {
            memset(to, 0, (size_t)job->wide * sizeof(float));
            continue;
        }
        const char *from = cell(t, row + r, head * job->K);
        __builtin_prefetch(from + job->K * element_bytes(t)); /* of the next head */
        __builtin_prefetch(from + job->K * element_bytes(t) + 64);
        for (int64_t i = 0; i < job->wide; i += VW) vf_store(to + i, ld_n(from, i, job->K - i, job->bf));
    }
}

/* to[i TILE_K + j] = element i of key row + j. */
static void load_turned(const attention_job *job, float *to, const hone_tensor *t, int64_t row, int64_t n,
                        int group) {
    const factor f = {cell(t, row, group * job->K), t->ld, job->bf, 0};
    for (int64_t j = 0; j < n; j++) {
        const char *next = cell(t, row + j, (group + 1) * job->K);
        __builtin_prefetch(next);
        __builtin_prefetch(next + 64);
    }
    pack_turned(to, TILE_K, &f, 0, n, round_up(n, VW), 0, job->K, 0);
}

/* The keys of its sequence that query i of sequence b sees: [*first, *end). */
static void see(const attention_job *job, int64_t b, int64_t i, int64_t *first, int64_t *end) {
    const hone_range queries = ranges(job->q_at)[b], range = ranges(job->k_at)[b];
    const hone_attr *a = &job->c->attr;
    const int64_t stand = job->q_pos->p ? ints(job->q_pos)[queries.first + i] : i + range.n - queries.n;
    *first = 0, *end = range.n;
    if (a->attention.mask == HONE_MASK_CAUSAL) *end = least(*end, stand + 1);
    if (a->attention.mask == HONE_MASK_WINDOW) {
        *first = most(0, stand - a->attention.left);
        *end = least(*end, stand + a->attention.right + 1);
    }
    if (*end < *first) *end = *first;
}

/* Lanes j .. + VW - 1 that lie in [first, end): those below count, where from = first, count = end - first.
 */
INLINE vf keep_seen(vf v, int64_t j, int64_t first, int64_t end, vf other) {
    const vu from_first = vu_lanes((uint32_t)j) - (uint32_t)first; /* keys before first wrap around */
    return vf_select(vu_ge(from_first, vu_set((uint32_t)(end - first))), other, v);
}

/* ---- forward
 * -------------------------------------------------------------------------------------------------*/
typedef struct {
    float *kt, *v, *q, *o, *s;
    float top[TILE_Q], sum[TILE_Q];
    uint16_t bits[TILE_K];
    score_bits drawn;
} forward_scratch;

/* Turns scores of a query into unnormalised probabilities, and scales down what was summed under a lower
 * maximum. Keys of the tile are j0 .. + n - 1 of the sequence; [first, end) counts within the tile, is_cut
 * where that is not all of its vectors. */
INLINE void soften(const attention_job *job, forward_scratch *t, int64_t i, int64_t n, int64_t first,
                   int64_t end, int is_more, int is_cut) {
    float *s = t->s + i * TILE_K, *o = t->o + i * job->wide;
    const vf none = vf_set(-INFINITY);
    vf high = none, sum = vf_set(0);
    for (int64_t j = 0; j < n; j += VW) {
        const vf v = vf_load(s + j) * job->scale;
        high = vf_max(is_cut ? keep_seen(v, j, first, end, none) : v, high);
    }
    const float top = fmaxf(vf_top(high), t->top[i]);
    const vf base = vf_set(top == -INFINITY ? 0 : top);
    for (int64_t j = 0; j < n; j += VW) {
        vf p = vf_exp_below(vf_load(s + j) * job->scale - base);
        if (is_cut) p = keep_seen(p, j, first, end, vf_set(0));
        sum += p;
        if (job->drop.threshold)
            p = vf_select(vu_ge(vu_load16(t->bits + j), vu_set(job->drop.threshold)), p, vf_set(0));
        vf_store(s + j, p);
    }
    if (is_more && top > t->top[i]) {
        const float down = vf_exp(vf_set(t->top[i] - top))[0];
        t->sum[i] = t->top[i] == -INFINITY ? 0 : t->sum[i] * down;
        for (int64_t e = 0; e < job->wide; e += VW) vf_store(o + e, vf_load(o + e) * down);
    }
    t->top[i] = top;
    t->sum[i] += vf_sum(sum);
}

/* A tile of queries against a tile of keys. */
static void attend_tile(const attention_job *job, forward_scratch *t, int64_t b, int64_t i0, int64_t n_q,
                        int64_t j0, int64_t n_k, int head) {
    const hone_range queries = ranges(job->q_at)[b];
    multiply(t->s, TILE_K, t->q, job->wide, 1, t->kt, TILE_K, n_q, n_k, job->K, 0, 0, NULL);
    for (int64_t i = 0; i < n_q; i++) {
        int64_t first, end;
        see(job, b, i0 + i, &first, &end);
        first = least(most(first - j0, 0), n_k), end = most(least(end - j0, n_k), first);
        if (job->drop.threshold)
            draw_scores(t->bits, &t->drawn, &job->drop, keys(job->key)[queries.first + i0 + i], head, j0,
                        n_k);
        if (first == 0 && end == round_up(n_k, VW)) soften(job, t, i, n_k, first, end, j0 > 0, 0);
        else soften(job, t, i, n_k, first, end, j0 > 0, 1);
    }
    multiply(t->o, job->wide, t->s, TILE_K, 1, t->v, job->wide, n_q, job->wide, n_k, j0 > 0, 0, NULL);
}

static void write_queries(const attention_job *job, forward_scratch *t, int64_t row, int64_t n, int head) {
    const hone_tensor *o = &job->c->out[0], *lse = &job->c->out[1];
    for (int64_t i = 0; i < n; i++) {
        const int is_seeing = t->top[i] != -INFINITY;
        const float part = is_seeing ? job->drop.kept / t->sum[i] : 0;
        void *to = cell(o, row + i, head * job->K);
        for (int64_t e = 0; e < job->K; e += VW) {
            const vf v = vf_load(t->o + i * job->wide + e) * part;
            st_n(to, e, is_seeing ? v : vf_set(0), job->K - e, job->bf);
        }
        floats(lse)[head * lse->ld + row + i] = is_seeing ? t->top[i] + logf(t->sum[i]) : INFINITY;
    }
}

static void attend_head(const attention_job *job, int64_t b, int head, int thread) {
    const int group = head / (job->heads / job->groups);
    const hone_range queries = ranges(job->q_at)[b], range = ranges(job->k_at)[b];
    forward_scratch *t = scratch_of(job->q_of, thread);
    t->kt = (float *)(void *)(t + 1), t->v = t->kt + TILE_K * job->wide, t->q = t->v + TILE_K * job->wide;
    t->o = t->q + TILE_Q * job->wide, t->s = t->o + TILE_Q * job->wide;
    t->drawn.is_drawn = 0;
    for (int64_t i0 = 0; i0 < queries.n; i0 += TILE_Q) {
        const int64_t n_q = least(queries.n - i0, TILE_Q);
        load_rows(job, t->q, job->q, queries.first + i0, n_q, head);
        for (int64_t i = 0; i < n_q; i++) t->top[i] = -INFINITY, t->sum[i] = 0;
        for (int64_t j0 = 0; j0 < range.n; j0 += TILE_K) {
            const int64_t n_k = least(range.n - j0, TILE_K);
            if (i0 == 0 || range.n > TILE_K) { /* else they lie there still */
                load_turned(job, t->kt, job->k, range.first + j0, n_k, group);
                load_rows(job, t->v, job->v, range.first + j0, n_k, group);
            }
            attend_tile(job, t, b, i0, n_q, j0, n_k, head);
        }
        write_queries(job, t, queries.first + i0, n_q, head);
    }
}

static void attend(void *arg, int64_t item, int thread) {
    const attention_job *job = arg;
    const int first = (int)(item % job->items) * job->per_item;
    for (int head = first; head < first + job->per_item && head < job->heads; head++)
        attend_head(job, item / job->items, head, thread);
}

static void write_unseeing(void *arg, int64_t first, int64_t n) {
    const hone_call *c = arg;
    hone_tensor o = c->out[0];
    const hone_tensor *lse = &c->out[1];
    zero_rows(&o, first, n);
    for (int64_t h = 0; h < lse->dim[0]; h++)
        for (int64_t r = first; r < first + n; r++) floats(lse)[h * lse->ld + r] = INFINITY;
}

hone_status ISA(attention_fwd)(hone_queue *q, const hone_call *c) {
    attention_job job = attention_job_of(q, c, 0);
    visit_outside(job.q_at, job.q->dim[0], write_unseeing, (void *)(uintptr_t)c);
    cut_heads(&job, job.q_at->dim[0], job.heads);
    deal(q, job.q_at->dim[0] * job.items, attend, &job);
    return HONE_OK;
}

/* ---- backward
 * ------------------------------------------------------------------------------------------------*/
typedef struct {
    float *kt, *vt, *k, *dk, *dv; /* of a tile of keys */
    float *q, *d_o, *dq, *p, *ds; /* of a tile of queries */
    float delta[TILE_Q];
    uint16_t bits[TILE_K];
    score_bits drawn;
} backward_scratch;

/* From scores and do v' of a query: its dropped probabilities into p, its dS into ds. */
INLINE void harden(const attention_job *job, backward_scratch *t, int64_t i, int64_t n, int64_t first,
                   int64_t end, float lse, int is_cut) {
    float *s = t->p + i * TILE_K, *dp = t->ds + i * TILE_K;
    const vf delta = vf_set(t->delta[i]), zero = vf_set(0);
    for (int64_t j = 0; j < n; j += VW) {
        vf p = vf_exp_below(vf_load(s + j) * job->scale - lse), back = vf_load(dp + j), kept;
        if (is_cut) p = keep_seen(p, j, first, end, zero);
        kept = p;
        if (job->drop.threshold) {
            const vm is_kept = vu_ge(vu_load16(t->bits + j), vu_set(job->drop.threshold));
            back = vf_select(is_kept, back * job->drop.kept, zero);
            kept = vf_select(is_kept, p * job->drop.kept, zero);
        }
        const vf ds = p * (back - delta) * job->scale;
        vf_store(s + j, kept);
        vf_store(dp + j, is_cut ? keep_seen(ds, j, first, end, zero) : ds);
    }
}

/* Scores, probabilities and their gradients of a tile of queries against the tile of keys. Rows up to whole
 * tiles are zeros. */
static void harden_tile(const attention_job *job, backward_scratch *t, int64_t b, int64_t i0, int64_t n_q,
                        int64_t j0, int64_t n_k, int head) {
    const hone_tensor *lse = &job->c->in[2];
    const int64_t row = ranges(job->q_at)[b].first + i0;
    multiply(t->p, TILE_K, t->q, job->wide, 1, t->kt, TILE_K, n_q, n_k, job->K, 0, 0, NULL);
    multiply(t->ds, TILE_K, t->d_o, job->wide, 1, t->vt, TILE_K, n_q, n_k, job->K, 0, 0, NULL);
    for (int64_t i = 0; i < round_up(n_q, TILE_ROWS); i++) {
        int64_t first = 0, end = 0;
        float log_sum = 0;
        if (i < n_q) {
            see(job, b, i0 + i, &first, &end);
            first = least(most(first - j0, 0), n_k), end = most(least(end - j0, n_k), first);
            log_sum = floats(lse)[head * lse->ld + row + i];
            if (isinf(log_sum) && log_sum > 0) end = first;
            if (job->drop.threshold)
                draw_scores(t->bits, &t->drawn, &job->drop, keys(job->key)[row + i], head, j0, n_k);
        }
        if (first == 0 && end == round_up(n_k, VW)) harden(job, t, i, n_k, first, end, log_sum, 0);
        else harden(job, t, i, n_k, first, end, log_sum, 1);
    }
}

/* Adds t->dq to rows of dq; what the tiles of keys before this one gave is in dq itself, or (bf16) in the
 * workspace. */
static void add_dq(const attention_job *job, const backward_scratch *t, int64_t row, int64_t n, int head,
                   int is_first, int is_last) {
    const hone_tensor *dq = &job->c->out[0];
    const int64_t at = head * job->K;
    for (int64_t i = 0; i < n; i++) {
        float *sums =
            job->bf ? (float *)job->c->work + (row + i) * job->heads * job->K + at : cell(dq, row + i, at);
        void *to = cell(dq, row + i, at);
        for (int64_t e = 0; e < job->K; e += VW) {
            const int64_t left = job->K - e;
            vf v = vf_load(t->dq + i * job->wide + e);
            if (!is_first) v += ld_n(sums, e, left, 0);
            if (is_last) st_n(to, e, v, left, job->bf);
            else st_n(sums, e, v, left, 0);
        }
    }
}

static void sum_delta(const attention_job *job, backward_scratch *t, int64_t row, int64_t n, int head) {
    for (int64_t i = 0; i < n; i++) {
        const void *o = cell(&job->c->in[1], row + i, head * job->K);
        vf sum = vf_set(0);
        for (int64_t e = 0; e < job->K; e += VW)
            sum = vf_fma(vf_load(t->d_o + i * job->wide + e), ld_n(o, e, job->K - e, job->bf), sum);
        t->delta[i] = vf_sum(sum);
    }
}

/* One head of queries against the tile of keys in scratch. */
static void attend_back_head(const attention_job *job, backward_scratch *t, int64_t b, int64_t j0,
                             int64_t n_k, int head) {
    const hone_range queries = ranges(job->q_at)[b], range = ranges(job->k_at)[b];
    const int64_t wide = job->wide;
    t->drawn.is_drawn = 0;
    for (int64_t i0 = 0; i0 < queries.n; i0 += TILE_Q) {
        const int64_t n_q = least(queries.n - i0, TILE_Q), row = queries.first + i0;
        load_rows(job, t->q, job->q, row, n_q, head);
        load_rows(job, t->d_o, &job->c->in[0], row, n_q, head);
        sum_delta(job, t, row, n_q, head);
        harden_tile(job, t, b, i0, n_q, j0, n_k, head);
        multiply(t->dv, wide, t->p, 1, TILE_K, t->d_o, wide, n_k, wide, n_q, 1, 0, NULL);
        multiply(t->dk, wide, t->ds, 1, TILE_K, t->q, wide, n_k, wide, n_q, 1, 0, NULL);
        if (!job->c->out[0].p) continue;
        multiply(t->dq, wide, t->ds, TILE_K, 1, t->k, wide, n_q, wide, n_k, 0, 0, NULL);
        add_dq(job, t, row, n_q, head, j0 == 0, j0 + n_k == range.n);
    }
}

static void write_keys(const attention_job *job, const float *from, const hone_tensor *to, int64_t row,
                       int64_t n, int group) {
    for (int64_t j = 0; j < n && to->p; j++, from += job->wide)
        for (int64_t e = 0; e < job->K; e += VW)
            st_n(cell(to, row + j, group * job->K), e, vf_load(from + e), job->K - e, job->bf);
}

static void attend_back_group(const attention_job *job, int64_t b, int group, int thread) {
    const int n_served = job->heads / job->groups;
    const int64_t wide = job->wide;
    const hone_range range = ranges(job->k_at)[b];
    backward_scratch *t = scratch_of(job->q_of, thread);
    t->kt = (float *)(void *)(t + 1), t->vt = t->kt + TILE_K * wide, t->k = t->vt + TILE_K * wide;
    t->dk = t->k + TILE_K * wide, t->dv = t->dk + TILE_K * wide, t->q = t->dv + TILE_K * wide;
    t->d_o = t->q + TILE_Q * wide, t->dq = t->d_o + TILE_Q * wide, t->p = t->dq + TILE_Q * wide;
    t->ds = t->p + TILE_FLOATS;
    for (int64_t j0 = 0; j0 < range.n; j0 += TILE_K) {
        const int64_t n_k = least(range.n - j0, TILE_K);
        load_turned(job, t->kt, job->k, range.first + j0, n_k, group);
        load_turned(job, t->vt, job->v, range.first + j0, n_k, group);
        load_rows(job, t->k, job->k, range.first + j0, n_k, group);
        memset(t->dk, 0, (size_t)(round_up(n_k, TILE_ROWS) * wide) * sizeof(float));
        memset(t->dv, 0, (size_t)(round_up(n_k, TILE_ROWS) * wide) * sizeof(float));
        for (int h = 0; h < n_served; h++) attend_back_head(job, t, b, j0, n_k, group * n_served + h);
        write_keys(job, t->dk, &job->c->out[1], range.first + j0, n_k, group);
        write_keys(job, t->dv, &job->c->out[2], range.first + j0, n_k, group);
    }
}

static void attend_back(void *arg, int64_t item, int thread) {
    const attention_job *job = arg;
    const int first = (int)(item % job->items) * job->per_item;
    for (int group = first; group < first + job->per_item && group < job->groups; group++)
        attend_back_group(job, item / job->items, group, thread);
}

/* Queries without keys have no gradient, and nobody visits them. */
static void zero_unseeing(const attention_job *job) {
    hone_tensor dq = job->c->out[0];
    for (int64_t b = 0; b < job->q_at->dim[0]; b++)
        if (ranges(job->k_at)[b].n < 1) zero_rows(&dq, ranges(job->q_at)[b].first, ranges(job->q_at)[b].n);
}

hone_status ISA(attention_bwd)(hone_queue *q, const hone_call *c) {
    attention_job job = attention_job_of(q, c, 3);
    hone_tensor dq = c->out[0], dk = c->out[1], dv = c->out[2];
    if (dq.p) visit_outside(job.q_at, dq.dim[0], zero_rows, &dq);
    if (dq.p) zero_unseeing(&job);
    if (dk.p) visit_outside(job.k_at, dk.dim[0], zero_rows, &dk);
    if (dv.p) visit_outside(job.k_at, dv.dim[0], zero_rows, &dv);
    cut_heads(&job, job.k_at->dim[0], job.groups);
    deal(q, job.k_at->dim[0] * job.items, attend_back, &job);
    return HONE_OK;
}
