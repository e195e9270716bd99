/* verify.c - faults put into good programs and plans, one at a time: each is refused and named. */
#include <math.h>
#include <stdlib.h>

#include "base/arena.h"
#include "model/graph.h"
#include "plan/passes.h"
#include "sample.h"
#include "test.h"

/* A copy of one program of a plan that faults may be put into. */
typedef struct {
    graph g;
    hone_plan *plan;
    model_config *config;
} patient;

static void *copied(arena *a, const void *p, size_t n, size_t size) {
    return memcpy(arena_array(a, n, size), p, n * size);
}

static patient admit(hone_program_kind kind) {
    const sample s = {.p = 0.1, .accumulation = 2};
    patient x = {.plan = sample_plan(&s), .config = sample_config(&s)};
    const hone_plan *p = x.plan;
    graph_init(&x.g, p->owner, x.config, p->dtype, NULL);
    graph *g = &x.g;
    g->n_values = p->n_values, g->n_spaces = p->n_spaces, g->n_params = p->n_params;
    g->n_steps = g->cap_steps = p->program[kind].n_steps;
    g->value = copied(g->a, p->value, (size_t)p->n_values + 1, sizeof *g->value);
    g->space = copied(g->a, p->space, (size_t)p->n_spaces + 1, sizeof *g->space);
    g->param = copied(g->a, p->param, (size_t)p->n_params + 1, sizeof *g->param);
    g->step = copied(g->a, p->program[kind].step, (size_t)g->n_steps, sizeof *g->step);
    graph_makers(g);
    return x;
}

/* The nth step of an op, from 0. */
static hone_step *step_of(graph *g, hone_op op, int nth) {
    for (int i = 0; i < g->n_steps; i++)
        if (g->step[i].op == op && !nth--) return &g->step[i];
    test_fail(__FILE__, __LINE__, "no such step");
}

static int value_named(const graph *g, const char *name) {
    for (int v = 1; v <= g->n_values; v++)
        if (!strcmp(g->value[v].name, name)) return v;
    test_fail(__FILE__, __LINE__, "no value %s", name);
}

static int value_of_class(const graph *g, hone_class cls) {
    for (int v = 1; v <= g->n_values; v++)
        if (g->value[v].cls == cls) return v;
    test_fail(__FILE__, __LINE__, "no value of class %d", (int)cls);
}

static hone_value *a_view(graph *g) { return &g->value[step_of(g, HONE_OP_ATTENTION_FWD, 0)->in[1]]; }

/* ---- faults of a program ---- */

