#include <stdio.h>
#include <string.h>

#include "data/dataset.h"
#include "data/cache.h"
#include "data/columns.h"
#include "data/pairs.h"
#include "data/targets.h"
#include "data/tokens.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/spool.h"
#include "base/vec.h"

/* ---- keys
 * ---------------------------------------------------------------------------------------------------- */

/* What decides which columns are read; every field is closed by a NUL byte, so that no two settings write the
 * same. */
static void describe_columns(text *out, const dataset_options *o, const char *source) {
    text_printf(out, "version %d\nfile %s\nformat %d header %d quoting %d delimiter %d words %d\n", CACHE_VERSION,
                source, (int)o->rows.format, o->rows.header, o->rows.quoting, (int)o->rows.delimiter, o->rows.words);
    text_printf(out, "bounds %zu %zu\nlabel %d ", o->rows.max_field_bytes, o->rows.max_row_bytes,
                (int)o->label);
    text_str(out, o->label_column ? o->label_column : "\n");
    text_add(out, "", 1);
    text_str(out, o->label_delimiter ? o->label_delimiter : "\n");
    text_add(out, "", 1);
    for (int i = 0; i < o->n_text_columns; i++) {
        text_str(out, o->text_columns[i]);
        text_add(out, "", 1);
    }
}

static int names_classes(const dataset_options *o) { return o->label != LABEL_NONE && o->label != LABEL_TARGET; }

static void make_key(char out[65], const dataset_options *o, const char *source, const tokenizer *t,
                     const labels *known, int optional) {
    text d = {0};
    text_str(&d, "tokens\n");
    describe_columns(&d, o, source);
    text_printf(&d, "tokenizer %s\nlength %d strategy %d bare %d\nsamples %lld join %d optional %d\n",
                tokenizer_sha256(t), o->encode.max_length, (int)o->encode.strategy, o->encode.no_special,
                (long long)o->max_samples, o->join_texts, optional);
    text_str(&d, o->text_column_delimiter ? o->text_column_delimiter : " ");
    text_add(&d, "", 1);
    if (o->ends) text_printf(&d, "ends %d id %d\n", (int)o->ends, o->end_id);
    for (int i = 0; names_classes(o) && i < known->n; i++) {
        text_add(&d, known->name[i].p, known->name[i].n);
        text_add(&d, "", 1);
    }
    cache_key(&d, out);
}

/* ---- building
 * ------------------------------------------------------------------------------------------------ */

typedef struct {
    const dataset_options *o;
    const tokenizer *t;
    const labels *known;
    int optional;
    pool *p;
    rows *r;
    columns c;
    cache_want want;
    char key[65], source[65]; /* of the file, by a look before it is read; "": none */
    /* What the rows became: a record a block of tokens. */
    spool *put;
    hone_err storage; /* what went wrong with it */
    dataset sums;     /* counts of them */
    VEC(int32_t) label;
    VEC(double) target;
} build;

dataset *dataset_new(void) {
    dataset *d = mem_new(sizeof *d, "data set");
    d->owner = mem_new(sizeof(dataset_owner), "data set");
    return d;
}

void dataset_free(dataset *d) {
    if (!d) return;
    dataset_owner *w = d->owner;
    if (w->view) file_unmap(w->view);
    mem_free(w->view);
    mem_free(w->memory);
    mem_free(w->blocks);
    arena_free(w->questions);
    pairs_free(w->pairs);
    mem_free(w);
    mem_free(d);
}

static int64_t put_run(const dataset *d, int64_t from, int64_t n, int32_t *id, int32_t *type, int32_t kind) {
    memcpy(id, d->id + from, (size_t)n * sizeof *id);
    for (int64_t i = 0; type && i < n; i++) type[i] = kind < 0 ? d->type[from + i] : kind;
    return n;
}

static int64_t put_special(int32_t special, int32_t *id, int32_t *type, int32_t kind) {
    *id = special;
    if (type) *type = kind;
    return 1;
}

int64_t dataset_tokens(const dataset *d, int64_t sample, int32_t *id, int32_t *type) {
    const int64_t from = d->at[sample], n = d->at[sample + 1] - from;
    if (!d->pair) return put_run(d, from, n, id, type, -1);
    const token_pair *p = &d->pair[sample];
    int64_t at = put_special(d->cls, id, type, 0);
    for (int k = 0; k < (p->n[1] ? 2 : 1); k++) {
        at += put_run(d, p->first[k], p->n[k], id + at, type ? type + at : NULL, k);
        at += put_special(d->sep, id + at, type ? type + at : NULL, k);
    }
    return at;
}

