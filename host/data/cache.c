#include <math.h>
#include <stdio.h>
#include <string.h>

#include "data/cache.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"

#define CACHE_MAGIC "HONETOK\n"
#define PIECE ((size_t)256 << 10)
#define TARGETS_MAX 65536 /* as many as a model may have labels */

typedef struct {
    char magic[8];
    uint32_t version, n_targets;
    int64_t bytes, n, n_tokens, max_length;
    int64_t n_truncated, n_cut_tokens, n_unknown, n_empty;
    char key[72], source[72], tokenizer[72];
    uint8_t content[32];
    uint32_t kind;  /* cache_kind */
    uint8_t format; /* rows_format */
    uint8_t reserved[147];
    uint8_t self[32]; /* SHA-256 of the bytes before it */
} cache_header;
_Static_assert(sizeof(cache_header) == CACHE_HEADER, "the header has no gaps");

static int add_section(size_t *end, size_t *at, int64_t n, size_t item) {
    size_t bytes;
    if (n < 0 || !size_mul((size_t)n, item, &bytes) || !size_add(bytes, 63, &bytes)) return 0;
    *at = *end;
    return size_add(*end, bytes & ~(size_t)63, end);
}

int cache_lay_out(cache_layout *out, int64_t n, int64_t n_tokens, int n_targets, cache_kind kind) {
    size_t end = CACHE_HEADER;
    if (n < 0 || n >= INT32_MAX || n_targets < 0 || n_targets > TARGETS_MAX) return 0;
    out->n_targets = n_targets;
    out->kind = kind;
    const int64_t of_words = kind == CACHE_WORDS ? n_tokens : 0, of_windows = kind == CACHE_WINDOWS ? n_tokens : 0;
    const int fits = add_section(&end, &out->at, n + 1, sizeof(int64_t)) &&
                     add_section(&end, &out->target, n * n_targets, sizeof(double)) &&
                     add_section(&end, &out->id, n_tokens, sizeof(int32_t)) &&
                     add_section(&end, &out->label, n, sizeof(int32_t)) &&
                     add_section(&end, &out->line, n, sizeof(int32_t)) &&
                     add_section(&end, &out->word, of_words, sizeof(int32_t)) &&
                     add_section(&end, &out->tag, of_words, sizeof(int32_t)) &&
                     add_section(&end, &out->span, of_windows ? 2 * n : 0, sizeof(int32_t)) &&
                     add_section(&end, &out->from, of_windows, sizeof(int32_t)) &&
                     add_section(&end, &out->to, of_windows, sizeof(int32_t)) &&
                     add_section(&end, &out->type, n_tokens, 1);
    out->bytes = end;
    return fits;
}

void cache_point(dataset *d, void *memory, const cache_layout *l) {
    char *base = memory;
    d->at = (const int64_t *)(base + l->at);
    d->n_targets = l->n_targets;
    d->target = l->n_targets ? (const double *)(base + l->target) : NULL;
    d->word = l->kind == CACHE_WORDS ? (const int32_t *)(base + l->word) : NULL;
    d->tag = l->kind == CACHE_WORDS ? (const int32_t *)(base + l->tag) : NULL;
    d->span = l->kind == CACHE_WINDOWS ? (const int32_t *)(base + l->span) : NULL;
    d->from = l->kind == CACHE_WINDOWS ? (const int32_t *)(base + l->from) : NULL;
    d->to = l->kind == CACHE_WINDOWS ? (const int32_t *)(base + l->to) : NULL;
    d->id = (const int32_t *)(base + l->id);
    d->label = (const int32_t *)(base + l->label);
    d->line = (const int32_t *)(base + l->line);
    d->type = (const uint8_t *)(base + l->type);
}

typedef struct {
    const char *p;
    size_t n;
    uint8_t (*digest)[32];
} pieces;

static void hash_piece(void *arg, int64_t i, int thread) {
    const pieces *all = arg;
    (void)thread;
    const size_t at = (size_t)i * PIECE, n = all->n - at < PIECE ? all->n - at : PIECE;
    sha256 s;
    sha256_begin(&s);
    sha256_add(&s, all->p + at, n);
    sha256_end(&s, all->digest[i]);
}

static void hash_content(uint8_t out[32], const char *p, size_t n, pool *pl) {
    const int64_t n_pieces = (int64_t)((n + PIECE - 1) / PIECE);
    pieces all = {p, n, mem_new((size_t)n_pieces * 32, "cache hashes")};
    if (pl) pool_run(pl, n_pieces, hash_piece, &all);
    else
        for (int64_t i = 0; i < n_pieces; i++) hash_piece(&all, i, 0);
    sha256 s;
    sha256_begin(&s);
    sha256_add(&s, all.digest, (size_t)n_pieces * 32);
    sha256_end(&s, out);
    mem_free(all.digest);
}

static void hash_header(const cache_header *h, uint8_t out[32]) {
    sha256 s;
    sha256_begin(&s);
    sha256_add(&s, h, offsetof(cache_header, self));
    sha256_end(&s, out);
}

void cache_seal(const dataset *d, void *memory, const cache_layout *l, const cache_want *want, pool *p) {
    cache_header h = {.version = CACHE_VERSION, .n_targets = (uint32_t)want->n_targets, .kind = (uint32_t)want->kind};
    memcpy(h.magic, CACHE_MAGIC, 8);
    h.bytes = (int64_t)l->bytes;
    h.n = d->n;
    h.n_tokens = d->n_tokens;
    h.max_length = d->max_length;
    h.n_truncated = d->n_truncated;
    h.n_cut_tokens = d->n_cut_tokens;
    h.n_unknown = d->n_unknown;
    h.n_empty = d->n_empty;
    h.format = (uint8_t)d->format;
    snprintf(h.key, sizeof h.key, "%s", want->key);
    snprintf(h.source, sizeof h.source, "%s", want->source);
    snprintf(h.tokenizer, sizeof h.tokenizer, "%s", want->tokenizer);
    hash_content(h.content, (const char *)memory + CACHE_HEADER, l->bytes - CACHE_HEADER, p);
    hash_header(&h, h.self);
    memcpy(memory, &h, sizeof h);
}

