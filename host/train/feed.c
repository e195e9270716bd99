/* feed.c - samples of a data set as the numbers that a plan reads. */
#include <string.h>

#include "train/session.h"
#include "base/err.h"
#include "plan/rung.h"

/* Rows sorted by id, stable, -1 last: counting sort. */
static void sort_rows(session *s, const int32_t *id, int64_t n, int64_t cap, int32_t *order) {
    int32_t most = -1;
    for (int64_t i = 0; i < n; i++) most = id[i] > most ? id[i] : most;
    memset(s->counts, 0, sizeof *s->counts * ((size_t)most + 2));
    for (int64_t i = 0; i < n; i++) s->counts[id[i] + 1]++;
    for (int32_t v = 0; v <= most; v++) s->counts[v + 1] += s->counts[v];
    for (int64_t i = 0; i < n; i++) order[s->counts[id[i]]++] = (int32_t)i;
    for (int64_t i = n; i < cap; i++) order[i] = (int32_t)i;
}

/* As RoBERTa counts: padding has the place of its id, in the middle of a text too, and all others the next one. */
static void count_positions(const model_config *c, const batch *b, int32_t *to) {
    for (int64_t i = 0; i < b->n_seqs; i++) {
        int32_t seen = 0;
        for (int64_t k = b->at[i].first; k < b->at[i].first + b->at[i].n; k++)
            to[k] = c->pad_id + (b->id[k] == c->pad_id ? 0 : ++seen);
    }
    for (int64_t k = b->n_tokens; k < b->tokens_max; k++) to[k] = -1;
}

hone_range session_rows_of(const session *s, int space, int64_t i) {
    const hone_space *x = &s->plan->space[space];
    const batch *b = s->batch;
    if (!x->seqs) return (hone_range){(int32_t)i, 1};
    if (hone_space_is_tokens(x)) return b->at[i];
    const hone_range words = b->words_at[i];
    if (!plan_space_is_read(s->plan, space)) return words;
    return (hone_range){words.first + (int32_t)i, 1 + words.n}; /* its first row, then its words */
}

/* A companion of the space of rows that pre-training reads, which are picked from those of the tokens. */
static void fill_read(const session *s, int space, hone_fill fill, void *to) {
    const batch *b = s->batch;
    int64_t row = 0;
    for (int64_t i = 0; i < b->seqs_max; i++) {
        const hone_range read = i < b->n_seqs ? session_rows_of(s, space, i) : (hone_range){(int32_t)row, 0};
        if (fill == HONE_FILL_AT) ((hone_range *)to)[i] = read;
        for (int32_t k = 0; k < read.n; k++, row++) {
            const int32_t from = k ? b->word_row[b->words_at[i].first + k - 1] : b->at[i].first;
            if (fill == HONE_FILL_INDEX) ((int32_t *)to)[row] = from;
            if (fill == HONE_FILL_POS) ((int32_t *)to)[row] = b->position[from];
            if (fill == HONE_FILL_KEY) ((hone_key *)to)[row] = b->key[from];
        }
    }
    for (; row < s->plan->space[space].cap && fill != HONE_FILL_AT; row++) {
        if (fill == HONE_FILL_KEY) ((hone_key *)to)[row] = (hone_key){0, 0};
        else ((int32_t *)to)[row] = -1;
    }
}

/* A companion of the space of hidden words: rows picked from those of the tokens, or from those that pre-training reads. */
static void fill_words(const session *s, int space, hone_fill fill, void *to) {
    const batch *b = s->batch;
    const size_t words = (size_t)b->words_max;
    const int read =
        plan_space_is_read(s->plan, s->plan->space[space].parent) ? s->plan->space[space].parent : 0;
    if (fill == HONE_FILL_INDEX) memcpy(to, b->word_row, words * sizeof *b->word_row);
    for (int64_t i = 0; i < b->n_seqs && read && fill == HONE_FILL_INDEX; i++)
        for (int32_t k = 0; k < b->words_at[i].n; k++)
            ((int32_t *)to)[b->words_at[i].first + k] = session_rows_of(s, read, i).first + 1 + k;
    if (fill == HONE_FILL_LABEL) memcpy(to, b->word, words * sizeof *b->word);
    if (fill == HONE_FILL_AT) memcpy(to, b->words_at, (size_t)b->seqs_max * sizeof *b->words_at);
    for (size_t i = 0; i < words && (fill == HONE_FILL_POS || fill == HONE_FILL_KEY); i++) {
        const int32_t row = b->word_row[i];
        if (fill == HONE_FILL_POS) ((int32_t *)to)[i] = row < 0 ? -1 : b->position[row];
        else ((hone_key *)to)[i] = row < 0 ? (hone_key){0, 0} : b->key[row];
    }
}

