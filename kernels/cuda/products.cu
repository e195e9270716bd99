/* products.cu - matrix products by cuBLASLt: its algorithms are listed, sieved, measured once, remembered.
 *
 * Sieve: no split sums (split-K 1, reduction none), and by trial: the first rows of a product of many rows have the bits
 * of a product of few rows, and rows of zeros add nothing to a sum over rows. Measured: the median of a few rounds in
 * which the algorithms take turns, on noise, at a number of rows that depends on the shape alone, so that whoever
 * measures first measures what all would. The host remembers the winner (hone_host_v1) by device, driver, library
 * and shape; whoever resumes a run or joins it can be given the same memory, and then has the same bits. */
#include "products.cuh"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern "C" {
#include "limits.h"
}

struct products {
    cublasLtHandle_t handle;
    product_choice *first;
    char identity[160];              /* begins every key */
    int8_t gelu_form[HONE_N_DTYPES]; /* 0 not asked yet, 1 tanh, -1 another */
};

/* ---- descriptors, on the stack: a run allocates nothing ----------------------------------------------------------*/
struct described {
    cublasLtMatmulDescOpaque_t operation;
    cublasLtMatrixLayoutOpaque_t a, b, c, d;
};

static cudaDataType_t data_type(hone_dtype type) {
    return type == HONE_F32 ? CUDA_R_32F : type == HONE_BF16 ? CUDA_R_16BF : CUDA_R_16F;
}

template <typename V>
static void set(cublasLtMatmulDesc_t to, cublasLtMatmulDescAttributes_t attribute, V value,
                cublasStatus_t *status) {
    if (*status == CUBLAS_STATUS_SUCCESS)
        *status = cublasLtMatmulDescSetAttribute(to, attribute, &value, sizeof value);
}
static cublasStatus_t describe(described *to, const product &p, cublasLtEpilogue_t epilogue) {
    const cudaDataType_t type = data_type(p.type), result = data_type(p.result);
    const int64_t a_rows = p.is_a_transposed ? p.k : p.m, a_columns = p.is_a_transposed ? p.m : p.k;
    const int64_t b_rows = p.is_b_transposed ? p.n : p.k, b_columns = p.is_b_transposed ? p.k : p.n;
    cublasLtMatmulDesc_t operation = &to->operation;
    cublasStatus_t status = cublasLtMatmulDescInit(
        operation, p.tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F, CUDA_R_32F);
    set(operation, CUBLASLT_MATMUL_DESC_TRANSA, (int32_t)(p.is_a_transposed ? CUBLAS_OP_T : CUBLAS_OP_N),
        &status);
    set(operation, CUBLASLT_MATMUL_DESC_TRANSB, (int32_t)(p.is_b_transposed ? CUBLAS_OP_T : CUBLAS_OP_N),
        &status);
    set(operation, CUBLASLT_MATMUL_DESC_EPILOGUE, (uint32_t)epilogue, &status);
    if (epilogue != CUBLASLT_EPILOGUE_DEFAULT)
        set(operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER, p.bias, &status);
    if (epilogue & 128) {
        set(operation, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, p.aux, &status);
        set(operation, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, p.ld_aux, &status);
    }
    if (status == CUBLAS_STATUS_SUCCESS)
        status = cublasLtMatrixLayoutInit(&to->a, type, a_rows, a_columns, p.lda);
    if (status == CUBLAS_STATUS_SUCCESS)
        status = cublasLtMatrixLayoutInit(&to->b, type, b_rows, b_columns, p.ldb);
    if (status == CUBLAS_STATUS_SUCCESS) status = cublasLtMatrixLayoutInit(&to->c, result, p.m, p.n, p.ldc);
    if (status == CUBLAS_STATUS_SUCCESS) status = cublasLtMatrixLayoutInit(&to->d, result, p.m, p.n, p.ldd);
    return status;
}

