/* grad.c - differentiation is reading: each step's gradient rule, from the last step to the first.
 *
 * A clause "OP operands -> gradients" becomes a step whose results that nobody wants stay unbound; it is
 * dropped if none is left or an operand is missing. A second contribution to a gradient is added in place
 * where the op can ("+"), else by ADD. Gradients of parameters have their own storage for good; those of
 * views are views. */
#include <string.h>

#include "plan/passes.h"
#include "base/err.h"

typedef struct {
    graph *g;
    uint8_t *wants;   /* by value: does anything that is trained stand behind it */
    uint8_t *written; /* by value: this view's columns of its root's gradient are made */
    hone_step fwd;    /* the step being differentiated */
    const hone_op_info *op;
    hone_err *err;
    int n; /* values before the pass: only those have gradients */
} walk;

static int operand_value(const hone_step *s, const hone_op_info *op, int k) {
    return k < op->n_in ? s->in[k] : s->out[k - op->n_in];
}

/* The gradient of v as it stands: of a view, columns of its root's. 0: none yet. */
static int gradient(walk *w, int v) {
    graph *g = w->g;
    const int root = graph_root(g, v);
    if (root == v || !g->value[root].grad) return g->value[v].grad;
    const hone_value x = g->value[v];
    if (x.grad) return x.grad;
    const int d = graph_view(g, arena_print(g->a, "d%s", x.name), g->value[root].grad, x.at, x.dim[1].n,
                             x.n_dims == 3 ? x.dim[2].n : 0);
    g->value[v].grad = d; /* only now: the table may have moved */
    return d;
}

/* Words of the rule up to `end`. */
static str next_word(const char **p, const char *end) {
    while (*p < end && **p == ' ') ++*p;
    const char *from = *p;
    while (*p < end && **p != ' ') ++*p;
    return (str){from, (size_t)(*p - from)};
}

static int find_operand(const walk *w, str name) {
    char copy[16];
    if (name.n >= sizeof copy) return -1;
    memcpy(copy, name.p, name.n);
    copy[name.n] = 0;
    return hone_op_operand(w->op, copy);
}

/* Value that a word on the left of a clause means: x the operand, dy the gradient of y, id.order its
 * companion. */
static int word_value(walk *w, str word) {
    const char *dot = memchr(word.p, '.', word.n);
    if (dot) {
        const int k = find_operand(w, (str){word.p, (size_t)(dot - word.p)}),
                  id = operand_value(&w->fwd, w->op, k);
        return id ? graph_companion(w->g, w->g->value[id].dim[0].space, HONE_FILL_ORDER, id) : 0;
    }
    const int k = find_operand(w, word);
    if (k >= 0) return operand_value(&w->fwd, w->op, k);
    const int of = find_operand(w, (str){word.p + 1, word.n - 1});
    HONE_ASSERT(word.p[0] == 'd' && of >= 0);
    const int v = operand_value(&w->fwd, w->op, of);
    return v ? gradient(w, v) : 0;
}

static hone_status emit(walk *w, const hone_step *s) {
    graph_emit(w->g, s);
    return w->g->status;
}

/* dx = v: v is a contribution as it is. */
static hone_status alias(walk *w, int x, int v) {
    graph *g = w->g;
    if (!x || !v || !w->wants[graph_root(g, x)]) return HONE_OK;
    HONE_ASSERT(graph_root(g, x) == x);
    if (!g->value[x].grad) {
        g->value[x].grad = v;
        return HONE_OK;
    }
    hone_step s = {.op = HONE_OP_ADD};
    s.in[0] = g->value[x].grad;
    s.in[1] = v;
    s.out[0] = graph_like(g, "d", x, HONE_ACTIVATION, g->dtype);
    g->value[x].grad = s.out[0];
    return emit(w, &s);
}

/* Bind result k of the backward step s to the gradient of x. */
static void bind_result(walk *w, hone_step *s, const hone_op_info *op, int k, int x) {
    graph *g = w->g;
    const int root = graph_root(g, x), plus = op->out[k].adds - 1;
    if (g->value[x].cls == HONE_PARAM) {
        const int d = graph_gradient(g, x);
        s->out[k] = d;
        if (g->value[x].grad) s->in[plus] = d; /* a second use of the weights */
        g->value[x].grad = d;
        return;
    }
    if (root != x) { /* a view: its columns of the root's gradient */
        if (!g->value[root].grad) {
            const int whole = graph_like(g, "d", root, HONE_ACTIVATION, g->dtype);
            g->value[root].grad = whole;
        }
        HONE_ASSERT(!w->written[x]);
        w->written[x] = 1;
        s->out[k] = gradient(w, x);
        return;
    }
    const int old = g->value[x].grad, d = graph_like(g, "d", x, HONE_ACTIVATION, g->dtype);
    HONE_ASSERT(!old || plus >= 0);
    if (old) s->in[plus] = old;
    s->out[k] = d;
    g->value[x].grad = d;
}

