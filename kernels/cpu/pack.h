/* pack.h - operands of a product laid out as product.h wants them: unit by unit of k. A unit is an fp32
 * number, or a pair of bf16 numbers that are neighbours in k (paired). */
#ifndef CPU_PACK_H
#define CPU_PACK_H
#include "vec.h"
#include "cpu.h"

#define PACK_AHEAD 16 /* lines of k that are fetched before they are packed: they lie far apart */
#define TURN_AHEAD 4  /* vectors of a line that are fetched early: so many lines are no stream to it */

/* An operand, fp32 or bf16. by_k 0: element (line, k) lies at p[line ld + k]; 1: at p[k ld + line]. */
typedef struct {
    const void *p;
    int64_t ld;
    int bf, by_k;
} factor;

/* n elements of a row from element i on, as units, of which there are n_units; the last pair may lack its
 * second. */
INLINE void pack_line(float *to, const factor *f, int64_t i, int64_t n, int64_t n_units, int paired) {
    if (paired) {
        if (2 * n_units > n) to[n_units - 1] = 0;
        memcpy(to, (const uint16_t *)f->p + i, (size_t)n * sizeof(uint16_t));
    } else if (f->bf) {
        for (int64_t j = 0; j < n; j += VW) st_n(to, j, ld_n(f->p, i + j, n - j, 1), n - j, 0);
    } else {
        memcpy(to, (const float *)f->p + i, (size_t)n * sizeof(float));
    }
}

/* Half a vector: lanes 0 .. VW / 2 - 1, or the others. */
INLINE void store_half(float *to, vf v, int upper) {
    memcpy(to, (const char *)&v + (upper ? sizeof v / 2 : 0), sizeof v / 2);
}

/* VW units of k of a line each, of which n >= 1 lines exist. */
INLINE vf load_lines(const factor *f, int64_t i, int64_t n, int has_second, int paired) {
    if (!paired) return ld_n(f->p, i, n, f->bf);
    const uint16_t *from = (const uint16_t *)f->p + i;
    const vu low = n >= VW ? vu_load16(from) : vu_load16_n(from, n);
    vu high = vu_set(0);
    if (has_second) high = n >= VW ? vu_load16(from + f->ld) : vu_load16_n(from + f->ld, n);
    return (vf)(low | high << 16);
}

/* Lines first .. + n - 1, which lie by k, in panels of `wide` lines (a multiple of VW, or half of it): unit u of
 * line r is element u wide + r % wide of panel r / wide, and panels lie panel_ld apart. k in [k0, k1). The last panel
 * is filled up with zeros to a multiple of the smaller of VW and wide. */
INLINE void pack_by_k(float *to, int64_t wide, int64_t panel_ld, const factor *f, int64_t first, int64_t n,
                      int64_t k0, int64_t k1, int paired) {
    for (int64_t k = k0; k < k1; k += 1 + paired, to += wide) {
        float *line = to;
        for (int64_t r = 0, in_panel = 0; r < n; r += VW) {
            const int64_t left = n - r, i = k * f->ld + first + r;
            __builtin_prefetch((const char *)f->p + (i + PACK_AHEAD * f->ld) * (f->bf ? 2 : 4));
            const vf v = load_lines(f, i, left, k + 1 < k1, paired);
            if (wide < VW) {
                store_half(line, v, 0);
                if (left > wide) store_half(line + panel_ld, v, 1);
                line += 2 * panel_ld;
                continue;
            }
            vf_store(line + in_panel, v);
            in_panel += VW;
            if (in_panel == wide) in_panel = 0, line += panel_ld;
        }
    }
}

/* Mixing lines i and i + VW / 2 of a square, for all i, log2(VW) times over, turns rows into columns. */
INLINE void turn_square(vf v[VW]) {
    UNROLL for (int stage = 1; stage < VW; stage *= 2) {
        vf mixed[VW];
        UNROLL for (int i = 0; i < VW / 2; i++) {
            mixed[2 * i] = MIX_LOW(v[i], v[i + VW / 2]);
            mixed[2 * i + 1] = MIX_HIGH(v[i], v[i + VW / 2]);
        }
        UNROLL for (int i = 0; i < VW; i++) v[i] = mixed[i];
    }
}

/* VW units of a line from element i on, of which n elements exist. */
INLINE vf load_units(const factor *f, int64_t i, int64_t n, int paired) {
    if (!paired) return ld_n(f->p, i, n, f->bf);
    const uint16_t *from = (const uint16_t *)f->p + i;
    uint16_t pair[2 * VW] = {0};
    if (n < 2 * VW) {
        memcpy(pair, from, (size_t)n * sizeof *from);
        from = pair;
    }
    vf v;
    memcpy(&v, from, sizeof v);
    return v;
}

/* The same as pack_by_k for lines that lie along k. n_wide is a multiple of VW. */
INLINE void pack_turned(float *to, int64_t ld_to, const factor *f, int64_t first, int64_t n, int64_t n_wide,
                        int64_t k0, int64_t k1, int paired) {
    for (int64_t k = k0; k < k1; k += VW * (1 + paired), to += VW * ld_to) {
        const int64_t n_units = least((k1 - k + paired) / (1 + paired), VW);
        for (int64_t r = 0; r < n_wide; r += VW) {
            vf square[VW];
            UNROLL for (int i = 0; i < VW; i++) {
                const int is_there = r + i < n;
                const int64_t next = (first + r + i) * f->ld + k + TURN_AHEAD * VW * (1 + paired);
                __builtin_prefetch((const char *)f->p + next * (f->bf ? 2 : 4));
                square[i] = is_there ? load_units(f, (first + r + i) * f->ld + k, k1 - k, paired) : vf_set(0);
            }
            turn_square(square);
            for (int64_t u = 0; u < n_units; u++) vf_store(to + u * ld_to + r, square[u]);
        }
    }
}
/* Lines first .. + n - 1, which lie by k, as rows of pairs ld_to apart, for the k of [k0, k1); a row is filled up with
 * zeros to whole vectors. */
INLINE void pack_rows_by_k(float *to, int64_t ld_to, const factor *f, int64_t first, int64_t n, int64_t k0, int64_t k1) {
    for (int64_t k = k0; k < k1; k += 2 * VW, to += VW)
        for (int64_t r = 0; r < n; r += VW) {
            vf square[VW];
            UNROLL for (int u = 0; u < VW; u++) {
                const int64_t at = k + 2 * u;
                square[u] = at < k1 ? load_lines(f, at * f->ld + first + r, n - r, at + 1 < k1, 1) : vf_set(0);
            }
            turn_square(square);
            for (int64_t i = 0; i < least(n - r, VW); i++) vf_store(to + (r + i) * ld_to, square[i]);
        }
}
#endif
