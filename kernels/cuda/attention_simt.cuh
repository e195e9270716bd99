/* attention_simt.cuh - attention without tensor cores: fp32, and whatever shape, stride or mask the fast variants leave.
 *   forward   P = exp(scale q k' - lse), o = drop(P) v
 *   backward  dS = P (drop'(do v') - delta), delta = sum of do o; dq = scale dS k, dk = scale dS' q, dv = drop(P)' do
 * Operands as in attention.cuh; any K up to 256, any stride. Tiles of 64 x 64 scores: 16 x 16 threads have 4 x 4 each.
 *
 * fwd: a block owns 64 queries of a head and walks their keys with a running maximum. bwd_keys: a block owns 64 keys
 * of a head of keys, walks the heads that share it and their queries; dk and dv are its own. bwd_rows: a block owns 64
 * queries and walks their keys once more for dq. So every sum has one owner and one order. Rows pass through shared
 * memory in slices of 32 columns; they are read once for each tile of the other side, so the floor (each operand
 * once) holds only for 64 keys, the rest is traffic with the L2 cache.
 * Plain version: kernels/ref/attention.inc. Cases: kernels/cases/attention.c. */
#ifndef CUDA_ATTENTION_SIMT_CUH
#define CUDA_ATTENTION_SIMT_CUH
#include "attention.cuh"

namespace {
constexpr int TILE = 64, SLICE = 32, THREADS = 256;
constexpr int PITCH = TILE + 4; /* the two halves of a warp, rows r and r + 4, write to different banks */

struct Scratch {
    float left[TILE][SLICE + 1], right[TILE][SLICE + 1]; /* a slice of the rows that are multiplied */
    float p[TILE][PITCH], ds[TILE][PITCH];               /* [query][key] */
    float row_max[TILE], row_sum[TILE], shrink[TILE];    /* forward: of a query */
    float lse[TILE], delta[TILE];                        /* backward */
    int stand[TILE];
    hone_key key[TILE];
};

/* Rows first .. first + n - 1, n <= 64, from a column on. */
template <typename T> struct Part {
    Rows<const T> rows;
    int64_t first, column;
    int n;
};

/* A slice of a part; what lies beyond its rows or the head's width is zero. */
template <typename T> __device__ void load_slice(float (*to)[SLICE + 1], const Part<T> &x, int slice, int width) {
    const int c = threadIdx.x % SLICE, column = slice * SLICE + c;
    for (int r = threadIdx.x / SLICE; r < TILE; r += THREADS / SLICE)
        to[r][c] = r < x.n && column < width ? to_float(*x.rows.at(x.first + r, x.column + column)) : 0.0f;
}

/* s[i][j] = row 4 y + i of x times row t + 16 j of z, y = thread / 16, t = thread % 16. */
template <typename T>
__device__ void multiply_rows(float s[4][4], Scratch &m, const Part<T> &x, const Part<T> &z, int width) {
    const int y = threadIdx.x / 16, t = threadIdx.x % 16;
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++) s[i][j] = 0;
    for (int slice = 0; slice * SLICE < width; slice++) {
        __syncthreads(); /* the slice before has been read */
        load_slice(m.left, x, slice, width);
        load_slice(m.right, z, slice, width);
        __syncthreads();
#pragma unroll 4
        for (int c = 0; c < SLICE; c++) {
            float a[4], b[4];
#pragma unroll
            for (int i = 0; i < 4; i++) a[i] = m.left[4 * y + i][c], b[i] = m.right[t + 16 * i][c];
#pragma unroll
            for (int i = 0; i < 4; i++)
#pragma unroll
                for (int j = 0; j < 4; j++) s[i][j] += a[i] * b[j];
        }
    }
}

/* sum[i][c] += sum over r of w(4 y + i, r) times column t + 16 c of row r of x: w is weights, or its transpose. */
template <bool TRANSPOSED, int SLICES, typename T>
__device__ void add_product(float sum[4][2 * SLICES], float (*weights)[PITCH], Scratch &m, const Part<T> &x, int width) {
    const int y = threadIdx.x / 16, t = threadIdx.x % 16;
#pragma unroll
    for (int slice = 0; slice < SLICES; slice++) {
        if (slice * SLICE >= width) break;
        __syncthreads(); /* weights are written, the slice before has been read */
        load_slice(m.right, x, slice, width);
        __syncthreads();
        for (int r = 0; r < x.n; r++) {
            const float b0 = m.right[r][t], b1 = m.right[r][t + 16];
#pragma unroll
            for (int i = 0; i < 4; i++) {
                const float w = TRANSPOSED ? weights[r][4 * y + i] : weights[4 * y + i][r];
                sum[i][2 * slice] += w * b0;
                sum[i][2 * slice + 1] += w * b1;
            }
        }
    }
}

