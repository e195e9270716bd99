/* graph.h - writing a model as a graph: each g_ function appends one plain op and returns the value it makes.
 *
 * The builder writes plain ops only (no fused forms) and numbers dropout sites, so no later pass changes a
 * mask. Shapes are bound against the op lines as steps are emitted. A value of 0 in gives 0 out, and the
 * first failure stays in err, so a model is written without looking at errors. */
#ifndef MODEL_GRAPH_H
#define MODEL_GRAPH_H
#include "hone/plan.h"
#include "model/family.h"

typedef int hone_v;

/* Adjacent parameters that one product takes as a whole (wqkv [3D,D] over wq, wk, wv). */
#define SPAN_MAX 4
typedef struct {
    int value, member[SPAN_MAX], n; /* PARAM values */
} param_span;

/* The program being written, and the tables that all programs of a plan share. Tables grow; [0] is unused. */
typedef struct graph {
    arena *a;
    hone_dtype dtype;
    hone_space *space;
    hone_value *value;
    hone_param *param;
    hone_step *step;
    int n_spaces, n_values, n_params, n_steps;
    param_span *span; /* [0 .. n_spans) */
    int n_spans;
    int cap_spaces, cap_values, cap_params, cap_steps, cap_spans;
    const model_config *config;
    size_t zone_bytes; /* behind every value, as hone_plan has it */
    int layer;    /* of what is being written: -1 embeddings, 0 .. L-1, L head */
    int n_sites;  /* dropout sites so far */
    int cache;    /* row space of the caches that keys and values are kept in; 0: none are */
    int training; /* 0: no dropout, losses without gradients */
    int targets;  /* numbers a row of HONE_FILL_TARGET has */
    struct {
        hone_engine engine;
        int32_t longest;
    } attention; /* attributes of every one */
    hone_engine norm;
    hone_phase phase;
    hone_status status;
    hone_err *err;
} graph;

void graph_init(graph *g, arena *a, const model_config *config, hone_dtype dtype, hone_err *err);
/* Begin another program over the same values, parameters and spaces. */
void graph_begin(graph *g, int training);

/* ---- tables ---- */
int graph_space(graph *g, const char *name, int64_t cap, int seqs, int parent);
hone_dtype graph_float(const graph *g); /* of 'f' operands: F32, in an fp64 plan F64 */
/* A new value with storage; dims given as extents, the one of row_dim (or -1: none) as the capacity of space.
 */
int graph_value(graph *g, const char *name, hone_class cls, hone_dtype dtype, int n_dims, const int64_t *dims,
                int row_dim, int space);
/* A row space of up to cap rows of another one, from row `at` on. */
int graph_slice(graph *g, int space, int64_t at, int64_t cap);
/* The rows of base (one or two dimensions, no view) that a slice of its row space holds. */
int graph_rows(graph *g, int base, int slice);
/* Columns at .. of base as rows of [n1] or [n1,n2] (n2 0: two dimensions). */
int graph_view(graph *g, const char *name, int base, int64_t at, int64_t n1, int64_t n2);
int graph_root(const graph *g, int v);
int64_t graph_width(const graph *g, int v); /* elements of a row */
int64_t graph_elements(const graph *g, int v);
/* The INPUT value of a space by its fill, made when first asked for; of: for HONE_FILL_ORDER, the value
 * sorted by. */
int graph_companion(graph *g, int space, hone_fill fill, int of);
/* The parameter of a role, made when first asked for; leaf "weight" or "bias". n1 0: a vector [n0]. Returns
 * its value. */
int graph_param(graph *g, role r, const char *leaf, int64_t n0, int64_t n1);
int graph_param_of(const graph *g, int value); /* number of the parameter, 0: none */
/* The GRAD value of a parameter or span: made once, kept over programs. */
int graph_gradient(graph *g, int v);
/* A value like v (same extents), in a class and type of its own; name in front of v's. */
int graph_like(graph *g, const char *name, int v, hone_class cls, hone_dtype dtype);
/* The span over these parameter values, made when first asked for. */
int graph_span(graph *g, const int *members, int n);
const char *graph_name(graph *g, const char *name); /* "L3.name", for what is written in layer 3 */

/* ---- steps ---- */
/* Check a step against its op's line: letters, types, spaces. HONE_EBUG: a pass or builder is wrong. */
hone_status graph_bind(const graph *g, const hone_step *s, hone_err *err);
/* Append a step and note its results' maker. Returns its number. */
int graph_emit(graph *g, const hone_step *s);
hone_step *graph_insert(graph *g, int at); /* room for a step before step `at`; makers are renumbered */
void graph_drop_dead(graph *g);            /* steps whose op is HONE_N_OPS are taken out; makers renumbered */
void graph_makers(graph *g);               /* maker of every value from the steps; n_readers too */
int graph_reads(const hone_step *s, const graph *g, int value); /* does the step read value or a view of it */

/* ---- ops ---- */
hone_v g_linear(graph *g, hone_v x, role r, int64_t features, const char *name);
hone_v g_norm(graph *g, hone_v x, role r, const char *name);
hone_v g_dropout(graph *g, hone_v x, double p, const char *name);
hone_v g_act(graph *g, hone_v x, hone_v gate, hone_act act, const char *name);
hone_v g_add(graph *g, hone_v a, hone_v b, const char *name);
hone_v g_gather(graph *g, hone_v x, int space, const char *name);
hone_v g_pool(graph *g, hone_v x, const char *name); /* the mean of the rows of each sequence */
/* Cross-entropy of x [rows,D] against the words of its rows' labels; the logits are x word' (+ bias: role and leaf
 * "bias", N_ROLES: none). loss [rows]f, best [rows]i; in training the gradients too, made at once. */
void g_word_loss(graph *g, hone_v x, role bias, hone_v scale, hone_v *loss, hone_v *best);
/* The logits themselves, [rows,V]: for few rows. */
hone_v g_word_logits(graph *g, hone_v x, role bias, const char *name);
/* A cache for what this layer calls name (STATE [cache rows, D]), with x's rows put into it. */
hone_v g_keep(graph *g, hone_v x, const char *name);
/* q, k, v [N,D] with H heads; keys are the rows of k's own sequences, or what the caches hold of them. */
hone_v g_attend(graph *g, hone_v q, hone_v k, hone_v v, hone_mask mask, double p, const char *name);
#endif