/* Rows of the block at hand that are wanted: max_samples in all. */
static int64_t rows_wanted(const build *b) {
    const int64_t left = b->o->max_samples > 0 ? b->o->max_samples - b->r->first : INT64_MAX;
    return left < 0 ? 0 : left < b->r->n_rows ? left : b->r->n_rows;
}

/* Labels and targets of n rows of the block at hand. */
static hone_status read_targets(build *b, int64_t n, hone_err *err) {
    vec_reserve(&b->label, (size_t)n);
    vec_reserve(&b->target, (size_t)n * (size_t)(b->want.n_targets + 1));
    for (int64_t i = 0; i < n; i++) b->label.p[i] = -1;
    if (b->o->label == LABEL_MARKS)
        return targets_read_marks(b->target.p, b->r, b->c.label, b->o->label_delimiter, b->known, b->optional, n, err);
    return targets_read(b->label.p, b->target.p, b->r, b->c.label, b->o->label, b->known, b->optional, n, err);
}

/* A pass before the long work, so that a wrong label or text is told at once. */
static hone_status check_rows(build *b, hone_err *err) {
    if (b->o->label == LABEL_NONE && !b->r->number) return HONE_OK; /* nothing to be wrong */
    while (b->r->n_rows) {
        const int64_t n = rows_wanted(b);
        if (!b->r->words) HONE_TRY(targets_check_texts(b->r, &b->c, n, err));
        HONE_TRY(read_targets(b, n, err));
        HONE_TRY(rows_next(b->r, err));
    }
    HONE_TRY(rows_rewind(b->r, err));
    return rows_next(b->r, err);
}

/* A block of tokens and what belongs to its rows, one behind the other. LABEL_MARKS and rows of words have no label. */
static hone_status put_block(build *b, const token_block *k, int64_t row) {
    const size_t rows_bytes = (size_t)k->n * sizeof(int32_t), ids = (size_t)k->n_ids;
    const int64_t head[2] = {k->n, k->n_ids};
    hone_err *err = &b->storage;
    HONE_TRY(spool_add(b->put, head, sizeof head, err));
    HONE_TRY(spool_add(b->put, k->length, rows_bytes, err));
    HONE_TRY(spool_add(b->put, b->r->line + row, rows_bytes, err));
    HONE_TRY(spool_add(b->put, b->label.p + row, rows_bytes, err));
    HONE_TRY(spool_add(b->put, b->target.p + row * b->want.n_targets, (size_t)k->n * (size_t)b->want.n_targets * sizeof(double), err));
    HONE_TRY(spool_add(b->put, k->id, ids * sizeof *k->id, err));
    HONE_TRY(spool_add(b->put, k->type, ids, err));
    if (b->want.kind != CACHE_WORDS) return HONE_OK;
    HONE_TRY(spool_add(b->put, k->word, ids * sizeof *k->word, err));
    return spool_add(b->put, k->tag, ids * sizeof *k->tag, err);
}

static void count_block(dataset *d, const token_block *k) {
    for (int j = 0; j < k->n; j++)
        if (k->length[j] > d->max_length) d->max_length = k->length[j];
    d->n += k->n;
    d->n_tokens += k->n_ids;
    d->n_truncated += k->n_truncated;
    d->n_cut_tokens += k->n_cut;
    d->n_unknown += k->n_unknown;
    d->n_empty += k->n_empty;
}

/* The block of rows at hand: its tokens are put aside. HONE_ESTORAGE with b->storage: where they are put. */
static hone_status encode_block(build *b, token_blocks *blocks, hone_err *err) {
    const int64_t n = rows_wanted(b);
    const int is_last = b->r->is_last || b->r->first + n == b->o->max_samples;
    const token_source from = {b->r, &b->c, b->o, b->t, b->known, n, is_last, b->p};
    HONE_TRY(read_targets(b, n, err));
    HONE_TRY(tokens_encode(blocks, &from, err));
    for (int64_t i = 0; i < blocks->n_blocks; i++) {
        count_block(&b->sums, &blocks->block[i]);
        HONE_TRY(put_block(b, &blocks->block[i], i * TOKENS_BLOCK));
    }
    return HONE_OK;
}

/* folder NULL: into memory. All of the file is read, whatever max_samples says: for its hash, and what may be wrong. */
static hone_status encode_into(build *b, const char *folder, hone_err *err) {
    token_blocks blocks = {0};
    b->sums = (dataset){.n = 0};
    spool_free(b->put);
    hone_status status = spool_new(&b->put, folder, &b->storage);
    while (status == HONE_OK && b->r->n_rows) {
        status = encode_block(b, &blocks, err);
        if (status == HONE_OK) status = rows_next(b->r, err);
    }
    tokens_free(&blocks);
    return status;
}