/* Where queries first .. first + n - 1 of the piece stand, and their keys. */
template <typename T>
__device__ void load_queries(Scratch &m, const Attention<T> &a, const attention_piece &s, int first, int n) {
    for (int r = threadIdx.x; r < TILE; r += THREADS) {
        const int64_t row = s.q_row + first + (r < n ? r : 0);
        m.stand[r] = r >= n ? -ATTENTION_FAR : a.q_pos ? a.q_pos[row] : first + r + s.k_len - s.q_len;
        if (r < n && a.drop.threshold) m.key[r] = a.key[row];
    }
}

template <typename T>
__device__ void live_keys(const Attention<T> &a, const attention_piece &s, int first, int n, int *begin, int *end) {
    *begin = 0, *end = s.k_len;
    if (!a.q_pos) attention_live_keys(a.band, first, first + n - 1, s.k_len - s.q_len, s.k_len, begin, end);
}

template <typename T> __device__ Part<T> head_of(Rows<const T> rows, int64_t first, int n, int head, int width) {
    return {rows, first, (int64_t)head * width, n};
}
template <typename T> __device__ Rows<const T> as_const(Rows<T> r) { return {r.p, r.ld}; }

template <typename T, int SLICES>
__device__ void store_rows(Rows<T> to, int64_t first, int n, int64_t column, int width, float sum[4][2 * SLICES],
                           float scale) {
    const int y = threadIdx.x / 16, t = threadIdx.x % 16;
#pragma unroll
    for (int i = 0; i < 4; i++)
#pragma unroll
        for (int c = 0; c < 2 * SLICES; c++)
            if (4 * y + i < n && t + 16 * c < width)
                *to.at(first + 4 * y + i, column + t + 16 * c) = from_float<T>(sum[i][c] * scale);
}

/* ---- forward -------------------------------------------------------------------------------------------------*/
/* Scores of a tile, in units of log2, become kept probabilities in m.p relative to the running maximum, whose change
 * shrinks what was summed before. The 16 threads of a row are half a warp. */
template <typename T>
__device__ void soften(float s[4][4], Scratch &m, const Attention<T> &a, const attention_piece &piece, int j0, int head) {
    const int y = threadIdx.x / 16, t = threadIdx.x % 16;
    for (int i = 0; i < 4; i++) {
        const int r = 4 * y + i;
        float top = m.row_max[r], sum = 0;
        for (int j = 0; j < 4; j++) {
            const int key = j0 + t + 16 * j;
            s[i][j] = key < piece.k_len && sees(a.band, m.stand[r], key) ? s[i][j] * a.log2_scale : -INFINITY;
            top = fmaxf(top, s[i][j]);
        }
        top = warp_max<16>(top);
        const float base = top == -INFINITY ? 0.0f : top; /* no key yet: no inf - inf */
        for (int j = 0; j < 4; j++) {
            const float p = exp2f(s[i][j] - base);
            sum += p;
            const bool kept = a.drop.threshold == 0 || keeps(a.drop, m.key[r], j0 + t + 16 * j, head);
            m.p[r][t + 16 * j] = kept ? p : 0.0f;
        }
        sum = warp_sum<16>(sum);
        if (t == 0) {
            m.shrink[r] = exp2f(m.row_max[r] - base);
            m.row_sum[r] = m.row_sum[r] * m.shrink[r] + sum;
            m.row_max[r] = top;
        }
        __syncwarp();
    }
}