/* "OP operands -> gradients" */
static hone_status apply_clause(walk *w, const char *p, const char *end) {
    const str first = next_word(&p, end);
    str word = next_word(&p, end);
    if (word.n == 1 && word.p[0] == '=') { /* dx = v */
        const int x = find_operand(w, (str){first.p + 1, first.n - 1});
        return alias(w, operand_value(&w->fwd, w->op, x), word_value(w, next_word(&p, end)));
    }
    char name[32];
    memcpy(name, first.p, first.n);
    name[first.n] = 0;
    hone_step s = {.op = (hone_op)hone_op_by_name(name), .attr = w->fwd.attr};
    const hone_op_info *op = hone_op_find(s.op);
    for (int k = 0; !(word.n == 2 && word.p[0] == '-'); k++, word = next_word(&p, end)) {
        s.in[k] = word_value(w, word);
        if (!s.in[k] && !op->in[k].opt) return HONE_OK;
    }
    int any = 0, of[HONE_MAX_OUT] = {0};
    for (int k = 0; k < op->n_out; k++) {
        word = next_word(&p, end);
        if (!word.n) break;
        const int x = of[k] = operand_value(&w->fwd, w->op, find_operand(w, (str){word.p + 1, word.n - 1}));
        if (!x || !w->wants[graph_root(w->g, x)]) continue;
        bind_result(w, &s, op, k, x);
        any = 1;
    }
    for (int k = 0; k < op->n_out && any;
         k++) /* what the op writes though nobody wants it: weights frozen, bias not */
        if (!s.out[k] && !op->out[k].opt && of[k])
            s.out[k] = graph_like(w->g, "d", of[k], HONE_ACTIVATION,
                                op->out[k].type == 'f' ? graph_float(w->g) : w->g->dtype);
    return any ? emit(w, &s) : HONE_OK;
}

static int is_loss(hone_op op) {
    return op == HONE_OP_XENT || op == HONE_OP_HEAD_XENT || op == HONE_OP_MSE || op == HONE_OP_BCE ||
           op == HONE_OP_SPAN_XENT;
}

static hone_status differentiate_step(walk *w) {
    int any = 0;
    for (int k = 0; k < w->op->n_out; k++)
        if (w->fwd.out[k] && w->fwd.out[k] <= w->n) any |= gradient(w, w->fwd.out[k]) != 0;
    if (!any && !is_loss(w->fwd.op)) return HONE_OK;
    for (const char *p = w->op->rule; *p;) {
        const char *end = strchr(p, ';');
        if (!end) end = p + strlen(p);
        HONE_TRY(apply_clause(w, p, end));
        p = *end ? end + 1 : end;
    }
    return HONE_OK;
}

static void mark_wanted(walk *w) {
    graph *g = w->g;
    for (int v = 1; v <= g->n_values; v++)
        if (g->value[v].cls == HONE_PARAM) w->wants[v] = g->param[g->value[v].param].wants_grad;
    for (int i = 0; i < g->n_steps; i++) {
        const hone_step *s = &g->step[i];
        int any = 0;
        for (int k = 0; k < HONE_MAX_IN; k++)
            if (s->in[k]) any |= w->wants[graph_root(g, s->in[k])];
        for (int k = 0; k < HONE_MAX_OUT && any; k++)
            if (s->out[k]) w->wants[graph_root(g, s->out[k])] = 1;
    }
}

hone_status pass_grad(graph *g, hone_err *err) {
    walk w = {.g = g, .err = err, .n = g->n_values};
    const size_t room = (size_t)g->n_values + 1;
    w.wants = arena_alloc(g->a, room);
    w.written = arena_alloc(g->a, room);
    mark_wanted(&w);
    g->phase = HONE_BACKWARD;
    for (int i = g->n_steps - 1; i >= 0; i--) {
        w.fwd = g->step[i];
        w.op = hone_op_find(w.fwd.op);
        g->layer = w.fwd.layer;
        HONE_TRY(differentiate_step(&w));
    }
    graph_makers(g);
    return HONE_OK;
}
