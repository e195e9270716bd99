/* expand.c - HEAD_XENT, the loss over a vocabulary, becomes ordinary ops on chunks of its rows:
 *
 *   LINEAR_FWD x word -> logits; XENT logits -> loss, dlogits; LINEAR_BWD_W dlogits x -> dword (+); LINEAR_BWD dlogits word -> dx
 *
 * so that logits of one chunk lie in memory, never of all rows. Each row's numbers are what they would be without chunks;
 * dword is summed chunk after chunk, in the order of the rows. A chunk is a slice of the row space: one without rows is not
 * played, but the first. */
#include <string.h>

#include "plan/passes.h"

/* ORDER OP, operands of HEAD_XENT: x w bias label scale +gw +gbias -> loss best gx gw gbias. */
enum { X, W, BIAS, LABEL, SCALE };
enum { LOSS, BEST, GX, GW, GBIAS };

typedef struct {
    graph *g;
    hone_step head;
    int n; /* steps so far, written behind each other from `at` on */
    int at;
} expansion;

static void put(expansion *e, hone_step s) {
    s.phase = e->head.phase;
    s.layer = e->head.layer;
    *graph_insert(e->g, e->at + e->n++) = s;
}

static int rows_or_none(expansion *e, int v, int slice) { return v ? graph_rows(e->g, v, slice) : 0; }

static void write_chunk(expansion *e, int slice, int is_first) {
    graph *g = e->g;
    const hone_step *h = &e->head;
    const int64_t dims[2] = {0, g->value[h->in[W]].dim[0].n};
    const int x = graph_rows(g, h->in[X], slice),
              logits = graph_value(g, arena_print(g->a, "logits[%lld]", (long long)g->space[slice].slice_at),
                                   HONE_ACTIVATION, g->dtype, 2, dims, 0, slice);
    hone_step s = {.op = HONE_OP_LINEAR_FWD, .in = {x, h->in[W], h->in[BIAS]}, .out = {logits}};
    put(e, s);
    const int is_wanted = h->out[GX] || h->out[GW] || h->out[GBIAS];
    const int gx = is_wanted ? graph_like(g, "d", logits, HONE_ACTIVATION, g->dtype) : 0;
    s = (hone_step){.op = HONE_OP_XENT,
                    .attr = h->attr,
                    .in = {logits, graph_rows(g, h->in[LABEL], slice), 0, h->in[SCALE]},
                    .out = {graph_rows(g, h->out[LOSS], slice), rows_or_none(e, h->out[BEST], slice), gx}};
    put(e, s);
    if (h->out[GW] || h->out[GBIAS]) {
        const int dw =
            h->out[GW] ? h->out[GW] : graph_like(g, "d", h->in[W], HONE_ACTIVATION, graph_float(g));
        s = (hone_step){.op = HONE_OP_LINEAR_BWD_W, .in = {gx, x}, .out = {dw, h->out[GBIAS]}};
        if (!is_first && h->out[GW]) s.in[2] = h->out[GW];
        if (!is_first && h->out[GBIAS]) s.in[3] = h->out[GBIAS];
        put(e, s);
    }
    if (h->out[GX]) {
        s = (hone_step){
            .op = HONE_OP_LINEAR_BWD, .in = {gx, h->in[W]}, .out = {graph_rows(g, h->out[GX], slice)}};
        put(e, s);
    }
}

void pass_expand(graph *g, int64_t chunk_rows) {
    for (int i = 0; i < g->n_steps; i++) {
        if (g->step[i].op != HONE_OP_HEAD_XENT) continue;
        expansion e = {.g = g, .head = g->step[i], .at = i + 1};
        const hone_dim rows = g->value[e.head.in[X]].dim[0];
        for (int64_t at = 0; at < rows.n; at += chunk_rows)
            write_chunk(
                &e, graph_slice(g, rows.space, at, rows.n - at < chunk_rows ? rows.n - at : chunk_rows), !at);
        g->step[i].op = HONE_N_OPS;
        graph_drop_dead(g);
    }
}
