/* cost.c - operations, bytes and times of a plan that can be counted by hand. */
#include <stdlib.h>

#include "plan/cost.h"
#include "sample.h"
#include "test.h"

static const plan_machine unit = {.memory_bytes_per_s = 1e9,
                                  .flops = {[HONE_F32] = 1e12, [HONE_BF16] = 1e12},
                                  .product_share = 0.5,
                                  .memory_share = 0.5,
                                  .call_s = 1e-6};

static int64_t *full(const hone_plan *p) {
    int64_t *n = calloc((size_t)p->n_spaces + 1, sizeof *n);
    for (int k = 1; k <= p->n_spaces; k++) n[k] = p->space[k].cap;
    return n;
}

static const hone_step *first_of(const hone_plan *p, hone_program_kind program, hone_op op) {
    for (int i = 0; i < p->program[program].n_steps; i++)
        if (p->program[program].step[i].op == op) return &p->program[program].step[i];
    test_fail(__FILE__, __LINE__, "no such step");
}

static double width_of(const hone_plan *p, int v) {
    double n = 1;
    for (int d = 1; d < p->value[v].n_dims; d++) n *= (double)p->value[v].dim[d].n;
    return n;
}

TEST(a_product_is_bound_by_operations_and_an_optimizer_by_bytes) {
    hone_plan *p = sample_plan(&(sample){.layers = 2, .tokens = 640, .seqs = 8, .dtype = HONE_F32});
    int64_t *n = full(p);
    const hone_step *adam = first_of(p, HONE_UPDATE_WEIGHTS, HONE_OP_ADAMW_STEP);
    /* g, w, m, v are read and w, m, v written: 28 bytes an element, and lists beside them */
    const double bytes = plan_step_bytes(p, adam, n);
    CHECK(bytes >= 28.0 * (double)p->n_trained && bytes < 28.0 * (double)p->n_trained + 65536);
    CHECK_NEAR(plan_step_seconds(p, adam, n, 1, &unit), bytes / 0.5e9 + 1e-6, 1e-15);
    plan_machine narrow = unit;
    narrow.flops[HONE_F32] = 1e6; /* now a product takes its operations' time */
    const hone_step *product = first_of(p, HONE_MICRO, HONE_OP_LINEAR_FWD);
    const hone_value *x = &p->value[product->in[0]], *w = &p->value[product->in[1]];
    CHECK_NEAR(plan_step_seconds(p, product, n, 1, &narrow),
               2.0 * (double)n[x->dim[0].space] * (double)w->dim[0].n * (double)w->dim[1].n / 0.5e6 + 1e-6,
               1e-9);
    double sum = 0;
    for (int i = 0; i < p->program[HONE_MICRO].n_steps; i++)
        sum += plan_step_seconds(p, &p->program[HONE_MICRO].step[i], n, 80, &unit);
    CHECK_NEAR(plan_seconds(p, HONE_MICRO, n, 80, &unit), sum, 1e-12);
    free(n);
    hone_plan_free(p);
}

TEST(an_embedding_moves_the_rows_that_are_named) {
    hone_plan *p =
        sample_plan(&(sample){.layers = 1, .tokens = 16, .seqs = 2, .vocab = 5000, .dtype = HONE_F32});
    int64_t *n = full(p);
    const hone_step *embed = first_of(p, HONE_MICRO, HONE_OP_EMBED_FWD);
    const double y = 16.0 * (double)p->value[embed->out[0]].dim[1].n * 4;
    CHECK(plan_step_bytes(p, embed, n) <= 4 * y + 3 * 16 * 4);
    /* and so does what trains it: beside the rows a word or two for each row of the table */
    const hone_step *rows = first_of(p, HONE_UPDATE_WEIGHTS, HONE_OP_ADAMW_ROWS);
    CHECK(plan_step_bytes(p, rows, n) >= 7 * y && plan_step_bytes(p, rows, n) <= 7 * y + 5000 * 12 + 4096);
    const hone_step *sums = first_of(p, HONE_UPDATE_WEIGHTS, HONE_OP_SQSUM);
    const double others = 4 * (double)p->n_trained - 4 * 5000 * width_of(p, embed->out[0]);
    CHECK(plan_step_bytes(p, sums, n) >= others + y &&
          plan_step_bytes(p, sums, n) <= others + y + 5000 * 4 + 4096);
    free(n);
    hone_plan_free(p);
}

/* Read and written, whatever they are picked from or put into; and as many indices. */
TEST(rows_that_are_picked_or_put_move_alone) {
    hone_plan *p = sample_plan(&(sample){.layers = 1, .tokens = 48, .seqs = 2, .dtype = HONE_F32});
    int64_t *n = full(p);
    int put = 0;
    for (int i = 0; i < p->program[HONE_MICRO].n_steps; i++) {
        const hone_step *s = &p->program[HONE_MICRO].step[i];
        if (s->op == HONE_OP_GATHER)
            CHECK_NEAR(plan_step_bytes(p, s, n), 2.0 * (2 * width_of(p, s->out[0]) * 4) + 2 * 4, 0);
        if (s->op != HONE_OP_SCATTER) continue;
        const double rows = 2.0 * width_of(p, s->in[0]) * 4, all = 48.0 * width_of(p, s->out[0]) * 4;
        CHECK_NEAR(plan_step_bytes(p, s, n), s->in[3] ? 3 * rows + 2 * 4 : rows + 2 * 4 + all, 0);
        put++;
    }
    CHECK(put);
    free(n);
    hone_plan_free(p);
}

TEST(every_gradient_is_ready_once_in_the_backward) {
    hone_plan *p = sample_plan(&(sample){.layers = 3, .tokens = 64, .seqs = 4, .dtype = HONE_F32});
    int64_t *n = full(p);
    plan_gradient *g = calloc((size_t)p->n_params + 1, sizeof *g);
    const int n_gradients = plan_gradients(p, n, 16, &unit, g);
    const double all_s = plan_seconds(p, HONE_MICRO, n, 16, &unit);
    double elements = 0, last_s = 0, first_s = all_s;
    int trained = 0;
    for (int i = 1; i <= p->n_params; i++) {
        const hone_value *v = &p->value[p->param[i].value];
        if (!p->param[i].wants_grad) continue;
        trained++;
        elements += (double)v->dim[0].n * (double)(v->n_dims > 1 ? v->dim[1].n : 1);
    }
    CHECK_INT(n_gradients, trained);
    for (int i = 0; i < n_gradients; i++) {
        elements -= g[i].elements;
        CHECK(g[i].ready_s > 0 && g[i].ready_s <= all_s * (1 + 1e-12));
        if (g[i].ready_s > last_s) last_s = g[i].ready_s;
        if (g[i].ready_s < first_s) first_s = g[i].ready_s;
    }
    CHECK(elements == 0);
    CHECK_NEAR(last_s, all_s, all_s / 20); /* the embeddings' */
    CHECK(first_s < all_s * 0.6);          /* the head's, when the backward has begun */
    free(g);
    free(n);
    hone_plan_free(p);
}
