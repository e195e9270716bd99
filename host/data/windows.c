#include <string.h>

#include "data/windows.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/vec.h"
#include "data/cache.h"

#define BLOCK 64 /* questions of a block */

/* What a block of questions becomes. */
typedef struct {
    VEC(int32_t) id, from, to, span, length;
    VEC(uint8_t) type;
    VEC(int64_t) question; /* of each window, as length and span [2] are */
    hone_status status;
    hone_err err;
} block;

typedef struct {
    const questions *q;
    const window_options *o;
    const tokenizer *t;
    block *block;
    encoding *of_thread; /* [2] a thread: question and context, question alone */
} making;

/* First and last token of the answer, from the window's first; (0, 0) where it is not all here. */
static void find_span(const block *b, size_t first, int n, const question *q, int32_t span[2]) {
    const int32_t *from = b->from.p + first, *to = b->to.p + first;
    int i = 0, last = n - 1;
    span[0] = span[1] = 0;
    if (!q->n_answers) return;
    const int64_t begin = q->answer[0].at, end = begin + (int64_t)q->answer[0].text.n;
    while (i < n && from[i] < 0) i++;
    while (last > i && from[last] < 0) last--;
    if (i >= n || from[i] > begin || to[last] < end) return;
    int s = i, e = last;
    while (s < last && from[s + 1] <= begin) s++;
    while (e > i && to[e - 1] >= end) e--;
    span[0] = s;
    span[1] = e;
}

/* One window: all of e but the context's tokens before `begin` and from `stop` on (context: [first, first + n) of e). */
static void add_window(block *b, const making *m, int64_t number, const encoding *e, int first, int n,
                       int begin, int stop) {
    const size_t at = b->id.n;
    int32_t span[2] = {-1, -1};
    for (int i = 0; i < e->n; i++) {
        const int inside = i >= first && i < first + n;
        if (inside && (i < first + begin || i >= first + stop)) continue;
        vec_push(&b->id, e->id[i]);
        vec_push(&b->type, e->type[i]);
        vec_push(&b->from, inside ? e->from[i] : -1);
        vec_push(&b->to, inside ? e->to[i] : -1);
    }
    const int length = (int)(b->id.n - at);
    if (m->o->labelled) find_span(b, at, length, &m->q->q[number], span);
    vec_push(&b->span, span[0]);
    vec_push(&b->span, span[1]);
    vec_push(&b->length, length);
    vec_push(&b->question, number);
}

static hone_status refuse_room(const making *m, const question *q, int others, hone_err *err) {
    char id[80];
    hone_fail(err, HONE_EDATA,
              "%s: question \"%s\": with special tokens it has %d of the %d tokens of a window, and its text "
              "finds no room",
              m->q->name, text_escape(id, sizeof id, q->id.p, q->id.n), others, m->o->max_length);
    return hone_hint(err, "a larger max_seq_length, or a shorter question");
}

static hone_status cut_question(const making *m, block *b, int64_t number, encoding *e, encoding *alone,
                                hone_err *err) {
    static const encode_options whole = {.max_length = 0}, bare = {.no_special = 1};
    const question *q = &m->q->q[number];
    HONE_TRY(tokenizer_encode(m->t, q->text, (str){0}, &bare, alone, err));
    HONE_TRY(tokenizer_encode(m->t, q->text, q->context, &whole, e, err));
    int first = 0, seen = 0,
        n = 0; /* the context's tokens: those that are not special, behind the question's */
    while (first < e->n && (e->special[first] || seen < alone->n)) seen += !e->special[first++];
    while (first + n < e->n && !e->special[first + n]) n++;
    const int room = m->o->max_length - (e->n - n);
    if (room < 1) return refuse_room(m, q, e->n - n, err);
    if (n > room && m->o->stride >= room)
        return hone_fail(
            err, HONE_EUSAGE,
            "doc_stride: %d, expected less than the %d tokens that question \"%.*s\" leaves for its text",
            m->o->stride, room, (int)(q->id.n < 60 ? q->id.n : 60), q->id.p);
    for (int begin = 0, stop = 0; !begin || stop < n; begin += room - m->o->stride) {
        stop = begin + room < n ? begin + room : n;
        add_window(b, m, number, e, first, n, begin, stop);
        if (stop == n) break;
    }
    return HONE_OK;
}

