/* plan.h - training as a flat list of kernel calls, decided before the first byte is allocated.
 *
 * A graph is a playable list of steps over a table of values. Passes turn lists into lists (differentiate, fuse, place
 * in memory ...) and leave a plan: programs of steps whose operands are (slab, offset). A plan never changes after it is
 * built, owns no device memory, and needs no device: `hone plan` on a laptop and the run print the same bytes.
 *
 * Value 0 means "not bound" everywhere; so values, like params and spaces, count from 1. */
#ifndef HONE_PLAN_H
#define HONE_PLAN_H
#include "hone/device.h"

/* ---- slabs: a class of values is one piece of memory ---------------------------------------------------------*/
#define HONE_CLASS_MAP(XX)                                                                                   \
    XX(HONE_PARAM, "param", "weights in the compute type (in an fp32 plan they are the masters)")            \
    XX(HONE_STATE, "state", "fp32 masters of a bf16 or fp16 plan, Adam's moments, the tick, caches")         \
    XX(HONE_GRAD, "grad", "fp32 gradients, the loss sum first; n_slots copies")                              \
    XX(HONE_ACTIVATION, "act", "activations and their gradients: places are shared in time")                 \
    XX(HONE_INPUT, "input", "one batch, as the batcher writes it; scale, rates")                             \
    XX(HONE_CONST, "const", "tables that never change")                                                      \
    XX(HONE_RESULT, "result", "what the host reads back")                                                    \
    XX(HONE_WORK, "work", "workspace of the call being played")                                              \
    XX(HONE_WIRE, "wire", "gradients of other ranks, and what travels as bf16")
typedef enum {
    HONE_CLASS_NONE,
#define XX(name, text, what) name,
    HONE_CLASS_MAP(XX)
#undef XX
        HONE_N_CLASSES
} hone_class;

/* ---- what the batcher writes into an INPUT value --------------------------------------------------------------
 * N rows of a space beyond the batch's count are tail: id, index and label -1, target NaN, ranges of length 0. */
#define HONE_FILL_MAP(XX)                                                                                    \
    XX(HONE_FILL_ID, "id")         /* [space]i token ids */                                                  \
    XX(HONE_FILL_TYPE, "type")     /* [space]i segment */                                                    \
    XX(HONE_FILL_POS, "pos")       /* [space]i place in the sequence (of the parent's row, if picked) */     \
    XX(HONE_FILL_KEY, "key")       /* [space]k sample and place (of the parent's row, if picked) */          \
    XX(HONE_FILL_AT, "at")         /* [seqs]r rows of each sequence; of a picked space: its one row */       \
    XX(HONE_FILL_INDEX, "first")   /* [space]i row of the parent that each row is */                         \
    XX(HONE_FILL_SLOT, "slot")     /* [space]i row of the caches that each row is kept in */                 \
    XX(HONE_FILL_ORDER, "order")   /* [space]i rows sorted by the value `of`, stable, -1 last */             \
    XX(HONE_FILL_LIST, "list")     /* [words]i what the device's list_fill makes of the ranges `of` */       \
    XX(HONE_FILL_LABEL, "label")   /* [space]i class */                                                      \
    XX(HONE_FILL_TARGET, "target") /* [space,T]f numbers to be predicted */                                  \
    XX(HONE_FILL_SPAN, "span")     /* [space,2]i first and last row of an answer, from the sequence's first */ \
    XX(HONE_FILL_SCALE, "scale")   /* [1]f weight of a row in the mean */                                    \
    XX(HONE_FILL_RATE, "rate")     /* [groups,2]f rate, decay */                                             \
    XX(HONE_FILL_CLIP, "clip")     /* [1]f largest gradient norm */
typedef enum {
    HONE_FILL_NONE,
#define XX(name, text) name,
    HONE_FILL_MAP(XX)
#undef XX
        HONE_N_FILLS
} hone_fill;

/* ---- rows ----------------------------------------------------------------------------------------------------*/
/* A row space: "tok" (token rows), "seq" (one row a sequence), "mask" (picked rows) ... cap rows at most; the count is
 * data. Companions are INPUT values made when first asked for; the batcher fills them by name (NAME.n, NAME.at ...). */
typedef struct {
    const char *name;
    int64_t cap;
    int seqs;   /* space of its sequences (tok: seq); 0: each row is its own */
    int parent; /* rows are index[i] of the parent's; 0: none */
    int slice_of; /* its rows are those from slice_at on of this one, as far as it has them; 0: no slice */
    int64_t slice_at;
    int companion[HONE_N_FILLS]; /* the INPUT values by fill; 0: nobody asked */
} hone_space;

