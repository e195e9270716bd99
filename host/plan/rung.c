/* rung.c - R = min(cap, 64 ceil(cap k / 1024)) rows at step k = 1 .. 16. */
#include "plan/rung.h"
#include "base/err.h"

#define ROWS 64

int64_t plan_rung_rows(const hone_plan *p, int space, int rung) {
    const int64_t cap = p->space[space].cap, part = HONE_N_RUNGS * ROWS,
                  rows = (cap * (rung + 1) + part - 1) / part * ROWS;
    return rows < cap ? rows : cap;
}

int plan_space_is_read(const hone_plan *p, int space) {
    if (!space || !p->space[space].parent) return 0;
    for (int s = 1; s <= p->n_spaces; s++)
        if (p->space[s].parent == space) return 1;
    return 0;
}

int64_t plan_space_rows(const hone_plan *p, int space, int64_t tokens, int64_t words, int64_t seqs) {
    const hone_space *x = &p->space[space];
    if (hone_space_is_tokens(x)) return tokens;
    if (!x->seqs) return seqs;
    return plan_space_is_read(p, space) ? words + seqs : words;
}

int64_t plan_slice_rows(const hone_space *slice, int64_t rows) {
    const int64_t left = rows - slice->slice_at;
    return left < 0 ? 0 : left < slice->cap ? left : slice->cap;
}

static int holds(const hone_plan *p, const int64_t *rows, int rung) {
    for (int s = 1; s <= p->n_spaces; s++)
        if (!p->space[s].slice_of && rows[s] > plan_rung_rows(p, s, rung)) return 0;
    return 1;
}

/* rows NULL: those of the rung. */
static void set_played(const hone_plan *p, int rung, const int64_t *rows, int64_t *played) {
    for (int s = 1; s <= p->n_spaces; s++) {
        const hone_space *x = &p->space[s];
        if (x->slice_of) played[s] = plan_slice_rows(x, played[x->slice_of]); /* made after its space */
        else played[s] = rows ? rows[s] : plan_rung_rows(p, s, rung);
    }
}

void plan_rung_played(const hone_plan *p, int rung, int64_t *played) { set_played(p, rung, NULL, played); }

int plan_rung(const hone_plan *p, const int64_t *rows, int64_t *played) {
    int rung = 0;
    for (int s = 1; s <= p->n_spaces; s++) HONE_ASSERT(p->space[s].slice_of || rows[s] <= p->space[s].cap);
    if (p->fixed_rows)
        while (rung + 1 < HONE_N_RUNGS && !holds(p, rows, rung)) rung++;
    set_played(p, rung, p->fixed_rows ? NULL : rows, played);
    return rung;
}

int plan_step_slice(const hone_plan *p, const hone_step *s) {
    for (int k = 0; k < HONE_MAX_IN; k++) {
        const int space = s->in[k] ? p->value[s->in[k]].dim[0].space : 0;
        if (space && p->space[space].slice_of && p->space[space].slice_at) return space;
    }
    return 0;
}
