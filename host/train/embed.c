#include <math.h>
#include <stdio.h>
#include <string.h>

#include "train/embed.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "train/eval.h"

#define FLUSH_BYTES ((size_t)1 << 16)
#define FILE_BYTES ((size_t)1 << 20)

/* ---- what the folder says ---- */

typedef struct {
    arena *a;
    const char *path;
    str content;
    const json *root;
} small_file;

/* 0: there is none. */
static hone_status open_small(small_file *f, int *there, arena *a, const char *folder, const char *name,
                              hone_err *err) {
    *f = (small_file){.a = a, .path = path_join(a, folder, name)};
    *there = file_exists(f->path);
    if (!*there) return HONE_OK;
    HONE_TRY(file_read(&f->content, a, f->path, FILE_BYTES, HONE_EUSAGE, err));
    return json_parse(&f->root, a, f->path, f->content.p, f->content.n, HONE_EUSAGE, err);
}

static hone_status refuse(const small_file *f, const json *at, const char *what, hone_err *err) {
    int line, column;
    json_place(f->content.p, f->content.n, at->offset, &line, &column);
    return hone_fail(err, HONE_EUSAGE, "%s: line %d column %d: %s", f->path, line, column, what);
}

static hone_status read_pooling(embed_rules *out, arena *a, const char *folder, const char *name,
                                hone_err *err) {
    small_file f;
    int there;
    HONE_TRY(
        open_small(&f, &there, a, folder, arena_print(a, "%s%sconfig.json", name, *name ? "/" : ""), err));
    if (!there) return hone_fail(err, HONE_EUSAGE, "%s: missing, but modules.json names it", f.path);
    const json *mode = json_get(f.root, "pooling_mode"); /* newer folders say it in a word */
    int n = 0;
    for (const json *x = f.root->child; x; x = x->next) {
        if (strncmp(x->key.p, "pooling_mode_", 13) || x->kind != JSON_BOOL || !x->boolean) continue;
        n++;
        if (str_is(x->key, "pooling_mode_cls_token")) out->first = 1;
        else if (!str_is(x->key, "pooling_mode_mean_tokens"))
            return refuse(&f, x, "a pooling that is not known; expected mean or cls", err);
    }
    if (mode && mode->kind == JSON_STRING && !n) {
        if (!str_is(mode->string, "mean") && !str_is(mode->string, "cls"))
            return refuse(&f, mode, "a pooling that is not known; expected mean or cls", err);
        out->first = str_is(mode->string, "cls");
        n = 1;
    }
    return n == 1 ? HONE_OK : refuse(&f, f.root, "not one way of pooling; expected mean or cls", err);
}

static int ends_with(str s, const char *suffix) {
    const size_t n = strlen(suffix);
    return s.n >= n && !memcmp(s.p + s.n - n, suffix, n);
}

static hone_status read_modules(embed_rules *out, const small_file *f, const char *folder, hone_err *err) {
    if (f->root->kind != JSON_ARRAY) return refuse(f, f->root, "no list of modules", err);
    for (const json *m = f->root->child; m; m = m->next) {
        const json *type = json_get(m, "type"), *path = json_get(m, "path");
        if (!type || type->kind != JSON_STRING || !path || path->kind != JSON_STRING)
            return refuse(f, m, "a module without \"type\" and \"path\"", err);
        if (ends_with(type->string, ".Pooling"))
            HONE_TRY(read_pooling(out, f->a, folder, path->string.p, err));
        else if (ends_with(type->string, ".Normalize")) out->normalize = 1;
        else if (!ends_with(type->string, ".Transformer"))
            return refuse(f, type, "a module that is not known; expected Transformer, Pooling or Normalize",
                          err);
    }
    return HONE_OK;
}

hone_status embed_rules_read(embed_rules *out, const char *folder, hone_err *err) {
    arena *a = arena_new("modules");
    small_file f;
    int there;
    *out = (embed_rules){0};
    hone_status status = open_small(&f, &there, a, folder, "modules.json", err);
    if (!status && there) status = read_modules(out, &f, folder, err);
    if (!status) status = open_small(&f, &there, a, folder, "sentence_bert_config.json", err);
    const json *longest = !status && there ? json_get(f.root, "max_seq_length") : NULL;
    if (longest && longest->kind == JSON_NUMBER && longest->is_int && longest->integer > 0)
        out->max_length = longest->integer;
    arena_free(a);
    return status;
}

/* ---- rows ---- */

typedef struct {
    int n, normalize;
    embed_format format;
    text *out;
    void (*flush)(void *arg, text *out);
    void *arg;
    float *x; /* [n] */
} embedder;

static void write_row(void *arg, int64_t i, const float *x, double loss) {
    embedder *e = arg;
    double sum = 0;
    (void)loss;
    for (int k = 0; k < e->n; k++) sum += (double)x[k] * (double)x[k];
    const double by = !e->normalize ? 1 : 1 / fmax(sqrt(sum), 1e-12); /* as torch's normalize */
    for (int k = 0; k < e->n; k++) e->x[k] = (float)((double)x[k] * by);
    if (e->format == EMBED_NPY) text_add(e->out, (const char *)e->x, sizeof *e->x * (size_t)e->n);
    else {
        text_printf(e->out, "{\"index\":%lld,\"embedding\":[", (long long)i);
        for (int k = 0; k < e->n; k++) {
            if (k) text_str(e->out, ",");
            text_double(e->out, (double)e->x[k]);
        }
        text_str(e->out, "]}\n");
    }
    if (e->out->n >= FLUSH_BYTES) e->flush(e->arg, e->out);
}

/* numpy's format 1.0: what follows begins at a multiple of 64 bytes. */
static void add_header(text *out, int64_t n, int width) {
    text form = {0};
    text_printf(&form, "{'descr': '<f4', 'fortran_order': False, 'shape': (%lld, %d), }", (long long)n,
                width);
    while ((10 + form.n + 1) % 64) text_str(&form, " ");
    text_str(&form, "\n");
    const unsigned char size[2] = {(unsigned char)(form.n & 255), (unsigned char)(form.n >> 8)};
    text_add(out, "\x93NUMPY\x01\x00", 8);
    text_add(out, (const char *)size, 2);
    text_add(out, form.p, form.n);
    text_free(&form);
}

hone_status embed_rows(session *s, const dataset *d, int normalize, embed_format format, text *out,
                       void (*flush)(void *arg, text *out), void *arg, hone_err *err) {
    embedder e = {
        .n = s->n_outputs, .normalize = normalize, .format = format, .out = out, .flush = flush, .arg = arg};
    e.x = mem_new(sizeof *e.x * (size_t)e.n, "an embedding");
    if (format == EMBED_NPY) add_header(out, d->n, e.n);
    const hone_status status = evaluate(s, d, eval_batches_in(s), write_row, &e, err);
    flush(arg, out);
    mem_free(e.x);
    return status;
}
