/* call.c - calls made by hand. */
#include "call.h"

#include <stdlib.h>

#include "devices.h"
#include "test.h"

hone_tensor tensor_of(void *p, hone_dtype dtype, int64_t rows, int64_t width) {
    return (hone_tensor){.p = p,
                         .dim = {rows, width ? width : 1, 1},
                         .ld = width ? width : 1,
                         .n_dims = width ? 2 : 1,
                         .dtype = dtype};
}

void bind(hone_call *c, const char *operand, hone_tensor t) {
    const hone_op_info *op = hone_op_find(c->op);
    const int i = hone_op_operand(op, operand);
    CHECK(i >= 0);
    *(i < op->n_in ? &c->in[i] : &c->out[i - op->n_in]) = t;
}

void play_on_ref(hone_call *c, const hone_tick *tick) {
    static cases_on on;
    static hone_queue *queue;
    if (!queue) {
        on = devices_open("ref");
        CHECK(on.ref->queue_new(on.ref_device, &queue) == HONE_OK);
    }
    hone_query query = {.op = c->op, .attr = c->attr};
    memcpy(query.in, c->in, sizeof query.in);
    memcpy(query.out, c->out, sizeof query.out);
    c->work_bytes = on.ref->work_bytes(&query);
    c->work = malloc(c->work_bytes + 1);
    c->tick = tick;
    CHECK(on.ref->op[c->op](queue, c) == HONE_OK);
    free(c->work);
    c->work = NULL;
}
