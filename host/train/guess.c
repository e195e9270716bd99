/* guess.c - what the tasks that guess words need of a folder, and the rules that its words are hidden or paired by. */
#include <string.h>

#include "train/generation.h"
#include "train/guess.h"
#include "base/err.h"
#include "model/architecture.h"

#define SPACE_BYTES "\u0120" /* of byte-level BPE */
#define SPACE_PIECE "\u2581" /* of SentencePiece */

/* The table of words is what guesses are compared with. */
static hone_status open_words(session *s, head_kind head, hone_err *err) {
    const family *f = s->config->family;
    const json *tree = s->config->tree, *tie = tree ? json_get(tree, "tie_word_embeddings") : NULL;
    if (!architecture_of(f, head))
        return hone_fail(err, HONE_EUSAGE, "%s: family %s has no head for task %s", s->config->path,
                         f->model_type, job_task(s->job));
    if (tie && tie->kind == JSON_BOOL && !tie->boolean)
        return hone_fail(err, HONE_EUSAGE, "%s: tie_word_embeddings: false, expected true for task %s",
                         s->config->path, job_task(s->job));
    session_set_head(s, head, (labels){0});
    return HONE_OK;
}

/* Words of the tokenizer that are never hidden, and what hides the others. */
static int begins_with(str s, const char *with) {
    return s.n >= strlen(with) && !memcmp(s.p, with, strlen(with));
}

/* [vocab] of the tokens that go on the word before them: "##" of WordPiece; what does not begin with the space, of models that
 * write it into the token. */
static const uint8_t *inside_words(const session *s) {
    const int pieces = !strcmp(tokenizer_kind(s->tok), "WordPiece");
    uint8_t *inside = ARENA_ARRAY(s->a, (size_t)s->config->vocab, uint8_t);
    for (int i = 0; i < tokenizer_size(s->tok); i++) {
        const str t = tokenizer_token(s->tok, i);
        inside[i] = (uint8_t)(pieces ? begins_with(t, "##")
                                     : !begins_with(t, SPACE_BYTES) && !begins_with(t, SPACE_PIECE));
    }
    return inside;
}

/* [vocab] what tokens are to sentences. */
static const uint8_t *ends_of_sentences(const session *s) {
    static const char *const ends[] = {".", "!", "?"}, *const closes[] = {"\"",     "'",      ")",     "]",
                                                                          "\u2019", "\u201d", "\u00bb"};
    uint8_t *kind = ARENA_ARRAY(s->a, (size_t)s->config->vocab, uint8_t);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        const int id = tokenizer_id(s->tok, str_of(ends[i]));
        if (id >= 0) kind[id] = PAIRS_END;
    }
    for (size_t i = 0; i < sizeof closes / sizeof *closes; i++) {
        const int id = tokenizer_id(s->tok, str_of(closes[i]));
        if (id >= 0) kind[id] = PAIRS_CLOSES;
    }
    return kind;
}

static hone_status open_pairs(session *s, hone_err *err) {
    const job *j = s->job;
    const tokenizer_roles special = tokenizer_special(s->tok);
    const int64_t length = session_longest(s);
    if (!architecture_of(s->config->family, HEAD_PRETRAINING))
        return hone_fail(err, HONE_EUSAGE, "%s: family %s has no head for task pretrain, expected bert",
                         s->config->path, s->config->family->model_type);
    if (s->config->types < 2)
        return hone_fail(err, HONE_EUSAGE, "%s: type_vocab_size: %d, expected at least 2 for task pretrain",
                         s->config->path, s->config->types);
    if (length < PAIRS_LENGTH_MIN)
        return hone_fail(err, HONE_EUSAGE, "max_seq_length: %lld, expected at least %d for task pretrain",
                         (long long)length, PAIRS_LENGTH_MIN);
    pair_rule *r = ARENA_NEW(s->a, pair_rule);
    *r = (pair_rule){.seed = (uint64_t)j->seed,
                     .length = (int)length,
                     .p_random = j->nsp_probability,
                     .p_short = j->short_seq_prob,
                     .cls = special.cls,
                     .sep = special.sep,
                     .ends = j->split_sentences ? ends_of_sentences(s) : NULL};
    s->pairs = r;
    session_set_head(s, HEAD_PRETRAINING, (labels){0});
    return HONE_OK;
}

int guess_is_bare(const session *s) {
    return s->head == HEAD_NEXT || (s->masks && !s->job->line_by_line && !s->job->cross_documents);
}

/* What stands around pieces of documents, and a word between. */
static hone_status check_frame(const session *s, hone_err *err) {
    const tokenizer_roles special = tokenizer_special(s->tok);
    if (session_longest(s) < 3)
        return hone_fail(err, HONE_EUSAGE, "max_seq_length: %lld, expected at least 3",
                         (long long)session_longest(s));
    if (special.cls >= 0 && special.sep >= 0) return HONE_OK;
    return hone_fail(err, HONE_EUSAGE, "%s: the tokenizer has no [CLS] or [SEP], expected both for task %s",
                     s->tokenizer_folder, job_task(s->job));
}

static hone_status open_masks(session *s, hone_err *err) {
    const int mask = tokenizer_special(s->tok).mask, vocab = tokenizer_size(s->tok);
    HONE_TRY(open_words(s, HEAD_WORDS, err));
    if (mask < 0) {
        hone_fail(err, HONE_EUSAGE, "%s: the tokenizer has no mask token", s->tokenizer_folder);
        return hone_hint(
            err, "task: fill-mask hides words behind it; hone vocab makes vocabularies that have one");
    }
    uint8_t *special = ARENA_ARRAY(s->a, (size_t)s->config->vocab, uint8_t);
    for (int i = 0; i < vocab; i++) special[i] = (uint8_t)(tokenizer_is_special(s->tok, i) != 0);
    mask_rule *r = ARENA_NEW(s->a, mask_rule);
    *r = (mask_rule){.seed = (uint64_t)s->job->seed,
                     .p = s->job->mlm_probability,
                     .mask_id = mask,
                     .vocab = vocab,
                     .pad_id = s->config->pad_id,
                     .special = special,
                     .inside = s->job->whole_word_mask ? inside_words(s) : NULL};
    s->masks = r;
    s->room = ARENA_ARRAY(s->a, 5 * (size_t)s->config->longest, int32_t);
    if (guess_is_bare(s)) HONE_TRY(check_frame(s, err));
    return s->job->task == TASK_PRETRAIN ? open_pairs(s, err) : HONE_OK;
}

static hone_status open_texts(session *s, hone_err *err) {
    HONE_TRY(open_words(s, HEAD_NEXT, err));
    if (s->job->generation) {
        generation g;
        HONE_TRY(generation_load(&g, s->a, s->tokenizer_folder, s->config, s->tok, s->job->generation, NULL, err));
    }
    if (tokenizer_special(s->tok).eos >= 0) return HONE_OK;
    hone_fail(err, HONE_EUSAGE, "%s: the tokenizer has no token that ends a text (eos_token)",
              s->tokenizer_folder);
    return hone_hint(err,
                     "task: text-generation puts it behind each document; hone vocab --type bpe makes one");
}

hone_status guess_open(session *s, hone_err *err) {
    const task_kind task = s->job->task;
    if (task == TASK_FILL_MASK || task == TASK_PRETRAIN) return open_masks(s, err);
    return task == TASK_CONTINUE ? open_texts(s, err) : HONE_OK;
}
