/* attention_list.h - the work lists of attention: who computes which rows.
 *
 * A list is made on the host while a batch is packed (list_fill of the device table) and read by the kernels as
 * operand `list`; counts are data, so one captured graph serves all batches, with grids as large as the capacities here.
 *
 *   counts   one record of 32 bytes
 *   bins     4 units of 32 rows (128 bytes): sequences of at most 128 queries and keys, several to a block
 *   tiles    queries of one longer sequence (or of one whose queries were picked), tile_rows at most: forward, and
 *            dq where it is not made with dk and dv
 *   blocks   keys of one longer sequence, block_rows at most: dk and dv
 *
 * Rows of no sequence are pieces too: queries without keys (o = 0, lse = +inf, dq = 0), keys without queries (dk = dv = 0).
 * The list of a forward and of its backward are the same bytes: it depends on q, k, v, q_pos, the ranges, the keys of
 * the rows and the mask. Plain C that a GPU thread can run too: where no list is bound, one is made on the device. */
#ifndef CUDA_ATTENTION_LIST_H
#define CUDA_ATTENTION_LIST_H
#include "hone/device.h"

#ifdef __CUDACC__
#define LIST_FUNCTION __host__ __device__ static inline
#else
#define LIST_FUNCTION static inline
#endif

enum {
    BIN_UNITS = 4,
    UNIT_ROWS = 32,
    BIN_ROWS = BIN_UNITS * UNIT_ROWS,
    PARTIAL_BLOCKS = 4,
    COST_CLASSES = 64
};

typedef struct {
    int32_t n_bins, n_tiles, n_blocks;
    int32_t tiles_at, blocks_at; /* records from the list's begin; bins begin at record 1 */
    int32_t unused[3];
} attention_counts;

/* Rows 32 u .. 32 u + 31 of a bin. Its sequence begins in unit slot; q_len = k_len = 0: empty. */
typedef struct {
    int32_t q_row, k_row;               /* of the sequence */
    uint16_t q_len, k_len, slot, first; /* first: which unit of its sequence this is */
    int32_t seq;
    uint32_t sample; /* of all its query rows */
    int32_t unused[2];
} attention_unit;

/* Queries (keys) first .. first + tile_rows - 1 (block_rows) of a sequence. */
typedef struct {
    int32_t q_row, q_len, k_row, k_len, first, seq;
    uint32_t sample;    /* of all its query rows, unless */
    uint32_t is_picked; /* query rows are not places 0, 1, 2 ... of one sample: their keys tell */
} attention_piece;

/* How a call is cut, and how long its lists may become. */
typedef struct {
    int64_t N, M, B, H, G, K;
    int has_fragments; /* tensor cores; else attention_simt */
    int bin_rows;      /* sequences up to this go into bins; 0: none do */
    int tile_rows, block_rows;
    int n_parts;       /* of dq in the workspace: blocks of keys that a sequence may have and leave one each; 0: none do */
    int64_t bins_cap, tiles_cap, blocks_cap;
} attention_cut;

/* in, out, attr: of a query or a call of one of attention's ops. */
attention_cut attention_cut_of(hone_op op, const hone_tensor *in);
int attention_can(const hone_query *query, char *why, size_t why_bytes);
size_t attention_work_bytes(const hone_query *query);
size_t attention_partial_bytes(
    const attention_cut *cut); /* of the parts of dq in the workspace, behind a list made there */
/* Whether the call must make its own list in its workspace: none is bound, or operands that a list does not depend on
 * have rows that cannot be read in 16 bytes, so that it falls back to attention_simt. */
int attention_makes_list(hone_op op, const hone_tensor *in, const hone_tensor *out);
/* The cut that the call is played with. */
attention_cut attention_played_cut(hone_op op, const hone_tensor *in, const hone_tensor *out, const hone_attr *attr);

LIST_FUNCTION int64_t attention_list_records(const attention_cut *cut) {
    return 1 + cut->bins_cap * BIN_UNITS + cut->tiles_cap + cut->blocks_cap;
}

/* ---- masks ---------------------------------------------------------------------------------------------------*/
/* A query that stands at key i sees keys i - left .. i + right. */
typedef struct {
    int32_t left, right;
} attention_band;
enum { ATTENTION_FAR = 1 << 30 };

