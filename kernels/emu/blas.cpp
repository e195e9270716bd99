/* blas.cpp - the emulated cuBLASLt: plain loops. */
#include "control.h"
#include "cublasLt.h"

#include <algorithm>
#include <thread>
#include <vector>

namespace {
struct layout {
    int32_t type;
    int64_t rows, cols, ld;
};
struct operation {
    int32_t compute, trans_a, trans_b, epilogue;
    char *bias, *aux;
    int64_t aux_ld;
};
struct preference {
    uint64_t workspace_bytes;
    uint32_t schemes, alignment[4]; /* of a, b, c, d */
};
/* What makes two problems the same to an algorithm, and what it promises. */
struct algorithm {
    uint32_t number, splits, scheme, epilogue;
    uint8_t types[4], trans[2], log2_alignment[4], is_tf32;
};
static_assert(sizeof(layout) <= sizeof(cublasLtMatrixLayoutOpaque_t) &&
              sizeof(operation) <= sizeof(cublasLtMatmulDescOpaque_t) &&
              sizeof(preference) <= sizeof(cublasLtMatmulPreferenceOpaque_t) &&
              sizeof(algorithm) <= sizeof(cublasLtMatmulAlgo_t));
template <typename T, typename Opaque> T &in(Opaque *opaque) { return *reinterpret_cast<T *>(opaque); }

constexpr size_t NEEDED = 512; /* bytes of workspace, of every algorithm */
float get(const char *p, int64_t i, int type) {
    float x;
    uint16_t h;
    if (type == CUDA_R_32F) return memcpy(&x, p + 4 * i, 4), x;
    memcpy(&h, p + 2 * i, 2);
    return type == CUDA_R_16BF ? cuemu::bf16_value(h) : cuemu::half_value(h);
}
/* As cvt.rna.tf32.f32 (PTX ISA, "cvt"): the nearest of 10 bits of mantissa, of two the one farther from zero. Whether
 * the library does that or cuts the bits off is not documented; a test may bound either. */
float tf32_value(float x) {
    uint32_t bits;
    memcpy(&bits, &x, 4);
    if ((bits & 0x7f800000u) != 0x7f800000u) bits = (bits + 0x1000u) & ~0x1fffu;
    return memcpy(&x, &bits, 4), x;
}
void set(char *p, int64_t i, int type, float x) {
    if (type == CUDA_R_32F) {
        memcpy(p + 4 * i, &x, 4);
        return;
    }
    const uint16_t h = type == CUDA_R_16BF ? cuemu::bf16_bits(x) : cuemu::half_bits(x);
    memcpy(p + 2 * i, &h, 2);
}

double gelu_slope(double x) {
    if (cuemu_control()->gelu_is_erf)
        return 0.5 * erfc(-x * 0.70710678118654752) + x * 0.39894228040143268 * exp(-0.5 * x * x);
    const double s = 1 / (1 + exp(-2 * 0.79788456080286536 * (x + 0.044715 * x * x * x)));
    return s + x * s * (1 - s) * 2 * 0.79788456080286536 * (1 + 3 * 0.044715 * x * x);
}

bool has_bias(int e) { return e == CUBLASLT_EPILOGUE_BIAS; }
bool has_aux(int e) { return e & 128; }
bool is_known(int e) {
    switch (e) {
    case CUBLASLT_EPILOGUE_BGRADB:
        return !cuemu_control()->has_no_bgradb;
    case CUBLASLT_EPILOGUE_BIAS:
        return !cuemu_control()->has_no_bias;
    case CUBLASLT_EPILOGUE_DEFAULT:
    case CUBLASLT_EPILOGUE_DGELU:
        return true;
    default:
        return false;
    }
}

/* A problem: the descriptors agree with each other. */
cublasStatus_t check(const operation &o, const layout &a, const layout &b, const layout &c, const layout &d) {
    const int64_t m = o.trans_a ? a.cols : a.rows, k = o.trans_a ? a.rows : a.cols;
    const int64_t k_b = o.trans_b ? b.cols : b.rows, n = o.trans_b ? b.rows : b.cols;
    if (m != d.rows || n != d.cols || k != k_b || c.rows != d.rows || c.cols != d.cols || c.type != d.type ||
        a.type != b.type)
        return CUBLAS_STATUS_INVALID_VALUE;
    if (o.compute != CUBLAS_COMPUTE_32F &&
        (o.compute != CUBLAS_COMPUTE_32F_FAST_TF32 || a.type != CUDA_R_32F))
        return CUBLAS_STATUS_NOT_SUPPORTED;
    if (m < 1 || n < 1 || k < 1 || (d.type != a.type && d.type != CUDA_R_32F))
        return CUBLAS_STATUS_NOT_SUPPORTED;
    for (const layout *l : {&a, &b, &c, &d})
        if (l->ld < l->rows) return CUBLAS_STATUS_INVALID_VALUE;
    if (!is_known(o.epilogue)) return CUBLAS_STATUS_NOT_SUPPORTED;
    if (has_aux(o.epilogue) && (o.aux_ld % 8 || o.aux_ld < d.rows)) return CUBLAS_STATUS_INVALID_VALUE;
    return CUBLAS_STATUS_SUCCESS;
}
algorithm describe(const operation &o, const layout &a, const layout &b, const layout &c, const layout &d) {
    algorithm g = {};
    g.splits = 1;
    g.epilogue = (uint32_t)o.epilogue;
    g.types[0] = (uint8_t)a.type, g.types[1] = (uint8_t)b.type, g.types[2] = (uint8_t)c.type,
    g.types[3] = (uint8_t)d.type;
    g.trans[0] = (uint8_t)o.trans_a, g.trans[1] = (uint8_t)o.trans_b;
    g.is_tf32 = o.compute == CUBLAS_COMPUTE_32F_FAST_TF32;
    return g;
}

/* ---- the product -------------------------------------------------------------------------------------------------*/
typedef float lanes __attribute__((vector_size(32)));
constexpr int64_t TILE = 16, COLUMNS = 4; /* of D, in registers */

/* op(A) as [tiles of m][k][TILE] and op(B) as [tiles of n][k][COLUMNS], in fp32 or TF32, zeros beyond the ends. */
std::vector<float> packed(const char *p, const layout &l, bool transposed, int64_t extent, int64_t k,
                          int64_t tile, bool is_tf32) {
    std::vector<float> out((size_t)((extent + tile - 1) / tile * tile * k));
    for (int64_t i = 0; i < extent; i++)
        for (int64_t j = 0; j < k; j++) {
            const float x = get(p, transposed ? j + i * l.ld : i + j * l.ld, l.type);
            out[(size_t)((i / tile * k + j) * tile + i % tile)] = is_tf32 ? tf32_value(x) : x;
        }
    return out;
}
/* sum[COLUMNS][TILE] over k from first to last, a product and a sum at a time: the same bits with and without AVX. */
typedef void multiply_fn(const float *a, const float *b, int64_t first, int64_t last, float *sum);
__attribute__((always_inline)) inline void multiply_tile(const float *a, const float *b, int64_t first,
                                                         int64_t last, float *sum) {
    constexpr int V = TILE / 8;
    lanes s[COLUMNS][V] = {};
    for (int64_t k = first; k < last; k++)
        for (int v = 0; v < V; v++) {
            lanes x;
            memcpy(&x, a + k * TILE + 8 * v, sizeof x);
            for (int j = 0; j < COLUMNS; j++) s[j][v] += x * b[k * COLUMNS + j];
        }
    memcpy(sum, s, sizeof s);
}
__attribute__((target("avx2"))) void multiply_avx2(const float *a, const float *b, int64_t first,
                                                   int64_t last, float *sum) {
    multiply_tile(a, b, first, last, sum);
}
void multiply_any(const float *a, const float *b, int64_t first, int64_t last, float *sum) {
    multiply_tile(a, b, first, last, sum);
}

struct job {
    operation o;
    layout a, b, c, d;
    algorithm g;
    float alpha, beta;
    const char *A, *B, *C;
    char *D;
};
void finish(const job &w, int64_t i, int64_t j, float x) {
    x *= w.alpha;
    if (w.beta != 0) x += w.beta * get(w.C, i + j * w.c.ld, w.c.type);
    if (has_bias(w.o.epilogue)) x += get(w.o.bias, i, w.d.type);
    if (w.o.epilogue == CUBLASLT_EPILOGUE_DGELU)
        x *= (float)gelu_slope(get(w.o.aux, i + j * w.o.aux_ld, w.d.type));
    set(w.D, i + j * w.d.ld, w.d.type, x);
}
/* The order of an algorithm's sums over k: number 0 takes all in a row (or, as one that tells rows, the second half
 * first), number i a sum of 8 i each, added in a row. Zeros at the end change none of them. */
struct part {
    int64_t first, last;
};
std::vector<part> parts_of(const algorithm &g, int64_t n, int64_t k) {
    if (g.number == 0 && cuemu_control()->tells_rows && n > 64 && k > 1) return {{k / 2, k}, {0, k / 2}};
    const int64_t step = g.number == 0 || g.splits > 1 ? k : 8 * (int64_t)g.number;
    std::vector<part> parts;
    for (int64_t at = 0; at < k; at += step) parts.push_back({at, std::min(k, at + step)});
    return parts;
}
void multiply(const job &w, int n_workers) {
    const int64_t m = w.d.rows, n = w.d.cols, k = w.o.trans_a ? w.a.rows : w.a.cols;
    /* op(A)[i][k] of a transposed A lies at k + i ld, op(B)[k][j] of a B that is not transposed likewise. */
    const std::vector<float> A = packed(w.A, w.a, w.o.trans_a, m, k, TILE, w.g.is_tf32),
                             B = packed(w.B, w.b, !w.o.trans_b, n, k, COLUMNS, w.g.is_tf32);
    const std::vector<part> parts = parts_of(w.g, n, k);
    const int64_t m_tiles = (m + TILE - 1) / TILE, n_tiles = (n + COLUMNS - 1) / COLUMNS;
    multiply_fn *const multiply_one = __builtin_cpu_supports("avx2") ? multiply_avx2 : multiply_any;
    const auto columns = [&](int64_t first, int64_t last) {
        for (int64_t t = first; t < last; t++)
            for (int64_t u = 0; u < m_tiles; u++) {
                float sum[COLUMNS][TILE], more[COLUMNS][TILE];
                const float *const rows = &A[(size_t)(u * k * TILE)], *const cols =
                                                                          &B[(size_t)(t * k * COLUMNS)];
                multiply_one(rows, cols, parts[0].first, parts[0].last, &sum[0][0]);
                for (size_t p = 1; p < parts.size(); p++) {
                    multiply_one(rows, cols, parts[p].first, parts[p].last, &more[0][0]);
                    for (int64_t e = 0; e < COLUMNS * TILE; e++) (&sum[0][0])[e] += (&more[0][0])[e];
                }
                for (int64_t j = t * COLUMNS; j < std::min(n, (t + 1) * COLUMNS); j++)
                    for (int64_t i = u * TILE; i < std::min(m, (u + 1) * TILE); i++)
                        finish(w, i, j, sum[j % COLUMNS][i % TILE]);
            }
    };
    const int64_t threads = m * n * k < 1 << 20 ? 1 : std::min<int64_t>(n_workers, n_tiles);
    std::vector<std::thread> others;
    for (int64_t t = 1; t < threads; t++)
        others.emplace_back(columns, n_tiles * t / threads, n_tiles * (t + 1) / threads);
    columns(0, n_tiles / std::max<int64_t>(threads, 1));
    for (std::thread &t : others) t.join();
    if (w.o.epilogue == CUBLASLT_EPILOGUE_BGRADB)
        for (int64_t j = 0; j < n; j++) {
            float sum = 0;
            for (int64_t i = 0; i < k; i++) sum += B[(size_t)((j / COLUMNS * k + i) * COLUMNS + j % COLUMNS)];
            set(w.o.bias, j, w.d.type, sum);
        }
}
bool is_aligned(const void *p, int log2_bytes) { return (uintptr_t)p % ((uintptr_t)1 << log2_bytes) == 0; }
int log2_of(uint32_t bytes) { return __builtin_ctz(bytes | 256u); }
} // namespace