static hone_status encode_all(build *b, const char **folder, hone_err *err) {
    const hone_status status = encode_into(b, *folder, err);
    if (status != HONE_ESTORAGE || !*b->storage.text) return status;
    log_warn("%s; tokens are kept in memory only", b->storage.text);
    *folder = NULL;
    HONE_TRY(rows_rewind(b->r, err));
    HONE_TRY(rows_next(b->r, err));
    return encode_into(b, NULL, err);
}

/* Write everything into memory laid out by l, and point d at it. */
static hone_status fill(dataset *d, void *memory, const cache_layout *l, void *arg, hone_err *err) {
    const build *b = arg;
    char *base = memory;
    int64_t *at = (int64_t *)(base + l->at), next = 0, head[2];
    int32_t *line = (int32_t *)(base + l->line), *label = (int32_t *)(base + l->label), length[TOKENS_BLOCK];
    const size_t targets = (size_t)l->n_targets * sizeof(double);
    void *const owner = d->owner;
    *d = b->sums;
    d->owner = owner;
    d->format = b->r->format;
    cache_point(d, memory, l);
    memcpy(d->key, b->key, 65);
    memcpy(d->sha256, b->r->sha256, 65);
    HONE_TRY(spool_rewind(b->put, err));
    for (int64_t row = 0; row < d->n; row += head[0]) {
        HONE_TRY(spool_take(b->put, head, sizeof head, err));
        const size_t bytes = (size_t)head[0] * sizeof(int32_t), ids = (size_t)head[1] * sizeof(int32_t);
        HONE_TRY(spool_take(b->put, length, bytes, err));
        HONE_TRY(spool_take(b->put, line + row, bytes, err));
        HONE_TRY(spool_take(b->put, label + row, bytes, err));
        HONE_TRY(spool_take(b->put, base + l->target + (size_t)row * targets, (size_t)head[0] * targets, err));
        HONE_TRY(spool_take(b->put, (int32_t *)(base + l->id) + next, ids, err));
        HONE_TRY(spool_take(b->put, base + l->type + next, (size_t)head[1], err));
        if (l->kind == CACHE_WORDS) {
            HONE_TRY(spool_take(b->put, (int32_t *)(base + l->word) + next, ids, err));
            HONE_TRY(spool_take(b->put, (int32_t *)(base + l->tag) + next, ids, err));
        }
        for (int64_t j = 0; j < head[0]; j++) {
            at[row + j] = next;
            next += length[j];
        }
    }
    at[d->n] = next;
    cache_seal(d, memory, l, &b->want, b->p);
    return HONE_OK;
}

static hone_status choose_columns(build *b, hone_err *err) {
    const int by_column = b->o->label == LABEL_MARKS && !b->o->label_column && targets_are_columns(b->r, b->known);
    const label_wish wish = b->o->label == LABEL_NONE || by_column ? LABEL_NOT_WANTED
                            : b->optional                          ? LABEL_IF_THERE
                                                                   : LABEL_NEEDED;
    return columns_choose(&b->c, b->r, b->o->text_columns, b->o->n_text_columns, b->o->label_column, wish, err);
}

/* place NULL: no cache. */
static hone_status build_from_rows(dataset **out, build *b, const cache_place *place, hone_err *err) {
    const char *folder = place ? b->o->cache_folder : NULL;
    cache_layout l;
    HONE_TRY(rows_next(b->r, err));
    HONE_TRY(choose_columns(b, err));
    HONE_TRY(check_rows(b, err));
    HONE_TRY(encode_all(b, &folder, err));
    if (place && strcmp(b->r->sha256, b->source))
        return hone_fail(err, HONE_EDATA, "%s: changed while it was read", b->r->name);
    if (!place) {
        make_key(b->key, b->o, b->r->sha256, b->t, b->known, b->optional);
        b->want.key = b->key;
        b->want.source = b->r->sha256;
    }
    if (!cache_lay_out(&l, b->sums.n, b->sums.n_tokens, b->want.n_targets, b->want.kind))
        return hone_fail(err, HONE_EDATA, "%s: too many rows or tokens for one data set", b->r->name);
    return cache_build(out, folder ? place : NULL, &l, &b->want, b->p, fill, b, err);
}

/* ---- opening
 * ------------------------------------------------------------------------------------------------- */