LIST_FUNCTION attention_band attention_band_of(const hone_attr *attr) {
    attention_band band = {ATTENTION_FAR, ATTENTION_FAR};
    if (attr->attention.mask == HONE_MASK_CAUSAL) band.right = 0;
    if (attr->attention.mask == HONE_MASK_WINDOW) {
        if (attr->attention.left < ATTENTION_FAR) band.left = attr->attention.left;
        if (attr->attention.right < ATTENTION_FAR) band.right = attr->attention.right;
    }
    return band;
}
/* Keys [*begin, *end) that some query of first .. last sees; off = k_len - q_len. */
LIST_FUNCTION void attention_live_keys(attention_band band, int first, int last, int off, int k_len,
                                       int *begin, int *end) {
    const int64_t low = (int64_t)first + off - band.left, high = (int64_t)last + off + band.right + 1;
    *begin = low > 0 ? (int)(low < k_len ? low : k_len) : 0;
    *end = high < k_len ? (int)(high > 0 ? high : 0) : k_len;
}
/* Queries [*begin, *end) that see some key of first .. last. */
LIST_FUNCTION void attention_live_queries(attention_band band, int first, int last, int off, int q_len,
                                          int *begin, int *end) {
    const int64_t low = (int64_t)first - off - band.right, high = (int64_t)last - off + band.left + 1;
    *begin = low > 0 ? (int)(low < q_len ? low : q_len) : 0;
    *end = high < q_len ? (int)(high > 0 ? high : 0) : q_len;
}

/* ---- making a list -------------------------------------------------------------------------------------------*/
typedef struct {
    const attention_cut *cut;
    attention_band band;
    const hone_range *q_at, *k_at;
    const hone_key *key;        /* of the query rows, or NULL */
    int has_positions;          /* q_pos is bound: every query may see every key */
    int64_t rows[2];            /* played: of queries, of keys */
    int is_placing;             /* the second pass */
    attention_piece *to[2];     /* tiles, blocks */
    int32_t n[2][COST_CLASSES]; /* first pass: how many of a cost; second: where the next of it goes */
} attention_lister;

/* A sequence's fields; is_picked if its rows are not places 0, 1, 2 ... of one sample. */
LIST_FUNCTION attention_piece attention_sequence(const attention_lister *l, int64_t b) {
    const hone_range q = l->q_at[b], k = l->k_at[b];
    attention_piece s = {q.first, q.n, k.first, k.n, 0, (int32_t)b, 0, 0};
    if (!l->key || q.n == 0) return s;
    s.sample = l->key[q.first].sample;
    for (int32_t i = 0; i < q.n; i++)
        s.is_picked |= l->key[q.first + i].sample != s.sample || l->key[q.first + i].position != (uint32_t)i;
    return s;
}

/* Of a bin; 0: it goes to tiles and blocks. */
LIST_FUNCTION int attention_units(const attention_lister *l, const attention_piece *s) {
    const int longest = s->q_len > s->k_len ? s->q_len : s->k_len;
    return longest <= l->cut->bin_rows && !s->is_picked ? (longest + UNIT_ROWS - 1) / UNIT_ROWS : 0;
}

/* First fit by falling size, which for sizes 1 to 4 in bins of 4 is arithmetic: fours, then threes, then pairs of twos;
 * ones fill the room beside the threes, then beside an odd two, then bins of their own. */
LIST_FUNCTION int attention_fill_bins(const attention_lister *l, attention_unit *unit) {
    int n[BIN_UNITS + 1] = {0}, rank[BIN_UNITS + 1] = {0};
    for (int64_t b = 0; b < l->cut->B && l->cut->bin_rows; b++) {
        const attention_piece s = attention_sequence(l, b);
        n[attention_units(l, &s)]++;
    }
    const int twos_at = n[4] + n[3], ones_at = twos_at + (n[2] + 1) / 2, beside = n[3] + 2 * (n[2] & 1);
    const int n_bins = ones_at + (n[1] > beside ? (n[1] - beside + BIN_UNITS - 1) / BIN_UNITS : 0);
    const attention_unit nobody = {0, 0, 0, 0, 0, 0, 0, 0, {0, 0}};
    for (int i = 0; i < n_bins * BIN_UNITS; i++) unit[i] = nobody;
    for (int64_t b = 0; b < l->cut->B && n_bins; b++) {
        const attention_piece s = attention_sequence(l, b);
        const int size = attention_units(l, &s), r = rank[size]++;
        if (size == 0) continue;
        int at = r * BIN_UNITS; /* of a four */
        if (size == 3) at = (n[4] + r) * BIN_UNITS;
        if (size == 2) at = twos_at * BIN_UNITS + 2 * r;
        if (size == 1) {
            if (r < n[3]) at = (n[4] + r) * BIN_UNITS + 3;
            else if (r < beside) at = (ones_at - 1) * BIN_UNITS + 2 + (r - n[3]);
            else at = ones_at * BIN_UNITS + (r - beside);
        }
        for (int u = 0; u < size; u++) {
            const attention_unit x = {s.q_row,
                                      s.k_row,
                                      (uint16_t)s.q_len,
                                      (uint16_t)s.k_len,
                                      (uint16_t)(at % BIN_UNITS),
                                      (uint16_t)u,
                                      s.seq,
                                      s.sample,
                                      {0, 0}};
            unit[at + u] = x;
        }
    }
    return n_bins;
}

