/* lists.c - attention's work lists: what a device wants to know of a batch's sequences before it attends is
 * an INPUT value that the batcher fills. Layers that ask the same question read the same list. */
#include <string.h>

#include "plan/passes.h"

static int same_tensor(const hone_tensor *a, const hone_tensor *b) {
    return a->n_dims == b->n_dims && (!a->n_dims || (a->dtype == b->dtype && a->dim[0] == b->dim[0] &&
                                                     a->dim[1] == b->dim[1] && a->dim[2] == b->dim[2]));
}

/* The same but for site, p, scale and strides. */
static int same_query(const hone_query *a, const hone_query *b) {
    if (a->op != b->op || a->attr.attention.mask != b->attr.attention.mask ||
        a->attr.attention.left != b->attr.attention.left ||
        a->attr.attention.right != b->attr.attention.right)
        return 0;
    for (int k = 0; k < HONE_MAX_IN; k++)
        if (!same_tensor(&a->in[k], &b->in[k])) return 0;
    for (int k = 0; k < HONE_MAX_OUT; k++)
        if (!same_tensor(&a->out[k], &b->out[k])) return 0;
    return 1;
}

static int same_list(const hone_list *a, const hone_list *b) {
    return a->q_at == b->q_at && a->k_at == b->k_at && a->key == b->key && same_query(&a->query, &b->query);
}

static hone_list list_of(const graph *g, const hone_step *s) {
    const hone_op_info *op = hone_op_find(s->op);
    hone_list l = {.q_at = s->in[hone_op_operand(op, "q_at")],
                   .k_at = s->in[hone_op_operand(op, "k_at")],
                   .key = s->in[hone_op_operand(op, "key")],
                   .q_space = g->value[s->in[hone_op_operand(op, "q")]].dim[0].space,
                   .k_space = g->value[s->in[hone_op_operand(op, "k")]].dim[0].space};
    step_query(g, s, &l.query);
    return l;
}

static int list_value(graph *g, const hone_list *l, size_t bytes, int number) {
    const int64_t words = (int64_t)((bytes + 3) / 4);
    const int v = graph_value(g, arena_print(g->a, "%s.list%d", g->value[l->q_at].name, number), HONE_INPUT,
                              HONE_I32, 1, &words, -1, 0);
    g->value[v].fill = HONE_FILL_LIST;
    g->value[v].fill_space = l->q_space;
    g->value[v].fill_of = l->q_at;
    return v;
}

hone_status pass_lists(graph *g, const hone_device_v1 *device, hone_list *list, int *n, hone_err *err) {
    if (!device || !device->list_bytes) return HONE_OK;
    for (int i = 0; i < g->n_steps; i++) {
        const hone_op op = g->step[i].op;
        if (op != HONE_OP_ATTENTION_FWD && op != HONE_OP_ATTENTION_BWD) continue;
        hone_list l = list_of(g, &g->step[i]);
        const size_t bytes = device->list_bytes(&l.query);
        if (!bytes) continue;
        for (int k = 0; k < *n && !l.value; k++)
            if (same_list(&list[k], &l)) l.value = list[k].value;
        if (!l.value) {
            if (*n == HONE_MAX_LISTS)
                return hone_fail(err, HONE_EBUG, "plan: more than %d kinds of work lists", HONE_MAX_LISTS);
            l.value = list_value(g, &l, bytes, *n + 1);
            list[(*n)++] = l;
        }
        g->step[i].in[hone_op_operand(hone_op_find(op), "list")] = l.value;
    }
    return HONE_OK;
}
