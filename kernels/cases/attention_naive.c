/* attention_naive.c - attention as a naive kernel in a 2-byte type computes it: a query after another, sums in fp32;
 * probabilities and the gradients of scores are stored in the type, since tensor cores multiply them, and so are results.
 * Masks of dropout are written once more as include/hone/device.h lays them out. */
#include "harness.h"

static uint32_t number_of(const cases_values *v, const int32_t *query, int j, int h) {
    const uint32_t i = (uint32_t)query[1], lane = (i & 7) * 4 + ((uint32_t)(j & 7) >> 1);
    uint32_t x[4] = {(uint32_t)(j >> 4) * 32 + lane, i >> 4 | (uint32_t)h << 20, (uint32_t)query[0], 0};
    uint32_t key[2] = {v->tick.step_key[0] ^ (uint32_t)v->k->attr.site, v->tick.step_key[1]};
    for (int round = 0; round < HONE_PHILOX_ROUNDS; round++, key[0] += 0x9E3779B9u, key[1] += 0xBB67AE85u) {
        const uint64_t a = (uint64_t)0xD2511F53u * x[0], b = (uint64_t)0xCD9E8D57u * x[2];
        x[0] = (uint32_t)(b >> 32) ^ x[1] ^ key[0], x[1] = (uint32_t)b;
        x[2] = (uint32_t)(a >> 32) ^ x[3] ^ key[1], x[3] = (uint32_t)a;
    }
    return x[(i >> 3 & 1) + 2 * (j >> 3 & 1)] >> 16 * (j & 1) & 0xffff;
}

/* One query of one head; q, k, v: rows of its head's columns. */
typedef struct {
    cases_values *v;
    int h, i, n_keys, stand, K;
    int64_t row, first, k_width;       /* of the query; of its first key */
    const double *q, *k, *value;       /* k and value: of the first key */
    const int32_t *key;                /* sample and position, or NULL */
    uint32_t threshold;                /* of dropout; 0: none */
} look;

static int lives(const look *w, int j) {
    const hone_attr *a = &w->v->k->attr;
    if (a->attention.mask == HONE_MASK_CAUSAL) return j <= w->stand;
    if (a->attention.mask != HONE_MASK_WINDOW) return 1;
    return (int64_t)w->stand - a->attention.left <= j && j <= (int64_t)w->stand + a->attention.right;
}
static int is_kept(const look *w, int j) { return !w->threshold || number_of(w->v, w->key, j, w->h) >= w->threshold; }
static float kept_scale(const look *w) { return 65536.0f / (float)(65536 - w->threshold); }
static float dot(const double *a, const double *b, int n) {
    float sum = 0;
    for (int e = 0; e < n; e++) sum += (float)a[e] * (float)b[e];
    return sum;
}
static float score(const look *w, int j) {
    return dot(w->q, w->k + j * w->k_width, w->K) * (float)w->v->k->attr.attention.scale;
}
static float rounded(const look *w, float x) { return (float)type_round(x, w->v->compute); }

typedef void visit_query(const look *w, float *scratch); /* n_keys + K */

static void each_query(cases_values *v, visit_query *visit) {
    const operand_values *q = values_find(v, "q"), *k = values_find(v, "k");
    const int32_t *pos = words_of(v, "q_pos"), *key = words_of(v, "key");
    const int H = (int)extent_of(v, 'H'), G = (int)extent_of(v, 'G'), K = (int)extent_of(v, 'K');
    float *scratch = malloc((size_t)(k->rows + K) * sizeof *scratch);
    if (!scratch) abort();
    for (int b = 0; b < v->k->n_sequences; b++) {
        const hone_range queries = sequence_range(v->k->q_len, b), keys = sequence_range(v->k->k_len, b);
        for (int h = 0; h < H; h++)
            for (int i = 0; i < queries.n; i++) {
                look w = {.v = v, .h = h, .i = i, .n_keys = keys.n, .K = K, .row = queries.first + i, .first = keys.first};
                const int64_t at = keys.first * k->width + h / (H / G) * K;
                w.q = q->x + w.row * q->width + h * K, w.k_width = k->width;
                w.k = k->x + at, w.value = floats_of(v, "v") + at;
                w.stand = pos ? pos[w.row] : i + keys.n - queries.n;
                w.key = key ? key + 2 * w.row : NULL;
                w.threshold = (uint32_t)((double)v->k->attr.p * 65536 + 0.5);
                visit(&w, scratch);
            }
    }
    free(scratch);
}

