/* fuse.c - makers move into neighbours: a fused op is the plain op with more optional operands bound, so
 * values keep their names and contents. Every form is asked of the device first; what it cannot play stays as
 * it is. */
#include <string.h>

#include "plan/passes.h"

static int can(const graph *g, const hone_device_v1 *device, const hone_step *s) {
    hone_query q;
    char why[256];
    hone_err err;
    if (graph_bind(g, s, &err)) return 0;
    step_query(g, s, &q);
    return !device || device->can(&q, why, sizeof why);
}

/* The one step that reads v (or a view of it), -1: none or several. */
static int only_reader(const graph *g, int v) {
    int found = -1;
    for (int i = 0; i < g->n_steps; i++)
        if (g->step[i].op != HONE_N_OPS && graph_reads(&g->step[i], g, v)) {
            if (found >= 0) return -1;
            found = i;
        }
    return found;
}

static int maker_of(const graph *g, int v, hone_op op) {
    const int i = v ? g->value[v].maker : -1;
    return i >= 0 && g->step[i].op == op && !g->value[v].base ? i : -1;
}

/* LINEAR_FWD -> u; ACT_FWD u -> f       becomes  LINEAR_FWD(act) -> f, pre u */
static int fuse_act(graph *g, const hone_device_v1 *d, int i) {
    const hone_step *a = &g->step[i];
    if (a->op != HONE_OP_ACT_FWD || a->in[1]) return 0;
    const int l = maker_of(g, a->in[0], HONE_OP_LINEAR_FWD);
    if (l < 0 || g->step[l].out[1] || g->step[l].phase != a->phase) return 0;
    hone_step s = g->step[l];
    s.out[0] = a->out[0];
    s.out[1] = only_reader(g, a->in[0]) == i ? 0 : a->in[0];
    s.attr.linear.act = a->attr.act.kind;
    if (!can(g, d, &s)) return 0;
    g->step[l] = s;
    g->step[i].op = HONE_N_OPS;
    return 1;
}

/* LINEAR_BWD -> df; ACT_BWD df u -> du   becomes  LINEAR_BWD(pre u) -> du */
static int fuse_dact(graph *g, const hone_device_v1 *d, int i) {
    const hone_step *a = &g->step[i];
    if (a->op != HONE_OP_ACT_BWD || a->in[2] || a->out[1]) return 0;
    const int l = maker_of(g, a->in[0], HONE_OP_LINEAR_BWD);
    if (l < 0 || only_reader(g, a->in[0]) != i || g->step[l].in[2]) return 0;
    hone_step s = g->step[l];
    s.in[2] = a->in[1];
    s.out[0] = a->out[0];
    s.attr.linear.act = a->attr.act.kind;
    if (!can(g, d, &s)) return 0;
    g->step[l] = s;
    g->step[i].op = HONE_N_OPS;
    return 1;
}

/* LINEAR_BWD_W whose dbias another step makes now; where the weights are frozen nothing is left of it. */
static void drop_dbias(graph *g, hone_step *w) {
    w->out[1] = 0;
    if (g->value[w->out[0]].cls == HONE_ACTIVATION) w->op = HONE_N_OPS;
}

/* dbias of LINEAR_BWD_W moves to the maker of its dy: ACT_BWD or LINEAR_BWD(pre). */
static int fuse_dbias(graph *g, const hone_device_v1 *d, int i) {
    hone_step *w = &g->step[i];
    if (w->op != HONE_OP_LINEAR_BWD_W || !w->out[1] || w->in[3]) return 0;
    const int a = maker_of(g, w->in[0], HONE_OP_ACT_BWD), l = maker_of(g, w->in[0], HONE_OP_LINEAR_BWD),
              m = a >= 0 ? a : l;
    if (m < 0 || g->step[m].out[0] != w->in[0] || (l >= 0 && !g->step[l].in[2])) return 0; /* not dgate's */
    hone_step s = g->step[m];
    const int k = a >= 0 ? 2 : 1;
    if (s.out[k]) return 0;
    s.out[k] = w->out[1];
    if (!can(g, d, &s)) return 0;
    g->step[m] = s;
    drop_dbias(g, w);
    return 1;
}

/* LINEAR_FWD(bias) -> a; [DROPOUT]; ADD res -> s; NORM_FWD s   becomes  LINEAR_FWD -> a; NORM_FWD(a bias key
 * res) */
