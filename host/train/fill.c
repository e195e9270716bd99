/* fill.c - a few texts at a time through the model, logits of their masks back, rows out of these. */
#include <string.h>

#include "train/fill.h"
#include "base/err.h"
#include "base/mem.h"

#define FLUSH_BYTES ((size_t)1 << 16)
#define SAMPLES_AT_ONCE 16
#define MASKS_AT_ONCE 64 /* logits of so many rows lie in memory */
#define MASKS_OF_ONE_MAX 4096

static int64_t masks_of(const session *s, const dataset *d, int64_t sample) {
    int64_t n = 0;
    for (int64_t i = d->at[sample]; i < d->at[sample + 1]; i++) n += d->id[i] == s->masks->mask_id;
    return n;
}

static hone_status refuse_sample(const session *s, const char *path, int32_t line, int64_t masks,
                                 hone_err *err) {
    const str mask = tokenizer_token(s->tok, s->masks->mask_id);
    if (masks)
        return hone_fail(err, HONE_EDATA, "%s: line %d: %lld masks, expected at most %d", path, (int)line,
                         (long long)masks, MASKS_OF_ONE_MAX);
    hone_fail(err, HONE_EDATA, "%s: line %d: no %.*s, expected at least one", path, (int)line, (int)mask.n,
              mask.p);
    return hone_hint(err, "write %s where a word is to be guessed; max_seq_length may have cut it off",
                     arena_copy(s->a, mask.p, mask.n));
}

/* The batch that begins with sample `from`: how many samples, and their tokens and masks. */
static int64_t cut_batch(const session *s, const dataset *d, int64_t from, int64_t *tokens, int64_t *masks) {
    int64_t n = 0;
    *tokens = *masks = 0;
    for (int64_t i = from; i < d->n && n < SAMPLES_AT_ONCE; i++, n++) {
        const int64_t here = masks_of(s, d, i);
        if (n && *masks + here > MASKS_AT_ONCE) break;
        *masks += here;
        *tokens += d->at[i + 1] - d->at[i];
    }
    return n;
}

hone_status fill_limits(session_limits *out, const session *s, const dataset *d, const char *path,
                        hone_err *err) {
    *out = (session_limits){.longest = d->max_length};
    for (int64_t i = 0; i < d->n; i++) {
        const int64_t masks = masks_of(s, d, i);
        if (!masks || masks > MASKS_OF_ONE_MAX) return refuse_sample(s, path, d->line[i], masks, err);
    }
    for (int64_t i = 0, n, tokens, masks; i < d->n; i += n) {
        n = cut_batch(s, d, i, &tokens, &masks);
        if (tokens > out->tokens_max) out->tokens_max = tokens;
        if (masks > out->asks) out->asks = masks;
        if (n > out->seqs_max) out->seqs_max = n;
    }
    return HONE_OK;
}

/* ---- rows ---- */

typedef struct {
    session *s;
    const dataset *d;
    const fill_options *o;
    text *out, word, sequence;
    word_guess *guess;
    int32_t *id; /* of a sample */
} writer;

static void decode_guess(writer *w, int64_t n, int64_t place, int32_t id, int is_single) {
    const int32_t was = w->id[place];
    text_clear(&w->word), text_clear(&w->sequence);
    tokenizer_decode(w->s->tok, &id, 1, 0, &w->word);
    w->id[place] = id;
    tokenizer_decode(w->s->tok, w->id, (int)n, is_single, &w->sequence);
    w->id[place] = was;
}

static void write_guess(writer *w, const word_guess *g) {
    if (w->o->people) {
        text_printf(w->out, "  %.4f  %-16s  %s\n", (double)g->score, w->word.n ? w->word.p : "",
                    w->sequence.n ? w->sequence.p : "");
        return;
    }
    text_str(w->out, "{\"token\":");
    text_json(w->out, w->word.n ? w->word.p : "", w->word.n);
    text_printf(w->out, ",\"id\":%d,\"score\":", (int)g->id);
    text_double(w->out, (double)g->score);
    text_str(w->out, ",\"sequence\":");
    text_json(w->out, w->sequence.n ? w->sequence.p : "", w->sequence.n);
    text_str(w->out, "}");
}

static void write_sample(writer *w, int64_t sample, int64_t first_row, hone_range masks,
                         const float *logits) {
    const batch *b = w->s->batch;
    const int vocab = w->s->config->vocab, is_json = !w->o->people;
    const int64_t n = dataset_tokens(w->d, sample, w->id, NULL);
    if (is_json) text_printf(w->out, "{\"index\":%lld,\"masks\":[", (long long)sample);
    for (int32_t k = 0; k < masks.n; k++) {
        words_top(logits + (int64_t)(masks.first + k) * vocab, vocab, w->o->top, w->guess);
        if (is_json) text_str(w->out, k ? ",[" : "[");
        else if (masks.n > 1) text_printf(w->out, "mask %d\n", (int)k + 1);
        for (int i = 0; i < w->o->top; i++) {
            if (is_json && i) text_str(w->out, ",");
            decode_guess(w, n, b->word_row[masks.first + k] - first_row, w->guess[i].id, masks.n == 1);
            write_guess(w, &w->guess[i]);
        }
        if (is_json) text_str(w->out, "]");
    }
    if (is_json) text_str(w->out, "]}\n");
}

static hone_status check_head(const session *s, hone_err *err) {
    for (int i = 1; i <= s->plan->n_params; i++)
        if (s->plan->param[i].is_new) {
            hone_fail(err, HONE_EUSAGE, "%s: has no %s, expected a head that guesses words", s->folder,
                      s->plan->param[i].name);
            return hone_hint(err, "task: fill-mask trains one");
        }
    return HONE_OK;
}

static hone_status fill_batches(writer *w, float *logits, void (*flush)(void *arg, text *out), void *arg,
                                hone_err *err) {
    int64_t sample[SAMPLES_AT_ONCE];
    for (int64_t i = 0, n, tokens, masks; i < w->d->n; i += n) {
        HONE_TRY(sig_check(err));
        n = cut_batch(w->s, w->d, i, &tokens, &masks);
        for (int64_t k = 0; k < n; k++) sample[k] = i + k;
        HONE_TRY(words_logits(w->s, w->d, sample, n, logits, err));
        for (int64_t k = 0; k < n; k++)
            write_sample(w, i + k, w->s->batch->at[k].first, w->s->batch->words_at[k], logits);
        if (w->out->n >= FLUSH_BYTES) flush(arg, w->out);
    }
    return HONE_OK;
}

hone_status fill_rows(session *s, const dataset *d, const fill_options *o, text *out,
                      void (*flush)(void *arg, text *out), void *arg, hone_err *err) {
    HONE_TRY(check_head(s, err));
    HONE_ASSERT(o->top > 0 && o->top <= s->config->vocab);
    writer w = {.s = s, .d = d, .o = o, .out = out};
    const size_t vocab = (size_t)s->config->vocab;
    w.guess = mem_new(sizeof *w.guess * (size_t)o->top, "guesses");
    w.id = mem_new(sizeof *w.id * ((size_t)d->max_length + 1), "tokens of a text");
    float *logits = mem_new(sizeof *logits * ((size_t)s->asks * vocab + 1), "logits of masks");
    const hone_status status = fill_batches(&w, logits, flush, arg, err);
    flush(arg, out);
    text_free(&w.word);
    text_free(&w.sequence);
    mem_free(w.guess);
    mem_free(w.id);
    mem_free(logits);
    return status;
}