static cublasStatus_t play(products *all, cudaStream_t stream, const cublasLtMatmulAlgo_t &algorithm,
                           cublasLtEpilogue_t epilogue, const product &p, void *work) {
    described d;
    void *workspace = (void *)(((uintptr_t)work + 255) / 256 * 256);
    const cublasStatus_t status = describe(&d, p, epilogue);
    if (status != CUBLAS_STATUS_SUCCESS) return status;
    return cublasLtMatmul(all->handle, &d.operation, &p.alpha, p.a, &d.a, p.b, &d.b, &p.beta, p.c, &d.c, p.d,
                          &d.d, &algorithm, workspace, CUDA_PRODUCT_WORKSPACE, stream);
}

hone_status products_play(hone_queue *q, const product_choice &choice, const product &p, void *work) {
    const cublasStatus_t status =
        play(q->device->products, q->stream, choice.algorithm, choice.epilogue, p, work);
    if (status == CUBLAS_STATUS_SUCCESS) return HONE_OK;
    char line[512];
    snprintf(line, sizeof line, HONE_DEVICE_NAME ": the product %s with %lld rows failed: %s", choice.key,
             (long long)(p.sums_rows ? p.k : p.n), cublasLtGetStatusString(status));
    q->device->host->log(q->device->host->context, line);
    return HONE_EBUG;
}

/* ---- listing and sieving ---------------------------------------------------------------------------------------*/
constexpr int MOST = 16;

static bool sums_in_one_sequence(const cublasLtMatmulAlgo_t &algorithm) {
    uint32_t splits = 0, scheme = 0;
    size_t n = 0;
    if (cublasLtMatmulAlgoConfigGetAttribute(&algorithm, CUBLASLT_ALGO_CONFIG_SPLITK_NUM, &splits,
                                             sizeof splits, &n) != CUBLAS_STATUS_SUCCESS)
        splits = 1;
    if (cublasLtMatmulAlgoConfigGetAttribute(&algorithm, CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME, &scheme,
                                             sizeof scheme, &n) != CUBLAS_STATUS_SUCCESS)
        scheme = CUBLASLT_REDUCTION_SCHEME_NONE;
    return splits <= 1 && scheme == CUBLASLT_REDUCTION_SCHEME_NONE;
}

static product with_rows(product p, int64_t rows) {
    (p.sums_rows ? p.k : p.n) = rows;
    return p;
}
static bool fits(products *all, const product &p, cublasLtEpilogue_t epilogue,
                 const cublasLtMatmulAlgo_t &algorithm) {
    described d;
    cublasLtMatmulHeuristicResult_t result;
    return describe(&d, p, epilogue) == CUBLAS_STATUS_SUCCESS &&
           cublasLtMatmulAlgoCheck(all->handle, &d.operation, &d.a, &d.b, &d.c, &d.d, &algorithm, &result) ==
               CUBLAS_STATUS_SUCCESS &&
           result.workspaceSize <= CUDA_PRODUCT_WORKSPACE;
}
/* With few rows, one row, and many. */
static bool fits_all(products *all, const product &p, cublasLtEpilogue_t epilogue,
                     const cublasLtMatmulAlgo_t &algorithm) {
    return sums_in_one_sequence(algorithm) && fits(all, p, epilogue, algorithm) &&
           fits(all, with_rows(p, 64), epilogue, algorithm) &&
           fits(all, with_rows(p, 1), epilogue, algorithm);
}