/* The row that a head of sequence i looks at: the first, of causal families the last that is no padding; -1: none. */
static int32_t picked_row(const session *s, int64_t i) {
    const batch *b = s->batch;
    if (i >= b->n_seqs || !b->at[i].n) return -1;
    int32_t row = b->at[i].first;
    if (!s->config->family->causal) return row;
    row += b->at[i].n - 1;
    while (row > b->at[i].first && b->id[row] == s->config->pad_id) row--;
    return row;
}

/* A companion of the space of tokens, or of the space of sequences, of each of which one row is picked. */
static void fill_value(session *s, int v) {
    const hone_value *x = &s->plan->value[v];
    const hone_space *space = x->fill_space ? &s->plan->space[x->fill_space] : NULL;
    const batch *b = s->batch;
    const int picked = space && !space->seqs;
    void *to = run_input(s->run, v);
    const size_t tokens = (size_t)b->tokens_max, seqs = (size_t)b->seqs_max;
    if (space && space->seqs && !hone_space_is_tokens(space)) {
        if (plan_space_is_read(s->plan, x->fill_space)) fill_read(s, x->fill_space, x->fill, to);
        else fill_words(s, x->fill_space, x->fill, to);
        return;
    }
    switch (x->fill) {
    case HONE_FILL_ID:
        memcpy(to, b->id, tokens * sizeof *b->id);
        break;
    case HONE_FILL_TYPE:
        memcpy(to, b->type, tokens * sizeof *b->type);
        for (int64_t i = 0; s->config->types == 1 && i < b->n_tokens; i++) ((int32_t *)to)[i] = 0;
        break;
    case HONE_FILL_POS:
        if (!picked && s->config->first_position) count_positions(s->config, b, to);
        else if (!picked) memcpy(to, b->position, tokens * sizeof *b->position);
        for (size_t i = 0; picked && i < seqs; i++) {
            const int32_t row = picked_row(s, (int64_t)i);
            ((int32_t *)to)[i] = row < 0 ? -1 : b->position[row];
        }
        break;
    case HONE_FILL_KEY:
        if (!picked) memcpy(to, b->key, tokens * sizeof *b->key);
        for (size_t i = 0; picked && i < seqs; i++) {
            const int32_t row = picked_row(s, (int64_t)i);
            ((hone_key *)to)[i] = row < 0 ? (hone_key){0, 0} : b->key[row];
        }
        break;
    case HONE_FILL_AT:
        if (!picked) memcpy(to, b->at, seqs * sizeof *b->at);
        for (size_t i = 0; picked && i < seqs; i++)
            ((hone_range *)to)[i] = (hone_range){(int32_t)i, (int64_t)i < b->n_seqs};
        break;
    case HONE_FILL_INDEX:
        for (size_t i = 0; i < seqs; i++) ((int32_t *)to)[i] = picked_row(s, (int64_t)i);
        if (plan_space_is_read(s->plan, space->parent))
            for (int64_t i = 0; i < b->n_seqs; i++)
                ((int32_t *)to)[i] = session_rows_of(s, space->parent, i).first;
        break;
    case HONE_FILL_LABEL:
        if (picked) memcpy(to, b->label, seqs * sizeof *b->label);
        else memcpy(to, b->word, tokens * sizeof *b->word);
        break;
    case HONE_FILL_SPAN:
        memcpy(to, b->span, 2 * seqs * sizeof *b->span);
        break;
    case HONE_FILL_TARGET:
        memcpy(to, b->target, seqs * (size_t)b->n_targets * sizeof *b->target);
        break;
    default:
        break;
    }
}

