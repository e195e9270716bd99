/* generate.c - prompts take places, tokens come one a step, texts leave in order.
 *
 * A group of slots belongs to a prompt: its beams, or its texts that are drawn apart. The prompt is read once, in the first
 * slot; the others get copies of what its cache holds. */
#include <math.h>
#include <string.h>

#include "train/generate.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/host.h"
#include "base/mem.h"
#include "text/stream.h"
#include "train/sample.h"

#define READ_TOKENS 512 /* of prompts in one step, where each is shorter */

/* What stands in a slot. */
typedef struct {
    VEC(int32_t) id; /* the prompt, and what follows */
    int64_t cached;  /* tokens that the cache holds */
    token_stream stream;
    double logprob;
    int is_open;
} line;

typedef struct {
    int64_t prompt; /* -1: free */
    int is_read;    /* its prompt is in the caches */
    int64_t most_new;
    uint64_t key; /* of its draws */
    beams *beams;
} group;

typedef struct {
    int is_done, n;
    int32_t *id;
    text text;
    size_t shown;
    const char *finish;
    double logprob, score;
} outcome;

typedef struct {
    session *s;
    const generation *g;
    const generate_sink *to;
    decoder *d;
    const prompt *prompt;
    int64_t n_prompts, next; /* the next one to take a place */
    int per, width, n_groups;
    group *group;
    line *line; /* [n_groups * width] by slot */
    outcome *outcome;
    int64_t head; /* the first text that has not left */
    int64_t read_max;
    sampler *sampler;
    float *x;    /* [width][vocab] processed logits */
    const float **row; /* [width] */
    decoder_feed *feed;
    int *fed; /* slot of each feed */
    int n_fed;
    VEC(decoder_copy) copies;
    token_stream trial;
    group *searched; /* whose beams are being judged */
} writer;

/* ---- prompts ---- */

hone_status prompt_encode(prompt *out, arena *a, const session *s, const generation *g, str content, const char *where,
                          hone_err *err) {
    const encode_options o = {0};
    encoding e = {0};
    size_t bad;
    if (!utf8_valid(content.p, content.n, &bad))
        return hone_fail(err, HONE_EDATA, "%s: byte %zu: invalid UTF-8", where, bad + 1);
    HONE_TRY(tokenizer_encode(s->tok, content, (str){0}, &o, &e, err));
    const int is_empty = !e.n;
    out->n = is_empty ? 1 : e.n;
    out->id = ARENA_ARRAY(a, (size_t)out->n, int32_t);
    if (is_empty) out->id[0] = g->begin;
    else memcpy(out->id, e.id, sizeof *e.id * (size_t)e.n);
    encoding_free(&e);
    if (out->n > s->config->longest) {
        hone_fail(err, HONE_EDATA, "%s: a prompt of %d tokens, expected at most the model's %d positions", where, out->n,
                  s->config->longest);
        return hone_hint(err, "shorten the prompt: its last %d tokens are what the model could read", s->config->longest);
    }
    if (out->id[0] < 0) {
        hone_fail(err, HONE_EDATA, "%s: an empty prompt, and the model has no token that begins a text", where);
        return hone_hint(err, "begin the text, or name a bos_token_id in generation_config.json");
    }
    if (g->max_new_tokens < 0 && out->n >= g->max_length) {
        hone_fail(err, HONE_EUSAGE, "%s: a prompt of %d tokens leaves nothing of max_length: %.0f", where, out->n, g->max_length);
        return hone_hint(err, "--max_new_tokens counts what is written alone");
    }
    return HONE_OK;
}

/* The token at the last position is written, but never read. */
static int64_t most_new(const writer *w, const prompt *p) {
    const int64_t wanted = (int64_t)(w->g->max_new_tokens >= 0 ? w->g->max_new_tokens : w->g->max_length - p->n),
                  room = w->s->config->longest - p->n + 1;
    return wanted < room ? wanted : room;
}

/* ---- opening ---- */

/* Slots of a prompt: its beams, or its texts. */
static int width_of(const generation *g) { return (int)(g->num_beams > 1 ? g->num_beams : g->num_return_sequences); }

/* For prompts of so many tokens in one step, texts of so many. */
static decoder_sizes sizes_of(const generation *g, int n_groups, int64_t read, int64_t cached) {
    const int width = width_of(g), slots = n_groups * width;
    return (decoder_sizes){.slots = slots,
                           .cached = cached,
                           .tokens_max = g->use_cache != 0 ? read + slots : slots * cached,
                           .moves = width > 1};
}