/* The library's algorithms that may be taken, the one it thinks fastest first. */
static int list(products *all, const product &p, cublasLtEpilogue_t epilogue,
                cublasLtMatmulAlgo_t out[MOST]) {
    described d;
    cublasLtMatmulPreferenceOpaque_t preference;
    cublasLtMatmulHeuristicResult_t found[MOST];
    const uint64_t workspace = CUDA_PRODUCT_WORKSPACE;
    const uint32_t schemes = CUBLASLT_REDUCTION_SCHEME_NONE;
    static const cublasLtMatmulPreferenceAttributes_t alignment[] = {
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES};
    int n_found = 0, n = 0;
    if (describe(&d, p, epilogue) != CUBLAS_STATUS_SUCCESS ||
        cublasLtMatmulPreferenceInit(&preference) != CUBLAS_STATUS_SUCCESS)
        return 0;
    (void)cublasLtMatmulPreferenceSetAttribute(&preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                               &workspace, sizeof workspace);
    (void)cublasLtMatmulPreferenceSetAttribute(&preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
                                               &schemes, sizeof schemes);
    for (int i = 0; i < 4; i++) {
        const uint32_t bytes = (uint32_t)p.alignment[i];
        (void)cublasLtMatmulPreferenceSetAttribute(&preference, alignment[i], &bytes, sizeof bytes);
    }
    if (cublasLtMatmulAlgoGetHeuristic(all->handle, &d.operation, &d.a, &d.b, &d.c, &d.d, &preference, MOST,
                                       found, &n_found) != CUBLAS_STATUS_SUCCESS)
        return 0;
    for (int i = 0; i < n_found; i++)
        if (found[i].state == CUBLAS_STATUS_SUCCESS && fits_all(all, p, epilogue, found[i].algo))
            out[n++] = found[i].algo;
    return n;
}

/* ---- trying and measuring --------------------------------------------------------------------------------------*/
/* Operands of a product on the device, full of noise. */
struct trial {
    hone_queue queue;
    products *all;
    product p;
    cublasLtEpilogue_t epilogue;
    char *slab;
    void *work;
    size_t a_bytes, b_bytes, d_bytes;
};
constexpr int FEW = 64; /* rows that are compared */
constexpr int THREADS = 256;
constexpr size_t COMPARED = 1 << 20;

/* Uniform in [-1, 1). */
template <typename T> static __global__ void noise(T *x, int64_t n, uint32_t seed) {
    const int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    if (i >= n) return;
    uint32_t h = ((uint32_t)i + seed) * 0x9E3779B9u;
    h = (h ^ h >> 16) * 0x85EBCA6Bu;
    h = (h ^ h >> 13) * 0xC2B2AE35u;
    x[i] = from_float<T>((float)(h >> 8) * 0x1p-23f - 1.0f);
}
template <typename T> static hone_status fill_noise(hone_queue *q, void *x, int64_t n, uint32_t seed) {
    return launch(q, noise<T>, (unsigned)ceil_div(n, THREADS), THREADS, 0, (T *)x, n, seed);
}

static size_t bytes_of(hone_dtype type, int64_t n) { return (size_t)n * (type == HONE_F32 ? 4 : 2); }

/* Rows at which a product is measured: of its shape alone. */
static int64_t rows_measured(const product &p) {
    const int64_t row = p.sums_rows ? p.lda + p.ldb : p.ldb + p.ldd;
    int64_t rows = 4096;
    while (rows > 256 && (int64_t)bytes_of(p.type, row * rows) > 128 << 20) rows /= 2;
    return rows;
}

