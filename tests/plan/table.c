/* table.c - which embedding takes its updates later, and who then visits its rows. */
#include "sample.h"
#include "test.h"

static const sample wide = {.layers = 1, .tokens = 16, .seqs = 2, .vocab = 500, .accumulation = 2, .p = 0.1};

static const char *table_name(const hone_plan *p) {
    return p->table.param ? p->value[p->param[p->table.param].value].name : "";
}

static void has_none(sample s) {
    hone_plan *p = sample_plan(&s);
    CHECK_INT(p->table.param, 0);
    CHECK_INT(p->program[HONE_MISSED].n_steps, 0);
    CHECK_INT(p->slot_bytes, 8 * (64 + p->n_trained));
    hone_plan_free(p);
}

static int cannot_rows(const hone_query *q, char *why, size_t n) {
    return q->op != HONE_OP_ADAMW_ROWS && sample_device()->can(q, why, n);
}

static hone_plan *plan_of(const sample *s, const model_config *config, const hone_device_v1 *device,
                          int ranks) {
    hone_plan *p = NULL;
    plan_options o = sample_options(s, config);
    o.device = device, o.n_ranks = ranks;
    CHECK_OK(plan_build(&p, &o, err));
    return p;
}

TEST(an_embedding_with_more_rows_than_a_batch_is_a_table) {
    hone_plan *p = sample_plan(&wide);
    CHECK_STR(table_name(p), "bert.embeddings.word_embeddings.weight");
    CHECK_INT(p->slot_bytes, 8 * (64 + 512 + p->n_trained));
    hone_plan_free(p);
    sample s = wide;
    s.vocab = 16;
    has_none(s);
    s = wide, s.freeze = "*word_embeddings*";
    has_none(s);
}

TEST(a_table_that_a_head_reads_too_is_none) {
    sample s = wide;
    s.kind = HEAD_WORDS;
    has_none(s);
    s = wide, s.family = "gpt2", s.kind = HEAD_NEXT;
    has_none(s);
}

TEST(several_ranks_and_devices_without_the_op_have_no_table) {
    model_config *config = sample_config(&wide);
    hone_device_v1 other = *sample_device();
    other.can = cannot_rows;
    hone_plan *ranks = plan_of(&wide, config, sample_device(), 2), *poor = plan_of(&wide, config, &other, 0),
              *one = plan_of(&wide, config, sample_device(), 1);
    CHECK(!ranks->table.param && !poor->table.param && one->table.param);
    hone_plan_free(ranks), hone_plan_free(poor), hone_plan_free(one);
    config_free(config);
}

/* Chunks of the table are those that ADAMW_STEP leaves out. */
TEST(every_chunk_is_updated_by_one_step) {
    hone_plan *p = sample_plan(&wide);
    const hone_program *u = &p->program[HONE_UPDATE_WEIGHTS];
    CHECK_INT(u->n_steps, 4);
    const hone_step *sums = &u->step[0], *all = &u->step[2], *rows = &u->step[3];
    CHECK(sums->op == HONE_OP_SQSUM && all->op == HONE_OP_ADAMW_STEP && rows->op == HONE_OP_ADAMW_ROWS);
    CHECK_INT(sums->in[2], p->table.touched);
    const hone_value *x = &p->value[p->param[p->table.param].value];
    CHECK_INT(sums->attr.table.first * 8, x->offset);
    CHECK_INT(sums->attr.table.width, x->dim[1].n);
    CHECK_INT(rows->attr.adamw.group, p->param[p->table.param].group);
    const int32_t *some = p->value[all->in[1]].data;
    int64_t n = 0, trained = 0;
    for (int64_t q = 0; q < p->value[all->in[1]].dim[0].n; q++, some += 3) {
        n += some[1];
        CHECK(some[0] * 64 + some[1] <= sums->attr.table.first ||
              some[0] * 64 >= sums->attr.table.first + x->dim[0].n * x->dim[1].n);
    }
    for (int i = 1; i <= p->n_params; i++)
        if (p->param[i].wants_grad) trained += player_elements(&(player){.plan = p}, p->param[i].value);
    CHECK_INT(n + x->dim[0].n * x->dim[1].n, trained);
    hone_plan_free(p);
}

/* A slot's touched rows are those of its own batch, whatever lay there; FOLD adds them too; UPDATE takes them all. */
TEST(rows_of_all_micro_batches_are_updated_the_others_miss_one) {
    hone_plan *plan = sample_plan(&wide);
    player *p = sample_player(plan, 0);
    const batch b = sample_batch(&wide, 2, 8);
    int64_t rows[8];
    uint8_t named[500] = {0};
    player_feed(p, &b, rows);
    for (int m = 0; m < 2; m++) {
        int32_t *id = player_at(p, plan->program[HONE_MISSED].step->in[0], 0);
        id[0] = 400 + m; /* of this micro-batch alone; the order is not ref's concern */
        for (int i = 0; i < b.length[0] + b.length[1]; i++) named[id[i]] = 1;
        player_play(p, HONE_MICRO, m, rows);
    }
    player_play(p, HONE_FOLD, 0, rows);
    player_play(p, HONE_UPDATE_WEIGHTS, 0, rows);
    const double *touched = player_at(p, plan->table.touched, 0);
    const int32_t *missed = player_at(p, plan->table.missed, 0);
    int n = 0;
    for (int v = 0; v < 500; v++) {
        CHECK_INT(touched[v] > 0, named[v]);
        const int is_turn = v % 64 == 1; /* of the first update */
        CHECK_INT(missed[v], !named[v] && !is_turn);
        n += named[v];
    }
    CHECK(n > 3 && n < 40);
    player_close(p);
    hone_plan_free(plan);
}
