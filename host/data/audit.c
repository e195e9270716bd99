#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/audit.h"
#include "data/index.h"
#include "data/tokens.h"
#include "base/mem.h"

#define SHOWN_BYTES 80

typedef struct {
    audit *out;
    arena *a;
    const rows *r;
    const columns *c;
    const dataset_options *o;
    const dataset *d;
    const tokenizer *t;
} look;

/* The beginning of a text, cut between characters. */
static str shorten(arena *a, str s) {
    size_t n = s.n < SHOWN_BYTES ? s.n : SHOWN_BYTES;
    while (n && n < s.n && ((unsigned char)s.p[n] & 0xc0) == 0x80) n--;
    return (str){arena_copy(a, s.p, n), n};
}

static audit_row *add_row(audit_list *l, arena *a, int32_t line, int32_t other, str shown) {
    l->n++;
    if (l->n_shown == AUDIT_SHOWN) return NULL;
    audit_row *row = &l->row[l->n_shown++];
    *row = (audit_row){.line = line, .other = other, .shown = shorten(a, shown)};
    return row;
}

static str copy_str(arena *a, str s) { return (str){arena_copy(a, s.p ? s.p : "", s.n), s.n}; }

/* The text of row i as one string that stands for it: of a pair, both with a NUL between. Lives in a. */
static str whole_text(arena *a, const rows *r, const columns *c, const dataset_options *o, int64_t i,
                      text *scratch) {
    str first, second;
    tokens_text(&first, &second, r, c, o, i, scratch);
    if (!second.p) return first.p == scratch->p && first.n ? copy_str(a, first) : first;
    text_clear(scratch);
    text_add(scratch, first.p, first.n);
    text_add(scratch, "", 1);
    text_add(scratch, second.p, second.n);
    return copy_str(a, (str){scratch->p, scratch->n});
}

static str label_cell(const look *l, int64_t i) {
    if (l->c->label < 0) return (str){"", 0};
    const str cell = l->r->cell[i * l->r->n_columns + l->c->label];
    return cell.p ? cell : (str){"", 0};
}

/* A NUL stands between the texts of a pair. */
static int is_blank(str s) {
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] && !strchr(" \t\n\r\v\f", s.p[i])) return 0;
    return 1;
}

/* Duplicates, contradictions, empty rows. */
static void compare_rows(look *l) {
    str_index seen = {0};
    text scratch = {0};
    arena *texts = arena_new("texts of an audit");
    int64_t *first_row = mem_new((size_t)l->d->n * sizeof *first_row, "audit");
    for (int64_t i = 0; i < l->d->n; i++) {
        int twice;
        const str whole = whole_text(texts, l->r, l->c, l->o, i, &scratch);
        const int64_t number = str_index_add(&seen, whole, &twice);
        if (!twice) first_row[number] = i;
        if (is_blank(whole)) add_row(&l->out->empty, l->a, l->r->line[i], 0, whole);
        if (!twice) continue;
        const str here = label_cell(l, i), there = label_cell(l, first_row[number]);
        const int same = str_eq(here, there);
        audit_row *row = add_row(same ? &l->out->duplicates : &l->out->contradictions, l->a, l->r->line[i],
                                 l->r->line[first_row[number]], whole);
        if (row) row->label = copy_str(l->a, here), row->other_label = copy_str(l->a, there);
    }
    mem_free(first_row);
    text_free(&scratch);
    str_index_free(&seen);
    arena_free(texts);
}

/* Several labels a row: of words, or marks. */
static void count_many(look *l) {
    audit *out = l->out;
    const dataset *d = l->d;
    for (int64_t i = 0; i < d->n_tokens && d->tag; i++)
        if (d->tag[i] >= 0) out->count[d->tag[i]]++;
    for (int64_t i = 0; i < d->n * d->n_targets; i++)
        if (d->target[i] == 1) out->count[i % d->n_targets]++;
}

static void count_labels(look *l) {
    audit *out = l->out;
    const dataset *d = l->d;
    int64_t n = 0;
    double sum = 0;
    out->count = ARENA_ARRAY(l->a, (size_t)(out->classes ? out->classes->n : 0) + 1, int64_t);
    out->target_min = DBL_MAX;
    out->target_max = -DBL_MAX;
    if (d->tag || l->o->label == LABEL_MARKS) {
        count_many(l);
        return;
    }
    for (int64_t i = 0; i < d->n; i++) {
        if (d->target && !isnan(d->target[i])) {
            sum += d->target[i];
            n++;
            if (d->target[i] < out->target_min) out->target_min = d->target[i];
            if (d->target[i] > out->target_max) out->target_max = d->target[i];
        } else if (!d->target && d->label[i] >= 0) out->count[d->label[i]]++;
        else out->n_unlabelled++;
    }
    if (n) out->target_mean = sum / (double)n;
    else out->target_min = out->target_max = 0;
}

