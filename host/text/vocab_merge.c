/* vocab_merge.c - words as rows of ids, pairs of ids with counts, and a heap of pairs. An entry of the heap knows in which
 * words its pair was seen; its count may have fallen since, and is looked at again when it comes up. */
#include <string.h>

#include "text/bytelevel.h"
#include "text/vocab_merge.h"
#include "base/err.h"
#include "base/hash.h"

typedef VEC(int32_t) int_list;

typedef struct {
    uint64_t pair; /* first << 32 | second */
    int64_t count;
    int32_t list; /* places found in this step + 1, 0: none */
    int used;
} pair_slot;

typedef struct {
    int64_t count;
    uint64_t pair;
    int32_t list;
} heap_entry;

typedef struct {
    const merge_options *o;
    learned_merges *out;
    VEC(int32_t) id;    /* of all words, one behind the other */
    VEC(size_t) at;     /* where word i begins */
    VEC(int32_t) n;     /* ids that word i has left */
    VEC(int64_t) count; /* of word i */
    pair_slot *slot;
    size_t n_slots, n_pairs;
    VEC(heap_entry) heap;
    VEC(int_list) list;
    int_list free_list; /* of places in list */
    VEC(uint64_t) touched;
} learner;

/* ---- pairs ---- */

static size_t hash_pair(uint64_t pair, size_t n_slots) {
    return (size_t)(pair * 0x9e3779b97f4a7c15u >> 20) & (n_slots - 1);
}

static void grow_pairs(learner *l) {
    const size_t n = l->n_slots ? 2 * l->n_slots : 1 << 16;
    pair_slot *more = mem_new(n * sizeof *more, "pairs");
    for (size_t i = 0; i < l->n_slots; i++) {
        if (!l->slot[i].used) continue;
        size_t h = hash_pair(l->slot[i].pair, n);
        while (more[h].used) h = (h + 1) & (n - 1);
        more[h] = l->slot[i];
    }
    mem_free(l->slot);
    l->slot = more;
    l->n_slots = n;
}

static pair_slot *pair_at(learner *l, uint64_t pair) {
    if (2 * (l->n_pairs + 1) > l->n_slots) grow_pairs(l);
    size_t h = hash_pair(pair, l->n_slots);
    for (; l->slot[h].used; h = (h + 1) & (l->n_slots - 1))
        if (l->slot[h].pair == pair) return &l->slot[h];
    l->slot[h] = (pair_slot){.pair = pair, .used = 1};
    l->n_pairs++;
    return &l->slot[h];
}

static int32_t new_list(learner *l) {
    if (l->free_list.n) return l->free_list.p[--l->free_list.n];
    vec_push(&l->list, (int_list){0});
    return (int32_t)l->list.n - 1;
}

/* by: how the pair's count changes; a pair that comes into being is noted with its word. */
static void change_pair(learner *l, int32_t a, int32_t b, int64_t by, int32_t word) {
    const uint64_t pair = (uint64_t)(uint32_t)a << 32 | (uint32_t)b;
    pair_slot *s = pair_at(l, pair);
    s->count += by;
    if (by <= 0) return;
    if (!s->list) {
        s->list = new_list(l) + 1;
        vec_push(&l->touched, pair);
    }
    int_list *places = &l->list.p[s->list - 1];
    if (!places->n || places->p[places->n - 1] != word) vec_push(places, word);
}

/* ---- the heap: greatest count, then smallest pair ---- */

static int before(const heap_entry *a, const heap_entry *b) {
    return a->count != b->count ? a->count > b->count : a->pair < b->pair;
}

static void push(learner *l, heap_entry x) {
    vec_push(&l->heap, x);
    heap_entry *h = l->heap.p;
    size_t i = l->heap.n - 1;
    for (; i > 0 && before(&x, &h[(i - 1) / 2]); i = (i - 1) / 2) h[i] = h[(i - 1) / 2];
    h[i] = x;
}

static heap_entry pop(learner *l) {
    heap_entry *h = l->heap.p;
    const heap_entry top = h[0], x = h[--l->heap.n];
    size_t i = 0;
    for (size_t k; (k = 2 * i + 1) < l->heap.n; i = k) {
        if (k + 1 < l->heap.n && before(&h[k + 1], &h[k])) k++;
        if (!before(&h[k], &x)) break;
        h[i] = h[k];
    }
    if (l->heap.n) h[i] = x;
    return top;
}