static int fuse_norm(graph *g, const hone_device_v1 *d, int i) {
    const hone_step *n = &g->step[i];
    if (n->op != HONE_OP_NORM_FWD || n->in[3]) return 0;
    const int add = maker_of(g, n->in[0], HONE_OP_ADD);
    if (add < 0 || g->step[add].phase != HONE_FORWARD) return 0;
    const int sum = n->in[0], branch = g->step[add].in[0], drop = maker_of(g, branch, HONE_OP_DROPOUT);
    if (only_reader(g, branch) != add) return 0;
    const int a = drop >= 0 ? g->step[drop].in[0] : branch, lin = maker_of(g, a, HONE_OP_LINEAR_FWD);
    if (lin < 0 || only_reader(g, a) != (drop >= 0 ? drop : add)) return 0;
    hone_step s = *n, l = g->step[lin];
    s.in[0] = a;
    s.in[1] = l.in[2];
    l.in[2] = 0;
    s.in[3] = g->step[add].in[1];
    if (drop >= 0) {
        s.in[2] = g->step[drop].in[1];
        s.attr.p = g->step[drop].attr.p;
        s.attr.site = g->step[drop].attr.site;
    }
    if (only_reader(g, sum) != i) s.out[3] = sum;
    if (!can(g, d, &s) || !can(g, d, &l)) return 0;
    s.layer = g->step[add].layer; /* it stands where the sum was made: steps between may read that */
    g->step[lin] = l;
    g->step[add] = s;
    g->step[i].op = HONE_N_OPS;
    if (drop >= 0) g->step[drop].op = HONE_N_OPS;
    return 1;
}

/* NORM_BWD -> ds; DROPOUT ds -> da; dbias of the LINEAR_BWD_W of da   becomes  NORM_BWD(key) -> ds da dbias
 */
static int fuse_dnorm(graph *g, const hone_device_v1 *d, int i) {
    const hone_step *drop = &g->step[i];
    if (drop->op != HONE_OP_DROPOUT || drop->phase != HONE_BACKWARD) return 0;
    const int n = maker_of(g, drop->in[0], HONE_OP_NORM_BWD);
    if (n < 0 || g->step[n].out[3] || g->step[n].in[5]) return 0;
    hone_step s = g->step[n];
    s.in[5] = drop->in[1];
    s.out[3] = drop->out[0];
    s.attr.p = drop->attr.p;
    s.attr.site = drop->attr.site;
    int w = -1;
    for (int k = i + 1; k < g->n_steps && w < 0; k++)
        if (g->step[k].op == HONE_OP_LINEAR_BWD_W && g->step[k].in[0] == drop->out[0] && g->step[k].out[1] &&
            !g->step[k].in[3])
            w = k;
    if (w >= 0) s.out[4] = g->step[w].out[1];
    if (!can(g, d, &s)) return 0;
    if (w >= 0) drop_dbias(g, &g->step[w]);
    g->step[n] = s;
    g->step[i].op = HONE_N_OPS;
    return 1;
}

/* NORM_FWD -> h; DROPOUT h -> x          becomes  NORM_FWD(key, p_out) -> x */
static int fuse_out(graph *g, const hone_device_v1 *d, int i) {
    const hone_step *drop = &g->step[i];
    if (drop->op != HONE_OP_DROPOUT || drop->phase != HONE_FORWARD) return 0;
    const int n = maker_of(g, drop->in[0], HONE_OP_NORM_FWD);
    if (n < 0 || only_reader(g, drop->in[0]) != i) return 0;
    hone_step s = g->step[n];
    s.in[2] = drop->in[1];
    s.out[0] = drop->out[0];
    s.attr.p_out = drop->attr.p;
    s.attr.site_out = drop->attr.site;
    if (!can(g, d, &s)) return 0;
    g->step[n] = s;
    g->step[i].op = HONE_N_OPS;
    return 1;
}

/* Its backward: DROPOUT dx -> dh; NORM_BWD dh   becomes  NORM_BWD(key, p_out) dx */
static int fuse_out_backward(graph *g, const hone_device_v1 *d, int i) {
    const hone_step *n = &g->step[i];
    if (n->op != HONE_OP_NORM_BWD) return 0;
    const int drop = maker_of(g, n->in[0], HONE_OP_DROPOUT);
    if (drop < 0 || only_reader(g, n->in[0]) != i) return 0;
    hone_step s = *n;
    s.in[0] = g->step[drop].in[0];
    s.in[5] = g->step[drop].in[1];
    s.attr.p_out = g->step[drop].attr.p;
    s.attr.site_out = g->step[drop].attr.site;
    if (!can(g, d, &s)) return 0;
    g->step[i] = s;
    g->step[drop].op = HONE_N_OPS;
    return 1;
}

void pass_fuse(graph *g, const hone_device_v1 *device) {
    static int (*const rules[])(graph *, const hone_device_v1 *, int) = {
        fuse_act, fuse_dact, fuse_dbias, fuse_norm, fuse_out, fuse_out_backward, fuse_dnorm};
    for (size_t r = 0; r < sizeof rules / sizeof *rules; r++) {
        graph_makers(g);
        for (int i = 0; i < g->n_steps; i++)
            if (rules[r](g, device, i)) graph_makers(g);
        graph_drop_dead(g);
    }
}