static void no_such_op(graph *g) { g->step[3].op = HONE_N_OPS; }
static void no_such_value(graph *g) { g->step[3].in[0] = g->n_values + 9; }
static void missing_operand(graph *g) { step_of(g, HONE_OP_LINEAR_FWD, 0)->in[1] = 0; }
static void wrong_dimensions(graph *g) {
    step_of(g, HONE_OP_LINEAR_FWD, 0)->in[2] = step_of(g, HONE_OP_LINEAR_FWD, 0)->in[1];
}
static void wrong_type(graph *g) {
    step_of(g, HONE_OP_GATHER, 0)->in[1] = step_of(g, HONE_OP_NORM_FWD, 0)->out[2];
}
static void wrong_extent(graph *g) {
    step_of(g, HONE_OP_LINEAR_FWD, 0)->in[1] = value_named(g, "classifier.weight");
}
static void wrong_space(graph *g) { /* as many rows, but others */
    const int first = value_named(g, "seq.first"), seq = g->value[first].dim[0].space;
    const int64_t n = g->space[seq].cap = g->value[value_named(g, "tok.id")].dim[0].n;
    for (int v = 1; v <= g->n_values; v++)
        for (int d = 0; d < g->value[v].n_dims; d++)
            if (g->value[v].dim[d].space == seq) {
                g->value[v].dim[d].n = n;
                if (d) g->value[v].ld = n;
            }
    step_of(g, HONE_OP_EMBED_FWD, 0)->in[2] = first;
}
static void read_too_early(graph *g) {
    const hone_step swap = g->step[4];
    g->step[4] = g->step[5];
    g->step[5] = swap;
}
static void add_into_nothing(graph *g) {
    hone_step *s = step_of(g, HONE_OP_LINEAR_BWD_W, 0);
    s->in[3] = s->out[1];
    s->out[1] = 0;
}
static void add_elsewhere(graph *g) {
    step_of(g, HONE_OP_LINEAR_BWD_W, 1)->in[2] = 0;
    hone_step *s = step_of(g, HONE_OP_NORM_BWD, 0), *t = step_of(g, HONE_OP_NORM_BWD, 1);
    s->in[7] = t->out[1];
}
static void add_and_read_again(graph *g) {
    hone_step *s = step_of(g, HONE_OP_SCATTER, 0), *next = step_of(g, HONE_OP_NORM_BWD, 2);
    next->in[0] = s->in[3];
}
static void write_an_input(graph *g) { step_of(g, HONE_OP_XENT, 0)->out[1] = value_named(g, "seq.label"); }
static void write_a_weight(graph *g) {
    step_of(g, HONE_OP_LINEAR_BWD_W, 0)->out[0] = value_named(g, "classifier.weight");
}
static void write_state(graph *g) {
    step_of(g, HONE_OP_LINEAR_BWD_W, 0)->out[0] = value_named(g, "exp_avg.classifier.weight");
}
static void make_again(graph *g) {
    hone_step *s = graph_insert(g, 5);
    *s = g->step[4];
}
static void make_columns_again(graph *g) {
    hone_step *s = step_of(g, HONE_OP_ATTENTION_BWD, 1);
    s->out[1] = s->out[2];
}
static void make_nothing(graph *g) {
    memset(step_of(g, HONE_OP_ATTENTION_BWD, 0)->out, 0, sizeof g->step[0].out);
}
static void make_for_nobody(graph *g) {
    step_of(g, HONE_OP_SUM, 0)->in[0] = step_of(g, HONE_OP_NORM_FWD, 0)->out[2];
    g->value[step_of(g, HONE_OP_XENT, 0)->out[0]].cls = HONE_ACTIVATION;
    step_of(g, HONE_OP_XENT, 0)->out[2] = 0;
}
static void phases_mixed(graph *g) { g->step[4].phase = HONE_BACKWARD; }
static void no_such_phase(graph *g) { g->step[g->n_steps - 1].phase = 7; }
static void no_such_layer(graph *g) { g->step[4].layer = 9; }
static void too_many_waits(graph *g) { g->step[4].n_wait = 3; }
static void wait_for_nothing(graph *g) {
    g->step[4].n_wait = 1;
    g->step[4].wait[0] = 2;
    g->step[6].record = 2;
}
static void drop_everything(graph *g) { step_of(g, HONE_OP_NORM_FWD, 1)->attr.p = 1; }
static void drop_without_key(graph *g) { step_of(g, HONE_OP_NORM_FWD, 1)->in[2] = 0; }
static void drop_at_no_site(graph *g) { step_of(g, HONE_OP_ATTENTION_FWD, 0)->attr.site = 0; }
static void no_epsilon(graph *g) { step_of(g, HONE_OP_NORM_FWD, 0)->attr.norm.eps = 0; }
static void endless_scale(graph *g) { step_of(g, HONE_OP_ATTENTION_FWD, 0)->attr.attention.scale = INFINITY; }
static void train_the_frozen(graph *g) {
    g->param[g->value[step_of(g, HONE_OP_LINEAR_BWD_W, 0)->out[0]].param].wants_grad = 0;
}
static void read_a_gradient(graph *g) {
    hone_step *s = step_of(g, HONE_OP_NORM_BWD, 1);
    s->in[4] = step_of(g, HONE_OP_NORM_BWD, 0)->out[1];
}
static void place_askew(graph *g) { g->value[step_of(g, HONE_OP_LINEAR_FWD, 0)->out[0]].offset += 64; }
static void place_over_what_lives(graph *g) {
    const hone_step *s = step_of(g, HONE_OP_LINEAR_FWD, 0);
    g->value[s->out[0]].offset = g->value[s->in[0]].offset;
}
static void add_in_another_place(graph *g) {
    const hone_step *s = step_of(g, HONE_OP_SCATTER, 0);
    g->value[s->in[3]].offset += (size_t)1 << 20;
}

