/* products.cuh - the library of matrix products, cuBLASLt, as linear.cu and device.cu use it.
 *
 * A product is D = epilogue(alpha op(A) op(B) + beta C), column-major as the library has it: rows [N,I] of ours are a
 * matrix [I,N] of its. Its algorithm is chosen once, before a run begins, for (op, I, O, types, what follows the sum) and
 * not for the number of rows, so the bits of a row do not depend on how many rows are played. An algorithm is taken only
 * if one thread block sums all of k in one sequence: no split sums, no atomics. */
#ifndef CUDA_PRODUCTS_CUH
#define CUDA_PRODUCTS_CUH
#include "common.cuh"

#include <cublasLt.h>

struct product {
    hone_dtype type, result; /* of A and B; of C and D */
    bool tf32;               /* A and B of fp32 are rounded to TF32 on their way into the tensor cores */
    bool is_a_transposed, is_b_transposed;
    bool sums_rows;  /* k counts rows, else n does */
    int64_t m, n, k; /* D[m,n] = sum over k */
    int64_t lda, ldb, ldc, ldd, ld_aux;
    int64_t alignment[4]; /* in bytes: what A, B, C, D are multiples of, rows included */
    const void *a, *b, *c;
    void *d, *bias, *aux; /* bias: also where bias gradients go */
    float alpha, beta;
};
/* What choose() makes: which epilogue the library plays, and how. */
struct product_choice {
    cublasLtMatmulAlgo_t algorithm;
    cublasLtEpilogue_t epilogue;
    char key[384];
    product_choice *next;
};

hone_status products_open(hone_device *device, hone_err *err);
void products_close(hone_device *device);
/* Is the slope in the library's DGELU epilogue that of the tanh form, in this type? Asked of the library itself, on a
 * few numbers, as its manual does not say. */
bool products_gelu_is_tanh(hone_device *device, hone_dtype type);
/* The algorithm of a product of `name`, for the first of the epilogues that the library has. p has no pointers, and as
 * many rows as you like. */
hone_status products_find(hone_device *device, const char *name, const product &p,
                          const cublasLtEpilogue_t *wanted, int n_wanted, product_choice **out,
                          hone_err *err);
hone_status products_play(hone_queue *q, const product_choice &choice, const product &p, void *work);
#endif
