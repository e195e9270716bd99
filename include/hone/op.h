/* op.h - every operation of hone, one line each. ORDER OP: the order of this map numbers the ops.
 *
 * A line reads  XX(NAME, "operands -> results", "gradient rule").
 *
 *   x[N,D]     operand x of the plan's compute type with dimensions N and D; a letter is bound where it is first seen
 *              and must have the same extent (and row space) wherever it stands again
 *   f i k r    after the shape: fp32 (fp64 in an fp64 plan), int32, hone_key, hone_range; no letter: the compute type
 *   ?          may be left unbound
 *   +          a result the op can add into: the parser appends an optional input "+y", an ordinary operand that dies
 *              here and lends its storage to the result. Where in[+y] is bound, out[y].p == in[+y].p and out += ...
 *   @x         the result may take x's storage, if x dies here (out.p may equal in.p)
 *
 * Gradient rules name the ops that make the gradients: "OP operands -> gradients; ...". dx is the gradient of x, a
 * name without d the forward value itself (what a rule names is what the backward keeps); "dx = v" passes v on;
 * "id.order" is a companion of the input id. Attributes go to the rule's ops unchanged. "": no gradient.
 *
 * Rows with id, index or label -1 are tail or ignored rows: they read as zero and get zero gradients.
 * Files of a family: kernels/ref, kernels/cpu, kernels/cases have the same names (norm.c holds NORM_FWD, NORM_BWD). */
#ifndef HONE_OP_H
#define HONE_OP_H
#include "hone/status.h"
#include "hone/types.h"

