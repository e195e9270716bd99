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

static void close_key(text *description, char out[65]) {
    uint8_t digest[32];
    sha256 s;
    sha256_begin(&s);
    sha256_add(&s, description->p, description->n);
    sha256_end(&s, digest);
    sha256_hex(digest, out);
    text_free(description);
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
    close_key(&d, out);
}

/* ---- building
 * ------------------------------------------------------------------------------------------------ */

typedef struct {
    const dataset_options *o;
    const tokenizer *t;
    const labels *known;
    int optional;
    pool *p;
    const rows *r;
    columns c;
    int64_t n;
    token_blocks tokens;
    cache_want want;
    char key[65];
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

static hone_status read_targets(const build *b, int32_t *label, double *target, hone_err *err) {
    if (b->o->label == LABEL_MARKS)
        return targets_read_marks(target, b->r, b->c.label, b->o->label_delimiter, b->known, b->optional, b->n, err);
    return targets_read(label, target, b->r, b->c.label, b->o->label, b->known, b->optional, b->n, err);
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

static token_source source_of(const build *b) {
    return (token_source){b->r, &b->c, b->o, b->t, b->known, b->n, b->p};
}

/* Write everything into memory laid out by l, and point d at it. */
static hone_status fill(dataset *d, void *memory, const cache_layout *l, const build *b, hone_err *err) {
    char *base = memory;
    int64_t *at = (int64_t *)(base + l->at), next = 0;
    int32_t *line = (int32_t *)(base + l->line), *label = (int32_t *)(base + l->label);
    cache_point(d, memory, l);
    d->n = b->n;
    d->n_tokens = b->tokens.n_ids;
    d->format = b->r->format;
    memcpy(d->key, b->key, 65);
    memcpy(d->sha256, b->r->sha256, 65);
    for (int64_t i = 0; i < b->tokens.n_blocks; i++) {
        const token_block *k = &b->tokens.block[i];
        for (int64_t j = 0; j < TOKENS_BLOCK && i * TOKENS_BLOCK + j < b->n; j++) {
            at[i * TOKENS_BLOCK + j] = next;
            next += k->length[j];
            if (k->length[j] > d->max_length) d->max_length = k->length[j];
        }
        d->n_truncated += k->n_truncated;
        d->n_cut_tokens += k->n_cut;
        d->n_unknown += k->n_unknown;
        d->n_empty += k->n_empty;
    }
    at[b->n] = next;
    const token_source from = source_of(b);
    const token_sink to = {(int32_t *)(base + l->id), l->has_words ? (int32_t *)(base + l->word) : NULL,
                           l->has_words ? (int32_t *)(base + l->tag) : NULL, (uint8_t *)(base + l->type)};
    HONE_TRY(tokens_write(&b->tokens, &from, &to, err));
    for (int64_t i = 0; i < b->n; i++) line[i] = b->r->line[i], label[i] = -1;
    HONE_TRY(read_targets(b, label, (double *)(base + l->target), err));
    cache_seal(d, memory, l, &b->want, b->p);
    return HONE_OK;
}

static hone_status build_in_memory(dataset **out, const build *b, const cache_layout *l, hone_err *err) {
    dataset *d = dataset_new();
    dataset_owner *w = d->owner;
    w->memory = mem_new(l->bytes, "tokens");
    const hone_status status = fill(d, w->memory, l, b, err);
    if (status == HONE_OK) *out = d;
    else dataset_free(d);
    return status;
}

/* Into the cache file, and map that. Storage that fails costs only the cache: then *out stays NULL. */
static hone_status build_in_file(dataset **out, const build *b, const cache_layout *l, const char *path,
                                 hone_err *err) {
    void *memory;
    file_writer *w;
    hone_err storage = {0};
    if (file_build_begin(&memory, &w, path, l->bytes, &storage) != HONE_OK) {
        log_warn("%s; tokens are kept in memory only", storage.text);
        return HONE_OK;
    }
    dataset *d = dataset_new();
    const hone_status status = fill(d, memory, l, b, err);
    dataset_free(d);
    if (status != HONE_OK) {
        file_write_abort(w);
        return status;
    }
    if (file_write_end(w, NULL, &storage) != HONE_OK) {
        log_warn("%s; tokens are kept in memory only", storage.text);
        return HONE_OK;
    }
    const char *why;
    *out = cache_open(path, &b->want, b->p, &why);
    if (*out) (*out)->from_cache = 0;
    else
        log_warn("%s: just written, cannot be used: %s; tokens are kept in memory only", path,
                 why ? why : "gone");
    return HONE_OK;
}

static hone_status build_from_rows(dataset **out, build *b, const char *cache_path, hone_err *err) {
    const int by_column = b->o->label == LABEL_MARKS && !b->o->label_column && targets_are_columns(b->r, b->known);
    const label_wish wish = b->o->label == LABEL_NONE || by_column ? LABEL_NOT_WANTED
                            : b->optional                          ? LABEL_IF_THERE
                                                                   : LABEL_NEEDED;
    HONE_TRY(
        columns_choose(&b->c, b->r, b->o->text_columns, b->o->n_text_columns, b->o->label_column, wish, err));
    b->n = b->o->max_samples > 0 && b->o->max_samples < b->r->n_rows ? b->o->max_samples : b->r->n_rows;
    if (!b->r->words) HONE_TRY(targets_check_texts(b->r, &b->c, b->n, err));

    /* Labels are read once before the long work, so that a wrong one is told at once. */
    int32_t *label = mem_new((size_t)b->n * sizeof *label, "labels");
    double *target = mem_new((size_t)b->n * (size_t)(b->want.n_targets + 1) * sizeof *target, "targets");
    hone_status status = read_targets(b, label, target, err);
    mem_free(label);
    mem_free(target);
    if (status != HONE_OK) return status;

    const token_source from = source_of(b);
    status = tokens_encode(&b->tokens, &from, !b->r->is_mapped, err);
    cache_layout l;
    if (status == HONE_OK && !cache_lay_out(&l, b->n, b->tokens.n_ids, b->want.n_targets, b->want.has_words))
        status = hone_fail(err, HONE_EDATA, "%s: too many rows or tokens for one data set", b->r->name);
    if (status == HONE_OK && cache_path) status = build_in_file(out, b, &l, cache_path, err);
    if (status == HONE_OK && !*out) status = build_in_memory(out, b, &l, err);
    tokens_free(&b->tokens);
    return status;
}

/* ---- opening
 * ------------------------------------------------------------------------------------------------- */

typedef struct {
    char path[4200], source[65];
    file_lock *lock;
} cache_place;

/* One process at a time builds what begins with the same digit; where locks do not work, several do the same
 * work. */
static void take_lock(cache_place *c, const char *folder, const char *key) {
    char path[4200];
    c->lock = NULL;
    if ((size_t)snprintf(path, sizeof path, "%s/lock-%c", folder, key[0]) < sizeof path)
        if (file_lock_wait(&c->lock, path, NULL) != HONE_OK) c->lock = NULL;
}

/* Map the cache if it is good. Otherwise hold its lock, so that the caller may build it. */
static hone_status try_cache(dataset **out, cache_place *c, build *b, const char *path, hone_err *err) {
    const dataset_options *o = b->o;
    HONE_TRY(folder_make(o->cache_folder, err));
    HONE_TRY(source_hash(c->source, path, o->cache_folder, err));
    make_key(b->key, o, c->source, b->t, b->known, b->optional);
    b->want.key = b->key;
    b->want.source = c->source;
    if ((size_t)snprintf(c->path, sizeof c->path, "%s/%s.tokens", o->cache_folder, b->key) >= sizeof c->path)
        return hone_fail(err, HONE_EUSAGE, "cache folder: path longer than 4000 bytes");
    const char *why = NULL;
    if (!o->rebuild) *out = cache_open(c->path, &b->want, b->p, &why);
    if (*out) return HONE_OK;
    take_lock(c, o->cache_folder, b->key);
    if (!o->rebuild) *out = cache_open(c->path, &b->want, b->p, &why); /* another process may have built it */
    if (!*out && why) log_note("note: %s: cache %s, rebuilding", path, why);
    return HONE_OK;
}

static hone_status read_and_build(dataset **out, build *b, const cache_place *c, const char *path,
                                  hone_err *err) {
    rows *r;
    HONE_TRY(rows_read(&r, path, &b->o->rows, err));
    b->r = r;
    hone_status status = HONE_OK;
    if (c && strcmp(r->sha256, c->source))
        status = hone_fail(err, HONE_EDATA, "%s: changed while it was read", r->name);
    if (!c) {
        make_key(b->key, b->o, r->sha256, b->t, b->known, b->optional);
        b->want.key = b->key;
        b->want.source = r->sha256;
    }
    if (status == HONE_OK) status = build_from_rows(out, b, c ? c->path : NULL, err);
    rows_free(r);
    return status;
}

hone_status dataset_open(dataset **out, const char *path, const dataset_options *o, const tokenizer *t,
                         const labels *known, int label_optional, pool *p, hone_err *err) {
    static const labels none;
    build b = {.o = o, .t = t, .known = known ? known : &none, .optional = label_optional, .p = p};
    b.want = (cache_want){.tokenizer = tokenizer_sha256(t),
                          .n_ids = tokenizer_size(t),
                          .n_targets = o->label == LABEL_TARGET ? 1 : o->label == LABEL_MARKS ? b.known->n : 0,
                          .has_words = o->rows.words};
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
    if (c.lock) file_lock_close(c.lock);
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
    HONE_TRY(rows_read(&r, path, &o->rows, err));
    hone_status status =
        columns_choose(&c, r, o->text_columns, o->n_text_columns, o->label_column, LABEL_NEEDED, err);
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
    close_key(&d, key);
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