decoder_sizes generate_sizes_most(const session *s, const generation *g) {
    const int64_t longest = s->config->longest;
    return sizes_of(g, (int)s->job->per_device_eval_batch_size, longest > READ_TOKENS ? longest : READ_TOKENS, longest);
}

static hone_status open_decoder(writer *w, hone_err *err) {
    int64_t cached = 1, longest = 1, all = 0;
    for (int64_t i = 0; i < w->n_prompts; i++) {
        const int64_t n = w->prompt[i].n, end = n + most_new(w, &w->prompt[i]) - 1;
        all += n;
        longest = n > longest ? n : longest;
        cached = end > cached ? end : cached;
    }
    const int64_t together = all < READ_TOKENS ? all : READ_TOKENS;
    w->read_max = longest > together ? longest : together;
    const decoder_sizes sizes = sizes_of(w->g, w->n_groups, w->read_max, cached);
    return decoder_open(&w->d, w->s, &sizes, err);
}

static void make_room(writer *w, arena *a) {
    const int vocab = w->s->config->vocab, slots = w->n_groups * w->width;
    int64_t most = 1;
    for (int64_t i = 0; i < w->n_prompts; i++) most = most_new(w, &w->prompt[i]) > most ? most_new(w, &w->prompt[i]) : most;
    w->group = ARENA_ARRAY(a, (size_t)w->n_groups, group);
    w->line = ARENA_ARRAY(a, (size_t)slots, line);
    w->outcome = ARENA_ARRAY(a, (size_t)(w->n_prompts * w->per) + 1, outcome);
    w->sampler = sampler_new(a, vocab);
    w->x = ARENA_ARRAY(a, (size_t)w->width * (size_t)vocab, float);
    w->row = ARENA_ARRAY(a, (size_t)w->width, const float *);
    w->feed = ARENA_ARRAY(a, (size_t)slots, decoder_feed);
    w->fed = ARENA_ARRAY(a, (size_t)slots, int);
    for (int i = 0; i < w->n_groups; i++) {
        w->group[i].prompt = -1;
        if (w->g->num_beams > 1) w->group[i].beams = beams_new(a, w->width, vocab, w->g->n_ends, most);
    }
}

static void close_all(writer *w) {
    decoder_close(w->d);
    for (int i = 0; w->line && i < w->n_groups * w->width; i++) {
        vec_free(&w->line[i].id);
        stream_free(&w->line[i].stream);
    }
    for (int64_t i = 0; w->outcome && i < w->n_prompts * w->per; i++) {
        mem_free(w->outcome[i].id);
        text_free(&w->outcome[i].text);
    }
    vec_free(&w->copies);
    stream_free(&w->trial);
}

/* ---- ends ---- */

/* Where the first stop string begins, -1: there is none. */
static int64_t find_stop(const generation *g, str s) {
    for (size_t at = 0; at < s.n; at++)
        for (int i = 0; i < g->n_stops; i++)
            if (g->stop[i].n <= s.n - at && !memcmp(s.p + at, g->stop[i].p, g->stop[i].n)) return (int64_t)at;
    return -1;
}

static int is_end(const generation *g, int32_t id) {
    for (int i = 0; i < g->n_ends; i++)
        if (g->end[i] == id) return 1;
    return 0;
}

/* Why a text ends with its last token, NULL: it goes on. s: n new tokens behind the prompt. */
static const char *end_of(const writer *w, const group *g, const token_stream *s, int32_t last, int64_t n) {
    if (is_end(w->g, last)) return "eos";
    if (w->g->n_stops && find_stop(w->g, stream_text(s)) >= 0) return "stop";
    return n >= g->most_new ? "length" : NULL;
}

static void keep(writer *w, const group *g, int number, const token_stream *s, const int32_t *id, int n, const char *finish,
                 double logprob, double score) {
    outcome *o = &w->outcome[g->prompt * w->per + number];
    const str all = stream_text(s);
    const int64_t stop = find_stop(w->g, all);
    o->is_done = 1;
    o->n = n;
    o->id = mem_new(sizeof *id * (size_t)n + 1, "a text");
    memcpy(o->id, id, sizeof *id * (size_t)n);
    text_add(&o->text, all.p, stop >= 0 ? (size_t)stop : all.n);
    o->finish = finish;
    o->logprob = logprob;
    o->score = score;
}

