/* attention.cu - softmax(scale q k' + mask) v by sequences of packed rows, and its gradient: entries, and which variant plays.
 *
 *   variant   file                 plays
 *   cudnn     cudnn_attention.cu   where choose() took it: asked for, or by the rule of cudnn_limits.h
 *   sm80      attention_short.cuh  bf16, fp16 by tensor cores, K 32, 64, 96, 128, 256: sequences up to 128, in bins
 *             attention_sm80.cuh   longer ones, and all of K 128 and 256
 *             attention_wide.cuh   dk and dv of K 256
 *   simt      attention_simt.cuh   the rest: fp32, other widths and strides, picked queries that have q_pos
 *
 * All take their work from a list (attention_list.h); where none is bound, one thread makes it in the workspace.
 * Plain version: kernels/ref/attention.inc. Cases: kernels/cases/attention.c. */
#include "attention.cuh"
#include "cudnn.cuh"

#include <atomic>
#include <stdio.h>

extern "C" {
#include "ops.h"
}

/* ---- operands ------------------------------------------------------------------------------------------------*/
template <typename T> static Attention<T> operands(const hone_call *c, const attention_cut &cut) {
    const bool is_forward = c->op == HONE_OP_ATTENTION_FWD;
    const hone_tensor *q = c->in + (is_forward ? 0 : 3); /* q k v q_at k_at q_pos key rel list */
    Attention<T> a = {};
    a.q = rows_of<T, const T>(q[0]), a.k = rows_of<T, const T>(q[1]), a.v = rows_of<T, const T>(q[2]);
    a.o = rows_of<T>(is_forward ? c->out[0] : c->in[1]);
    a.lse = rows_of<float>(is_forward ? c->out[1] : c->in[2]);
    if (!is_forward) {
        a.d_o = rows_of<T, const T>(c->in[0]);
        a.dq = rows_of<T>(c->out[0]), a.dk = rows_of<T>(c->out[1]), a.dv = rows_of<T>(c->out[2]);
    }
    a.q_pos = ptr<const int32_t>(q[5]);
    a.key = ptr<const hone_key>(q[6]);
    a.list = ptr<const attention_counts>(q[8]);
    a.part = static_cast<float *>(c->work);
    a.N = cut.N, a.H = (int)cut.H, a.group = (int)(cut.H / cut.G), a.K = (int)cut.K, a.block_rows = cut.block_rows, a.n_parts = cut.n_parts;
    a.band = attention_band_of(&c->attr);
    a.scale = (float)c->attr.attention.scale;
    a.log2_scale = a.scale * LOG2_E;
    a.drop = drop_of(c, c->attr.p, c->attr.site);
    a.limit = a.drop.threshold << 16;
    return a;
}

/* ---- a list of the call's own --------------------------------------------------------------------------------*/
__global__ void attention_make_list(attention_lister lister, attention_cut cut, void *out) {
    if (threadIdx.x > 0) return;
    lister.cut = &cut;
    attention_fill(&lister, out);
}
template <typename T>
static hone_status make_list(hone_queue *q, const hone_call *c, const attention_cut &cut, Attention<T> *a) {
    const hone_tensor *at = c->in + (c->op == HONE_OP_ATTENTION_FWD ? 3 : 6);
    attention_lister lister = {};
    lister.band = a->band;
    lister.q_at = ptr<const hone_range>(at[0]), lister.k_at = ptr<const hone_range>(at[1]);
    lister.key = a->drop.threshold ? a->key : NULL;
    lister.has_positions = a->q_pos != NULL;
    lister.rows[0] = cut.N, lister.rows[1] = cut.M;
    a->list = static_cast<const attention_counts *>(c->work);
    a->part += attention_list_records(&cut) * (sizeof(attention_piece) / sizeof(float));
    return launch(q, attention_make_list, 1, 32, 0, lister, cut, c->work);
}

/* ---- variants ------------------------------------------------------------------------------------------------*/
/* In order of preference; the first that can play takes the call. Backward follows from the same cut, so a forward and its
 * backward are of one kind. cuDNN comes before them all, where choose() took it (cudnn.cu): o and lse are the same to it.
 * To come: wgmma with TMA on sm_90 for sequences beyond 256. */