LIST_FUNCTION void attention_put(attention_lister *l, int is_block, attention_piece piece, int first,
                                 int cost) {
    int32_t *n = &l->n[is_block][cost < COST_CLASSES ? cost : COST_CLASSES - 1];
    piece.first = first;
    if (l->is_placing) l->to[is_block][*n] = piece;
    ++*n;
}

LIST_FUNCTION void attention_put_tiles(attention_lister *l, attention_piece s) {
    for (int first = 0; first < s.q_len; first += l->cut->tile_rows) {
        const int end = first + l->cut->tile_rows;
        int from = 0, to = s.k_len;
        if (!l->has_positions)
            attention_live_keys(l->band, first, (end < s.q_len ? end : s.q_len) - 1, s.k_len - s.q_len,
                                s.k_len, &from, &to);
        attention_put(l, 0, s, first, to > from ? (to - from + 63) / 64 : 0);
    }
}

/* With fragments the block of the only keys writes dq too, so queries without keys need a block. */
LIST_FUNCTION void attention_put_blocks(attention_lister *l, attention_piece s) {
    for (int first = 0; first < s.k_len; first += l->cut->block_rows) {
        const int end = first + l->cut->block_rows;
        int from = 0, to = s.q_len;
        if (!l->has_positions)
            attention_live_queries(l->band, first, (end < s.k_len ? end : s.k_len) - 1, s.k_len - s.q_len,
                                   s.q_len, &from, &to);
        attention_put(l, 1, s, first, to > from ? (to - from + 63) / 64 : 0);
    }
    if (s.k_len == 0 && l->cut->has_fragments) attention_put(l, 1, s, 0, 0);
}

/* Rows first .. end - 1 of no sequence. */
LIST_FUNCTION void attention_put_gap(attention_lister *l, int of_keys, int64_t first, int64_t end) {
    const int step = of_keys ? l->cut->block_rows : l->cut->tile_rows;
    for (int64_t row = first; row < end; row += step) {
        const int n = (int)(end - row < step ? end - row : step);
        const attention_piece piece = {of_keys ? 0 : (int32_t)row,
                                       of_keys ? 0 : n,
                                       of_keys ? (int32_t)row : 0,
                                       of_keys ? n : 0,
                                       0,
                                       -1,
                                       0,
                                       0};
        if (!of_keys) attention_put_tiles(l, piece);
        attention_put_blocks(l, piece);
    }
}

LIST_FUNCTION void attention_put_gaps(attention_lister *l, int of_keys) {
    const hone_range *at = of_keys ? l->k_at : l->q_at;
    int64_t row = 0;
    for (int64_t b = 0; b < l->cut->B; b++) {
        if (at[b].n == 0) continue;
        attention_put_gap(l, of_keys, row, at[b].first);
        row = (int64_t)at[b].first + at[b].n;
    }
    attention_put_gap(l, of_keys, row, l->rows[of_keys]);
}

/* Fills `out`: pieces stable by falling cost, found by counting in a first pass. */
LIST_FUNCTION void attention_fill(attention_lister *l, void *out) {
    attention_counts *counts = (attention_counts *)out;
    attention_piece *record = (attention_piece *)out; /* all records have one size */
    counts->tiles_at = 1 + (int32_t)(l->cut->bins_cap * BIN_UNITS);
    counts->blocks_at = counts->tiles_at + (int32_t)l->cut->tiles_cap;
    l->to[0] = record + counts->tiles_at;
    l->to[1] = record + counts->blocks_at;
    counts->n_bins = attention_fill_bins(l, (attention_unit *)(record + 1));
    for (int list = 0; list < 2; list++)
        for (int c = 0; c < COST_CLASSES; c++) l->n[list][c] = 0;
    for (l->is_placing = 0; l->is_placing < 2; l->is_placing++) {
        for (int64_t b = 0; b < l->cut->B; b++) {
            const attention_piece s = attention_sequence(l, b);
            if (attention_units(l, &s) > 0 || s.q_len + s.k_len == 0) continue;
            attention_put_tiles(l, s);
            attention_put_blocks(l, s);
        }
        attention_put_gaps(l, 0);
        attention_put_gaps(l, 1);
        for (int list = 0; list < 2 && !l->is_placing; list++) {
            int32_t at = 0;
            for (int c = COST_CLASSES - 1; c >= 0; c--) {
                const int32_t n = l->n[list][c];
                l->n[list][c] = at;
                at += n;
            }
            *(list ? &counts->n_blocks : &counts->n_tiles) = at;
        }
    }
}
#endif
