/* decoder.c - slot s holds the rows s * cached .. of every cache. */
#include <string.h>

#include "train/decoder.h"
#include "base/err.h"
#include "base/mem.h"
#include "plan/rung.h"

struct decoder {
    session *s;
    decoder_sizes sizes;
    int tok, seq, cache, move; /* row spaces of the plan; move 0: none */
    int64_t vocab;
    float *logits; /* [slots][vocab] */
};

static int space_of(const hone_plan *p, const char *name) {
    for (int i = 1; i <= p->n_spaces; i++)
        if (!strcmp(p->space[i].name, name)) return i;
    return 0;
}

session_limits decoder_limits(const decoder_sizes *sizes) {
    return (session_limits){.tokens_max = sizes->tokens_max,
                            .seqs_max = sizes->slots,
                            .longest = (int)sizes->cached,
                            .cached = sizes->cached,
                            .moves = sizes->moves ? sizes->slots * sizes->cached : 0};
}

hone_status decoder_open(decoder **out, session *s, const decoder_sizes *sizes, hone_err *err) {
    const session_limits l = decoder_limits(sizes);
    HONE_TRY(session_start(s, &l, err));
    decoder *d = mem_new(sizeof *d, "decoder");
    *d = (decoder){.s = s, .sizes = *sizes, .vocab = s->config->vocab};
    d->tok = space_of(s->plan, "tok"), d->seq = space_of(s->plan, "seq");
    d->cache = space_of(s->plan, "cache"), d->move = space_of(s->plan, "move");
    d->logits = mem_new((size_t)sizes->slots * (size_t)d->vocab * sizeof *d->logits, "logits");
    *out = d;
    return HONE_OK;
}

void decoder_close(decoder *d) {
    if (!d) return;
    mem_free(d->logits);
    mem_free(d);
}

/* The place of a companion in the image; NULL: no step reads it. */
static void *companion(const decoder *d, int space, hone_fill fill) {
    const int v = d->s->plan->space[space].companion[fill];
    return v ? run_input(d->s->run, v) : NULL;
}

/* Rows first .. of a companion of int32 hold -1: tail. */
static void end_rows(const decoder *d, int space, hone_fill fill, int64_t first) {
    int32_t *to = companion(d, space, fill);
    for (int64_t i = first; to && i < d->s->plan->space[space].cap; i++) to[i] = -1;
}

static void put_row(int32_t *to, int64_t row, int64_t x) {
    if (to) to[row] = (int32_t)x;
}
static void put_range(hone_range *to, int64_t row, int64_t first, int64_t n) {
    if (to) to[row] = (hone_range){(int32_t)first, (int32_t)n};
}

/* The rows of tokens; a text's sees what its slot holds up to itself. */
static void fill_tokens(const decoder *d, const decoder_feed *feed, int n) {
    static const hone_fill all[] = {HONE_FILL_ID, HONE_FILL_POS, HONE_FILL_SLOT, HONE_FILL_TYPE};
    int32_t *id = companion(d, d->tok, HONE_FILL_ID), *pos = companion(d, d->tok, HONE_FILL_POS),
            *slot = companion(d, d->tok, HONE_FILL_SLOT), *type = companion(d, d->tok, HONE_FILL_TYPE);
    int64_t row = 0;
    for (int f = 0; f < n; f++)
        for (int64_t k = 0; k < feed[f].n; k++, row++) {
            put_row(id, row, feed[f].id[k]);
            put_row(pos, row, feed[f].at + k);
            put_row(slot, row, feed[f].slot * d->sizes.cached + feed[f].at + k);
            put_row(type, row, 0);
        }
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) end_rows(d, d->tok, all[i], row);
}