/* Whose rows are the tokens of sequences: no rows picked from another space, no slice. */
static inline int hone_space_is_tokens(const hone_space *s) { return s->seqs && !s->parent && !s->slice_of; }

typedef struct {
    int64_t n; /* extent, or capacity of the row space */
    int space; /* 0: fixed */
} hone_dim;

typedef struct {
    const char *name; /* "L3.attention.q", "tok.id", "dL3.up" */
    hone_class cls;
    hone_dtype dtype;
    int n_dims;
    hone_dim dim[3];
    int base;       /* a view of value base: its rows from row_at on, ld of base, columns from `at`; 0: has storage of its own */
    int64_t at, ld; /* in elements */
    int64_t row_at; /* views in a slice of the base's row space: where that begins, else 0 */
    int param;      /* the parameter whose weight, gradient, master or moment this is; 0: none */
    int maker;      /* step that writes it in its program, -1: none */
    int grad;       /* its gradient's value, 0: none */
    int span;       /* begins where the storage of value span does (a run of adjacent parameters); 0: no span */
    int slot;       /* GRAD in FOLD: slots beyond the one played */
    int n_readers;  /* private to the passes */
    hone_fill fill; /* INPUT: what the batcher writes */
    int fill_space, fill_of; /* STATE: the row space of a cache, 0: it is none */
    const void *data; /* CONST: its contents, in its dtype */
    size_t offset;  /* bytes from the start of its class's slab (views: of the base) */
} hone_value;

typedef enum { HONE_INIT_NORMAL, HONE_INIT_ZERO, HONE_INIT_ONE } hone_init;
typedef struct {
    const char *name; /* as in the model folder */
    int value;        /* [O,I], [D] or [V,D], PARAM */
    int master;       /* fp32 master (fp32 plan: = value); 0: it is divided among ranks */
    int moment[2];    /* STATE; 0 if not trained, or divided among ranks */
    uint8_t wants_grad, decays, is_new; /* is_new: not in the folder, made from the seed */
    uint8_t transposed;                 /* the folder holds it [I,O] */
    int16_t group;    /* row of the rates: 0 .. n_groups - 1 */
    int16_t layer;    /* -1 embeddings, 0 .. L-1 body, L head */
    hone_init init;
    float init_std;
} hone_param;

/* ---- steps ---------------------------------------------------------------------------------------------------*/
typedef enum { HONE_FORWARD, HONE_BACKWARD, HONE_UPDATE } hone_phase;
typedef struct {
    hone_op op;
    uint8_t phase, stream, n_wait;
    int16_t layer;
    int in[HONE_MAX_IN], out[HONE_MAX_OUT]; /* values, in the order of the op's line */
    hone_attr attr;
    int16_t wait[2], record;
    size_t work_bytes;
} hone_step;

/* Programs of a plan. A step of training plays, for every micro-batch, MICRO into a gradient slot, FOLD where two
 * slots' sums are to be added (slot s and s + 1 into s), then UPDATE.
 *
 * A plan with a table (below) plays MISSED before MICRO, for the rows that the batch reads, and for all of them before
 * anybody else looks at the weights.
 *
 * DECODE goes on with texts: keys and values of its tokens are put into caches, which lie in STATE, a piece of rows for each
 * sequence, and queries see what the caches hold of theirs. MOVE copies rows of all caches to other rows. */
#define HONE_PROGRAM_MAP(XX)                                                                                 \
    XX(HONE_MICRO, "micro") XX(HONE_FOLD, "fold") XX(HONE_UPDATE_WEIGHTS, "update") XX(HONE_MISSED, "missed") \
    XX(HONE_EVAL, "eval") XX(HONE_DECODE, "decode") XX(HONE_MOVE, "move")
typedef enum {
#define XX(name, text) name,
    HONE_PROGRAM_MAP(XX)
#undef XX
        HONE_N_PROGRAMS
} hone_program_kind;
typedef struct {
    hone_step *step;
    int n_steps;
} hone_program;

/* A work list of attention: the INPUT value, the question it answers, and what it is made of (key 0: none). */
#define HONE_MAX_LISTS 16
typedef struct {
    int value, q_at, k_at, key;
    int q_space, k_space;
    hone_query query;
} hone_list;

