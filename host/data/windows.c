#include <string.h>

#include "data/windows.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/spool.h"
#include "base/vec.h"
#include "data/cache.h"

#define BLOCK 16   /* questions of a block */
#define BLOCKS 256 /* blocks that are cut at a time */

/* What a block of questions becomes. */
typedef struct {
    VEC(int32_t) id, from, to, span, length;
    VEC(uint8_t) type;
    VEC(int32_t) question; /* of each window, from 1, as length and span [2] are */
    hone_status status;
    hone_err err;
} block;

typedef struct {
    questions *q;
    const window_options *o;
    const tokenizer *t;
    pool *p;
    cache_want want;
    char key[65];
    block *block;        /* [BLOCKS] */
    int64_t first;       /* question of these */
    encoding *of_thread; /* [2] a thread: question and context, question alone */
    /* The windows so far: a record a block. */
    spool *put;
    hone_err storage; /* what went wrong with it */
    int64_t n, n_tokens;
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
    vec_push(&b->question, (int32_t)number + 1);
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

static void empty(block *b) {
    b->id.n = b->from.n = b->to.n = b->span.n = b->length.n = b->type.n = b->question.n = 0;
    b->status = HONE_OK;
}

static void cut_block(void *arg, int64_t i, int thread) {
    const making *m = arg;
    block *b = &m->block[i];
    encoding *e = &m->of_thread[2 * thread];
    const int64_t from = m->first + i * BLOCK;
    empty(b);
    for (int64_t k = from; k < from + BLOCK && k < m->q->n && !b->status; k++) {
        b->status = sig_check(&b->err);
        if (!b->status) b->status = cut_question(m, b, k, e, e + 1, &b->err);
    }
}

/* The order of a record. */
static hone_status put_block(making *m, const block *b) {
    const int64_t head[2] = {(int64_t)b->length.n, (int64_t)b->id.n};
    hone_err *err = &m->storage;
    HONE_TRY(spool_add(m->put, head, sizeof head, err));
    HONE_TRY(spool_add(m->put, b->length.p, b->length.n * sizeof *b->length.p, err));
    HONE_TRY(spool_add(m->put, b->question.p, b->question.n * sizeof *b->question.p, err));
    HONE_TRY(spool_add(m->put, b->span.p, b->span.n * sizeof *b->span.p, err));
    HONE_TRY(spool_add(m->put, b->id.p, b->id.n * sizeof *b->id.p, err));
    HONE_TRY(spool_add(m->put, b->from.p, b->from.n * sizeof *b->from.p, err));
    HONE_TRY(spool_add(m->put, b->to.p, b->to.n * sizeof *b->to.p, err));
    HONE_TRY(spool_add(m->put, b->type.p, b->type.n, err));
    m->n += head[0], m->n_tokens += head[1];
    return HONE_OK;
}

static hone_status fill(dataset *d, void *memory, const cache_layout *l, void *arg, hone_err *err) {
    making *m = arg;
    char *base = memory;
    int64_t *at = (int64_t *)(base + l->at), next = 0, head[2];
    int32_t *line = (int32_t *)(base + l->line), *label = (int32_t *)(base + l->label), *span = (int32_t *)(base + l->span);
    cache_point(d, memory, l);
    d->n = m->n, d->n_tokens = m->n_tokens;
    memcpy(d->key, m->key, 65);
    memcpy(d->sha256, m->q->sha256, 65);
    HONE_TRY(spool_rewind(m->put, err));
    for (int64_t row = 0; row < d->n; row += head[0]) {
        HONE_TRY(spool_take(m->put, head, sizeof head, err));
        const size_t each = (size_t)head[0] * sizeof(int32_t), ids = (size_t)head[1] * sizeof(int32_t),
                     from = (size_t)next * sizeof(int32_t);
        HONE_TRY(spool_take(m->put, label + row, each, err)); /* lengths, in the place of what is -1 in the end */
        HONE_TRY(spool_take(m->put, line + row, each, err));
        HONE_TRY(spool_take(m->put, span + 2 * row, 2 * each, err));
        HONE_TRY(spool_take(m->put, base + l->id + from, ids, err));
        HONE_TRY(spool_take(m->put, base + l->from + from, ids, err));
        HONE_TRY(spool_take(m->put, base + l->to + from, ids, err));
        HONE_TRY(spool_take(m->put, base + l->type + next, (size_t)head[1], err));
        for (int64_t i = row; i < row + head[0]; i++) {
            if (label[i] > d->max_length) d->max_length = label[i];
            at[i] = next;
            next += label[i];
            label[i] = -1;
        }
    }
    at[d->n] = next;
    cache_seal(d, memory, l, &m->want, m->p);
    return HONE_OK;
}

static hone_status cut_all(making *m, const char *folder, hone_err *err) {
    m->n = m->n_tokens = 0;
    spool_free(m->put);
    HONE_TRY(spool_new(&m->put, folder, &m->storage));
    for (m->first = 0; m->first < m->q->n; m->first += (int64_t)BLOCKS * BLOCK) {
        const int64_t left = (m->q->n - m->first + BLOCK - 1) / BLOCK, n = left < BLOCKS ? left : BLOCKS;
        if (m->p) pool_run(m->p, n, cut_block, m);
        else
            for (int64_t i = 0; i < n; i++) cut_block(m, i, 0);
        for (int64_t i = 0; i < n; i++) {
            const block *b = &m->block[i];
            if (b->status && err) *err = b->err;
            HONE_TRY(b->status);
            HONE_TRY(put_block(m, b));
        }
    }
    return HONE_OK;
}

/* place NULL: no cache. */
static hone_status make(dataset **out, making *m, const cache_place *place, hone_err *err) {
    const char *folder = place ? m->o->cache_folder : NULL;
    cache_layout l;
    hone_status status = cut_all(m, folder, err);
    if (status == HONE_ESTORAGE && *m->storage.text) {
        log_warn("%s; tokens are kept in memory only", m->storage.text);
        folder = NULL;
        status = cut_all(m, NULL, err);
    }
    HONE_TRY(status);
    if (!cache_lay_out(&l, m->n, m->n_tokens, 0, CACHE_WINDOWS))
        return hone_fail(err, HONE_EDATA, "%s: too many windows or tokens for one data set", m->q->name);
    return cache_build(out, folder ? place : NULL, &l, &m->want, m->p, fill, m, err);
}

static hone_status cut_and_make(dataset **out, making *m, const cache_place *place, hone_err *err) {
    const int n_threads = m->p ? pool_threads(m->p) : 1;
    m->block = mem_new(BLOCKS * sizeof *m->block, "windows");
    m->of_thread = mem_new(2 * (size_t)n_threads * sizeof *m->of_thread, "encodings");
    const hone_status status = make(out, m, place, err);
    for (int i = 0; i < BLOCKS; i++) {
        block *b = &m->block[i];
        vec_free(&b->id);
        vec_free(&b->from);
        vec_free(&b->to);
        vec_free(&b->span);
        vec_free(&b->length);
        vec_free(&b->type);
        vec_free(&b->question);
    }
    for (int i = 0; i < 2 * n_threads; i++) encoding_free(&m->of_thread[i]);
    mem_free(m->block);
    mem_free(m->of_thread);
    spool_free(m->put);
    return status;
}

/* Places of a cache lie in the contexts that it is said to be of, and every question has windows, in order. */
static const char *check_places(const dataset *d, const void *arg) {
    const questions *q = arg;
    int64_t last = 0;
    for (int64_t i = 0; i < d->n; i++) {
        const int64_t number = d->line[i];
        if (number < last || number > last + 1 || number > q->n) return "damaged (a window is of no question)";
        last = number;
        for (int64_t k = d->at[i]; k < d->at[i + 1]; k++)
            if (d->to[k] > (int64_t)q->q[number - 1].context.n) return "damaged (a token is not in the context)";
    }
    return last == q->n ? NULL : "damaged (a question has no window)";
}

static void make_key(making *m) {
    text d = {0};
    text_printf(&d, "windows\nversion %d\nquestions %s\ntokenizer %s\nlength %d stride %d labelled %d\n", CACHE_VERSION, m->q->key,
                tokenizer_sha256(m->t), m->o->max_length, m->o->stride, m->o->labelled);
    cache_key(&d, m->key);
    m->want = (cache_want){.key = m->key, .source = m->q->sha256, .tokenizer = tokenizer_sha256(m->t), .n_ids = tokenizer_size(m->t),
                           .kind = CACHE_WINDOWS, .check = check_places, .check_arg = m->q};
}

static hone_status find_or_make(dataset **out, making *m, hone_err *err) {
    const char *folder = m->o->cache_folder;
    cache_place c = {.lock = NULL};
    hone_err storage = {0};
    *out = NULL;
    if (folder && folder_make(folder, &storage) != HONE_OK) {
        log_warn("%s; tokens are kept in memory only", storage.text);
        folder = NULL;
    }
    if (!folder) return cut_and_make(out, m, NULL, err);
    hone_status status = cache_find(out, &c, folder, &m->want, m->o->rebuild, m->q->name, m->p, err);
    if (status == HONE_OK && !*out) status = cut_and_make(out, m, &c, err);
    cache_leave(&c);
    return status;
}

hone_status windows_make(dataset **out, questions *q, const window_options *o, const tokenizer *t, pool *p,
                         hone_err *err) {
    making m = {.q = q, .o = o, .t = t, .p = p};
    make_key(&m);
    const hone_status status = find_or_make(out, &m, err);
    if (status) {
        questions_free(q);
        return status;
    }
    dataset *d = *out;
    int64_t *number = ARENA_ARRAY(q->a, (size_t)d->n + 1, int64_t);
    for (int64_t i = 0; i < d->n; i++) number[i] = d->line[i] - 1;
    windows *w = ARENA_NEW(q->a, windows);
    *w = (windows){q, number};
    d->windows = w;
    ((dataset_owner *)d->owner)->questions = q->a;
    return HONE_OK;
}