/* ---- faults of the table ---- */

static void no_dimensions(graph *g) { g->value[5].n_dims = 0; }
static void no_extent(graph *g) { g->value[value_named(g, "classifier.weight")].dim[0].n = 0; }
static void no_such_space(graph *g) { g->value[value_named(g, "tok.id")].dim[0].space = 77; }
static void other_capacity(graph *g) { g->value[value_named(g, "tok.id")].dim[0].n++; }
static void rows_too_close(graph *g) { g->value[value_named(g, "classifier.weight")].ld = 1; }
static void view_of_a_view(graph *g) { a_view(g)->base = step_of(g, HONE_OP_ATTENTION_FWD, 0)->in[0]; }
static void view_of_nothing(graph *g) { a_view(g)->base = g->n_values + 3; }
static void view_beyond(graph *g) { a_view(g)->at += 100; }
static void view_of_another_class(graph *g) { a_view(g)->cls = HONE_RESULT; }
static void view_of_other_rows(graph *g) {
    a_view(g)->base = step_of(g, HONE_OP_EMBED_FWD, 0)->in[1];
    a_view(g)->cls = HONE_PARAM;
}
static void no_class(graph *g) { g->value[5].cls = HONE_CLASS_NONE; }
static void no_type(graph *g) { g->value[5].dtype = HONE_N_DTYPES; }
static void no_such_parameter(graph *g) { g->value[value_named(g, "classifier.weight")].param = 999; }
static void empty_constant(graph *g) { g->value[value_of_class(g, HONE_CONST)].data = NULL; }
static void input_of_nobody(graph *g) { g->value[value_named(g, "tok.id")].fill = HONE_FILL_NONE; }
/* A work list of these ranges for the first attention. */
static hone_value *give_list(graph *g, int of) {
    hone_step *a = step_of(g, HONE_OP_ATTENTION_FWD, 0);
    const int64_t words = 8;
    g->cap_values = g->n_values + 1; /* of the copy */
    const int v = graph_value(g, "list", HONE_INPUT, HONE_I32, 1, &words, -1, 0);
    g->value[v].fill = HONE_FILL_LIST;
    g->value[v].fill_of = of;
    a->in[hone_op_operand(hone_op_find(a->op), "list")] = v;
    return &g->value[v];
}
static void list_of_nothing(graph *g) { give_list(g, value_named(g, "tok.id")); }
static void list_of_others(graph *g) {
    hone_value *key = &g->value[value_named(g, "tok.key")]; /* other ranges, to look at */
    key->fill = HONE_FILL_AT;
    give_list(g, value_named(g, "tok.key"));
}
static void list_of_another_kind(graph *g) { give_list(g, value_named(g, "tok.at"))->fill = HONE_FILL_ID; }
static void order_of_nothing(graph *g) {
    g->value[value_named(g, "tok.id.order")].fill_of = value_named(g, "seq.first");
}