/* The parameter, if any, that a step reads and trains by few of its rows (embeddings with more rows than a batch has tokens, of
 * one rank whose gradients are not rounded, on a device that plays ADAMW_ROWS): the others are updated when they are needed. Other than param: values. */
typedef struct {
    int param;        /* 0: this plan has none, everything is updated in every step */
    int touched;      /* [V]f in GRAD: rows of the gradient that may be other than zero */
    int missed, past; /* [V]i, [64,2]f STATE: updates that a row has missed; rates of the last ones */
} hone_table;

/* ---- ranks ---------------------------------------------------------------------------------------------------*/
/* Gradients that leave together, as soon as step `ready` of MICRO has made the last of them: elements cut[0] .. cut[n_ranks]
 * of a slot. Rank k adds up cut[k] .. cut[k + 1] and, where the optimizer is divided, holds that part's state and updates
 * it. Cuts lie between chunks, so that sums over chunks are the same whoever makes them. */
typedef struct {
    const int64_t *cut;   /* [n_ranks + 1] */
    const int64_t *chunk; /* [n_ranks + 1] chunks of rank k: chunk[k] .. chunk[k + 1] of all */
    int ready;
    int update; /* divided: the step of UPDATE that updates this rank's part, -1: it has none */
} hone_bucket;

/* fp32 state of the optimizer as one range in the order of the slabs (own.h): where its first element lies. */
typedef enum { HONE_MASTER, HONE_EXP_AVG, HONE_EXP_AVG_SQ, HONE_N_FLATS } hone_flat_kind;
typedef struct {
    hone_class cls;
    size_t at;   /* byte in the slab */
    int divided; /* 1: the slab holds this rank's parts alone */
} hone_flat;

typedef struct hone_plan {
    hone_dtype dtype; /* compute type */
    int fixed_rows;   /* of hone_limits: a batch is played at a rung (rung.h) */
    hone_space *space;
    int n_spaces; /* [1 .. n_spaces] */
    hone_value *value;
    int n_values;
    hone_param *param;
    int n_params;
    hone_program program[HONE_N_PROGRAMS];
    size_t slab_bytes[HONE_N_CLASSES]; /* GRAD: of all slots; ACTIVATION: the largest program's */
    size_t bound_bytes;                /* ACTIVATION: no order of placing can be below this */
    size_t slot_bytes;                 /* GRAD: of one slot */
    size_t input_bytes;                /* INPUT: one image; where rows are fixed a second one follows, being copied in */
    hone_list list[HONE_MAX_LISTS];
    int n_lists;
    int n_slots;
    size_t zone_bytes; /* red zone behind each value that no flat range holds, and behind slabs; 0: none */
    int n_ranks, rank;    /* this is the plan of `rank` */
    int divided;          /* each rank holds, of moments and masters, what it updates (ZeRO-1) */
    hone_bucket *bucket;  /* in the order in which they leave */
    int n_buckets;        /* 0 of one rank */
    int64_t n_chunks;     /* of all ranks */
    hone_flat flat[HONE_N_FLATS];
    hone_table table;
    int64_t n_trained; /* P: elements of the flat range of trained parameters (with alignment gaps) */
    int n_groups;
    /* Values that the host knows by meaning; 0: this plan has none. */
    int loss, norm, ok, factor, tick;      /* loss [1]f in GRAD; norm [1]f, ok [1]i RESULT; tick [16]i STATE */
    int sequence_loss, sequence_scale;     /* of a second loss, of sequences: its part of loss, which lies in the row of loss; INPUT */
    int chunk, rate, clip, scale;          /* CONST [Q,3]i (divided: this rank's); INPUT */
    int part, own_part;                    /* divided: [Q]f sums over chunks, STATE, of all; RESULT, of this rank's */
    int eval_logits, eval_loss;            /* RESULT; logits 0: of a vocabulary, kept only of rows asked for; loss 0: nothing to be predicted */
    int eval_best;                         /* RESULT [rows of eval_loss]i: the likeliest word; 0: this plan has none */
    int decode_logits;                     /* RESULT [seq,V]: what follows the last row of each sequence */
    void *owner;                           /* the arena that holds all this */
} hone_plan;

void hone_plan_free(hone_plan *plan); /* NULL is fine */

/* Total of what a run reserves on the device: exact. */
size_t hone_plan_device_bytes(const hone_plan *plan);
#endif
