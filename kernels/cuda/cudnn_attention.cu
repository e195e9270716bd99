/* cudnn_attention.cu - attention by cuDNN: what its graphs lack, before and after them.
 *
 *   attention_begin   lengths and offsets of the sequences, from the ranges; those beyond the batch's count have length 0
 *   attention_stats   backward: lse [H,N] as {B,H,S}, +inf beyond a sequence's end, which makes its probabilities 0
 *   cuDNN             cudnn_sdpa.cuh
 *   attention_lse     forward: the way back, +inf for rows without keys, of which the library says nothing
 *   attention_settle  zeros in rows of no sequence and in rows that nothing reaches
 *
 * One plan serves all batches: capacities are in it, lengths are data. Beside the plan's own traffic: lse twice. */
#include "attention.cuh"
#include "cudnn.cuh"
#include "cudnn_sdpa.cuh"

#include <string.h>

static constexpr int THREADS = 128;

/* ---- the graph -------------------------------------------------------------------------------------------------*/
template <typename Q> struct Operands {
    const hone_tensor *row[SDPA_N_ROWS], *lse, *q_at, *k_at;
    explicit Operands(const Q &c) {
        const bool is_forward = c.op == HONE_OP_ATTENTION_FWD;
        const hone_tensor *q = c.in + (is_forward ? 0 : 3);
        for (auto &t : row) t = NULL;
        row[SDPA_Q] = q, row[SDPA_K] = q + 1, row[SDPA_V] = q + 2, q_at = q + 3, k_at = q + 4;
        row[SDPA_O] = is_forward ? c.out : c.in + 1, lse = is_forward ? c.out + 1 : c.in + 2;
        if (is_forward) return;
        row[SDPA_DO] = c.in, row[SDPA_DQ] = c.out, row[SDPA_DK] = c.out + 1, row[SDPA_DV] = c.out + 2;
    }
};
static bool is_of_keys(int uid) { return uid == SDPA_K || uid == SDPA_V || uid == SDPA_DK || uid == SDPA_DV; }

void cudnn_attention_describe(const hone_query *query, cudnn_graph *g, std::vector<int64_t> *key) {
    const Operands<hone_query> o(*query);
    const cudnn_extents e = cudnn_extents_of(query);
    const attention_band band = attention_band_of(&query->attr);
    sdpa_shape s = {};
    s.is_backward = query->op == HONE_OP_ATTENTION_BWD;
    s.type = cudnn_type(query->in[0].dtype);
    s.B = e.B, s.H = e.H, s.K = e.K, s.S[0] = e.S[0], s.S[1] = e.S[1];
    s.alignment = 16, s.scale = (float)query->attr.attention.scale;
    s.left = band.left == ATTENTION_FAR ? -1 : band.left,
    s.right = band.right == ATTENTION_FAR ? -1 : band.right;
    int32_t scale_bits;
    memcpy(&scale_bits, &s.scale, sizeof scale_bits);
    for (int64_t x : {s.B, s.H, s.K, s.S[0], s.S[1], (int64_t)s.left, (int64_t)s.right, (int64_t)scale_bits})
        key->push_back(x);
    for (int i = 1; i < SDPA_N_ROWS; i++) key->push_back(s.ld[i] = o.row[i] ? o.row[i]->ld : 0);
    sdpa_write(g, s);
}

/* ---- kernels ---------------------------------------------------------------------------------------------------*/
struct Sequences {
    const hone_range *at[2]; /* of queries, of keys */
    int n;                   /* in this call */
    int64_t rows[2];
    attention_band band;

    __device__ __forceinline__ hone_range range(int of_keys, int b) const {
        return b < n ? at[of_keys][b] : hone_range{0, 0};
    }
    /* Where the sequences before b end: ranges ascend, those of length 0 may begin anywhere. */
    __device__ __forceinline__ int end_before(int of_keys, int b) const {
        if (b > n) b = n;
        while (b > 0 && at[of_keys][b - 1].n == 0) b--;
        return b > 0 ? at[of_keys][b - 1].first + at[of_keys][b - 1].n : 0;
    }
    __device__ __forceinline__ bool has_keys(hone_range q, hone_range k, int i) const {
        const int stand = i + k.n - q.n;
        return k.n > 0 && stand + band.right >= 0 && stand - band.left < k.n;
    }
};

struct Begin {
    Sequences all;
    int B; /* in the plan */
    int32_t *length[2];
    struct {
        int32_t *to;
        int64_t ld;
        int of_keys;
    } offset[SDPA_N_ROWS];
    int n_offsets;
};
__global__ void attention_begin(const Begin a) {
    const int b = (int)(blockIdx.x * THREADS + threadIdx.x);
    if (b > a.B) return;
    int first[2];
    for (int k = 0; k < 2; k++) {
        const hone_range r = a.all.range(k, b);
        if (b < a.B) a.length[k][b] = r.n;
        first[k] = r.n > 0 ? r.first : a.all.end_before(k, b);
    }
    for (int i = 0; i < a.n_offsets; i++)
        a.offset[i].to[b] = (int32_t)(first[a.offset[i].of_keys] * a.offset[i].ld);
}

/* A block a sequence and head. stats: S numbers for it. */
__global__ void attention_stats(const Sequences all, Rows<float> lse, float *stats, int S, int H) {
    const int b = (int)blockIdx.x, h = (int)blockIdx.y;
    const hone_range q = all.range(0, b);
    float *to = stats + ((int64_t)b * H + h) * S;
    for (int i = (int)threadIdx.x; i < S; i += THREADS) to[i] = i < q.n ? *lse.at(h, q.first + i) : INFINITY;
}
__global__ void attention_lse(const Sequences all, const float *stats, Rows<float> lse, int S, int H) {
    const int b = (int)blockIdx.x, h = (int)blockIdx.y;
    const hone_range q = all.range(0, b), k = all.range(1, b);
    const float *from = stats + ((int64_t)b * H + h) * S;
    for (int i = (int)threadIdx.x; i < q.n; i += THREADS)
        *lse.at(h, q.first + i) = all.has_keys(q, k, i) ? from[i] : INFINITY;
}