static void trial_end(trial *t) {
    if (t->slab) (void)cudaFree(t->slab);
    if (t->queue.stream) (void)cudaStreamDestroy(t->queue.stream);
    (void)cudaGetLastError();
}
/* false: no memory for it. */
static bool trial_begin(trial *t, hone_device *device, const product &p, cublasLtEpilogue_t epilogue) {
    *t = trial{};
    t->queue.device = device;
    t->all = device->products;
    t->p = p;
    t->epilogue = epilogue;
    t->a_bytes = (bytes_of(p.type, p.lda * (p.is_a_transposed ? p.m : p.k)) + 255) / 256 * 256;
    t->b_bytes = (bytes_of(p.type, p.ldb * (p.is_b_transposed ? p.k : p.n)) + 255) / 256 * 256;
    t->d_bytes = (bytes_of(p.result, p.ldd * p.n) + 255) / 256 * 256;
    const size_t aux_bytes = (bytes_of(p.type, p.ld_aux * p.n) + 255) / 256 * 256,
                 bias_bytes = 4 * (size_t)(p.m > p.n ? p.m : p.n);
    const size_t bytes =
        t->a_bytes + t->b_bytes + t->d_bytes + aux_bytes + (bias_bytes + 255) / 256 * 256 + CUDA_PRODUCT_WORK;
    if (cudaMalloc((void **)&t->slab, bytes) != cudaSuccess ||
        cudaStreamCreateWithFlags(&t->queue.stream, cudaStreamNonBlocking) != cudaSuccess ||
        cudaMemsetAsync(t->slab, 0, bytes, t->queue.stream) != cudaSuccess) {
        trial_end(t);
        return false;
    }
    char *at = t->slab;
    t->p.a = at, at += t->a_bytes;
    t->p.b = at, at += t->b_bytes;
    t->p.c = t->p.d = at, at += t->d_bytes;
    t->p.ldc = p.ldd;
    t->p.beta = 0;
    t->p.aux = at, at += aux_bytes;
    t->p.bias = at, at += (bias_bytes + 255) / 256 * 256;
    t->work = at;
    return true;
}

/* Noise in the first `rows` rows, and in all of w. */
static hone_status fill(trial *t, int64_t rows) {
    const product &p = t->p;
    const int64_t n_a = p.sums_rows ? p.lda * rows : (int64_t)(t->a_bytes / bytes_of(p.type, 1)),
                  n_b = p.ldb * rows;
    hone_status status = BY_TYPE(p.type, fill_noise, &t->queue, (void *)p.a, n_a, 1u);
    if (!status) status = BY_TYPE(p.type, fill_noise, &t->queue, (void *)p.b, n_b, 0x10000001u);
    return status;
}
static bool play_trial(trial *t, const cublasLtMatmulAlgo_t &algorithm, int64_t rows) {
    return play(t->all, t->queue.stream, algorithm, t->epilogue, with_rows(t->p, rows), t->work) ==
           CUBLAS_STATUS_SUCCESS;
}
static bool get_result(trial *t, const cublasLtMatmulAlgo_t &algorithm, int64_t rows, void *out,
                       size_t bytes) {
    return cudaMemsetAsync(t->p.d, 0, t->d_bytes, t->queue.stream) == cudaSuccess &&
           play_trial(t, algorithm, rows) &&
           cudaMemcpyAsync(out, t->p.d, bytes, cudaMemcpyDefault, t->queue.stream) == cudaSuccess &&
           cudaStreamSynchronize(t->queue.stream) == cudaSuccess;
}
/* Do a row's bits, or those of a sum over rows with zeros at its end, not depend on the rows played? Noise is in the
 * first FEW rows only. */
static bool is_steady(trial *t, const cublasLtMatmulAlgo_t &algorithm) {
    const int64_t rows = t->p.sums_rows ? t->p.k : t->p.n;
    const size_t all = t->p.sums_rows ? t->d_bytes : bytes_of(t->p.result, t->p.ldd * FEW),
                 bytes = all < COMPARED ? all : COMPARED;
    char *many = (char *)malloc(2 * bytes);
    if (!many) return false;
    const bool same = get_result(t, algorithm, rows, many, bytes) &&
                      get_result(t, algorithm, FEW, many + bytes, bytes) &&
                      !memcmp(many, many + bytes, bytes);
    free(many);
    return same;
}