static int ascending(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }

/* Lengths as they were before truncation: how much of the text a limit costs is what one wants to know. */
static void measure_lengths(look *l, int *length) {
    audit *out = l->out;
    const int64_t n = l->d->n;
    int64_t sum = 0;
    qsort(length, (size_t)n, sizeof *length, ascending);
    for (int64_t i = 0; i < n; i++) sum += length[i];
    out->length_min = length[0];
    out->length_median = length[n / 2];
    out->length_p95 = length[(int64_t)((double)(n - 1) * 0.95)];
    out->length_max = length[n - 1];
    out->length_mean = (double)sum / (double)n;
    int64_t i = 0;
    for (int to = 8; i < n && out->n_buckets < AUDIT_BUCKETS; to *= 2) {
        const int last = out->n_buckets == AUDIT_BUCKETS - 1;
        const int64_t from = i;
        while (i < n && (length[i] <= to || last)) i++;
        out->bucket_to[out->n_buckets] = last ? out->length_max : to;
        out->bucket_rows[out->n_buckets++] = i - from;
    }
}

static int most_first(const void *a, const void *b) {
    const audit_piece *x = a, *y = b;
    if (x->n != y->n) return x->n > y->n ? -1 : 1;
    return str_compare(x->piece, y->piece);
}

/* What became [UNK], by the offsets of the encoding. */
typedef struct {
    str_index index;
    audit_piece *piece;
    int64_t cap;
} pieces;

static void add_pieces(pieces *p, look *l, const encoding *e, str first, str second, int unk, int32_t line) {
    for (int k = 0; k < e->n; k++) {
        if (e->id[k] != unk || e->special[k]) continue;
        const str of = e->type[k] ? second : first;
        if (e->from[k] < 0 || (size_t)e->to[k] > of.n || e->from[k] >= e->to[k]) continue;
        const str piece = {of.p + e->from[k], (size_t)(e->to[k] - e->from[k])};
        int64_t at = str_index_find(&p->index, piece);
        if (at < 0) {
            at = str_index_add(&p->index, copy_str(l->a, piece), NULL);
            if (at == p->cap) {
                const int64_t cap = 2 * p->cap + 64;
                p->piece = mem_grow(p->piece, (size_t)p->cap * sizeof *p->piece,
                                    (size_t)cap * sizeof *p->piece, "audit");
                p->cap = cap;
            }
            p->piece[at] = (audit_piece){p->index.key[at], 0, line};
        }
        p->piece[at].n++;
    }
}

/* Encode again, without a limit: lengths, rows that are cut, pieces that are unknown. */
static hone_status encode_again(look *l, int *length, pieces *found, hone_err *err) {
    const encode_options unlimited = {.no_special = l->o->encode.no_special};
    const int unk = tokenizer_special(l->t).unk;
    encoding e = {0};
    text scratch = {0};
    hone_status status = HONE_OK;
    for (int64_t i = 0; i < l->d->n && status == HONE_OK; i++) {
        str first, second;
        tokens_text(&first, &second, l->r, l->c, l->o, i, &scratch);
        status = tokenizer_encode(l->t, first, second, &unlimited, &e, err);
        if (status != HONE_OK) break;
        length[i] = e.n;
        if (l->o->encode.max_length && e.n > l->o->encode.max_length)
            add_row(&l->out->cut, l->a, l->r->line[i], 0, first);
        if (e.n_unknown) add_pieces(found, l, &e, first, second, unk, l->r->line[i]);
    }
    text_free(&scratch);
    encoding_free(&e);
    return status;
}

static hone_status look_at_tokens(look *l, hone_err *err) {
    audit *out = l->out;
    pieces found = {0};
    int *length = mem_new((size_t)l->d->n * sizeof *length, "audit");
    const hone_status status = encode_again(l, length, &found, err);
    if (status == HONE_OK) {
        measure_lengths(l, length);
        if (found.index.n) qsort(found.piece, (size_t)found.index.n, sizeof *found.piece, most_first);
        out->n_pieces = found.index.n;
        for (int64_t i = 0; i < found.index.n && i < AUDIT_SHOWN; i++)
            out->piece[out->n_pieces_shown++] = found.piece[i];
    }
    mem_free(length);
    mem_free(found.piece);
    str_index_free(&found.index);
    return status;
}

