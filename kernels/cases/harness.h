/* harness.h - inside the harness: the contents of a case's operands, and their image in a device's memory. */
#ifndef CASES_HARNESS_H
#define CASES_HARNESS_H
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cases.h"

#define N_OPERANDS (HONE_MAX_IN + HONE_MAX_OUT)

/* ---- values.c: contents
 * ------------------------------------------------------------------------------------- */

/* An operand's contents: rows of width elements without padding. Floats as doubles that the stored type holds
 * exactly; i32 one word an element, keys and ranges two. */
typedef struct {
    int bound, n_dims;
    int64_t dim[3], rows, width;
    hone_dtype dtype; /* as stored on the device under test */
    double *x;
    int32_t *word;
} operand_values;

typedef struct cases_values {
    const cases_case *k;
    const cases_on *on;
    const hone_op_info *op;
    hone_dtype compute;
    operand_values v[N_OPERANDS]; /* inputs, then results from op->n_in */
    hone_tick tick;
} cases_values;

/* Shapes of a case with all bound operands zeroed; contents follow by values_fill. */
void values_init(cases_values *v, const cases_on *on, const cases_case *k, hone_dtype compute);
void values_fill(cases_values *v);  /* normal numbers, sequences, keys; then the family's own */
void values_round(cases_values *v); /* to what the stored types hold */
void values_deinit(cases_values *v);

operand_values *values_find(cases_values *v, const char *name); /* NULL: unbound, or no such operand */
double *floats_of(cases_values *v, const char *name);           /* likewise */
int32_t *words_of(cases_values *v, const char *name);
int64_t extent_of(const cases_values *v, char letter);
/* Copy the contents of operand `from_name` of one case into operand `name` of another of equal shape. */
void values_copy(cases_values *to, const char *name, const cases_values *from, const char *from_name);

/* Deterministic noise: uniform in [0,1), and standard normal, numbered. */
double noise_uniform(uint64_t stream, uint64_t i);
double noise_normal(uint64_t stream, uint64_t i);

/* Rows of sequence b: after a third of the sequences one row of no sequence is left, and at the end three. */
hone_range sequence_range(const int *length, int b);
int64_t sequence_rows(const int *length, int n); /* rows of all, those of none included */

/* ---- image.c: memory
 * ---------------------------------------------------------------------------------------- */

typedef struct {
    const cases_values *v;
    hone_dtype compute;
    unsigned char *before, *after; /* the slab as put, and as got back */
    size_t n_bytes, tick_at, work_at, work_bytes;
    size_t list_at, list_bytes; /* attention's work list, where the device has one; 0: unbound */
    size_t at[N_OPERANDS];
    int64_t ld[N_OPERANDS];
    hone_dtype dtype[N_OPERANDS];
    const hone_device_v1 *table;
    hone_device *device;
    hone_queue *queue;
    unsigned char *slab;
    void *choice;
} image;

/* Part of a call: rows first .. first + n - 1 of a letter; letter 0: all. */
typedef struct {
    char letter;
    int64_t first, n;
} slice;

/* Lay v out with red zones around every operand, compute being the compute type there; reserve and prepare on
 * the device. 0 and *why: the device failed. */
int image_init(image *im, const cases_values *v, hone_dtype compute, const hone_device_v1 *table,
               hone_device *device, char *why, size_t why_bytes);
void image_deinit(image *im);
hone_query image_query(const cases_values *v, hone_dtype compute);
int image_play(image *im, slice part, char *why, size_t why_bytes); /* puts, plays, gets */
hone_call image_call(const image *im, slice part);
double image_get(const image *im, int operand, int64_t row, int64_t column); /* from after */
const unsigned char *image_row(const image *im, const unsigned char *side, int operand, int64_t row);
size_t image_row_bytes(const image *im, int operand);
void image_read(const image *im, cases_values *to); /* the results' contents into values of the same case */
/* 1 if nothing but results changed; else the name of what lies before the first change in why. */
int image_is_clean(const image *im, char *why, size_t why_bytes);
uint32_t image_bits(const image *im);

size_t type_bytes(hone_dtype dtype);
int type_is_float(hone_dtype dtype);
double type_round(double x, hone_dtype dtype); /* nearest, ties to even */
double type_half_ulp(hone_dtype dtype);        /* of 1, downwards: the largest relative error of rounding */

/* ---- naive.c, attention_naive.c
 * ------------------------------------------------------------------------------------------------- */
/* out: a new set of v's contents, with the results of a naive kernel. 0 and *why: ref failed. */
int naive_play(cases_values *out, const cases_values *v, char *why, size_t why_bytes);
/* v's results in fp32 by ref, rounded to the types in which they are stored. */
int naive_by_ref(cases_values *v, char *why, size_t why_bytes);
int attention_naive_fwd(cases_values *v, char *why, size_t why_bytes);
int attention_naive_bwd(cases_values *v, char *why, size_t why_bytes);

/* ---- bench.c
 * ------------------------------------------------------------------------------------------------- */
double bytes_of(const image *im);       /* that a call must at least read and write */
double flops_of(const cases_values *v); /* multiplications and additions of matrix products; 0: no product */

/* ---- rows.c
 * -------------------------------------------------------------------------------------------------- */
/* A row's bits do not depend on its neighbours: parts of the call give the bits of the whole (im has been
 * played). */
int rows_agree(image *im, char *why, size_t why_bytes);

/* ---- families
 * ------------------------------------------------------------------------------------------------ */
typedef struct {
    cases_visit *visit;
    void *arg;
    int stopped;
} cases_sink;
void emit(cases_sink *to, const cases_case *k);
/* Emit for check in fp32, bf16 and fp16. */
void emit_types(cases_sink *to, const cases_case *k);
/* Add the optional operand to the case if on. */
void bind_operand(cases_case *k, const char *name, int on);
/* Whether factor j (1 .. 15) is on in row r (0 .. 15) of an orthogonal array: any two factors meet in all
 * four ways. */
int factor(int r, int j);
void set_lengths(cases_case *k, char letter, const int *q_len, int n);
/* Bound of a sum of n products in fp32: roundings walk at random, sqrt(n) half ulps; four times that and a
 * few more. */
double sum_bound(int64_t n);

void embed_cases(cases_sink *to);
void norm_cases(cases_sink *to);
void linear_cases(cases_sink *to);
void act_cases(cases_sink *to);
void attention_cases(cases_sink *to);
void gather_cases(cases_sink *to);
void softmax_cases(cases_sink *to);
void loss_cases(cases_sink *to);
void reduce_cases(cases_sink *to);
void optim_cases(cases_sink *to);
void convert_cases(cases_sink *to);
#endif
