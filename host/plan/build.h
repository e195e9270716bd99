/* build.h - from a model and a job's sizes to a plan: writes the programs, runs the passes, lays the slabs
 * out. */
#ifndef PLAN_BUILD_H
#define PLAN_BUILD_H
#include <stdio.h>

#include "base/str.h"
#include "hone/plan.h"
#include "model/spec.h"
#include "plan/wire.h"

typedef struct {
    const model_config *config;
    head_spec head;
    hone_dtype dtype;             /* F32, BF16; F64 for proofs on ref */
    int tf32; /* products of fp32 round their operands to TF32; the device's limits say if it can */
    int64_t tokens_max, seqs_max; /* of a micro-batch, or of an evaluation's batch */
    int n_ranks, rank;            /* 0, 0: one process */
    int divide;                   /* the optimizer's state among the ranks (ZeRO-1) */
    size_t bucket_bytes;          /* of gradients that leave together, about; 0: as many as there are */
    int slots;                    /* gradients held at once while micro-batches are added (run/tree.h); 0: 1 */
    wire_limits wire;             /* of sums over ranks */
    const char *const *freeze;    /* patterns (* and ?) of parameter names */
    int n_freeze;
    double beta1, beta2, epsilon;    /* AdamW */
    struct {
        int32_t dynamic, window, hysteresis;
        float min_scale;
    } guard; /* the loss scale of fp16, as GUARD's attributes */
    hone_engine attention, norm;     /* whose code plays them, on a device that has a choice */
    int32_t longest;                 /* no sequence has more tokens; 0: unknown */
    int training;                    /* 0: EVAL alone */
    int64_t cached, moves; /* tokens of a sequence that caches hold: DECODE alone; rows of theirs copied at once: MOVE too */
    int64_t chunk_rows; /* rows whose logits of a vocabulary exist at once; 0: as many as make about 128 MiB */
    int no_narrow, no_pack, no_fuse; /* leave a pass out: for tests and for looking at it */
    int recompute; /* 0: keep all; 1: norms and activations are made again, 2: whole layers (recompute.c) */
    size_t zone_bytes;            /* of red zones, 256 or 0: none (run/zones.c looks at them) */
    size_t budget_bytes;          /* 0: no limit */
    const hone_device_v1 *device; /* its pure functions are asked */
} plan_options;

/* HONE_EUSAGE  the device cannot play the model (step and operand are named), a pattern of freeze matches
 * nothing, or nothing is left to train HONE_ENOFIT  more than budget_bytes: bytes by class, and the most
 * tokens a batch may have */
hone_status plan_build(hone_plan **out, const plan_options *o, hone_err *err);

/* The programs as text: a line a step with operands by name; a value shows [shape]@KiB where it is made, d
 * and a parameter's name is its gradient, /3 a dropout site. */
void plan_print_steps(const hone_plan *p, text *out);
void plan_print_bytes(const hone_plan *p, text *out); /* a line a class */

/* A step as a device is asked about it: capacities, no pointers. */
void plan_query(const hone_plan *p, const hone_step *s, hone_query *q);
#endif