static int compare_times(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}
/* The fastest of n, by medians of rounds in which they take turns; its time in *us. */
static int fastest(trial *t, const cublasLtMatmulAlgo_t *algorithm, int n, double us[MOST]) {
    constexpr int ROUNDS = 5, PLAYS = 4;
    const hone_host_v1 *host = t->queue.device->host;
    const int64_t rows = t->p.sums_rows ? t->p.k : t->p.n;
    double seen[MOST][ROUNDS];
    int best = 0;
    for (int round = -1; round < ROUNDS; round++) /* the first is to warm up */
        for (int i = 0; i < n; i++) {
            const uint64_t before = host->clock_ns(host->context);
            bool played = true;
            for (int k = 0; k < PLAYS && played; k++) played = play_trial(t, algorithm[i], rows);
            played = cudaStreamSynchronize(t->queue.stream) == cudaSuccess && played;
            const double spent = (double)(host->clock_ns(host->context) - before) * 1e-3 / PLAYS;
            if (round >= 0) seen[i][round] = played ? spent : INFINITY;
        }
    for (int i = 0; i < n; i++) {
        qsort(seen[i], ROUNDS, sizeof(double), compare_times);
        us[i] = seen[i][ROUNDS / 2];
        if (us[i] < us[best]) best = i;
    }
    return best;
}

template <typename... A> static void say(hone_device *device, const char *fmt, A... args) {
    char line[640];
    snprintf(line, sizeof line, fmt, args...);
    device->host->log(device->host->context, line);
}

/* The best of the candidates, in their first place. 0: none of them is steady. */
static int pick(hone_device *device, const product &p, product_choice *choice,
                cublasLtMatmulAlgo_t *candidate, int n) {
    trial t;
    double us[MOST];
    if (!trial_begin(&t, device, p, choice->epilogue)) {
        say(device,
            HONE_DEVICE_NAME ": %s: no memory to measure its %d algorithms; the library's first is taken",
            choice->key, n);
        return 1;
    }
    int n_steady = 0;
    if (fill(&t, FEW) == HONE_OK)
        for (int i = 0; i < n; i++)
            if (is_steady(&t, candidate[i])) candidate[n_steady++] = candidate[i];
    if (n_steady > 1 && fill(&t, p.sums_rows ? p.k : p.n) == HONE_OK) {
        const int best = fastest(&t, candidate, n_steady, us);
        say(device,
            HONE_DEVICE_NAME ": %s: the fastest of %d algorithms takes %.1f us, the library's first %.1f us",
            choice->key, n_steady, us[best], us[0]);
        candidate[0] = candidate[best];
    }
    trial_end(&t);
    return n_steady;
}

/* ---- choosing --------------------------------------------------------------------------------------------------*/
static const char *epilogue_name(cublasLtEpilogue_t epilogue) {
    switch (epilogue) {
    case CUBLASLT_EPILOGUE_BIAS:
        return "bias";
    case CUBLASLT_EPILOGUE_DGELU:
        return "dgelu";
    case CUBLASLT_EPILOGUE_BGRADB:
        return "dbias";
    default:
        return "plain";
    }
}
static void name_key(char *key, size_t bytes, const products *all, const char *name, const product &p,
                     const char *epilogue) {
    const int64_t I = p.is_a_transposed ? p.k : p.m, O = p.sums_rows ? p.n : p.is_a_transposed ? p.m : p.k;
    snprintf(key, bytes, "%s %s I=%lld O=%lld %s %s alignment %d,%d,%d,%d", all->identity, name, (long long)I,
             (long long)O, p.tf32 ? "tf32" : hone_dtype_name(p.type), epilogue, (int)p.alignment[0],
             (int)p.alignment[1], (int)p.alignment[2], (int)p.alignment[3]);
}
static product_choice *find_known(products *all, const char *key) {
    for (product_choice *c = all->first; c; c = c->next)
        if (!strcmp(c->key, key)) return c;
    return NULL;
}
/* A choice that an earlier run made, if it still fits. */
struct remembered {
    cublasLtMatmulAlgo_t algorithm;
    uint32_t epilogue, reserved;
};
static bool recall(hone_device *device, const product &p, product_choice *choice) {
    remembered was;
    if (!device->host->recall(device->host->context, choice->key, &was, sizeof was) ||
        was.epilogue != (uint32_t)choice->epilogue)
        return false;
    choice->algorithm = was.algorithm;
    return fits_all(device->products, p, choice->epilogue, was.algorithm);
}