static void cut_block(void *arg, int64_t i, int thread) {
    const making *m = arg;
    block *b = &m->block[i];
    encoding *e = &m->of_thread[2 * thread];
    for (int64_t k = i * BLOCK; k < (i + 1) * BLOCK && k < m->q->n && !b->status; k++) {
        b->status = sig_check(&b->err);
        if (!b->status) b->status = cut_question(m, b, k, e, e + 1, &b->err);
    }
}

/* Blocks behind each other, in the data set's own memory. */
static void gather(dataset *d, const questions *q, const block *blocks, int64_t n_blocks) {
    arena *a = q->a;
    size_t n = 0, tokens = 0;
    for (int64_t i = 0; i < n_blocks; i++) n += blocks[i].length.n, tokens += blocks[i].id.n;
    int64_t *at = ARENA_ARRAY(a, n + 1, int64_t), *number = ARENA_ARRAY(a, n + 1, int64_t);
    int32_t *id = ARENA_ARRAY(a, tokens + 1, int32_t), *from = ARENA_ARRAY(a, tokens + 1, int32_t),
            *to = ARENA_ARRAY(a, tokens + 1, int32_t), *span = ARENA_ARRAY(a, 2 * n + 1, int32_t),
            *label = ARENA_ARRAY(a, n + 1, int32_t), *line = ARENA_ARRAY(a, n + 1, int32_t);
    uint8_t *type = ARENA_ARRAY(a, tokens + 1, uint8_t);
    windows *w = ARENA_NEW(a, windows);
    size_t i = 0, k = 0;
    for (int64_t x = 0; x < n_blocks; x++) {
        const size_t here = blocks[x].id.n;
        if (!here) continue;
        memcpy(id + k, blocks[x].id.p, here * sizeof *id);
        memcpy(from + k, blocks[x].from.p, here * sizeof *from);
        memcpy(to + k, blocks[x].to.p, here * sizeof *to);
        memcpy(type + k, blocks[x].type.p, here);
        k += here;
        for (size_t j = 0; j < blocks[x].length.n; j++, i++) {
            at[i + 1] = at[i] + blocks[x].length.p[j];
            span[2 * i] = blocks[x].span.p[2 * j], span[2 * i + 1] = blocks[x].span.p[2 * j + 1];
            number[i] = blocks[x].question.p[j];
            label[i] = -1;
            line[i] = (int32_t)number[i] + 1;
            if (blocks[x].length.p[j] > d->max_length) d->max_length = blocks[x].length.p[j];
        }
    }
    *w = (windows){q, number, from, to};
    d->n = (int64_t)n, d->n_tokens = (int64_t)tokens;
    d->at = at, d->id = id, d->type = type, d->label = label, d->line = line, d->span = span, d->windows = w;
}

static void free_blocks(block *b, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        vec_free(&b[i].id);
        vec_free(&b[i].from);
        vec_free(&b[i].to);
        vec_free(&b[i].span);
        vec_free(&b[i].length);
        vec_free(&b[i].type);
        vec_free(&b[i].question);
    }
    mem_free(b);
}

hone_status windows_make(dataset **out, questions *q, const window_options *o, const tokenizer *t, pool *p,
                         hone_err *err) {
    const int n_threads = p ? pool_threads(p) : 1;
    const int64_t n_blocks = (q->n + BLOCK - 1) / BLOCK;
    making m = {q, o, t, mem_new((size_t)n_blocks * sizeof(block), "windows"),
                mem_new(2 * (size_t)n_threads * sizeof(encoding), "encodings")};
    if (p) pool_run(p, n_blocks, cut_block, &m);
    else
        for (int64_t i = 0; i < n_blocks; i++) cut_block(&m, i, 0);
    hone_status status = HONE_OK;
    for (int64_t i = 0; i < n_blocks && !status; i++) {
        status = m.block[i].status;
        if (status && err) *err = m.block[i].err;
    }
    for (int i = 0; i < 2 * n_threads; i++) encoding_free(&m.of_thread[i]);
    mem_free(m.of_thread);
    if (!status) {
        dataset *d = dataset_new();
        ((dataset_owner *)d->owner)->questions = q->a;
        gather(d, q, m.block, n_blocks);
        memcpy(d->sha256, q->sha256, 65);
        memcpy(d->key, q->sha256, 65);
        *out = d;
    } else questions_free(q);
    free_blocks(m.block, n_blocks);
    return status;
}