/* ---- one text ---- */

static const prompt *prompt_of(const writer *w, const group *g) { return &w->prompt[g->prompt]; }

/* Logits, or log-probabilities of beams, as the settings want them. */
static void process(const writer *w, float *x, const line *l, int n_prompt) {
    const generation *g = w->g;
    if (g->repetition_penalty != 1) sample_penalize(w->sampler, x, l->id.p, (int)l->id.n, g->repetition_penalty);
    if ((double)((int64_t)l->id.n - n_prompt) < g->min_new_tokens) sample_forbid(x, g->end, g->n_ends);
}

/* What tokens are drawn from; least: how many stay at least. */
static void warp(const writer *w, float *x, int least) {
    const generation *g = w->g;
    if (g->temperature != 1) sample_warm(w->sampler, x, g->temperature);
    if (g->top_k > 0) sample_top_k(w->sampler, x, g->top_k > least ? (int64_t)g->top_k : least);
    sample_top_p(w->sampler, x, g->top_p, least);
}

static hone_status refuse_logits(const group *g, hone_err *err) {
    return hone_fail(err, HONE_ENOTFINITE, "prompt %lld: the model's logits are not finite", (long long)g->prompt + 1);
}

/* The next token of a text whose logits are row. */
static hone_status write_token(writer *w, group *g, int number, line *l, const float *row, hone_err *err) {
    const generation *how = w->g;
    const prompt *p = prompt_of(w, g);
    const int64_t n = (int64_t)l->id.n - p->n;
    const double normaliser = sample_normaliser(w->sampler, row);
    if (!isfinite(normaliser)) return refuse_logits(g, err);
    memcpy(w->x, row, sizeof *row * (size_t)w->s->config->vocab);
    process(w, w->x, l, p->n);
    int32_t id;
    if (how->do_sample != 0) {
        warp(w, w->x, 1);
        id = sample_draw(w->sampler, w->x, sample_uniform(how->seed, g->key, number, n));
    } else id = sample_best(w->sampler, w->x);
    l->logprob += (double)row[id] - normaliser;
    vec_push(&l->id, id);
    stream_add(&l->stream, &id, 1);
    const char *finish = end_of(w, g, &l->stream, id, n + 1);
    if (!finish) return HONE_OK;
    l->is_open = 0;
    keep(w, g, number, &l->stream, l->id.p + p->n, (int)(n + 1), finish, l->logprob, NAN);
    return HONE_OK;
}

/* ---- beams ---- */

/* What a beam's text is, in w->trial. */
static void read_beam(writer *w, const group *g, const beam *b) {
    const prompt *p = prompt_of(w, g);
    stream_begin(&w->trial, w->s->tok, p->id, p->n);
    stream_add(&w->trial, b->id, b->n);
}

static const char *end_of_beam(writer *w, const group *g, const beam *b) {
    if (w->g->n_stops) read_beam(w, g, b);
    return end_of(w, g, &w->trial, b->id[b->n - 1], b->n);
}

static int ends_beam(void *arg, const beam *b) {
    writer *w = arg;
    return end_of_beam(w, w->searched, b) != NULL;
}

static void keep_beams(writer *w, group *g) {
    for (int i = 0; i < w->per; i++) {
        const beam *b = beams_finished(g->beams, i);
        HONE_ASSERT(b->is_finished);
        const char *finish = end_of_beam(w, g, b);
        read_beam(w, g, b);
        keep(w, g, i, &w->trial, b->id, b->n, finish, (double)b->sum, (double)b->score);
    }
}

static void copy_slot(writer *w, int from, int to, int64_t at, int64_t n) {
    if (from != to && n > 0) vec_push(&w->copies, (decoder_copy){from, to, at, n});
}

/* The running beams take the slots; `first`: all come from the one slot that has read the prompt. */
static void place_beams(writer *w, group *g, int first) {
    const prompt *p = prompt_of(w, g);
    const int slot = (int)(g - w->group) * w->width;
    const int64_t cached = w->line[slot].cached;
    for (int i = 0; i < w->width; i++) {
        const beam *b = beams_running(g->beams, i);
        line *l = &w->line[slot + i];
        copy_slot(w, slot + b->parent, slot + i, first ? 0 : p->n, first ? cached : cached - p->n);
        l->id.n = 0;
        l->cached = cached;
        l->is_open = 1;
        for (int k = 0; k < p->n; k++) vec_push(&l->id, p->id[k]);
        for (int k = 0; k < b->n; k++) vec_push(&l->id, b->id[k]);
    }
}