static void fill_list(session *s, const hone_list *l) {
    const int64_t played[2] = {s->played[l->q_space], s->played[l->k_space]};
    s->table->list_fill(&l->query, run_input(s->run, l->q_at), run_input(s->run, l->k_at),
                        l->key ? run_input(s->run, l->key) : NULL, played, run_input(s->run, l->value));
}

static int64_t hidden_words(const session *s, const dataset *d, int64_t sample, int64_t epoch) {
    HONE_ASSERT(d->at[sample + 1] - d->at[sample] <= s->config->longest);
    const int64_t length = dataset_tokens(d, sample, s->room, NULL);
    if (!s->asks) return masks_count(s->masks, epoch, sample, s->room, length, s->room + length);
    int64_t n = 0;
    for (int64_t i = 0; i < length; i++) n += s->room[i] == s->masks->mask_id;
    return n;
}

/* The last token of a sequence is asked what follows, and all but the first are what is to be guessed. */
static int64_t next_words(const session *s, int64_t length) {
    return s->asks ? length > 0 : length > 1 ? length - 1 : 0;
}

int64_t session_words(const session *s, const dataset *d, const int64_t *samples, int64_t n, int64_t epoch) {
    int64_t words = 0;
    for (int64_t i = 0; session_guesses_words(s) && i < n; i++) {
        const int64_t length = d->at[samples[i] + 1] - d->at[samples[i]];
        words += s->masks ? hidden_words(s, d, samples[i], epoch) : next_words(s, length);
    }
    for (int64_t i = 0; s->head == HEAD_TOKENS && i < n; i++)
        for (int64_t k = d->at[samples[i]]; k < d->at[samples[i] + 1]; k++) words += d->word[k] >= 0;
    return words;
}

int64_t session_losses(const session *s, const dataset *d, const int64_t *samples, int64_t n, int64_t epoch) {
    int64_t tags = 0;
    if (s->head != HEAD_TOKENS) return session_guesses_words(s) ? session_words(s, d, samples, n, epoch) : n;
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = d->at[samples[i]]; k < d->at[samples[i] + 1]; k++) tags += d->tag[k] >= 0;
    return tags;
}

void session_count(session *s, const dataset *d, const int64_t *samples, int64_t n, int64_t epoch) {
    int64_t tokens = 0;
    for (int64_t i = 0; i < n; i++) {
        const int64_t length = d->at[samples[i] + 1] - d->at[samples[i]];
        HONE_ASSERT(length <= s->longest);
        tokens += length;
    }
    const int64_t words = session_words(s, d, samples, n, epoch);
    for (int i = 1; i <= s->plan->n_spaces; i++) s->rows[i] = plan_space_rows(s->plan, i, tokens, words, n);
    plan_rung(s->plan, s->rows, s->played);
}

hone_status session_feed(session *s, const dataset *d, const int64_t *samples, int64_t n, int64_t epoch,
                         float scale, hone_err *err) {
    const hone_plan *p = s->plan;
    HONE_TRY(run_feed(s->run, err));
    batch_fill(s->batch, d, samples, n);
    if (s->asks) batch_ask(s->batch, s->masks ? s->masks->mask_id : -1);
    else if (s->masks) batch_hide(s->batch, s->masks, epoch);
    else if (s->head == HEAD_NEXT) batch_look_ahead(s->batch);
    else if (s->head == HEAD_TOKENS) batch_find_words(s->batch, d);
    session_count(s, d, samples, n, epoch);
    for (int v = 1; v <= p->n_values; v++)
        if (p->value[v].fill && p->value[v].cls == HONE_INPUT && p->value[v].fill != HONE_FILL_ORDER)
            fill_value(s, v);
    for (int v = 1; v <= p->n_values; v++)
        if (p->value[v].fill == HONE_FILL_ORDER)
            sort_rows(s, run_input(s->run, p->value[v].fill_of), s->batch->n_tokens, s->batch->tokens_max,
                      run_input(s->run, v));
    for (int i = 0; i < p->n_lists; i++) fill_list(s, &p->list[i]);
    *(float *)run_input(s->run, p->scale) = scale;
    if (p->sequence_scale) *(float *)run_input(s->run, p->sequence_scale) = s->sequence_scale;
    return HONE_OK;
}