static hone_status find_one(hone_device *device, const product &p, product_choice *choice, bool *found) {
    products *all = device->products;
    cublasLtMatmulAlgo_t candidate[MOST];
    *found = recall(device, p, choice);
    if (*found) return HONE_OK;
    int n = list(all, p, choice->epilogue, candidate);
    if (n > 1) n = pick(device, p, choice, candidate, n);
    if (n < 1) return HONE_OK;
    choice->algorithm = candidate[0];
    const remembered now = {candidate[0], (uint32_t)choice->epilogue, 0};
    device->host->remember(device->host->context, choice->key, &now, sizeof now);
    *found = true;
    return HONE_OK;
}

hone_status products_find(hone_device *device, const char *name, const product &p,
                          const cublasLtEpilogue_t *wanted, int n_wanted, product_choice **out,
                          hone_err *err) {
    products *all = device->products;
    product measured = with_rows(p, rows_measured(p));
    /* Pointers tell the library alignments only. */
    measured.bias = (void *)(uintptr_t)(p.alignment[3] < 16 ? p.alignment[3] : 256);
    measured.aux = (void *)(uintptr_t)256;
    for (int i = 0; i < n_wanted; i++) {
        char key[sizeof(product_choice::key)];
        name_key(key, sizeof key, all, name, p, epilogue_name(wanted[i]));
        if ((*out = find_known(all, key))) return HONE_OK;
        product_choice *choice = (product_choice *)calloc(1, sizeof *choice);
        if (!choice)
            return hone_fail(err, HONE_ENOFIT, HONE_DEVICE_NAME ": the system refused %zu bytes of memory",
                             sizeof *choice);
        memcpy(choice->key, key, sizeof key);
        choice->epilogue = wanted[i];
        bool found = false;
        const hone_status status = find_one(device, measured, choice, &found);
        if (status || !found) {
            free(choice);
            if (status) return status;
            continue;
        }
        choice->next = all->first;
        all->first = choice;
        *out = choice;
        return HONE_OK;
    }
    char key[sizeof(product_choice::key)];
    name_key(key, sizeof key, all, name, p, epilogue_name(wanted[n_wanted - 1]));
    hone_fail(err, HONE_EUSAGE, "%s: the library has no algorithm that sums in one sequence", key);
    return hone_hint(err, "widths that are multiples of 8 are played by more algorithms");
}

/* ---- which GELU ------------------------------------------------------------------------------------------------*/
static double gelu_slope(int is_tanh, double x) {
    if (!is_tanh) return 0.5 * erfc(-x * 0.70710678118654752) + x * 0.39894228040143268 * exp(-0.5 * x * x);
    const double s = 1 / (1 + exp(-1.59576912160573072 * (x + 0.044715 * x * x * x)));
    return s + x * s * (1 - s) * 1.59576912160573072 * (1 + 3 * 0.044715 * x * x);
}
template <typename T> static void store_number(void *to, int i, float x) { ((T *)to)[i] = from_float<T>(x); }
template <typename T> static float load_number(const void *from, int i) {
    return to_float(((const T *)from)[i]);
}

