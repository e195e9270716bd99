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

static void move(hone_tensor *t, int n, const char *from, char *to) {
    for (int i = 0; i < n; i++)
        if (t[i].p) t[i].p = to + ((char *)t[i].p - from);
}

void play_on(const cases_on *on, hone_call *c, const hone_tick *tick, void *data, size_t n_bytes) {
    const hone_device_v1 *table = on->table;
    hone_device *device = on->device[0];
    hone_query query = {.op = c->op, .attr = c->attr};
    hone_call there = *c;
    hone_queue *queue;
    void *slab;
    char why[256];
    memcpy(query.in, c->in, sizeof query.in);
    memcpy(query.out, c->out, sizeof query.out);
    for (int i = 0; i < HONE_MAX_IN; i++) query.in[i].p = NULL;
    for (int i = 0; i < HONE_MAX_OUT; i++) query.out[i].p = NULL;
    if (!table->can(&query, why, sizeof why)) test_fail(__FILE__, __LINE__, "%s", why);
    const size_t tick_at = (n_bytes + 255) / 256 * 256, work_at = tick_at + 256;
    there.work_bytes = table->work_bytes(&query);
    CHECK_OK(table->slab_new(device, 0, work_at + there.work_bytes, &slab, err));
    CHECK_OK(table->choose(device, &query, &there.choice, err));
    move(there.in, HONE_MAX_IN, data, slab), move(there.out, HONE_MAX_OUT, data, slab);
    there.work = (char *)slab + work_at;
    CHECK(!table->queue_new(device, &queue) && !table->put(queue, slab, data, n_bytes));
    if (tick) {
        there.tick = (const hone_tick *)(void *)((char *)slab + tick_at);
        CHECK(!table->put(queue, (char *)slab + tick_at, tick, sizeof *tick));
    }
    CHECK(!table->op[c->op](queue, &there) && !table->get(queue, data, slab, n_bytes));
    CHECK(!table->queue_wait(queue));
    table->queue_free(queue);
    table->slab_free(device, slab);
}
