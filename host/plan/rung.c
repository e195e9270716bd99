/* rung.c - R = min(cap, 64 ceil(cap k / 1024)) rows at step k = 1 .. 16. */
#include "plan/rung.h"
#include "base/err.h"

#define ROWS 64

int64_t plan_rung_rows(const hone_plan *p, int space, int rung) {
    const int64_t cap = p->space[space].cap, part = HONE_N_RUNGS * ROWS,
                  rows = (cap * (rung + 1) + part - 1) / part * ROWS;
    return rows < cap ? rows : cap;
}

static int holds(const hone_plan *p, const int64_t *rows, int rung) {
    for (int s = 1; s <= p->n_spaces; s++)
        if (rows[s] > plan_rung_rows(p, s, rung)) return 0;
    return 1;
}

int plan_rung(const hone_plan *p, const int64_t *rows, int64_t *played) {
    int rung = 0;
    if (p->fixed_rows)
        while (rung + 1 < HONE_N_RUNGS && !holds(p, rows, rung)) rung++;
    for (int s = 1; s <= p->n_spaces; s++) {
        HONE_ASSERT(rows[s] <= p->space[s].cap);
        played[s] = p->fixed_rows ? plan_rung_rows(p, s, rung) : rows[s];
    }
    return rung;
}
