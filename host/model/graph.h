/* graph.h - writing a model as a graph: each g_ function appends one plain op and returns the value it makes.
 *
 * The builder writes plain ops only (no fused forms) and numbers dropout sites, so no later pass changes a mask. A value
 * of 0 in gives 0 out. Shapes are bound from the op lines as they are emitted. */
#ifndef MODEL_GRAPH_H
#define MODEL_GRAPH_H
#include "hone/plan.h"
#include "model/family.h"

typedef int hone_v;

/* A program being written, and the tables it shares with the other programs of the same plan. */
typedef struct graph {
    arena *a;
    hone_dtype dtype;
    /* growing tables, [0] unused */
    hone_space *space;
    hone_value *value;
    hone_param *param;
    hone_step *step; /* of the program being written */
    int n_spaces, n_values, n_params, n_steps;
    int cap_values, cap_params, cap_steps;
    const model_config *config;
    int layer;      /* of what is being written: -1 embeddings, L head */
    int n_sites;    /* dropout sites so far */
    int training;   /* 0: no dropout, losses without gradients */
    hone_phase phase;
    hone_err *err;  /* first failure; later calls return 0 */
} graph;
