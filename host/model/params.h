/* params.h - from a folder's tensors to a model's parameters.
 *
 * The model says which parameters it wants, by the names that a folder with a head uses. Folders name the
 * same thing in several ways: without the family's prefix (bert-base's own files), LayerNorm.gamma for
 * LayerNorm.weight; and they hold tensors that nobody wants: heads of other tasks, position_ids, copies of
 * tied weights. A head or pooler that is not there is made new from the seed; anything else that is not there
 * is an error.
 *
 *     params_open(&p, config, "minilm", want, n, &options, err);    everything that can be refused without reading numbers
 *     params_is_new(p, i)
 *     params_fill(p, put, run, err);                                hands each parameter's fp32 numbers to put
 *     params_close(p);
 */
#ifndef MODEL_PARAMS_H
#define MODEL_PARAMS_H
#include "hone/plan.h"
#include "model/config.h"
#include "model/weights.h"

typedef struct {
    const char *name; /* "bert.encoder.layer.3.output.dense.weight" */
    int n_dims;
    int64_t dim[3];
    int transposed; /* of two dimensions: the folder holds [dim[1], dim[0]] */
    hone_init init; /* if it is made new */
    float init_std;
} param_want;

typedef struct {
    uint64_t seed;    /* of what is made new */
    int ignore_sizes; /* ignore_mismatched_sizes: a head of another size is made new instead of refused */
    int strict;       /* strict_weights: unexpected tensors and non-finite values are errors, not warnings */
    int quiet;        /* log nothing (inspect asks what would happen) */
    const char *const *reinit; /* patterns (str_matches) of wants that are made new although the folder has them */
    int n_reinit;
} params_options;

typedef struct params params;

/* Open FOLDER's weights and find every parameter. folder NULL: everything is new.
 *   HONE_EDAMAGED  a parameter that is no head is missing (all are counted, the first is named), has another shape than
 *                  config.json says, or is not of a floating type; strict: there are unexpected tensors
 *   HONE_EUSAGE    the head is of another size (unless ignore_sizes), or a pattern of reinit matches nothing */
hone_status params_open(params **out, const model_config *c, const char *folder, const param_want *want,
                        int n, const params_options *o, hone_err *err);
void params_close(params *p); /* NULL is fine */

int params_is_new(const params *p, int i); /* 1: want[i] is not in the folder, of another size, or begins anew */
int params_n_new(const params *p);
const char *params_new_names(const params *p); /* "classifier.weight, classifier.bias"; "" none */
/* Tensors of the folder that are not wanted: known ones (other heads, buffers), and unexpected ones. */
const char *const *params_ignored(const params *p, int *n);
const char *const *params_unexpected(const params *p, int *n);
/* Where want[i] comes from; NULL: new. */
const stored_tensor *params_source(const params *p, int i);

/* Numbers first .. first + n - 1 of want[i], which is not new, as fp32; of a transposed one all of them. */
hone_status params_read(const params *p, int i, int64_t first, int64_t n, float *to, hone_err *err);

/* Hand every parameter to put, in the order of want and part after part: its fp32 numbers first .. first + n
 * - 1, valid during the call. Non-finite values: a warning, with strict HONE_ENOTFINITE. */
typedef hone_status params_put(void *to, int i, int64_t first, int64_t n, const float *values, hone_err *err);
hone_status params_fill(params *p, params_put *put, void *to, hone_err *err);

/* The wants of a plan: want[k] is plan->param[k + 1]. */
param_want *params_of_plan(arena *a, const hone_plan *plan);
int64_t param_elements(const param_want *w);
int64_t param_stored_dim(const param_want *w, int d); /* as the folder has it */
/* A matrix [rows, columns] as [columns, rows]. */
void param_transpose(float *to, const float *from, int64_t rows, int64_t columns);

/* init.c: new values first .. first + n - 1 of a parameter: normal with standard deviation init_std, 0 or 1.
 * The same for a seed, name and place, whatever else the model has. */
void param_init(float *to, int64_t first, int64_t n, const param_want *w, uint64_t seed);
#endif
