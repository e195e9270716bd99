/* rows.c - a row's bits depend on that row only: the call is played again on parts of its rows. */
#include "harness.h"

static int same_row(const image *im, const unsigned char *whole, int operand, int64_t row, size_t skip,
                    size_t bytes) {
    return !memcmp(image_row(im, whole, operand, row) + skip, image_row(im, im->after, operand, row) + skip,
                   bytes);
}

/* Compare what a part wrote with what the whole wrote there. The letter may be a result's first or second
 * dimension. */
static int part_agrees(const image *im, const unsigned char *whole, slice part, char *why, size_t why_bytes) {
    const cases_values *v = im->v;
    for (int i = 0; i < v->op->n_out; i++) {
        const hone_operand *o = &v->op->out[i];
        const int at = v->op->n_in + i;
        if (!v->v[at].bound) continue;
        const size_t bytes = type_bytes(im->dtype[at]);
        const int first = o->dim[0] == part.letter, second = o->n_dims == 2 && o->dim[1] == part.letter;
        for (int64_t r = 0; (first || second) && r < v->v[at].rows; r++) {
            if (first && (r < part.first || r >= part.first + part.n)) continue;
            const size_t skip = second ? (size_t)part.first * bytes : 0;
            const size_t n = second ? (size_t)part.n * bytes : image_row_bytes(im, at);
            if (same_row(im, whole, at, r, skip, n)) continue;
            snprintf(why, why_bytes,
                     "row %lld of %s has other bits when %lld rows from %lld are played alone", (long long)r,
                     o->name, (long long)part.n, (long long)part.first);
            return 0;
        }
    }
    return 1;
}

/* Attention: one sequence alone gives its rows the bits that they have in the batch. */
static int sequence_agrees(const image *im, const unsigned char *whole, int b, char *why, size_t why_bytes) {
    const cases_values *v = im->v;
    const hone_range q = sequence_range(v->k->q_len, b), k = sequence_range(v->k->k_len, b);
    for (int i = 0; i < v->op->n_out; i++) {
        const hone_operand *o = &v->op->out[i];
        const int at = v->op->n_in + i;
        const size_t bytes = type_bytes(im->dtype[at]);
        int same = 1;
        if (!v->v[at].bound || o->dim[0] == 'R') continue;
        if (!strcmp(o->name, "lse")) {
            for (int64_t h = 0; h < v->v[at].rows; h++)
                same &= same_row(im, whole, at, h, (size_t)q.first * bytes, (size_t)q.n * bytes);
        } else {
            const hone_range r = o->dim[0] == 'N' ? q : k;
            for (int64_t n = r.first; n < r.first + r.n; n++)
                same &= same_row(im, whole, at, n, 0, image_row_bytes(im, at));
        }
        if (same) continue;
        snprintf(why, why_bytes, "%s has other bits when sequence %d is played alone", o->name, b);
        return 0;
    }
    return 1;
}

static int is_attention(const image *im) {
    return im->v->k->op == HONE_OP_ATTENTION_FWD || im->v->k->op == HONE_OP_ATTENTION_BWD;
}

static int try_part(image *im, const unsigned char *whole, slice part, char *why, size_t why_bytes) {
    if (!image_play(im, part, why, why_bytes)) return 0;
    return is_attention(im) ? sequence_agrees(im, whole, (int)part.first, why, why_bytes)
                            : part_agrees(im, whole, part, why, why_bytes);
}

int rows_agree(image *im, char *why, size_t why_bytes) {
    const char letter = im->v->k->row_letter;
    if (!letter) return 1;
    const int64_t n = extent_of(im->v, letter);
    unsigned char *whole = malloc(im->n_bytes);
    if (!whole) abort();
    memcpy(whole, im->after, im->n_bytes);
    int agree = 1;
    if (is_attention(im)) {
        for (int64_t b = 0; b < n && agree; b++)
            agree = try_part(im, whole, (slice){letter, b, 1}, why, why_bytes);
    } else {
        static const int64_t sizes[] = {1, 7, 64};
        for (int s = 0; s < 3 && agree; s++) {
            if (sizes[s] >= n) continue;
            agree = try_part(im, whole, (slice){letter, 0, sizes[s]}, why, why_bytes) &&
                    try_part(im, whole, (slice){letter, n - sizes[s], sizes[s]}, why, why_bytes);
        }
    }
    memcpy(im->after, whole, im->n_bytes);
    free(whole);
    return agree;
}