static void attend(const look *w, float *p) {
    double *o = floats_of(w->v, "o") + w->row * values_find(w->v, "o")->width + w->h * w->K;
    double *lse = floats_of(w->v, "lse") + w->h * values_find(w->v, "lse")->width + w->row;
    float top = -INFINITY, sum = 0;
    for (int j = 0; j < w->n_keys; j++) {
        p[j] = lives(w, j) ? score(w, j) : -INFINITY;
        top = fmaxf(top, p[j]);
    }
    *lse = INFINITY;
    if (top == -INFINITY) return;
    for (int j = 0; j < w->n_keys; j++) {
        const float x = expf(p[j] - top);
        sum += x;
        p[j] = is_kept(w, j) ? rounded(w, x) : 0;
    }
    *lse = top + logf(sum);
    for (int e = 0; e < w->K; e++) {
        float x = 0;
        for (int j = 0; j < w->n_keys; j++) x += p[j] * (float)w->value[j * w->k_width + e];
        o[e] = rounded(w, x * kept_scale(w) / sum);
    }
}

int attention_naive_fwd(cases_values *v, char *why, size_t why_bytes) {
    (void)why, (void)why_bytes;
    const operand_values *lse = values_find(v, "lse");
    for (int64_t e = 0; e < lse->rows * lse->width; e++) lse->x[e] = INFINITY; /* rows of no sequence */
    each_query(v, attend);
    return 1;
}

/* dk and dv gather in fp32, in the results' doubles, until all queries have come. */
static void attend_back(const look *w, float *dq) {
    cases_values *v = w->v;
    const operand_values *q = values_find(v, "q");
    const int64_t at = w->row * q->width + w->h * w->K;
    const double *d_o = floats_of(v, "do") + at;
    const int64_t k_at = w->k - floats_of(v, "k");
    double *dq_row = floats_of(v, "dq"), *dk = floats_of(v, "dk"), *dv = floats_of(v, "dv"); /* each may be unbound */
    const float lse = (float)floats_of(v, "lse")[w->h * q->rows + w->row], delta = dot(d_o, floats_of(v, "o") + at, w->K);
    for (int e = 0; e < w->K; e++) dq[e] = 0;
    for (int j = 0; j < w->n_keys; j++) {
        if (!lives(w, j)) continue;
        const int64_t m = j * w->k_width;
        const float p = expf(score(w, j) - lse), dp = is_kept(w, j) ? dot(d_o, w->value + m, w->K) * kept_scale(w) : 0;
        const float kept = is_kept(w, j) ? rounded(w, p) : 0, ds = rounded(w, p * (dp - delta));
        for (int e = 0; e < w->K; e++) {
            dq[e] += ds * (float)w->k[m + e];
            if (dk) dk[k_at + m + e] = (float)dk[k_at + m + e] + ds * (float)w->q[e];
            if (dv) dv[k_at + m + e] = (float)dv[k_at + m + e] + kept * (float)d_o[e];
        }
    }
    for (int e = 0; e < w->K && dq_row; e++) dq_row[at + e] = rounded(w, dq[e] * (float)v->k->attr.attention.scale);
}

int attention_naive_bwd(cases_values *v, char *why, size_t why_bytes) {
    (void)why, (void)why_bytes;
    each_query(v, attend_back);
    const operand_values *k = values_find(v, "k");
    double *dk = floats_of(v, "dk"), *dv = floats_of(v, "dv");
    const float kept = 65536.0f / (float)(65536 - (uint32_t)((double)v->k->attr.p * 65536 + 0.5));
    for (int64_t e = 0; e < k->rows * k->width; e++) {
        if (dk) dk[e] = type_round((float)dk[e] * (float)v->k->attr.attention.scale, v->compute);
        if (dv) dv[e] = type_round((float)dv[e] * kept, v->compute);
    }
    return 1;
}