static const struct {
    const char *name;
    void (*put)(graph *g);
    const char *said;
} faults[] = {
#define XX(fault, said) {#fault, fault, said},
    XX(no_such_op, "of which there is none") XX(no_such_value, "is value")                  //
    XX(missing_operand, "LINEAR_FWD: w[O,I] is missing") XX(wrong_dimensions, "dimensions") //
    XX(wrong_type, "GATHER: index[M]") XX(wrong_extent, "LINEAR_FWD: bias[O] has O = 24 where w[O,I] has 5")
        XX(wrong_space, "pos[N] has N in space seq where id[N] has it in tok")                //
    XX(read_too_early, "reads before it is made:") XX(add_into_nothing, "adds into nothing:") //
    XX(add_elsewhere, "adds into other storage than that of")                                 //
    XX(add_and_read_again, "adds into what is read again later:")
        XX(write_an_input, "writes an input: seq.label")                              //
    XX(write_a_weight, "writes a weight outside the update: classifier.weight")       //
    XX(write_state, "writes state outside the update: exp_avg.classifier.weight")     //
    XX(make_again, "makes again:") XX(make_columns_again, "makes again: dL0.v.heads") //
    XX(make_nothing, "makes nothing") XX(make_for_nobody, "XENT: makes only what nobody reads: row.loss")
        XX(phases_mixed, "is of an earlier phase than the step before it")                                //
    XX(no_such_phase, "is of no phase") XX(no_such_layer, "is of a layer that there is not")              //
    XX(too_many_waits, "waits for more events") //
    XX(wait_for_nothing, "waits for an event that no step before it records")                             //
    XX(drop_everything, "drops with a probability outside [0, 1)")
        XX(drop_without_key, "drops without a key") //
    XX(drop_at_no_site, "ATTENTION_FWD: drops at no site") XX(no_epsilon, "epsilon")
        XX(endless_scale, "scale")                                                                          //
    XX(train_the_frozen, "makes the gradient of what is frozen:")                                           //
    XX(read_a_gradient, "reads a gradient outside the update:") XX(place_askew, "no multiple of 256:")      //
    XX(place_over_what_lives, "writes over what is still read:")                                            //
    XX(add_in_another_place, "adds into another place than that of") XX(no_dimensions, "has no dimensions") //
    XX(no_extent, "classifier.weight: has an extent below 1")
        XX(no_such_space, "tok.id: is in a row space that there is not")                 //
    XX(other_capacity, "tok.id: has other rows than its space has capacity")             //
    XX(rows_too_close, "classifier.weight: has rows closer together than they are wide") //
    XX(view_of_a_view, "L0.k.heads: is a view of a view")
        XX(view_of_nothing, "L0.k.heads: is a view of nothing")               //
    XX(view_beyond, "L0.k.heads: has columns beyond those of L0.q+L0.k+L0.v") //
    XX(view_of_another_class, "L0.k.heads: is of another class or type than") //
    XX(view_of_other_rows, "L0.k.heads: has other rows than") XX(no_class, "is in no slab")
        XX(no_type, "is of no type")                                                     //
    XX(no_such_parameter, "classifier.weight: belongs to a parameter that there is not") //
    XX(empty_constant, "is a constant without contents")
        XX(input_of_nobody, "tok.id: is an input that nobody fills") //
    XX(order_of_nothing, "tok.id.order: is the order of nothing in its row space")
        XX(list_of_nothing, "list: is the work list of no ranges")              //
    XX(list_of_others, "ATTENTION_FWD: works through the list of other sequences:") //
    XX(list_of_another_kind, "ATTENTION_FWD: works through what is no list:")
#undef XX
};
#define N_FAULTS ((int)(sizeof faults / sizeof *faults))

TEST(every_fault_of_a_program_is_named) {
    int n_wrong = 0;
    for (int i = 0; i < N_FAULTS; i++) {
        patient x = admit(HONE_MICRO);
        hone_err err = {.text = ""};
        if (plan_verify(&x.g, "admission", 1, &err)) test_fail(__FILE__, __LINE__, "healthy: %s", err.text);
        faults[i].put(&x.g);
        const hone_status status = plan_verify(&x.g, "fault", 1, &err);
        if (status != HONE_EBUG || !strstr(err.text, faults[i].said) ||
            strncmp(err.text, "after fault: ", 13)) {
            n_wrong++;
            fprintf(stderr, "  %s: \"%s\", expected \"%s\"\n", faults[i].name, status ? err.text : "accepted",
                    faults[i].said);
        }
        hone_plan_free(x.plan);
        config_free(x.config);
    }
    CHECK_INT(n_wrong, 0);
    CHECK(N_FAULTS >= 40);
}

/* ---- faults of a finished plan ---- */

static int plan_value(const hone_plan *p, const char *name) {
    for (int v = 1; v <= p->n_values; v++)
        if (!strcmp(p->value[v].name, name)) return v;
    test_fail(__FILE__, __LINE__, "no value %s", name);
}

static int plan_param(const hone_plan *p, const char *name) {
    for (int i = 1; i <= p->n_params; i++)
        if (!strcmp(p->param[i].name, name)) return i;
    test_fail(__FILE__, __LINE__, "no parameter %s", name);
}