struct cublasLtContext {
    int unused;
};
cublasStatus_t cublasLtCreate(cublasLtHandle_t *out) {
    return *out = new cublasLtContext(), CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) { return delete handle, CUBLAS_STATUS_SUCCESS; }
size_t cublasLtGetVersion(void) { return 130000; }
const char *cublasLtGetStatusString(cublasStatus_t status) {
    switch (status) {
    case CUBLAS_STATUS_SUCCESS:
        return "success";
    case CUBLAS_STATUS_NOT_SUPPORTED:
        return "the requested functionality is not supported";
    default:
        return "an unsupported value or parameter was passed to the function";
    }
}
cublasStatus_t cublasLtMatrixLayoutInit(cublasLtMatrixLayout_t l, cudaDataType type, uint64_t rows,
                                        uint64_t cols, int64_t ld) {
    in<layout>(l) = layout{type, (int64_t)rows, (int64_t)cols, ld};
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescInit(cublasLtMatmulDesc_t desc, cublasComputeType_t compute,
                                      cudaDataType_t scale) {
    if (scale != CUDA_R_32F) return CUBLAS_STATUS_NOT_SUPPORTED;
    in<operation>(desc) = operation{compute, 0, 0, CUBLASLT_EPILOGUE_DEFAULT, nullptr, nullptr, 0};
    return CUBLAS_STATUS_SUCCESS;
}
template <typename T> static cublasStatus_t assign(T &to, const void *value, size_t bytes) {
    if (!value || bytes != sizeof to) return CUBLAS_STATUS_INVALID_VALUE;
    memcpy(&to, value, bytes);
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t desc,
                                              cublasLtMatmulDescAttributes_t attribute, const void *value,
                                              size_t bytes) {
    operation &o = in<operation>(desc);
    switch (attribute) {
    case CUBLASLT_MATMUL_DESC_TRANSA:
        return assign(o.trans_a, value, bytes);
    case CUBLASLT_MATMUL_DESC_TRANSB:
        return assign(o.trans_b, value, bytes);
    case CUBLASLT_MATMUL_DESC_EPILOGUE:
        return assign(o.epilogue, value, bytes);
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER:
        return assign(o.bias, value, bytes);
    case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER:
        return assign(o.aux, value, bytes);
    case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD:
        return assign(o.aux_ld, value, bytes);
    }
    return CUBLAS_STATUS_INVALID_VALUE;
}
cublasStatus_t cublasLtMatmulPreferenceInit(cublasLtMatmulPreference_t p) {
    in<preference>(p) = preference{0, CUBLASLT_REDUCTION_SCHEME_MASK, {256, 256, 256, 256}};
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t pref,
                                                    cublasLtMatmulPreferenceAttributes_t attribute,
                                                    const void *value, size_t bytes) {
    preference &p = in<preference>(pref);
    switch (attribute) {
    case CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES:
        return assign(p.workspace_bytes, value, bytes);
    case CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK:
        return assign(p.schemes, value, bytes);
    default:
        return assign(p.alignment[attribute - CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES], value, bytes);
    }
}
cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t pref, int n_wanted,
                                              cublasLtMatmulHeuristicResult_t found[], int *n_found) {
    const preference &p = in<preference>(pref);
    const operation &o = in<operation>(desc);
    *n_found = 0;
    if (!handle || n_wanted < 1) return CUBLAS_STATUS_INVALID_VALUE;
    const cublasStatus_t status = check(o, in<layout>(a), in<layout>(b), in<layout>(c), in<layout>(d));
    if (status != CUBLAS_STATUS_SUCCESS) return status;
    if (p.workspace_bytes < NEEDED) return CUBLAS_STATUS_NOT_SUPPORTED;
    algorithm g = describe(o, in<layout>(a), in<layout>(b), in<layout>(c), in<layout>(d));
    for (int i = 0; i < 4; i++) g.log2_alignment[i] = (uint8_t)log2_of(p.alignment[i]);
    const auto give = [&] {
        cublasLtMatmulHeuristicResult_t &r = found[(*n_found)++];
        r = cublasLtMatmulHeuristicResult_t{};
        in<algorithm>(&r.algo) = g;
        r.workspaceSize = NEEDED;
        r.wavesCount = 1;
    };
    g.splits = 4, g.scheme = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE, g.number = 1000;
    if (p.schemes & g.scheme) give(); /* the first, as it is the fastest where rows are few */
    g.splits = 1, g.scheme = CUBLASLT_REDUCTION_SCHEME_NONE;
    for (int i = 0; i < cuemu_control()->n_algorithms && *n_found < n_wanted; i++) {
        g.number = (uint32_t)(cuemu_control()->first_algorithm + i);
        give();
    }
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulAlgoCheck(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc,
                                       cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                       cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                       const cublasLtMatmulAlgo_t *algo,
                                       cublasLtMatmulHeuristicResult_t *result) {
    const operation &o = in<operation>(desc);
    if (!handle) return CUBLAS_STATUS_NOT_INITIALIZED;
    const cublasStatus_t status = check(o, in<layout>(a), in<layout>(b), in<layout>(c), in<layout>(d));
    if (status != CUBLAS_STATUS_SUCCESS) return status;
    algorithm mine = describe(o, in<layout>(a), in<layout>(b), in<layout>(c), in<layout>(d)),
              g = in<const algorithm>(algo);
    mine.number = g.number, mine.splits = g.splits, mine.scheme = g.scheme;
    memcpy(mine.log2_alignment, g.log2_alignment, sizeof g.log2_alignment);
    if (memcmp(&mine, &g, sizeof g)) return CUBLAS_STATUS_INVALID_VALUE;
    *result = cublasLtMatmulHeuristicResult_t{};
    result->workspaceSize = NEEDED;
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulAlgoConfigGetAttribute(const cublasLtMatmulAlgo_t *algo,
                                                    cublasLtMatmulAlgoConfigAttributes_t attribute,
                                                    void *value, size_t bytes, size_t *written) {
    const algorithm &g = in<const algorithm>(algo);
    const uint32_t x = attribute == CUBLASLT_ALGO_CONFIG_SPLITK_NUM ? g.splits : g.scheme;
    if (bytes != sizeof x) return CUBLAS_STATUS_INVALID_VALUE;
    memcpy(value, &x, sizeof x);
    if (written) *written = sizeof x;
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc, const void *alpha,
                              const void *A, cublasLtMatrixLayout_t a, const void *B,
                              cublasLtMatrixLayout_t b, const void *beta, const void *C,
                              cublasLtMatrixLayout_t c, void *D, cublasLtMatrixLayout_t d,
                              const cublasLtMatmulAlgo_t *algo, void *workspace, size_t workspace_bytes,
                              cudaStream_t stream) {
    job w = {in<operation>(desc), in<layout>(a),   in<layout>(b),   in<layout>(c), in<layout>(d), {}, 0, 0,
             (const char *)A,     (const char *)B, (const char *)C, (char *)D};
    memcpy(&w.alpha, alpha, sizeof w.alpha);
    memcpy(&w.beta, beta, sizeof w.beta);
    cublasLtMatmulHeuristicResult_t ignored;
    if (!algo || !A || !B || !C || !D)
        return CUBLAS_STATUS_INVALID_VALUE; /* the real one picks an algorithm: hone never asks */
    const cublasStatus_t status = cublasLtMatmulAlgoCheck(handle, desc, a, b, c, d, algo, &ignored);
    if (status != CUBLAS_STATUS_SUCCESS) return status;
    w.g = in<const algorithm>(algo);
    if (!workspace || workspace_bytes < NEEDED || !is_aligned(workspace, 8))
        return CUBLAS_STATUS_INVALID_VALUE;
    const void *const pointers[] = {A, B, C, D};
    for (int i = 0; i < 4; i++)
        if (!is_aligned(pointers[i], w.g.log2_alignment[i])) return CUBLAS_STATUS_INVALID_VALUE;
    if ((has_bias(w.o.epilogue) || w.o.epilogue == CUBLASLT_EPILOGUE_BGRADB) && !w.o.bias)
        return CUBLAS_STATUS_INVALID_VALUE;
    if (has_aux(w.o.epilogue) && (!w.o.aux || !is_aligned(w.o.aux, 4))) return CUBLAS_STATUS_INVALID_VALUE;
    if (w.C == w.D && w.c.ld != w.d.ld) return CUBLAS_STATUS_INVALID_VALUE;
    cuemu_control()->n_products++;
    return cuemu::enqueue(stream,
                          [w, workspace, stream] {
                              memset(workspace, 0xff, NEEDED);
                              multiply(w, cuemu::workers(stream));
                          }) == cudaSuccess
               ? CUBLAS_STATUS_SUCCESS
               : CUBLAS_STATUS_INVALID_VALUE;
}