static void name_columns(look *l) {
    text names = {0};
    for (int k = 0; k < l->c->n_text; k++) {
        if (k) text_str(&names, ", ");
        text_add(&names, l->r->column[l->c->text[k]].p, l->r->column[l->c->text[k]].n);
    }
    l->out->text_columns = copy_str(l->a, (str){names.p, names.n});
    text_free(&names);
    l->out->label_column = l->c->label >= 0 ? copy_str(l->a, l->r->column[l->c->label]) : STR("");
    l->out->guessed = l->c->guessed;
}

static label_wish wish_of(const dataset_options *o, int optional) {
    return o->label == LABEL_NONE ? LABEL_NOT_WANTED : optional ? LABEL_IF_THERE : LABEL_NEEDED;
}

hone_status audit_file(audit **out, arena *a, const char *path, const dataset_options *o, const tokenizer *t,
                       const labels *known, int label_optional, pool *p, hone_err *err) {
    dataset *d;
    rows *r;
    columns c;
    HONE_TRY(dataset_open(&d, path, o, t, known, label_optional, p, err));
    hone_status status = rows_read(&r, path, &o->rows, err);
    if (status != HONE_OK) {
        dataset_free(d);
        return status;
    }
    status = columns_choose(&c, r, o->text_columns, o->n_text_columns, o->label_column,
                            wish_of(o, label_optional), err);
    if (status == HONE_OK && strcmp(r->sha256, d->sha256))
        status = hone_fail(err, HONE_EDATA, "%s: changed while it was read", r->name);
    if (status == HONE_OK) {
        audit *u = ARENA_NEW(a, audit);
        look l = {u, a, r, &c, o, d, t};
        u->name = arena_copy(a, r->name, strlen(r->name));
        u->n_rows = d->n;
        u->kind = o->label;
        u->classes = o->label != LABEL_NONE && o->label != LABEL_TARGET ? known : NULL;
        u->n_tokens = d->n_tokens;
        u->n_cut_tokens = d->n_cut_tokens;
        u->n_unknown = d->n_unknown;
        u->max_length = o->encode.max_length;
        name_columns(&l);
        count_labels(&l);
        compare_rows(&l);
        status = look_at_tokens(&l, err);
        *out = u;
    }
    rows_free(r);
    dataset_free(d);
    return status;
}

/* All texts of a file: those of `other`, to look the rows of the audited file up in. */
static hone_status index_texts(str_index *seen, int32_t **first_line, arena *a, rows **r, const char *path,
                               const dataset_options *o, hone_err *err) {
    columns c;
    HONE_TRY(rows_read(r, path, &o->rows, err));
    HONE_TRY(columns_choose(&c, *r, o->text_columns, o->n_text_columns, o->label_column, wish_of(o, 1), err));
    text scratch = {0};
    *first_line = ARENA_ARRAY(a, (size_t)(*r)->n_rows, int32_t);
    for (int64_t i = 0; i < (*r)->n_rows; i++) {
        int twice;
        const int64_t number = str_index_add(seen, whole_text(a, *r, &c, o, i, &scratch), &twice);
        if (!twice) (*first_line)[number] = (*r)->line[i];
    }
    text_free(&scratch);
    return HONE_OK;
}

hone_status audit_compare(audit *u, arena *mem, const char *path, const char *other_path,
                          const dataset_options *o, const dataset_options *other, hone_err *err) {
    str_index seen = {0};
    int32_t *first_line;
    rows *r = NULL, *theirs = NULL;
    columns c;
    text scratch = {0};
    arena *texts = arena_new("texts of an audit");
    hone_status status = index_texts(&seen, &first_line, texts, &theirs, other_path, other, err);
    if (status == HONE_OK) status = rows_read(&r, path, &o->rows, err);
    if (status == HONE_OK)
        status =
            columns_choose(&c, r, o->text_columns, o->n_text_columns, o->label_column, wish_of(o, 1), err);
    for (int64_t i = 0; status == HONE_OK && i < u->n_rows && i < r->n_rows; i++) {
        const str whole = whole_text(texts, r, &c, o, i, &scratch);
        const int64_t number = str_index_find(&seen, whole);
        if (number >= 0) add_row(&u->overlap, mem, r->line[i], first_line[number], whole);
    }
    if (status == HONE_OK) u->overlap_with = arena_copy(mem, theirs->name, strlen(theirs->name));
    text_free(&scratch);
    str_index_free(&seen);
    arena_free(texts);
    rows_free(r);
    rows_free(theirs);
    return status;
}
