/* missed.c - rows of a table get the updates that they have missed, before anybody looks at them. */
#include "run/inside.h"
#include "base/err.h"
#include "plan/own.h"

hone_status update_rows_of_batch(run *r, const int64_t *rows, hone_err *err) {
    const hone_program *p = &r->plan->program[HONE_MISSED];
    if (p->n_steps) set_rows(r, r->program[HONE_MISSED], rows);
    for (int i = 0; i < p->n_steps; i++) HONE_TRY(play_step(r, p, r->program[HONE_MISSED], i, err));
    return HONE_OK;
}

/* Rows first .. end - 1 of a tensor that has a row for each of the table's. */
static void take_rows(hone_tensor *t, int64_t first, int64_t end) {
    if (!t->p) return;
    t->p = (char *)t->p + (size_t)(first * t->ld) * hone_dtype_bytes(t->dtype);
    t->dim[0] = end - first;
}

/* The program's call, without ids and on some rows of the table. */
static hone_status update_rows(run *r, int64_t first, int64_t end, hone_err *err) {
    const bound_step *s = r->program[HONE_MISSED]->step;
    const hone_op_info *op = hone_op_find(s->call.op);
    hone_call c = s->call;
    c.in[0].p = c.in[1].p = NULL;
    for (int k = 0; k < op->n_in; k++)
        if (op->in[k].adds) take_rows(&c.in[k], first, end);
    for (int k = 0; k < op->n_out; k++) take_rows(&c.out[k], first, end);
    const hone_status status = s->fn(r->queue, &c);
    return status ? hone_fail(err, status, "device %s: updating rows of %s failed", r->table->name,
                              r->plan->param[r->plan->table.param].name)
                  : HONE_OK;
}

hone_status update_rows_between(run *r, int64_t at, int64_t end, hone_err *err) {
    int64_t n;
    if (!r->plan->table.param) return HONE_OK;
    const int64_t from = plan_flat(r->plan, r->plan->table.param, &n),
                  width = r->plan->value[r->plan->param[r->plan->table.param].value].dim[1].n;
    at = at > from ? at - from : 0;
    end = end < from + n ? end - from : n;
    return at < end ? update_rows(r, at / width, (end + width - 1) / width, err) : HONE_OK;
}

hone_status update_all_rows(run *r, hone_err *err) {
    if (!r->rows_missed) return HONE_OK;
    r->rows_missed = 0;
    return update_rows_between(r, 0, INT64_MAX, err);
}

hone_status settle_state(run *r, hone_err *err) {
    HONE_TRY(settle_weights(r, err));
    return update_all_rows(r, err);
}