static hone_status search(writer *w, group *g, const float *const *row, hone_err *err) {
    const int slot = (int)(g - w->group) * w->width, first = !g->is_read, vocab = w->s->config->vocab;
    const int n_ends = w->g->n_ends, draws = w->g->do_sample != 0;
    const float *logp[BEAMS_WIDE];
    double u[BEAMS_WIDE];
    for (int i = 0; i < (first ? 1 : w->width); i++) {
        float *x = w->x + (size_t)i * (size_t)vocab;
        const double normaliser = sample_normaliser(w->sampler, row[i]);
        if (!isfinite(normaliser)) return refuse_logits(g, err);
        for (int v = 0; v < vocab; v++) x[v] = (float)((double)row[i][v] - normaliser);
        process(w, x, &w->line[slot + i], prompt_of(w, g)->n);
        if (draws) warp(w, x, n_ends ? n_ends + 1 : 2); /* one that ends no text */
    }
    for (int i = 0; i < w->width; i++) logp[i] = w->x + (size_t)(first ? 0 : i) * (size_t)vocab;
    for (int k = 0; draws && k < beams_wide(w->width, n_ends); k++)
        u[k] = sample_uniform(w->g->seed, g->key, k, beams_running(g->beams, 0)->n);
    w->searched = g;
    if (beams_step(g->beams, logp, draws ? u : NULL, ends_beam, w)) {
        place_beams(w, g, first);
        return HONE_OK;
    }
    keep_beams(w, g);
    for (int i = 0; i < w->width; i++) w->line[slot + i].is_open = 0;
    return HONE_OK;
}

/* ---- a step ---- */

static void begin_line(writer *w, line *l, const prompt *p) {
    l->id.n = 0;
    for (int k = 0; k < p->n; k++) vec_push(&l->id, p->id[k]);
    l->cached = 0;
    l->logprob = 0;
    l->is_open = 1;
    stream_begin(&l->stream, w->s->tok, p->id, p->n);
}

static void admit(writer *w) {
    for (int i = 0; i < w->n_groups && w->next < w->n_prompts; i++) {
        group *g = &w->group[i];
        if (g->prompt >= 0) continue;
        g->prompt = w->next++;
        g->is_read = 0;
        const prompt *p = prompt_of(w, g);
        g->most_new = most_new(w, p);
        g->key = hash64(p->id, sizeof *p->id * (size_t)p->n, 0);
        if (g->beams) beams_begin(g->beams, g->most_new, w->g->length_penalty, (early_stopping)w->g->early_stopping);
        for (int k = 0; k < w->width; k++) begin_line(w, &w->line[i * w->width + k], p);
    }
}

static void feed_line(writer *w, int slot) {
    line *l = &w->line[slot];
    const int64_t at = w->g->use_cache != 0 ? l->cached : 0, n = (int64_t)l->id.n - at;
    if (!l->is_open) return;
    w->feed[w->n_fed] = (decoder_feed){slot, at, n, l->id.p + at};
    w->fed[w->n_fed++] = slot;
    l->cached = (int64_t)l->id.n;
}

/* New prompts are read as long as there is room for their tokens; the others wait for the next step. */
static void compose(writer *w) {
    int64_t reading = 0;
    w->n_fed = 0;
    for (int i = 0; i < w->n_groups; i++) {
        const group *g = &w->group[i];
        if (g->prompt < 0) continue;
        if (g->is_read) {
            for (int k = 0; k < w->width; k++) feed_line(w, i * w->width + k);
        } else if (reading + prompt_of(w, g)->n <= w->read_max) {
            reading += prompt_of(w, g)->n;
            feed_line(w, i * w->width);
        }
    }
}

/* A prompt has been read: each of its texts begins with these logits. */
static hone_status branch(writer *w, group *g, const float *row, hone_err *err) {
    const int slot = (int)(g - w->group) * w->width;
    for (int k = 0; k < w->width; k++) {
        w->line[slot + k].cached = w->line[slot].cached;
        HONE_TRY(write_token(w, g, k, &w->line[slot + k], row, err));
        if (w->line[slot + k].is_open) copy_slot(w, slot, slot + k, 0, w->line[slot].cached);
    }
    return HONE_OK;
}

