/* cost.h - what a plan costs in operations, bytes, and the time that a machine of known figures would need: predictions, by
 * the larger of both at a share of the data sheet's rates. Nothing is measured here. */
#ifndef PLAN_COST_H
#define PLAN_COST_H
#include "hone/plan.h"

/* Floating-point operations of a program's products and attentions for so many rows, sequences of equal length. */
double plan_flops(const hone_plan *p, hone_program_kind program, const int64_t *rows, double mean_length);

typedef struct {
    double memory_bytes, memory_bytes_per_s;
    double flops[HONE_N_DTYPES];        /* a second, by the type of a product's operands */
    double product_share, memory_share; /* of these rates, what kernels reach */
    double call_s;                      /* of every call: what lies between two kernels of a graph */
} plan_machine;

/* The same of a call; bytes of its operands, each moved once. */
double plan_step_flops(const hone_plan *p, const hone_step *s, const int64_t *rows, double mean_length);
double plan_step_bytes(const hone_plan *p, const hone_step *s, const int64_t *rows);
double plan_step_seconds(const hone_plan *p, const hone_step *s, const int64_t *rows, double mean_length,
                         const plan_machine *m);
double plan_seconds(const hone_plan *p, hone_program_kind program, const int64_t *rows, double mean_length,
                    const plan_machine *m);

/* The gradients of the trained parameters, in no order: when each is complete, in seconds from the start of MICRO. out has
 * room for p->n_params. Returns how many. */
typedef struct {
    int param;
    double elements, ready_s;
} plan_gradient;
int plan_gradients(const hone_plan *p, const int64_t *rows, double mean_length, const plan_machine *m,
                   plan_gradient *out);
#endif
