/* rung.c - rungs and work lists: what a plan knows of devices that play fixed rows. */
#include "base/arena.h"
#include "base/host.h"
#include "plan/device.h"
#include "plan/rung.h"
#include "sample.h"
#include "test.h"

static hone_status fixed_limits(hone_device *device, hone_limits *out) {
    (void)device;
    *out = (hone_limits){.fixed_rows = 1};
    return HONE_OK;
}

/* As many words as queries and sequences, so that another question has another size. */
static size_t words_of_rows(const hone_query *q) {
    const int at = q->op == HONE_OP_ATTENTION_FWD ? 0 : 3;
    return 4 * (size_t)(q->in[at].dim[0] + q->in[at + 3].dim[0]);
}

/* ref, but with fixed rows and work lists. */
static hone_plan *plan_of(const sample *s) {
    hone_device_v1 table = *sample_device();
    table.limits = fixed_limits;
    table.list_bytes = words_of_rows;
    model_config *config = sample_config(s);
    plan_options o = sample_options(s, config);
    o.device = &table;
    hone_plan *p = NULL;
    CHECK_OK(plan_build(&p, &o, err));
    config_free(config);
    return p;
}

TEST(rungs_rise_in_steps_of_64_rows_to_the_capacity) {
    static const int64_t caps[] = {1, 63, 64, 65, 1000, 1024, 1025, 4096, 10000};
    for (size_t c = 0; c < sizeof caps / sizeof *caps; c++) {
        hone_space space[2] = {{0}, {.name = "tok", .cap = caps[c]}};
        const hone_plan p = {.space = space, .n_spaces = 1, .fixed_rows = 1};
        int64_t before = 0;
        for (int k = 0; k < HONE_N_RUNGS; k++) {
            const int64_t r = plan_rung_rows(&p, 1, k), sixteenth = caps[c] * (k + 1) / HONE_N_RUNGS;
            CHECK(r >= before && r >= sixteenth && (r % 64 == 0 || r == caps[c]));
            CHECK(r < sixteenth + 128 && r <= caps[c]); /* no more than is needed */
            before = r;
        }
        CHECK_INT(before, caps[c]);
    }
}

TEST(a_batch_is_played_at_the_least_rung_that_holds_it) {
    hone_space space[3] = {{0}, {.name = "tok", .cap = 4096}, {.name = "seq", .cap = 500}};
    hone_plan p = {.space = space, .n_spaces = 2, .fixed_rows = 1};
    int64_t rows[3] = {0, 0, 0}, played[3];
    static const struct {
        int64_t tok, seq;
        int rung;
        int64_t played_tok, played_seq;
    } is[] = {{0, 0, 0, 256, 64},     {256, 64, 0, 256, 64},      {257, 1, 1, 512, 64},
              {256, 65, 2, 768, 128}, {4096, 500, 15, 4096, 500}, {3841, 1, 15, 4096, 500}};
    for (size_t i = 0; i < sizeof is / sizeof *is; i++) {
        rows[1] = is[i].tok, rows[2] = is[i].seq;
        CHECK_INT(plan_rung(&p, rows, played), is[i].rung);
        CHECK_INT(played[1], is[i].played_tok);
        CHECK_INT(played[2], is[i].played_seq);
    }
    p.fixed_rows = 0; /* others play the count */
    CHECK_INT(plan_rung(&p, rows, played), 0);
    CHECK_INT(played[1], 3841);
    CHECK_INT(played[2], 1);
}

/* Of three layers the last one's queries are narrowed to a row a sequence: two questions forward, two
 * backward; the evaluation drops nothing, so its queries have no keys of samples and are two more. */
TEST(equal_questions_share_a_work_list) {
    const sample s = {.layers = 3, .p = 0.1};
    hone_plan *p = plan_of(&s);
    CHECK_INT(p->n_lists, 6);
    int n_steps = 0, n_bytes = 0;
    for (int k = 0; k < HONE_N_PROGRAMS; k++)
        for (int i = 0; i < p->program[k].n_steps; i++) {
            const hone_step *x = &p->program[k].step[i];
            const hone_op_info *op = hone_op_find(x->op);
            const int at = hone_op_operand(op, "list");
            if (at < 0) continue;
            const hone_value *v = &p->value[x->in[at]];
            CHECK_INT(v->fill, HONE_FILL_LIST);
            CHECK_INT(v->fill_of, x->in[hone_op_operand(op, "q_at")]);
            CHECK_INT(v->dtype, HONE_I32);
            int found = 0;
            for (int l = 0; l < p->n_lists; l++)
                if (p->list[l].value == x->in[at]) {
                    found++;
                    CHECK_INT(p->list[l].query.op, x->op);
                    CHECK_INT(p->list[l].k_at, x->in[hone_op_operand(op, "k_at")]);
                    CHECK_INT(p->list[l].key, x->in[hone_op_operand(op, "key")]);
                    CHECK_INT(4 * v->dim[0].n, words_of_rows(&p->list[l].query));
                }
            CHECK_INT(found, 1);
            n_steps++;
        }
    CHECK_INT(n_steps, 9);
    for (int v = 1; v <= p->n_values; v++) n_bytes += p->value[v].fill == HONE_FILL_LIST;
    CHECK_INT(n_bytes, 6);
    hone_plan_free(p);
}

TEST(a_recomputed_layer_reads_the_list_of_its_first_time) {
    const sample s = {.layers = 3, .p = 0.1, .recompute = 2};
    hone_plan *p = plan_of(&s);
    CHECK_INT(p->n_lists, 6);
    hone_plan_free(p);
}

TEST(fixed_rows_take_a_second_image_of_the_input) {
    const sample s = {.layers = 1, .p = 0.1};
    hone_plan *fixed = plan_of(&s), *other = sample_plan(&s);
    CHECK_INT(fixed->slab_bytes[HONE_INPUT], 2 * fixed->input_bytes);
    CHECK_INT(other->slab_bytes[HONE_INPUT], other->input_bytes);
    CHECK_INT(other->n_lists, 0);
    hone_plan_free(fixed);
    hone_plan_free(other);
}

TEST(linked_tables_answer_as_the_devices_do) {
    static const char *const names[] = {"ref", "cpu"};
    const sample s = {.layers = 2, .p = 0.1, .dtype = HONE_F32};
    for (int i = 0; i < 2; i++) {
        hone_err why = {0};
        const hone_device_v1 *live = device_load(names[i], &why), *linked = plan_device(names[i]);
        CHECK(linked && linked->can && linked->work_bytes && linked->limits);
        if (!live) continue; /* not built here */
        size_t bytes[2];
        for (int k = 0; k < 2; k++) {
            model_config *config = sample_config(&s);
            plan_options o = sample_options(&s, config);
            o.device = k ? linked : live;
            hone_plan *p = NULL;
            CHECK_OK(plan_build(&p, &o, err));
            bytes[k] = hone_plan_device_bytes(p);
            hone_plan_free(p);
            config_free(config);
        }
        CHECK_INT(bytes[0], bytes[1]);
    }
    CHECK(plan_device("cuda"));
    CHECK(!plan_device("cud"));
}