/* clang-format off */
#define HONE_OP_MAP(XX) \
/* y[n] = word[id[n]] + posw[pos[n]] + typew[type[n]]; an id of -1 adds nothing (all -1: a zero row) */ \
XX(EMBED_FWD, "id[N]i word[V,D] pos[N]i? posw[S,D]? type[N]i? typew[T,D]? -> y[N,D]", "EMBED_BWD dy id id.order -> dword; EMBED_BWD dy pos pos.order -> dposw; EMBED_BWD dy type type.order -> dtypew") \
/* dw[v] (+)= sum over rows n with id[n] = v of dy[n], in row order. order: the rows sorted by id, stable, -1 last, made by the host. Rows of dw that no id names are zeroed unless + is bound. touched, kept between calls: other than 0 where a row of dw may be other than zero. Where it is bound, what is zeroed are the touched rows, and those that ids name become touched (1) */ \
XX(EMBED_BWD, "dy[N,D] id[N]i order[N]i -> dw[V,D]f+ touched[V]f?+", "") \
/* s = res + drop(x + bias), rounded to its type whether it is bound or not; y = drop_out(gamma (s - mean) rstd + beta). attr.norm: kind, eps, p, site, p_out, site_out. kind rms: mean is not taken off and not written */ \
XX(NORM_FWD, "x[N,D] bias[D]? key[N]k? res[N,D]? gamma[D]? beta[D]? -> y[N,D] mean[N]f? rstd[N]f s[N,D]?@x", "NORM_BWD dy x mean rstd gamma -> dx dgamma dbeta") \
/* ds = the norm's gradient at s (+ +ds); dx = drop'(ds); dbias = column sums of dx. With p_out, dy first goes back through that dropout */ \
XX(NORM_BWD, "dy[N,D] s[N,D] mean[N]f? rstd[N]f gamma[D]? key[N]k? -> ds[N,D]+@dy dgamma[D]f?+ dbeta[D]f?+ dx[N,D]? dbias[D]f?+", "") \
/* pre = alpha x w' + bias (+ +y), rounded to its type whether it is bound or not; y = act(pre). attr.linear: act, alpha */ \
XX(LINEAR_FWD, "x[N,I] w[O,I] bias[O]? -> y[N,O]+ pre[N,O]?", "LINEAR_BWD_W dy x -> dw dbias; LINEAR_BWD dy w -> dx") \
/* dx = alpha dy w (+ +dx); where pre is bound dx is multiplied by act'(pre) and dbias = column sums of that dx */ \
XX(LINEAR_BWD, "dy[N,O] w[O,I] pre[N,I]? -> dx[N,I]+ dbias[I]f?+", "") \
/* dw (+)= alpha dy' x; dbias (+)= column sums of dy */ \
XX(LINEAR_BWD_W, "dy[N,O] x[N,I] -> dw[O,I]f+ dbias[O]f?+", "") \
/* y = act(x), times gate where bound. attr.act.kind */ \
XX(ACT_FWD, "x[N,F] gate[N,F]? -> y[N,F]@x", "ACT_BWD dy x gate -> dx dgate") \
/* dx = dy gate act'(x), dgate = dy act(x), dbias = column sums of dx */ \
XX(ACT_BWD, "dy[N,F] x[N,F] gate[N,F]? -> dx[N,F]@dy dgate[N,F]? dbias[F]f?+", "") \
/* y = keep ? x / (1 - p) : 0. attr.dropout: p, site; the mask: device.h */ \
XX(DROPOUT, "x[N,D] key[N]k -> y[N,D]@x", "DROPOUT dy key -> dx") \
XX(ADD, "a[N,D] b[N,D] -> y[N,D]@a", "da = dy; db = dy") \
/* o = softmax(scale q k' + mask) v for each sequence b: queries are rows q_at[b], keys k_at[b]; dropout on the probabilities. lse: natural log of the sum of exp of a row's scores, +inf for a row without keys (o = 0). Rows of no sequence get o = 0, lse = +inf. attr.attention: mask, left, right, scale, p, site */ \
XX(ATTENTION_FWD, "q[N,H,K] k[M,G,K] v[M,G,K] q_at[B]r k_at[B]r q_pos[N]i? key[N]k? rel[R,H]? list[Z]i? -> o[N,H,K] lse[H,N]f", "ATTENTION_BWD do o lse q k v q_at k_at q_pos key rel -> dq dk dv drel") \
/* rows of no sequence get zeros */ \
XX(ATTENTION_BWD, "do[N,H,K] o[N,H,K] lse[H,N]f q[N,H,K] k[M,G,K] v[M,G,K] q_at[B]r k_at[B]r q_pos[N]i? key[N]k? rel[R,H]? list[Z]i? -> dq[N,H,K]? dk[M,G,K]? dv[M,G,K]? drel[R,H]f?+", "") \
/* y[m] = x[index[m]], zeros for -1. Indices are distinct where a gradient flows back */ \
XX(GATHER, "x[N,D] index[M]i -> y[M,D]", "SCATTER dy index -> dx") \
/* y[index[m]] (+)= x[m]; rows not named: into's, with + kept, else 0 */ \
XX(SCATTER, "x[M,D] index[M]i into[N,D]? -> y[N,D]+@into", "GATHER dy index -> dx") \
/* y[b] = mean of the rows at[b]; no rows: zeros */ \
XX(POOL_FWD, "x[N,D] at[B]r -> y[B,D]", "POOL_BWD dy at -> dx") \
XX(POOL_BWD, "dy[B,D] at[B]r -> dx[N,D]+", "") \
XX(SOFTMAX_FWD, "x[M,C] -> y[M,C]@x", "SOFTMAX_BWD dy y -> dx") \
XX(SOFTMAX_BWD, "dy[M,C] y[M,C] -> dx[M,C]@dy", "") \
/* Losses give their gradient at once. loss[m] = scale times the row's loss; gx = its gradient times the tick's loss scale (1 unless fp16; BCE, MSE and SPAN_XENT too; no tick reads as 1). scale is the row's weight in the global mean; label -1: loss and gradient 0. t = (1-smoothing) onehot + smoothing / C; loss = -sum t log softmax(x); with class weights each class's term is multiplied by its weight. best: first index of the largest x */ \
XX(XENT, "x[M,C] label[M]i weight[C]f? scale[1]f -> loss[M]f best[M]i? gx[M,C]?@x", "dx = gx") \
/* a macro that no device needs: the plan expands it into chunks of rows of LINEAR_FWD, XENT, LINEAR_BWD_W, LINEAR_BWD */ \
XX(HEAD_XENT, "x[M,D] w[V,D] bias[V]? label[M]i scale[1]f -> loss[M]f best[M]i? gx[M,D]? gw[V,D]f?+ gbias[V]f?+", "dx = gx; dw = gw; dbias = gbias") \
/* binary cross-entropy of logits; label NaN: ignored (no loss, gradient 0); weight: of the positive class. A row's loss is the sum over its columns / C; MSE's too */ \
XX(BCE, "x[M,C] label[M,C]f weight[C]f? scale[1]f -> loss[M]f gx[M,C]?@x", "dx = gx") \
XX(MSE, "x[M,C] label[M,C]f scale[1]f -> loss[M]f gx[M,C]?@x", "dx = gx") \
/* start and end of an answer: softmax over the rows at[b], each column apart; loss is the mean of the two. label and best count from the sequence's first row; a label < 0 or beyond the sequence: its column has no loss; best -1: no rows. Rows of no sequence: gx 0 */ \
XX(SPAN_XENT, "x[N,2] at[B]r label[B,2]i scale[1]f -> loss[B]f best[B,2]i? gx[N,2]?@x", "dx = gx") \
/* s (+)= sum of x, in an order that M alone decides; zeros at the end of x change no bit */ \
XX(SUM, "x[M]f -> s[1]f+", "") \
/* part[q] = sum over chunk q of (g / loss scale)^2. chunk: first element / 64, n <= 8,192 elements, group. touched: of the rows of attr.table's width from its first element on, those with 0 are zero */ \
XX(SQSUM, "g[P]f chunk[Q,3]i touched[V]f? -> part[Q]f", "") \
/* norm = sqrt(sum of part in fp64, in an order that Q alone decides); factor = min(1, clip / (norm + 1e-6)) / loss scale, clip 0: no clipping; ok = 1 if norm and loss are finite, else 0. tick: see hone_tick in device.h (T is 16 words). attr.guard: the loss scale's rule */ \
XX(GUARD, "part[Q]f loss[1]f clip[1]f -> factor[1]f norm[1]f ok[1]i tick[T]i+", "") \
/* where ok: g' = factor g; m = b1 m + (1-b1) g'; v = b2 v + (1-b2) g'^2; w = w - rate (m / (1-b1^t) / (sqrt(v / (1-b2^t)) + eps)) after w = w - rate decay w (decoupled, as torch's AdamW). rate[g]: rate, decay of group g. copy: w in the compute type. attr.adamw: beta1, beta2, eps */ \
XX(ADAMW_STEP, "g[P]f chunk[Q,3]i rate[G,2]f factor[1]f ok[1]i -> w[P]f+ m[P]f+ v[P]f+ copy[P]?", "") \
/* ADAMW_STEP of a table of which a step touches few rows: the others get the same steps, with g = 0 and so the same bits, later and several at once. missed[v]: how many row v has missed; past[t mod J]: rate and decay of step t. Where ok: past takes on rate[attr.adamw.group]; rows with touched other than 0, and those with v mod J = t mod J, get all that they have missed and step t; the others' missed grows by 1, so it stays below J. Rows of copy that get none are kept. A device that plays it plays ADAMW_MISSED and all of touched */ \
XX(ADAMW_ROWS, "g[V,D]f touched[V]f rate[G,2]f factor[1]f ok[1]i -> w[V,D]f+ m[V,D]f+ v[V,D]f+ missed[V]i+ past[J,2]f+ copy[V,D]?+", "") \
/* rows that id names (in the order of EMBED_BWD's; not bound: all) get the steps that they have missed, up to the tick's adam_t */ \
XX(ADAMW_MISSED, "id[N]i? order[N]i? past[J,2]f -> w[V,D]f+ m[V,D]f+ v[V,D]f+ missed[V]i+ copy[V,D]?+", "") \
/* h[q]: a 32-bit hash of elements q*65536 .. of x, independent of threads: the sum modulo 2^32 over i (from 0 in the chunk) of mix(bits + (i + 1) 0x9E3779B9), mix: Murmur3's last; bits: zero-extended (fp64: low ^ mix(high)). kernels/ref/reduce.inc */ \
XX(HASH, "x[P] -> h[Q]i", "") \
/* converts between floating types, nearest even */ \
XX(COPY, "x[P]* -> y[P]*", "")