/* Map the cache if it is good. Otherwise hold its lock, so that the caller may build it. */
static hone_status try_cache(dataset **out, cache_place *c, build *b, const char *path, hone_err *err) {
    const dataset_options *o = b->o;
    HONE_TRY(folder_make(o->cache_folder, err));
    HONE_TRY(source_hash(b->source, path, o->cache_folder, err));
    make_key(b->key, o, b->source, b->t, b->known, b->optional);
    b->want.key = b->key;
    b->want.source = b->source;
    return cache_find(out, c, o->cache_folder, &b->want, o->rebuild, path, b->p, err);
}

static hone_status read_and_build(dataset **out, build *b, const cache_place *place, const char *path,
                                  hone_err *err) {
    HONE_TRY(rows_open(&b->r, path, &b->o->rows, err));
    const hone_status status = build_from_rows(out, b, place, err);
    spool_free(b->put);
    vec_free(&b->label);
    vec_free(&b->target);
    rows_free(b->r);
    return status;
}

hone_status dataset_open(dataset **out, const char *path, const dataset_options *o, const tokenizer *t,
                         const labels *known, int label_optional, pool *p, hone_err *err) {
    static const labels none;
    build b = {.o = o, .t = t, .known = known ? known : &none, .optional = label_optional, .p = p};
    b.want = (cache_want){.tokenizer = tokenizer_sha256(t),
                          .n_ids = tokenizer_size(t),
                          .n_targets = o->label == LABEL_TARGET ? 1 : o->label == LABEL_MARKS ? b.known->n : 0,
                          .kind = o->rows.words ? CACHE_WORDS : CACHE_TEXTS};
    b.want.n_labels = names_classes(o) ? b.known->n : 0;
    *out = NULL;
    if (!o->cache_folder || !strcmp(path, "-")) return read_and_build(out, &b, NULL, path, err);
    cache_place c = {.lock = NULL};
    hone_status status = try_cache(out, &c, &b, path, err);
    if (status == HONE_ESTORAGE) {
        if (err) log_warn("%s; tokens are kept in memory only", err->text);
        return read_and_build(out, &b, NULL, path, err);
    }
    if (status == HONE_OK && !*out) status = read_and_build(out, &b, &c, path, err);
    cache_leave(&c);
    return status;
}

/* ---- labels through the cache
 * --------------------------------------------------------------------------------- */

/* Names as they are stored: each one closed by a NUL byte, which no name holds. */
static int unpack_labels(labels *out, arena *a, str stored) {
    if (!stored.n || stored.p[stored.n - 1]) return 0;
    int n = 0;
    for (size_t i = 0; i < stored.n; i++) n += !stored.p[i];
    out->n = n;
    out->name = ARENA_ARRAY(a, (size_t)n, str);
    const char *p = stored.p;
    for (int i = 0; i < n; i++) {
        out->name[i] = str_of(p);
        p += out->name[i].n + 1;
    }
    return 1;
}

static hone_status collect(labels *out, arena *a, const char *path, const dataset_options *o, hone_err *err) {
    rows *r;
    columns c;
    HONE_TRY(rows_open(&r, path, &o->rows, err));
    hone_status status = rows_next(r, err);
    if (status == HONE_OK)
        status = columns_choose(&c, r, o->text_columns, o->n_text_columns, o->label_column, LABEL_NEEDED, err);
    if (status == HONE_OK && (o->label == LABEL_WORDS || o->label == LABEL_MARKS))
        status = labels_collect_lists(out, a, r, c.label, o->label_delimiter, err);
    else if (status == HONE_OK) status = labels_collect(out, a, r, c.label, err);
    rows_free(r);
    return status;
}

hone_status dataset_labels(labels *out, arena *a, const char *path, const dataset_options *o, hone_err *err) {
    char source[65], key[65], note[4200];
    str stored;
    if (!o->cache_folder || !strcmp(path, "-") || folder_make(o->cache_folder, NULL) != HONE_OK)
        return collect(out, a, path, o, err);
    HONE_TRY(source_hash(source, path, o->cache_folder, err));
    text d = {0};
    text_str(&d, "labels\n");
    describe_columns(&d, o, source);
    cache_key(&d, key);
    if ((size_t)snprintf(note, sizeof note, "%s/%s.labels", o->cache_folder, key) >= sizeof note)
        return collect(out, a, path, o, err);
    if (!o->rebuild && note_read(&stored, a, note) && unpack_labels(out, a, stored)) return HONE_OK;
    HONE_TRY(collect(out, a, path, o, err));
    text names = {0};
    for (int i = 0; i < out->n; i++)
        text_add(&names, out->name[i].p, out->name[i].n), text_add(&names, "", 1);
    note_write(note, (str){names.p, names.n});
    text_free(&names);
    return HONE_OK;
}
