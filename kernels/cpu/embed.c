/* embed.c - rows of tables by number, added; and the gradient of one table.
 * Plain version: kernels/ref/embed.inc. */
#include "ops.h"
#include "fold.h"

INLINE void embed_row(const hone_call *c, int64_t n, int bf) {
    const int64_t D = width(&c->out[0]);
    void *y = cell(&c->out[0], n, 0);
    const void *w[3];
    for (int k = 0; k < 3; k++) { /* words, positions, types */
        const int32_t *id = ints(&c->in[2 * k]);
        w[k] = id && id[n] >= 0 ? cell(&c->in[2 * k + 1], id[n], 0) : NULL;
    }
    for (int64_t i = 0; i < D; i += VW) {
        vf v = vf_set(0);
        for (int k = 0; k < 3; k++)
            if (w[k]) v += ld_n(w[k], i, D - i, bf);
        st_n(y, i, v, D - i, bf);
    }
}

static void embed_block(void *arg, int64_t item, int thread) {
    const hone_call *c = arg;
    const int64_t end = least((item + 1) * CPU_ROWS, c->out[0].dim[0]);
    const int bf = is_bf(&c->out[0]);
    (void)thread;
    for (int64_t n = item * CPU_ROWS; n < end; n++)
        if (bf) embed_row(c, n, 1);
        else embed_row(c, n, 0);
}

hone_status ISA(embed_fwd)(hone_queue *q, const hone_call *c) {
    deal(q, row_blocks(c->out[0].dim[0]), embed_block, (void *)(uintptr_t)c);
    return HONE_OK;
}

static void zero_table_rows(void *arg, int64_t item, int thread) {
    const hone_tensor *dw = arg;
    const int64_t end = least((item + 1) * CPU_ROWS, dw->dim[0]);
    (void)thread;
    for (int64_t v = item * CPU_ROWS; v < end; v++)
        memset(cell(dw, v, 0), 0, (size_t)width(dw) * sizeof(float));
}

/* Rows that an earlier call touched are all that can be other than zero. */
static void zero_touched_rows(void *arg, int64_t item, int thread) {
    const hone_call *c = arg;
    const hone_tensor *dw = &c->out[0];
    float *touched = floats(&c->out[1]);
    const int64_t end = least((item + 1) * CPU_ROWS, dw->dim[0]);
    (void)thread;
    for (int64_t v = item * CPU_ROWS; v < end; v++) {
        if (touched[v] == 0) continue;
        memset(cell(dw, v, 0), 0, (size_t)width(dw) * sizeof(float));
        touched[v] = 0;
    }
}

/* Adds the rows order[i] .. order[j - 1], which have the same id, to columns [column, end) of that id's row:
 * sums of CPU_ROWS rows, added in order. */
INLINE void add_run(const hone_call *c, const int32_t *order, int64_t i, int64_t j, int64_t column,
                    int64_t end, int bf) {
    const hone_tensor *dy = &c->in[0];
    float *to = cell(&c->out[0], ints(&c->in[1])[order[i]], 0);
    for (int64_t d = column; d < end; d += VW) {
        vf all = vf_set(0);
        for (int64_t first = i; first < j; first += CPU_ROWS) {
            vf sum = vf_set(0);
            for (int64_t r = first; r < least(first + CPU_ROWS, j); r++)
                sum += ld_n(cell(dy, order[r], 0), d, end - d, bf);
            all += sum;
        }
        st_n(to, d, ld_n(to, d, end - d, 0) + all, end - d, 0);
    }
}

/* An item owns the runs of equal ids that begin in its block of the order, for its columns. */
static void embed_back_block(void *arg, int64_t item, int thread) {
    const hone_call *c = arg;
    const int32_t *id = ints(&c->in[1]), *order = ints(&c->in[2]);
    const int64_t N = c->in[2].dim[0], D = width(&c->in[0]), n_parts = blocks_of(D, CPU_COLUMNS);
    const int64_t first = item / n_parts * CPU_ROWS, column = item % n_parts * CPU_COLUMNS;
    const int64_t end = least(column + CPU_COLUMNS, D), last = least(first + CPU_ROWS, N);
    const int bf = is_bf(&c->in[0]);
    (void)thread;
    for (int64_t i = first; i < last;) {
        const int32_t word = id[order[i]];
        int64_t j = i + 1;
        while (j < N && id[order[j]] == word) j++;
        if (word >= 0 && (i == 0 || id[order[i - 1]] != word)) {
            if (c->out[1].p && column == 0) floats(&c->out[1])[word] = 1;
            if (bf) add_run(c, order, i, j, column, end, 1);
            else add_run(c, order, i, j, column, end, 0);
        }
        i = j;
    }
}

hone_status ISA(embed_bwd)(hone_queue *q, const hone_call *c) {
    hone_tensor dw = c->out[0];
    if (!c->in[3].p && c->out[1].p) deal(q, row_blocks(dw.dim[0]), zero_touched_rows, (void *)(uintptr_t)c);
    else if (!c->in[3].p) deal(q, row_blocks(dw.dim[0]), zero_table_rows, &dw);
    deal(q, row_blocks(c->in[2].dim[0]) * blocks_of(width(&dw), CPU_COLUMNS), embed_back_block,
         (void *)(uintptr_t)c);
    return HONE_OK;
}