/* Every number of the sections is what its reader relies on. */
static const char *check_numbers(const dataset *d, const cache_want *want) {
    int64_t longest = 0;
    if (d->at[0] != 0 || d->at[d->n] != d->n_tokens) return "damaged (offsets do not fit the tokens)";
    for (int64_t i = 0; i < d->n; i++) {
        const int64_t length = d->at[i + 1] - d->at[i];
        if (length < 0 || d->at[i + 1] > d->n_tokens || length > INT32_MAX)
            return "damaged (offsets are not in order)";
        if (length > longest) longest = length;
        if (d->label[i] < -1 || (d->label[i] >= want->n_labels)) return "damaged (a label is out of range)";
        if (d->line[i] < 1) return "damaged (a line number is out of range)";
        for (int k = 0; k < d->n_targets; k++)
            if (isinf(d->target[i * d->n_targets + k])) return "damaged (a target is not finite)";
    }
    if (longest != d->max_length) return "damaged (its longest sample is not what it says)";
    uint32_t bad = 0;
    for (int64_t i = 0; i < d->n_tokens; i++)
        bad |= (uint32_t)((uint32_t)d->id[i] >= (uint32_t)want->n_ids) | (uint32_t)(d->type[i] > 1);
    for (int64_t i = 0; d->word && i < d->n_tokens; i++)
        bad |= (uint32_t)(d->word[i] < -1) | (uint32_t)(d->tag[i] < -1) | (uint32_t)(d->tag[i] >= want->n_labels);
    for (int64_t i = 0; d->from && i < d->n_tokens; i++)
        bad |= (uint32_t)(d->from[i] < -1) | (uint32_t)(d->to[i] < d->from[i]) | (uint32_t)((d->from[i] < 0) != (d->to[i] < 0));
    for (int64_t i = 0; d->span && i < 2 * d->n; i++)
        bad |= (uint32_t)(d->span[i] < -1) | (uint32_t)(d->span[i] >= d->at[i / 2 + 1] - d->at[i / 2]);
    if (bad) return "damaged (a token id, type or place is out of range)";
    return want->check ? want->check(d, want->check_arg) : NULL;
}

/* The header against the file and what is wanted; fills d's counts. */
static const char *check_header(const cache_header *h, size_t n_bytes, const cache_want *want,
                                cache_layout *l) {
    uint8_t self[32];
    if (memcmp(h->magic, CACHE_MAGIC, 8) || h->version != CACHE_VERSION) return "of another kind or version";
    hash_header(h, self);
    if (memcmp(self, h->self, 32)) return "damaged (hash of its header)";
    if (h->n_targets > TARGETS_MAX || h->kind > CACHE_WINDOWS || h->format > ROWS_CONLL ||
        !cache_lay_out(l, h->n, h->n_tokens, (int)h->n_targets, (cache_kind)h->kind) ||
        l->bytes != n_bytes || h->bytes != (int64_t)n_bytes || h->max_length < 0 || h->max_length > INT32_MAX)
        return "damaged (sizes)";
    if (memcmp(h->tokenizer, want->tokenizer, 65)) return "made by another tokenizer";
    if (memcmp(h->source, want->source, 65) || memcmp(h->key, want->key, 65) ||
        (int)h->n_targets != want->n_targets || (cache_kind)h->kind != want->kind)
        return "stale (made from other data or settings)";
    return NULL;
}

static const char *check_all(dataset *d, const file_view *v, const cache_want *want, pool *p) {
    cache_header h;
    cache_layout l;
    uint8_t content[32];
    if (v->n < CACHE_HEADER) return "damaged (cut short)";
    memcpy(&h, v->p, sizeof h);
    const char *why = check_header(&h, v->n, want, &l);
    if (why) return why;
    hash_content(content, v->p + CACHE_HEADER, v->n - CACHE_HEADER, p);
    if (memcmp(content, h.content, 32)) return "damaged (hash of its content)";
    cache_point(d, (void *)(uintptr_t)v->p, &l);
    d->n = h.n;
    d->n_tokens = h.n_tokens;
    d->max_length = (int)h.max_length;
    d->n_truncated = h.n_truncated;
    d->n_cut_tokens = h.n_cut_tokens;
    d->n_unknown = h.n_unknown;
    d->n_empty = h.n_empty;
    d->format = (rows_format)h.format;
    memcpy(d->key, want->key, 65);
    memcpy(d->sha256, want->source, 65);
    d->from_cache = 1;
    return check_numbers(d, want);
}

dataset *cache_open(const char *path, const cache_want *want, pool *p, const char **why) {
    *why = NULL;
    if (!file_exists(path)) return NULL;
    file_view *v = mem_new(sizeof *v, "mapped cache");
    if (file_map(v, path, HONE_EDATA, NULL) != HONE_OK) {
        *why = "not readable";
        mem_free(v);
        return NULL;
    }
    dataset *d = dataset_new();
    ((dataset_owner *)d->owner)->view = v;
    *why = check_all(d, v, want, p);
    if (!*why) return d;
    dataset_free(d);
    return NULL;
}