template <typename T> struct Variant {
    const char *name;
    bool (*can)(const attention_cut &cut);
    hone_status (*fwd)(hone_queue *q, const Attention<T> &a, const attention_cut &cut);
    hone_status (*bwd)(hone_queue *q, const Attention<T> &a, const attention_cut &cut);
};
static bool always(const attention_cut &) { return true; }
static bool has_fragments(const attention_cut &cut) { return cut.has_fragments; }

#define BY_WIDTH(fn, ...)                                                                                    \
    (cut.K == 32   ? fn<T, 32>(__VA_ARGS__)                                                                  \
     : cut.K == 64 ? fn<T, 64>(__VA_ARGS__)                                                                  \
     : cut.K == 96 ? fn<T, 96>(__VA_ARGS__)                                                                  \
     : cut.K == 128 ? fn<T, 128>(__VA_ARGS__)                                                                \
                    : fn<T, 256>(__VA_ARGS__))
template <typename T> static hone_status sm80_fwd(hone_queue *q, const Attention<T> &a, const attention_cut &cut) {
    return BY_WIDTH(attention_sm80_fwd, q, a, cut);
}
template <typename T> static hone_status sm80_bwd(hone_queue *q, const Attention<T> &a, const attention_cut &cut) {
    return BY_WIDTH(attention_sm80_bwd, q, a, cut);
}

template <typename T> static const Variant<T> *variants() {
    static const Variant<T> all[] = {
        {"sm80", has_fragments, sm80_fwd<T>, sm80_bwd<T>},
        {"simt", always, attention_simt_fwd<T>, attention_simt_bwd<T>},
    };
    return all;
}
template <> const Variant<float> *variants() {
    static const Variant<float> all[] = {{"simt", always, attention_simt_fwd<float>, attention_simt_bwd<float>}};
    return all;
}

/* One line in the log for each shape of heads that a variant is chosen for. */
static void say(const hone_queue *q, const hone_call *c, const attention_cut &cut, const char *variant, bool own_list) {
    static std::atomic<uint64_t> said[256];
    const uint64_t shape = 1 | (uint64_t)c->op << 1 | (uint64_t)c->in[0].dtype << 9 | (uint64_t)own_list << 13 |
                           (uint64_t)cut.K << 14 | (uint64_t)cut.H << 24 | (uint64_t)cut.G << 40;
    bool is_new = false;
    for (size_t i = 0; i < sizeof said / sizeof *said && !is_new; i++) {
        uint64_t found = 0;
        is_new = said[i].compare_exchange_strong(found, shape);
        if (found == shape) return;
    }
    if (!is_new) return; /* more shapes than anybody reads */
    char line[200];
    snprintf(line, sizeof line, HONE_DEVICE_NAME ": %s of %lld heads (%lld of keys) of width %lld, %s: variant %s%s",
             hone_op_find(c->op)->name, (long long)cut.H, (long long)cut.G, (long long)cut.K,
             hone_dtype_name(c->in[0].dtype), variant, own_list ? ", work list made on the device" : "");
    q->device->host->log(q->device->host->context, line);
}

template <typename T> static hone_status play(hone_queue *q, const hone_call *c) {
    const attention_cut cut = attention_played_cut(c->op, c->in, c->out, &c->attr);
    const bool own_list = attention_makes_list(c->op, c->in, c->out);
    Attention<T> a = operands<T>(c, cut);
    const Variant<T> *variant = variants<T>();
    while (!variant->can(cut)) variant++;
    say(q, c, cut, variant->name, own_list);
    const hone_status status = own_list ? make_list(q, c, cut, &a) : HONE_OK;
    if (status) return status;
    return c->op == HONE_OP_ATTENTION_FWD ? variant->fwd(q, a, cut) : variant->bwd(q, a, cut);
}

static hone_status play_chosen(hone_queue *q, const hone_call *c) {
    return c->choice ? cudnn_attention_play(q, c) : BY_TYPE(c->in[0].dtype, play, q, c);
}
hone_status attention_fwd(hone_queue *q, const hone_call *c) { return play_chosen(q, c); }
hone_status attention_bwd(hone_queue *q, const hone_call *c) { return play_chosen(q, c); }
