/* limits_attention.c - what attention plays, and how its work is cut. */
#include <stdio.h>
#include <string.h>

#include "attention_list.h"
#include "cudnn_limits.h"
#include "limits.h"

#define WIDEST_HEAD 256
#define WIDEST_BIN_HEAD                                                                                      \
    96 /* a bin of wider heads would not fit the 99 KB of shared memory of sm_86, sm_89, sm_120 */

static int first_operand(hone_op op) {
    return op == HONE_OP_ATTENTION_FWD ? 0 : 3;
} /* of q k v q_at k_at q_pos key rel list */

/* Rows of 2-byte elements that start at multiples of 16 bytes. */
static int has_packs(const hone_tensor *t) {
    return t->n_dims == 0 || (t->dtype != HONE_F32 && t->ld % 8 == 0);
}

static int has_fragments(const hone_tensor *q) {
    const int64_t K = q->dim[2];
    return (K == 32 || K == 64 || K == 96 || K == 128 || K == 256) && has_packs(q) && has_packs(q + 1) &&
           has_packs(q + 2) && q[5].n_dims == 0;
}

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

/* Upper bounds: pieces of n rows in all, of `each` rows at most, from so many sequences or gaps. */
static int64_t pieces(int64_t n, int64_t each, int64_t from) { return n / each + from; }

static attention_cut make_cut(const hone_tensor *q, int with_fragments) {
    attention_cut cut = {.N = q->dim[0], .M = q[1].dim[0], .B = q[3].dim[0]};
    cut.H = q->dim[1], cut.G = q[1].dim[1], cut.K = q->dim[2];
    cut.has_fragments = with_fragments;
    cut.bin_rows = with_fragments && cut.K <= WIDEST_BIN_HEAD ? BIN_ROWS : 0;
    cut.tile_rows = !with_fragments ? 64 : cut.K <= 64 ? 256 : cut.K <= 128 ? 128 : 64;
    cut.block_rows = with_fragments && cut.K > 128 ? 32 : cut.tile_rows; /* attention_wide.cuh */
    const int64_t from = 2 * cut.B + 1; /* sequences, and gaps between them */
    cut.bins_cap = cut.bin_rows ? smaller(cut.B, ((cut.N + cut.M) / UNIT_ROWS + cut.B) / 3 + 1) : 0;
    cut.tiles_cap = pieces(cut.N, cut.tile_rows, from);
    cut.blocks_cap = pieces(cut.M, cut.block_rows, from);
    if (with_fragments) cut.blocks_cap += pieces(cut.N, cut.tile_rows, cut.B + 1);
    return cut;
}

attention_cut attention_cut_of(hone_op op, const hone_tensor *in) {
    const hone_tensor *q = in + first_operand(op);
    return make_cut(q, has_fragments(q));
}

/* Operands that a list does not depend on. */
static int others_have_packs(hone_op op, const hone_tensor *in, const hone_tensor *out) {
    if (op == HONE_OP_ATTENTION_FWD) return has_packs(&out[0]);
    return has_packs(&in[0]) && has_packs(&in[1]) && has_packs(&out[0]) && has_packs(&out[1]) &&
           has_packs(&out[2]);
}

attention_cut attention_played_cut(hone_op op, const hone_tensor *in, const hone_tensor *out, const hone_attr *attr) {
    const hone_tensor *q = in + first_operand(op);
    attention_cut cut = make_cut(q, has_fragments(q) && others_have_packs(op, in, out));
    const int64_t longest = attr->attention.longest > 0 ? smaller(cut.M, attr->attention.longest) : cut.M;
    if (op == HONE_OP_ATTENTION_BWD && cut.has_fragments && cut.K <= 128 && longest > cut.block_rows)
        cut.n_parts = (int)smaller(PARTIAL_BLOCKS, (longest + cut.block_rows - 1) / cut.block_rows);
    return cut;
}

int attention_makes_list(hone_op op, const hone_tensor *in, const hone_tensor *out) {
    const hone_tensor *q = in + first_operand(op);
    return q[8].n_dims == 0 || (has_fragments(q) && !others_have_packs(op, in, out));
}

static int refuse(const hone_query *query, int i, const char *reason, long long value, char *why,
                  size_t why_bytes) {
    const hone_op_info *op = hone_op_find(query->op);
    char text[96];
    snprintf(text, sizeof text, reason, value);
    snprintf(why, why_bytes, "cuda: %s, %s: %s", op->name, op->in[i].name, text);
    return 0;
}

int attention_can(const hone_query *query, char *why, size_t why_bytes) {
    const int q = first_operand(query->op);
    const attention_cut cut = attention_cut_of(query->op, query->in);
    if (cut.K > WIDEST_HEAD)
        return refuse(query, q, "head width K = %lld; at most 256 is played", cut.K, why, why_bytes);
    if (cut.G < 1 || cut.H % cut.G)
        return refuse(query, q + 1, "G = %lld heads of keys do not divide the heads of queries", cut.G, why,
                      why_bytes);
    if (cut.H > 4096)
        return refuse(query, q, "H = %lld heads; dropout's numbers are laid out for at most 4096", cut.H, why,
                      why_bytes);
    if (query->in[q + 7].n_dims > 0)
        return refuse(query, q + 7, "a bias by relative position is not played yet", 0, why, why_bytes);
    return 1;
}

/* fp32 parts of dq, one for each of a sequence's first blocks of keys, where sequences may have several. */
size_t attention_partial_bytes(const attention_cut *cut) {
    return (size_t)(cut->n_parts * cut->N * cut->H * cut->K) * sizeof(float);
}

size_t attention_work_bytes(const hone_query *query) {
    const attention_cut cut = attention_played_cut(query->op, query->in, query->out, &query->attr);
    size_t bytes = 0;
    if (attention_makes_list(query->op, query->in, query->out))
        bytes += (size_t)attention_list_records(&cut) * sizeof(attention_piece);
    bytes += attention_partial_bytes(&cut);
    const size_t others = cudnn_is_preferred(query) ? cudnn_work_bytes(query) : 0; /* which it is, the device knows */
    return bytes > others ? bytes : others;
}

size_t cuda_list_bytes(const hone_query *query) {
    if (query->op != HONE_OP_ATTENTION_FWD && query->op != HONE_OP_ATTENTION_BWD) return 0;
    if (query->attr.engine == HONE_ENGINE_CUDNN) return 0;
    const attention_cut cut = attention_cut_of(query->op, query->in);
    return (size_t)attention_list_records(&cut) * sizeof(attention_piece);
}

void cuda_list_fill(const hone_query *query, const hone_range *q_at, const hone_range *k_at,
                    const hone_key *key, const int64_t rows[2], void *out) {
    const attention_cut cut = attention_cut_of(query->op, query->in);
    attention_lister lister = {
        .cut = &cut, .band = attention_band_of(&query->attr), .q_at = q_at, .k_at = k_at};
    lister.key = query->attr.p > 0 ? key : NULL;
    lister.has_positions = query->in[first_operand(query->op) + 5].n_dims > 0;
    lister.rows[0] = rows[0], lister.rows[1] = rows[1];
    attention_fill(&lister, out);
}