/* clang-format on */

typedef enum {
#define XX(name, line, rule) HONE_OP_##name,
    HONE_OP_MAP(XX)
#undef XX
        HONE_N_OPS
} hone_op;

#define HONE_MAX_IN 16
#define HONE_MAX_OUT 6

/* An operand of an op line, as the parser found it. */
typedef struct {
    char name[12];
    char dim[3]; /* the letters; a digit stands for itself */
    int8_t n_dims;
    char type;     /* 0 the plan's type, 'f' 'i' 'k' 'r', '*' any floating type */
    int8_t opt;    /* may be unbound */
    int8_t adds;   /* result: index of its "+" input + 1, else 0; "+" input: index of its result + 1 */
    int8_t shares; /* result: index of the input whose storage it may take + 1, else 0 */
} hone_operand;

typedef struct {
    const char *name, *line, *rule;
    hone_operand in[HONE_MAX_IN], out[HONE_MAX_OUT];
    int n_in;   /* the "+" inputs last, in the order of their results */
    int n_plus; /* how many of n_in are "+" inputs */
    int n_out;
} hone_op_info;

/* The parsed line of an op; made once, never freed. NULL for a number that is no op. */
const hone_op_info *hone_op_find(hone_op op);
int hone_op_by_name(const char *name);                        /* -1: none of that name */
int hone_op_operand(const hone_op_info *op, const char *name); /* index: inputs from 0, results from n_in; -1: none */