/* A block a sequence, and the rows between it and the one before; one more for those behind the last. */
struct Settle {
    Sequences all;
    Rows<uint16_t> of_queries, of_keys[2]; /* o, or dq; dk, dv. NULL: none */
    Rows<float> lse;                       /* forward's */
    int64_t width;
    int H;

    __device__ void zero(Rows<uint16_t> x, int64_t row) const {
        if (!x.p) return;
        for (int64_t d = threadIdx.x; d < width; d += THREADS) *x.at(row, d) = 0;
    }
};
__global__ void attention_settle(const Settle a) {
    const int b = (int)blockIdx.x;
    const bool is_last = b == (int)gridDim.x - 1;
    const hone_range q = a.all.range(0, b), k = a.all.range(1, b);
    const int64_t q_end = is_last ? a.all.rows[0]
                          : q.n   ? q.first
                                  : 0,
                  k_end = is_last ? a.all.rows[1]
                          : k.n   ? k.first
                                  : 0;
    for (int64_t n = q_end > 0 ? a.all.end_before(0, b) : 0; n < q_end; n++) {
        a.zero(a.of_queries, n);
        for (int h = (int)threadIdx.x; a.lse.p && h < a.H; h += THREADS) *a.lse.at(h, n) = INFINITY;
    }
    for (int i = 0; i < q.n; i++)
        if (!a.all.has_keys(q, k, i)) a.zero(a.of_queries, q.first + i);
    if (!a.of_keys[0].p) return;
    for (int64_t n = k_end > 0 ? a.all.end_before(1, b) : 0; n < k_end; n++)
        a.zero(a.of_keys[0], n), a.zero(a.of_keys[1], n);
    for (int j = 0; q.n == 0 && j < k.n; j++)
        a.zero(a.of_keys[0], k.first + j), a.zero(a.of_keys[1], k.first + j);
}

/* ---- the call --------------------------------------------------------------------------------------------------*/
static char *take(char **work, size_t bytes) {
    char *p = *work;
    *work += bytes;
    return p;
}

hone_status cudnn_attention_play(hone_queue *q, const hone_call *c) {
    const cudnn_choice *choice = (const cudnn_choice *)c->choice;
    const cudnn_extents &e = choice->extents;
    const Operands<hone_call> o(*c);
    const bool is_forward = c->op == HONE_OP_ATTENTION_FWD;
    Sequences all = {};
    all.at[0] = ptr<const hone_range>(*o.q_at), all.at[1] = ptr<const hone_range>(*o.k_at),
    all.n = (int)o.q_at->dim[0];
    all.rows[0] = o.row[SDPA_Q]->dim[0], all.rows[1] = o.row[SDPA_K]->dim[0];
    all.band = attention_band_of(&c->attr);
    const Rows<float> lse = rows_of<float>(*o.lse);

    char *work = (char *)(((uintptr_t)c->work + 255) / 256 * 256);
    float *stats = (float *)take(&work, CUDNN_COLUMN_BYTES(e));
    cudnn_binding bound[2 * SDPA_N_ROWS + 4];
    int n = 0;
    bound[n++] = {SDPA_STATS, stats};
    if (!is_forward) bound[n++] = {SDPA_DELTA, take(&work, CUDNN_COLUMN_BYTES(e))};
    Begin begin = {};
    begin.all = all, begin.B = (int)e.B;
    for (int k = 0; k < 2; k++) {
        begin.length[k] = (int32_t *)take(&work, CUDNN_WORD_BYTES(e));
        bound[n++] = {k ? SDPA_LEN_K : SDPA_LEN_Q, begin.length[k]};
    }
    for (int i = 1; i < SDPA_N_ROWS; i++) {
        if (!o.row[i]) continue;
        int32_t *to = (int32_t *)take(&work, CUDNN_WORD_BYTES(e));
        begin.offset[begin.n_offsets++] = {to, o.row[i]->ld, is_of_keys(i)};
        bound[n++] = {i, o.row[i]->p};
        bound[n++] = {SDPA_AT + i, to};
    }
    const dim3 columns((unsigned)e.B, (unsigned)e.H);
    HONE_TRY(launch(q, attention_begin, (unsigned)ceil_div(e.B + 1, THREADS), THREADS, 0, begin));
    if (!is_forward)
        HONE_TRY(launch(q, attention_stats, columns, THREADS, 0, all, lse, stats, (int)e.S[0], (int)e.H));
    HONE_TRY(cudnn_play(q, c, bound, n, work));
    if (is_forward)
        HONE_TRY(launch(q, attention_lse, columns, THREADS, 0, all, stats, lse, (int)e.S[0], (int)e.H));
    Settle settle = {};
    settle.all = all, settle.width = e.H * e.K, settle.H = (int)e.H;
    settle.of_queries = rows_of<uint16_t>(*o.row[is_forward ? SDPA_O : SDPA_DQ]);
    if (is_forward) settle.lse = lse;
    else
        settle.of_keys[0] = rows_of<uint16_t>(*o.row[SDPA_DK]),
        settle.of_keys[1] = rows_of<uint16_t>(*o.row[SDPA_DV]);
    return launch(q, attention_settle, (unsigned)(all.n + 1), THREADS, 0, settle);
}