/* The rows of texts: the last token of each. Where it is a query alone, it stands behind all others. */
static void fill_texts(const decoder *d, const decoder_feed *feed, int n) {
    hone_range *fed = companion(d, d->tok, HONE_FILL_AT), *held = companion(d, d->cache, HONE_FILL_AT),
               *alone = companion(d, d->seq, HONE_FILL_AT);
    int32_t *last = companion(d, d->seq, HONE_FILL_INDEX), *pos = companion(d, d->seq, HONE_FILL_POS);
    int64_t row = 0;
    for (int f = 0; f < d->sizes.slots; f++) {
        const int64_t k = f < n ? feed[f].n : 0, end = f < n ? feed[f].at + k : 0;
        put_range(fed, f, row, k);
        put_range(held, f, f < n ? feed[f].slot * d->sizes.cached : d->sizes.slots * d->sizes.cached, end);
        put_range(alone, f, f, f < n);
        row += k;
        put_row(last, f, f < n ? row - 1 : -1);
        put_row(pos, f, end - 1);
    }
}

static void fill_lists(const decoder *d) {
    const session *s = d->s;
    for (int i = 0; i < s->plan->n_lists; i++) {
        const hone_list *l = &s->plan->list[i];
        const int64_t played[2] = {s->played[l->q_space], l->query.in[1].dim[0]};
        s->table->list_fill(&l->query, run_input(s->run, l->q_at), run_input(s->run, l->k_at), NULL, played,
                            run_input(s->run, l->value));
    }
}

static hone_status play(decoder *d, hone_program_kind program, hone_err *err) {
    run_prepare(d->s->run, program, 0, d->s->rows);
    return run_play(d->s->run, program, 0, d->s->rows, err);
}

static void count(decoder *d, int64_t tokens, int64_t seqs, int64_t moved) {
    session *s = d->s;
    memset(s->rows, 0, sizeof *s->rows * ((size_t)s->plan->n_spaces + 1));
    s->rows[d->tok] = tokens;
    s->rows[d->seq] = seqs;
    if (d->move) s->rows[d->move] = moved;
    plan_rung(s->plan, s->rows, s->played);
}

hone_status decoder_step(decoder *d, const decoder_feed *feed, int n, const float **logits, hone_err *err) {
    int64_t tokens = 0;
    for (int f = 0; f < n; f++) {
        tokens += feed[f].n;
        HONE_ASSERT(feed[f].n > 0 && feed[f].at + feed[f].n <= d->sizes.cached && (!f || feed[f].slot > feed[f - 1].slot));
    }
    HONE_ASSERT(n > 0 && n <= d->sizes.slots && tokens <= d->sizes.tokens_max);
    HONE_TRY(run_feed(d->s->run, err));
    fill_tokens(d, feed, n);
    fill_texts(d, feed, n);
    count(d, tokens, n, 0);
    fill_lists(d);
    HONE_TRY(play(d, HONE_DECODE, err));
    *logits = d->logits;
    return run_get_rows(d->s->run, d->s->plan->decode_logits, n, d->logits, err);
}

hone_status decoder_move(decoder *d, const decoder_copy *copy, int n, hone_err *err) {
    int64_t row = 0;
    HONE_ASSERT(d->move);
    HONE_TRY(run_feed(d->s->run, err));
    int32_t *from = companion(d, d->move, HONE_FILL_INDEX), *to = companion(d, d->move, HONE_FILL_SLOT);
    for (int c = 0; c < n; c++)
        for (int64_t k = copy[c].at; k < copy[c].at + copy[c].n; k++, row++) {
            HONE_ASSERT(row < d->s->plan->space[d->move].cap);
            from[row] = (int32_t)(copy[c].from * d->sizes.cached + k);
            to[row] = (int32_t)(copy[c].to * d->sizes.cached + k);
        }
    if (!row) return HONE_OK;
    end_rows(d, d->move, HONE_FILL_INDEX, row);
    end_rows(d, d->move, HONE_FILL_SLOT, row);
    count(d, 0, 0, row);
    return play(d, HONE_MOVE, err);
}