static void forget_list(learner *l, int32_t list) {
    vec_free(&l->list.p[list]);
    vec_push(&l->free_list, list);
}

/* Pairs that came into being since the last call enter the heap. */
static void push_touched(learner *l) {
    for (size_t i = 0; i < l->touched.n; i++) {
        pair_slot *s = pair_at(l, l->touched.p[i]);
        if (s->count > 0) push(l, (heap_entry){s->count, s->pair, s->list - 1});
        else forget_list(l, s->list - 1);
        s->list = 0;
    }
    l->touched.n = 0;
}

/* ---- words ---- */

static int32_t token_id(learner *l, str token) {
    vocab *v = &l->out->vocab;
    int clash;
    const int there = vocab_find(v, token.p, token.n);
    if (there >= 0) return there;
    const int id = v->n;
    vocab_add(v, l->out->a, (str){arena_copy(l->out->a, token.p, token.n), token.n}, id, &clash);
    return id;
}

static int32_t character_id(learner *l, uint32_t code, const char *prefix) {
    char token[64];
    const size_t n = strlen(prefix);
    memcpy(token, prefix, n);
    return token_id(l, (str){token, n + (size_t)utf8_encode(code, token + n)});
}

static int compare_codes(uint32_t a, uint32_t b) { return a < b ? -1 : a > b; }

static int is_known(const uint32_t *alphabet, int n, uint32_t code) {
    int low = 0, high = n - 1;
    while (low <= high) {
        const int mid = (low + high) / 2, order = compare_codes(alphabet[mid], code);
        if (!order) return 1;
        if (order < 0) low = mid + 1;
        else high = mid - 1;
    }
    return 0;
}

/* Which characters stand behind others: those get a token with the prefix. */
static void name_prefixed(learner *l, const word_count *word, size_t n_words, const uint32_t *alphabet,
                          int n) {
    uint8_t *inside = mem_new(0x110000, "characters within words");
    for (size_t i = 0; i < n_words; i++)
        for (size_t k = 0; k < word[i].word.n;) {
            uint32_t code = 0;
            const int bytes = utf8_decode(word[i].word.p + k, word[i].word.n - k, &code);
            if (k) inside[code] = 1;
            k += bytes ? (size_t)bytes : 1;
        }
    for (int i = 0; i < n; i++)
        if (inside[alphabet[i]]) character_id(l, alphabet[i], l->o->prefix);
    mem_free(inside);
}

static void add_word(learner *l, const word_count *w, const uint32_t *alphabet, int n_alphabet) {
    const size_t first = l->id.n;
    for (size_t k = 0; k < w->word.n;) {
        uint32_t code = 0;
        const int bytes = l->o->bytes ? 1 : utf8_decode(w->word.p + k, w->word.n - k, &code);
        if (l->o->bytes) code = byte_character((uint8_t)w->word.p[k]);
        else if (!is_known(alphabet, n_alphabet, code)) {
            l->id.n = first;
            return;
        }
        vec_push(&l->id, character_id(l, code, k ? l->o->prefix : ""));
        k += bytes ? (size_t)bytes : 1;
    }
    vec_push(&l->at, first);
    vec_push(&l->n, (int32_t)(l->id.n - first));
    vec_push(&l->count, w->count);
}

static void add_words(learner *l, const word_count *word, size_t n_words) {
    int n = 0;
    uint32_t bytes[256], *alphabet = bytes;
    for (int i = 0; i < l->o->n_special; i++) token_id(l, l->o->special[i]);
    if (l->o->bytes) {
        for (uint32_t code = 0; code < 512; code++)
            if (byte_of_character(code) >= 0) bytes[n++] = code;
    } else alphabet = vocab_alphabet(l->out->a, word, n_words, l->o->max_characters, &n);
    for (int i = 0; i < n; i++) character_id(l, alphabet[i], "");
    if (*l->o->prefix) name_prefixed(l, word, n_words, alphabet, n);
    for (size_t i = 0; i < n_words; i++) add_word(l, &word[i], alphabet, n);
}

