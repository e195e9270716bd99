/* probe.c - a program played step by step, each result looked at on the host: slow, for finding the step that
 * made what is not finite. */
#include <math.h>
#include <string.h>

#include "run/inside.h"
#include "run/convert.h"
#include "base/mem.h"

/* First value of a tensor's played rows that is not finite; x: the rows on the host. */
static int find_not_finite(const hone_tensor *t, const void *x, int64_t width, int64_t *row, double *seen) {
    for (int64_t i = 0; i < t->dim[0]; i++)
        for (int64_t c = 0; c < width; c++) {
            const double e = convert_element(x, t->dtype, (size_t)(i * t->ld + c));
            if (isfinite(e)) continue;
            *row = i;
            *seen = e;
            return 1;
        }
    return 0;
}

static hone_status probe_tensor(run *r, const hone_tensor *t, int *found, run_culprit *out) {
    const int64_t width = t->n_dims > 1 ? t->dim[1] * t->dim[2] : 1;
    *found = 0;
    if (t->dim[0] < 1) return HONE_OK;
    const size_t bytes = (size_t)((t->dim[0] - 1) * t->ld + width) * hone_dtype_bytes(t->dtype);
    void *copy = mem_new(bytes, "a tensor that is looked at");
    hone_status status = r->table->get(r->queue, copy, t->p, bytes);
    if (!status) status = r->table->queue_wait(r->queue);
    if (!status) *found = find_not_finite(t, copy, width, &out->row, &out->seen);
    mem_free(copy);
    return status;
}

static hone_status probe_step(run *r, const hone_step *s, const bound_step *b, int *found, run_culprit *out) {
    const hone_op_info *op = hone_op_find(s->op);
    *found = 0;
    for (int k = 0; k < op->n_out && !*found; k++) {
        const hone_tensor *t = &b->call.out[k];
        if (!s->out[k] || t->dtype == HONE_I32 || !strcmp(op->out[k].name, "lse"))
            continue; /* lse: inf where no keys */
        HONE_TRY(probe_tensor(r, t, found, out));
        out->value = s->out[k];
        out->space = r->plan->value[s->out[k]].dim[0].space;
    }
    return HONE_OK;
}

hone_status run_play_probing(run *r, hone_program_kind kind, int slot, const int64_t *rows, run_culprit *out,
                             hone_err *err) {
    const hone_program *p = &r->plan->program[kind];
    bound *b = &r->program[kind][slot];
    int found = 0;
    *out = (run_culprit){.step = -1};
    set_rows(r, b, rows);
    HONE_TRY(copy_in(r, err));
    await_weights(r, 0);
    HONE_TRY(update_rows_of_batch(r, rows, err));
    for (int i = 0; i < b->n_steps && !found; i++) {
        HONE_TRY(play_step(r, p, b, i, err));
        const hone_status status = probe_step(r, &p->step[i], &b->step[i], &found, out);
        if (status)
            return hone_fail(err, status, "device %s: reading what step %d made failed", r->table->name, i);
        if (found) out->step = i;
    }
    return HONE_OK;
}