/* The slopes of numbers x between -3.5 and 3.5, times 1. true: nearer to the tanh form than half the way. */
static bool is_tanh_form(hone_device *device, hone_dtype type) {
    constexpr int SIDE = 16, N = SIDE * SIDE;
    const cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_DGELU;
    product p = {};
    p.type = p.result = type;
    p.is_a_transposed = true;
    p.m = p.n = p.k = p.lda = p.ldb = p.ldc = p.ldd = p.ld_aux = SIDE;
    for (int i = 0; i < 4; i++) p.alignment[i] = 16;
    p.alpha = 1;
    p.bias = p.aux = (void *)(uintptr_t)256;
    cublasLtMatmulAlgo_t algorithm[MOST];
    trial t;
    if (list(device->products, with_rows(p, SIDE), epilogue, algorithm) < 1 ||
        !trial_begin(&t, device, p, epilogue))
        return false;
    float one[N], ones[N], x[N], y[N], stored[3][N]; /* stored: as the type has them */
    for (int i = 0; i < N; i++) {
        one[i] = i % (SIDE + 1) == 0, ones[i] = 1;
        BY_TYPE(type, store_number, stored[0], i, one[i]);
        BY_TYPE(type, store_number, stored[1], i, (float)i * (7.0f / N) - 3.5f);
        BY_TYPE(type, store_number, stored[2], i, ones[i]);
        x[i] = BY_TYPE(type, load_number, stored[1], i);
    }
    const size_t bytes = bytes_of(type, N);
    const cudaStream_t stream = t.queue.stream;
    bool worked =
        cudaMemcpyAsync((void *)t.p.a, stored[0], bytes, cudaMemcpyDefault, stream) == cudaSuccess &&
        cudaMemcpyAsync((void *)t.p.b, stored[2], bytes, cudaMemcpyDefault, stream) == cudaSuccess &&
        cudaMemcpyAsync(t.p.aux, stored[1], bytes, cudaMemcpyDefault, stream) == cudaSuccess &&
        play_trial(&t, algorithm[0], SIDE) &&
        cudaMemcpyAsync(y, t.p.d, bytes, cudaMemcpyDefault, stream) == cudaSuccess &&
        cudaStreamSynchronize(stream) == cudaSuccess;
    double error[2] = {};
    for (int i = 0; i < N && worked; i++)
        for (int form = 0; form < 2; form++) {
            const double off = (double)BY_TYPE(type, load_number, (const void *)y, i) -
                               gelu_slope(form, (double)x[i]);
            if (x[i] < -2) error[form] += off * off; /* there even bf16 tells them apart */
        }
    trial_end(&t);
    return worked && error[1] < 0.25 * error[0];
}

bool products_gelu_is_tanh(hone_device *device, hone_dtype type) {
    int8_t *form = &device->products->gelu_form[type];
    if (!*form) {
        *form = is_tanh_form(device, type) ? 1 : -1;
        if (*form < 0)
            say(device,
                HONE_DEVICE_NAME ": the library's slope of GELU in %s is not the tanh form's: our own kernel applies it",
                hone_dtype_name(type));
    }
    return *form > 0;
}

/* ---- opening ---------------------------------------------------------------------------------------------------*/
hone_status products_open(hone_device *device, hone_err *err) {
    products *all = (products *)calloc(1, sizeof *all);
    if (!all)
        return hone_fail(err, HONE_ENOFIT, HONE_DEVICE_NAME ": the system refused %zu bytes of memory",
                         sizeof *all);
    const cublasStatus_t status = cublasLtCreate(&all->handle);
    if (status != CUBLAS_STATUS_SUCCESS) {
        free(all);
        return hone_fail(err, status == CUBLAS_STATUS_ALLOC_FAILED ? HONE_ENOFIT : HONE_EUSAGE,
                         HONE_DEVICE_NAME ": cuBLASLt cannot be opened: %s", cublasLtGetStatusString(status));
    }
    int driver = 0;
    (void)cudaDriverGetVersion(&driver);
    snprintf(all->identity, sizeof all->identity, HONE_DEVICE_NAME ": %.80s, driver %d, cuBLASLt %zu,",
             device->properties.name, driver, cublasLtGetVersion());
    device->products = all;
    return HONE_OK;
}
void products_close(hone_device *device) {
    products *all = device->products;
    for (product_choice *c = all->first, *next; c; c = next) {
        next = c->next;
        free(c);
    }
    (void)cublasLtDestroy(all->handle);
    free(all);
}