template <typename T, int SLICES> __global__ void __launch_bounds__(THREADS, SLICES == 2 ? 3 : SLICES == 4 ? 2 : 1) attention_fwd_simt(Attention<T> a) {
    Scratch &m = shared_memory<Scratch>();
    const attention_piece *piece = tile_of(a.list, blockIdx.x / a.H);
    if (!piece) return;
    const attention_piece s = *piece;
    const int head = blockIdx.x % a.H, first = s.first + (int)blockIdx.y * TILE, n = min(TILE, s.q_len - first);
    if (n <= 0) return;
    const int y = threadIdx.x / 16;
    if (threadIdx.x < TILE) m.row_max[threadIdx.x] = -INFINITY, m.row_sum[threadIdx.x] = 0;
    load_queries(m, a, s, first, n);
    float o[4][2 * SLICES] = {};
    const Part<T> q = head_of(a.q, s.q_row + first, n, head, a.K);
    int begin, end;
    live_keys(a, s, first, n, &begin, &end);
    for (int j0 = begin / TILE * TILE; j0 < end; j0 += TILE) {
        const int n_keys = min(TILE, s.k_len - j0);
        float score[4][4];
        multiply_rows(score, m, q, head_of(a.k, s.k_row + j0, n_keys, head / a.group, a.K), a.K);
        soften(score, m, a, s, j0, head);
        for (int i = 0; i < 4; i++)
            for (int c = 0; c < 2 * SLICES; c++) o[i][c] *= m.shrink[4 * y + i];
        add_product<false, SLICES>(o, m.p, m, head_of(a.v, s.k_row + j0, n_keys, head / a.group, a.K), a.K);
    }
    __syncthreads(); /* also where no key was seen: row_sum is still as it began */
    for (int i = 0; i < 4; i++) {
        const float sum = m.row_sum[4 * y + i];
        for (int c = 0; c < 2 * SLICES; c++) o[i][c] *= sum > 0 ? a.drop.scale / sum : 0.0f;
    }
    store_rows<T, SLICES>(a.o, s.q_row + first, n, (int64_t)head * a.K, a.K, o, 1);
    for (int r = threadIdx.x; r < n; r += THREADS)
        *a.lse.at(head, s.q_row + first + r) = m.row_sum[r] > 0 ? (m.row_max[r] + log2f(m.row_sum[r])) * LN_2 : INFINITY;
}

/* ---- backward ------------------------------------------------------------------------------------------------*/
/* lse in units of log2 and delta of the tile's queries; without keys lse is +inf, and all probabilities are 0. */
template <typename T> __device__ void load_statistics(Scratch &m, const Attention<T> &a, int64_t first, int n, int head) {
    const int t = threadIdx.x % 16;
    for (int r = threadIdx.x / 16; r < TILE; r += THREADS / 16) {
        float delta = 0;
        for (int c = t; r < n && c < a.K; c += 16)
            delta += to_float(*a.d_o.at(first + r, head * a.K + c)) * to_float(*a.o.at(first + r, head * a.K + c));
        delta = warp_sum<16>(delta);
        if (t == 0) m.delta[r] = delta, m.lse[r] = r < n ? *a.lse.at(head, first + r) * LOG2_E : INFINITY;
    }
}

/* m.p and m.ds, [query][key], of queries i0 .. and keys j0 .. . */
template <typename T>
__device__ void probabilities_and_gradients(Scratch &m, const Attention<T> &a, const attention_piece &s, int i0, int n, int j0,
                                            int head) {
    const int y = threadIdx.x / 16, t = threadIdx.x % 16, n_keys = min(TILE, s.k_len - j0);
    float score[4][4], dp[4][4];
    __syncthreads(); /* the tile before has been read */
    load_queries(m, a, s, i0, n);
    load_statistics(m, a, s.q_row + i0, n, head);
    multiply_rows(score, m, head_of(a.q, s.q_row + i0, n, head, a.K),
                  head_of(a.k, s.k_row + j0, n_keys, head / a.group, a.K), a.K);
    multiply_rows(dp, m, head_of(a.d_o, s.q_row + i0, n, head, a.K),
                  head_of(a.v, s.k_row + j0, n_keys, head / a.group, a.K), a.K);
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++) {
            const int r = 4 * y + i, c = t + 16 * j;
            const bool lives = c < n_keys && sees(a.band, m.stand[r], j0 + c);
            const float p = lives ? exp2f(score[i][j] * a.log2_scale - m.lse[r]) : 0.0f;
            const bool kept = lives && (a.drop.threshold == 0 || keeps(a.drop, m.key[r], j0 + c, head));
            score[i][j] = kept ? p : 0.0f;
            dp[i][j] = lives ? p * ((kept ? dp[i][j] * a.drop.scale : 0.0f) - m.delta[r]) : 0.0f;
        }
    for (int i = 0; i < 4; i++) /* by themselves, so that a warp stores together whatever was kept */
        for (int j = 0; j < 4; j++) m.p[4 * y + i][t + 16 * j] = score[i][j], m.ds[4 * y + i][t + 16 * j] = dp[i][j];
}