static void slab_too_small(hone_plan *p) { p->slab_bytes[HONE_INPUT] -= 256; }
static void askew(hone_plan *p) { p->value[p->clip].offset += 4; }
static void inputs_together(hone_plan *p) { p->value[p->clip].offset = p->value[p->rate].offset; }
static void results_together(hone_plan *p) { p->value[p->ok].offset = p->value[p->norm].offset; }
static void weights_together(hone_plan *p) {
    p->value[plan_value(p, "classifier.bias")].offset = p->value[plan_value(p, "classifier.weight")].offset;
}
static void slots_missing(hone_plan *p) { p->n_slots--; }
static void no_such_group(hone_plan *p) { p->param[1].group = (int16_t)p->n_groups; }
static void span_torn(hone_plan *p) {
    for (int v = 1; v <= p->n_values; v++)
        if (p->value[v].cls == HONE_PARAM && p->value[v].span) p->value[v].dim[0].n++;
}
static void gradient_missing(hone_plan *p) {
    const int v = plan_value(p, "dclassifier.bias");
    for (int i = 0; i < p->program[HONE_MICRO].n_steps; i++)
        for (int k = 0; k < HONE_MAX_OUT; k++)
            if (p->program[HONE_MICRO].step[i].out[k] == v) p->program[HONE_MICRO].step[i].out[k] = 0;
}
static void gradients_together(hone_plan *p) {
    p->value[plan_value(p, "dclassifier.bias")].offset = p->value[plan_value(p, "dclassifier.weight")].offset;
}
static int32_t *chunk(hone_plan *p) { return (int32_t *)p->value[p->chunk].data; }
static void chunk_too_long(hone_plan *p) { chunk(p)[1] = 9000; }
static void chunk_skips(hone_plan *p) { chunk(p)[3] += 1; }
static void chunk_in_another_group(hone_plan *p) { chunk(p)[2] ^= 1; }
static void chunk_missing(hone_plan *p) { p->value[p->chunk].dim[0].n--; }
static void no_moments(hone_plan *p) { p->param[plan_param(p, "classifier.bias")].moment[1] = 0; }
static void result_of_nobody(hone_plan *p) {
    for (int i = 0; i < p->program[HONE_EVAL].n_steps; i++)
        if (p->program[HONE_EVAL].step[i].op == HONE_OP_XENT) p->program[HONE_EVAL].step[i].out[0] = 0;
}
static void workspace_too_small(hone_plan *p) { p->slab_bytes[HONE_WORK]--; }

TEST(every_fault_of_a_finished_plan_is_named) {
    static const struct {
        const char *name;
        void (*put)(hone_plan *p);
        const char *said;
    } list[] = {
#define XX(fault, said) {#fault, fault, said},
        XX(slab_too_small, "ends beyond its slab")
            XX(askew, "clip: begins at a byte that is no multiple of 64")                  //
        XX(inputs_together, "shares bytes with") XX(results_together, "shares bytes with") //
        XX(weights_together, "shares bytes with") XX(slots_missing, "slots of")            //
        XX(no_such_group, "is in a group that there is not")
            XX(span_torn, "is not the parameters that it spans")                                          //
        XX(gradient_missing, "classifier.bias: is trained, but no step makes its gradient")               //
        XX(gradients_together, "shares bytes with") XX(chunk_too_long, "chunk 0 is not a piece")          //
        XX(chunk_skips, "chunk 1 does not follow") XX(chunk_in_another_group, "in no chunk of its group") //
        XX(chunk_missing, "no chunk holds element")
            XX(no_moments, "classifier.bias: is trained, but has no moments")   //
        XX(result_of_nobody, "row.loss: is for the host, but no step makes it") //
        XX(workspace_too_small, "wants more workspace than there is")
#undef XX
    };
    int n_wrong = 0;
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        const sample s = {.p = 0.1, .accumulation = 2};
        hone_plan *p = sample_plan(&s);
        hone_err err = {.text = ""};
        CHECK_INT(plan_verify_layout(p, &err), HONE_OK);
        list[i].put(p);
        const hone_status status = plan_verify_layout(p, &err);
        if (status != HONE_EBUG || !strstr(err.text, list[i].said) || strncmp(err.text, "plan: ", 6)) {
            n_wrong++;
            fprintf(stderr, "  %s: \"%s\", expected \"%s\"\n", list[i].name, status ? err.text : "accepted",
                    list[i].said);
        }
        hone_plan_free(p);
    }
    CHECK_INT(n_wrong, 0);
}