/* Join each a, b of a word into id. */
static void join(learner *l, int32_t word, int32_t a, int32_t b, int32_t id) {
    int32_t *x = l->id.p + l->at.p[word], n = l->n.p[word], kept = 0;
    const int64_t count = l->count.p[word];
    for (int32_t i = 0; i < n; i++) {
        if (x[i] != a || i + 1 == n || x[i + 1] != b) {
            x[kept++] = x[i];
            continue;
        }
        if (kept) {
            change_pair(l, x[kept - 1], a, -count, word);
            change_pair(l, x[kept - 1], id, count, word);
        }
        x[kept++] = id;
        i++;
        if (i + 1 < n) {
            change_pair(l, b, x[i + 1], -count, word);
            change_pair(l, id, x[i + 1], count, word);
        }
    }
    l->n.p[word] = kept;
}

static int32_t joined_token(learner *l, int32_t a, int32_t b) {
    const str first = l->out->vocab.token[a];
    str second = l->out->vocab.token[b];
    const size_t n = strlen(l->o->prefix);
    if (n && second.n >= n && !memcmp(second.p, l->o->prefix, n)) second.p += n, second.n -= n;
    text both = {0};
    text_add(&both, first.p, first.n);
    text_add(&both, second.p, second.n);
    const int32_t id = token_id(l, (str){both.p, both.n});
    text_free(&both);
    return id;
}

static hone_status learn(learner *l, hone_err *err) {
    VEC(learned_merge) merges = {0};
    hone_status status = HONE_OK;
    for (size_t w = 0; w < l->n.n; w++)
        for (int32_t i = 0; i + 1 < l->n.p[w]; i++) {
            const int32_t *x = l->id.p + l->at.p[w];
            change_pair(l, x[i], x[i + 1], l->count.p[w], (int32_t)w);
        }
    push_touched(l);
    while (l->out->vocab.n < l->o->size && l->heap.n && !status) {
        heap_entry top = pop(l);
        const int64_t now = pair_at(l, top.pair)->count;
        if (top.count != now) {
            top.count = now;
            push(l, top);
            continue;
        }
        if (top.count < 1 || top.count < l->o->min_count) {
            forget_list(l, top.list);
            break;
        }
        const int32_t a = (int32_t)(top.pair >> 32), b = (int32_t)(uint32_t)top.pair,
                      id = joined_token(l, a, b);
        vec_push(&merges, (learned_merge){a, b, id});
        const int_list places = l->list.p[top.list];
        l->list.p[top.list] = (int_list){0};
        vec_push(&l->free_list, top.list);
        for (size_t i = 0; i < places.n; i++) join(l, places.p[i], a, b, id);
        mem_free(places.p);
        push_touched(l);
        if (merges.n % 256 == 0) status = sig_check(err);
    }
    l->out->n_merges = (int)merges.n;
    l->out->merge = ARENA_ARRAY(l->out->a, merges.n + 1, learned_merge);
    if (merges.n) memcpy(l->out->merge, merges.p, merges.n * sizeof *merges.p);
    vec_free(&merges);
    return status;
}

hone_status vocab_merge(learned_merges **out, const word_count *word, size_t n_words, const merge_options *o,
                        hone_err *err) {
    arena *a = arena_new("vocabulary");
    learned_merges *m = ARENA_NEW(a, learned_merges);
    learner l = {.o = o, .out = m};
    m->a = a;
    vocab_init(&m->vocab, a, o->size);
    if (n_words > INT32_MAX) return arena_free(a), hone_fail(err, HONE_EDATA, "more than 2 billion words");
    add_words(&l, word, n_words);
    const hone_status status = learn(&l, err);
    for (size_t i = 0; i < l.list.n; i++) vec_free(&l.list.p[i]);
    vec_free(&l.list);
    vec_free(&l.free_list);
    vec_free(&l.heap);
    vec_free(&l.touched);
    vec_free(&l.id);
    vec_free(&l.at);
    vec_free(&l.n);
    vec_free(&l.count);
    mem_free(l.slot);
    if (status) arena_free(a);
    else *out = m;
    return status;
}

void vocab_merge_free(learned_merges *m) {
    if (m) arena_free(m->a);
}