template <typename T, int SLICES> __global__ void __launch_bounds__(THREADS) attention_bwd_keys_simt(Attention<T> a) {
    Scratch &m = shared_memory<Scratch>();
    const int n_heads = a.H / a.group, of_keys = blockIdx.x % n_heads;
    const attention_piece *piece = block_of(a.list, blockIdx.x / n_heads);
    if (!piece) return;
    const attention_piece s = *piece;
    const int j0 = s.first + (int)blockIdx.y * TILE, n_keys = min(TILE, s.k_len - j0);
    if (n_keys <= 0) return;
    float dk[4][2 * SLICES] = {}, dv[4][2 * SLICES] = {};
    int begin = 0, end = s.q_len;
    if (!a.q_pos) attention_live_queries(a.band, j0, j0 + n_keys - 1, s.k_len - s.q_len, s.q_len, &begin, &end);
    for (int head = of_keys * a.group; head < (of_keys + 1) * a.group; head++)
        for (int i0 = begin / TILE * TILE; i0 < end; i0 += TILE) {
            const int n = min(TILE, s.q_len - i0);
            probabilities_and_gradients(m, a, s, i0, n, j0, head);
            add_product<true, SLICES>(dv, m.p, m, head_of(a.d_o, s.q_row + i0, n, head, a.K), a.K);
            add_product<true, SLICES>(dk, m.ds, m, head_of(a.q, s.q_row + i0, n, head, a.K), a.K);
        }
    const int64_t column = (int64_t)of_keys * a.K;
    if (a.dk.p) store_rows<T, SLICES>(a.dk, s.k_row + j0, n_keys, column, a.K, dk, a.scale);
    if (a.dv.p) store_rows<T, SLICES>(a.dv, s.k_row + j0, n_keys, column, a.K, dv, a.drop.scale);
}

template <typename T, int SLICES> __global__ void __launch_bounds__(THREADS) attention_bwd_rows_simt(Attention<T> a) {
    Scratch &m = shared_memory<Scratch>();
    const attention_piece *piece = tile_of(a.list, blockIdx.x / a.H);
    if (!piece) return;
    const attention_piece s = *piece;
    const int head = blockIdx.x % a.H, first = s.first + (int)blockIdx.y * TILE, n = min(TILE, s.q_len - first);
    if (n <= 0) return;
    float dq[4][2 * SLICES] = {};
    int begin, end;
    live_keys(a, s, first, n, &begin, &end);
    for (int j0 = begin / TILE * TILE; j0 < end; j0 += TILE) {
        probabilities_and_gradients(m, a, s, first, n, j0, head);
        add_product<false, SLICES>(dq, m.ds, m, head_of(a.k, s.k_row + j0, min(TILE, s.k_len - j0), head / a.group, a.K), a.K);
    }
    store_rows<T, SLICES>(a.dq, s.q_row + first, n, (int64_t)head * a.K, a.K, dq, a.scale);
}

template <typename T, int SLICES> hone_status forward(hone_queue *q, const Attention<T> &a, const attention_cut &cut) {
    const dim3 blocks((unsigned)(cut.tiles_cap * cut.H), (unsigned)(cut.tile_rows / TILE));
    return launch(q, attention_fwd_simt<T, SLICES>, blocks, THREADS, sizeof(Scratch), a);
}
template <typename T, int SLICES> hone_status backward(hone_queue *q, const Attention<T> &a, const attention_cut &cut) {
    const dim3 of_keys((unsigned)(cut.blocks_cap * cut.G), (unsigned)(cut.block_rows / TILE));
    const dim3 of_rows((unsigned)(cut.tiles_cap * cut.H), (unsigned)(cut.tile_rows / TILE));
    hone_status status = HONE_OK;
    if (a.dk.p || a.dv.p) status = launch(q, attention_bwd_keys_simt<T, SLICES>, of_keys, THREADS, sizeof(Scratch), a);
    if (!status && a.dq.p) status = launch(q, attention_bwd_rows_simt<T, SLICES>, of_rows, THREADS, sizeof(Scratch), a);
    return status;
}
} // namespace

/* Slices of 32 columns that a thread has sums for. */
#define BY_WIDTH(fn, ...)                                                                                    \
    (cut.K <= 64 ? fn<T, 2>(__VA_ARGS__) : cut.K <= 128 ? fn<T, 4>(__VA_ARGS__) : fn<T, 8>(__VA_ARGS__))

template <typename T> hone_status attention_simt_fwd(hone_queue *q, const Attention<T> &a, const attention_cut &cut) {
    return BY_WIDTH(forward, q, a, cut);
}
template <typename T> hone_status attention_simt_bwd(hone_queue *q, const Attention<T> &a, const attention_cut &cut) {
    return BY_WIDTH(backward, q, a, cut);
}
#define ATTENTION_SIMT_OF(T)                                                                                 \
    template hone_status attention_simt_fwd<T>(hone_queue *, const Attention<T> &, const attention_cut &);   \
    template hone_status attention_simt_bwd<T>(hone_queue *, const Attention<T> &, const attention_cut &);
#endif