static hone_status advance(writer *w, group *g, const float *const *row, int n, const int *slot, hone_err *err) {
    const int first_slot = (int)(g - w->group) * w->width;
    if (g->beams) HONE_TRY(search(w, g, row, err));
    else if (!g->is_read) HONE_TRY(branch(w, g, row[0], err));
    else
        for (int i = 0; i < n; i++) HONE_TRY(write_token(w, g, slot[i] - first_slot, &w->line[slot[i]], row[i], err));
    g->is_read = 1;
    int open = 0;
    for (int k = 0; k < w->width; k++) open += w->line[first_slot + k].is_open;
    if (!open) g->prompt = -1;
    return HONE_OK;
}

static hone_status step(writer *w, hone_err *err) {
    const float *logits;
    compose(w);
    HONE_TRY(decoder_step(w->d, w->feed, w->n_fed, &logits, err));
    w->copies.n = 0;
    for (int f = 0; f < w->n_fed;) {
        group *g = &w->group[w->fed[f] / w->width];
        int n = 0;
        for (; f + n < w->n_fed && w->fed[f + n] / w->width == w->fed[f] / w->width; n++)
            w->row[n] = logits + (size_t)(f + n) * (size_t)w->s->config->vocab;
        HONE_TRY(advance(w, g, w->row, n, w->fed + f, err));
        f += n;
    }
    return w->copies.n && w->g->use_cache != 0 ? decoder_move(w->d, w->copies.p, (int)w->copies.n, err) : HONE_OK;
}

/* ---- out ---- */

static hone_status show(writer *w, int64_t i, str s, size_t end, hone_err *err) {
    outcome *o = &w->outcome[i];
    const size_t from = o->shown;
    if (!w->to->piece || end <= from) return HONE_OK;
    o->shown = end;
    return w->to->piece(w->to->arg, i / w->per, (int)(i % w->per), (str){s.p + from, end - from}, err);
}

/* What of a text under way is sure: final, and no beginning of a stop string. */
static size_t sure(const writer *w, const token_stream *s) {
    const str all = stream_text(s);
    size_t end = stream_final(s), longest = 1;
    for (int i = 0; i < w->g->n_stops; i++) longest = w->g->stop[i].n > longest ? w->g->stop[i].n : longest;
    end = end < longest - 1 ? 0 : end - (longest - 1);
    while (end > 0 && end < all.n && ((uint8_t)all.p[end] & 0xc0) == 0x80) end--;
    return end;
}

static hone_status show_head(writer *w, hone_err *err) {
    for (int i = 0; i < w->n_groups && w->to->piece; i++) {
        const group *g = &w->group[i];
        const int64_t number = w->head - g->prompt * w->per;
        if (g->prompt < 0 || g->beams || number < 0 || number >= w->per) continue;
        const token_stream *s = &w->line[i * w->width + number].stream;
        return show(w, w->head, stream_text(s), sure(w, s), err);
    }
    return HONE_OK;
}

static hone_status hand_out(writer *w, hone_err *err) {
    for (; w->head < w->n_prompts * w->per && w->outcome[w->head].is_done; w->head++) {
        const outcome *o = &w->outcome[w->head];
        const str all = {o->text.n ? o->text.p : "", o->text.n};
        const continuation c = {.prompt = w->head / w->per,
                                .number = (int)(w->head % w->per),
                                .id = o->id,
                                .n = o->n,
                                .text = all,
                                .finish = o->finish,
                                .logprob = o->logprob,
                                .score = o->score};
        HONE_TRY(show(w, w->head, all, all.n, err));
        HONE_TRY(w->to->done(w->to->arg, &c, err));
    }
    return w->head < w->n_prompts * w->per ? show_head(w, err) : HONE_OK;
}

hone_status generate(session *s, const generation *g, const prompt *p, int64_t n, const generate_sink *to, hone_err *err) {
    const int64_t most = s->job->per_device_eval_batch_size;
    arena *a = arena_new("generate");
    writer w = {.s = s, .g = g, .to = to, .prompt = p, .n_prompts = n};
    w.per = (int)g->num_return_sequences;
    w.width = width_of(g);
    w.n_groups = (int)(n < most ? n : most);
    hone_status status = n ? open_decoder(&w, err) : HONE_OK;
    if (!status) make_room(&w, a);
    while (!status && w.head < n * w.per) {
        status = sig_check(err);
        admit(&w);
        if (!status) status = step(&w, err);
        if (!status) status = hand_out(&w, err);
    }
    close_all(&w);
    arena_free(a);
    return status;
}