typedef enum { HONE_ACT_NONE, HONE_ACT_GELU, HONE_ACT_GELU_TANH, HONE_ACT_RELU, HONE_ACT_SILU, HONE_ACT_TANH } hone_act;
typedef enum { HONE_NORM_LAYER, HONE_NORM_RMS } hone_norm_kind;
/* window: key j of query i (both counted so that the last key aligns with the last query) lives if
 * i - left <= j <= i + right; causal: j <= i. */
typedef enum { HONE_MASK_FULL, HONE_MASK_CAUSAL, HONE_MASK_WINDOW } hone_mask;

/* Whose code plays an op on a device that has a choice (cuda: attention and norms). hone: the device's own; cudnn: NVIDIA's
 * library, or the device refuses (can, choose); auto: the device's rule. Other devices have one for all. */
typedef enum { HONE_ENGINE_AUTO, HONE_ENGINE_HONE, HONE_ENGINE_CUDNN } hone_engine;

/* Constants of a call. One struct for all ops: a rule hands a forward's attributes to its backward ops unchanged. */
typedef struct {
    float p;      /* dropout inside the op, 0: none; DROPOUT, NORM (before the residual), ATTENTION (on probabilities) */
    float p_out;  /* NORM: dropout on y */
    int32_t site; /* number of the dropout place in the model, from 1 */
    int32_t site_out;
    int32_t engine; /* hone_engine; ATTENTION, NORM */
    union {
        struct {
            int32_t kind;
            double eps;
        } norm;
        struct {
            int32_t act; /* LINEAR_FWD: of y. LINEAR_BWD with pre: whose derivative */
            float alpha; /* 0 reads as 1 */
            /* 1: an fp32 product may round its operands (never its sums or results) to TF32, 10 bits of mantissa. Only
             * devices whose hone_limits.tf32 is 1 are asked for it; others would play fp32. */
            int32_t tf32;
        } linear;
        struct {
            int32_t kind;
        } act;
        struct {
            int32_t mask, left, right;
            int32_t longest; /* no sequence of queries or keys is longer (by hone's own kernels more are right, and slower); 0: unknown */
            double scale;
        } attention;
        struct {
            double smoothing, focal_gamma;
        } loss;
        struct {
            double beta1, beta2, eps;
            int32_t group; /* ADAMW_ROWS */
        } adamw;
        struct {
            int64_t first, width;
        } table; /* SQSUM with touched */
        struct { /* hone_tick in device.h tells the rule. All zero: the scale stays, a step that is not finite latches */
            int32_t dynamic;    /* 1: the loss scale moves */
            int32_t window;     /* sound steps in a row before it doubles, at least 1 */
            int32_t hysteresis; /* steps that are not finite before it halves, at least 1 */
            float min_scale;    /* its floor */
        } guard;
    };
} hone_attr;
#endif
