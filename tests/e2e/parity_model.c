/* parity_model.c - MiniLM with a head by formula, as a model folder. */
#include <stdlib.h>
#include <sys/wait.h>

#include "parity_model.h"
#include "golden.h"

/* ---- safetensors
 * ---------------------------------------------------------------------------------------------- */

static uint64_t header_bytes(const file_view *f) {
    uint64_t n;
    CHECK(f->n > sizeof n);
    memcpy(&n, f->p, sizeof n);
    CHECK(n <= f->n - sizeof n);
    return n;
}

void tensors_open(tensors *t, arena *a, const char *path) {
    CHECK_OK(file_map(&t->file, path, HONE_EDAMAGED, err));
    const uint64_t n = header_bytes(&t->file);
    CHECK_OK(json_parse(&t->header, a, path, t->file.p + 8, n, HONE_EDAMAGED, err));
    t->data = t->file.p + 8 + n;
}

void tensors_close(tensors *t) { file_unmap(&t->file); }

const float *tensors_find(const tensors *t, const char *name, int64_t n) {
    const json *entry = json_get(t->header, name);
    if (!entry) test_fail(__FILE__, __LINE__, "the exported folder lacks %s", name);
    CHECK_STR(text_of(entry, "dtype"), "F32");
    const json *begin = member(entry, "data_offsets")->child;
    CHECK_INT(begin->next->integer - begin->integer, n * 4);
    CHECK((size_t)(t->data - t->file.p) + (size_t)begin->next->integer <= t->file.n);
    const float *p = (const float *)(const void *)(t->data + begin->integer);
    CHECK_INT((uintptr_t)p % sizeof *p, 0);
    return p;
}

/* ---- the folder
 * ----------------------------------------------------------------------------------------------- */

/* classifier.weight, flat index i, as bert.py computes it. */
static float head_element(uint64_t i) {
    const double u = (double)((i * 2654435761u + 12345) % 4294967296u) / 4294967296.0;
    return (float)((u - 0.5) * 0.08);
}

/* The header with names as a folder with a head has them, and the head's two tensors behind all others. */
static void make_header(text *out, const tensors *in, int64_t data_bytes, int64_t width) {
    const int64_t bias = data_bytes, weight = bias + PARITY_LABELS * 4,
                  end = weight + PARITY_LABELS * width * 4;
    text_str(out, "{\"__metadata__\":{\"format\":\"pt\"}");
    for (const json *e = in->header->child; e; e = e->next) {
        if (!strcmp(e->key.p, "__metadata__")) continue;
        const json *begin = member(e, "data_offsets")->child;
        text_printf(out, ",\"bert.%s\":{\"dtype\":\"%s\",\"shape\":[", e->key.p, text_of(e, "dtype"));
        for (const json *d = member(e, "shape")->child; d; d = d->next)
            text_printf(out, "%lld%s", (long long)d->integer, d->next ? "," : "");
        text_printf(out, "],\"data_offsets\":[%lld,%lld]}", (long long)begin->integer,
                    (long long)begin->next->integer);
    }
    text_printf(out, ",\"classifier.bias\":{\"dtype\":\"F32\",\"shape\":[%d],\"data_offsets\":[%lld,%lld]}",
                PARITY_LABELS, (long long)bias, (long long)weight);
    text_printf(
        out, ",\"classifier.weight\":{\"dtype\":\"F32\",\"shape\":[%d,%lld],\"data_offsets\":[%lld,%lld]}}",
        PARITY_LABELS, (long long)width, (long long)weight, (long long)end);
    while (out->n % 8) text_str(out, " ");
}

static void write_weights(arena *a, const char *to, const char *source, int64_t width) {
    tensors in;
    text header = {0};
    tensors_open(&in, a, path_join(a, source, "model.safetensors"));
    const size_t data_bytes = in.file.n - (size_t)(in.data - in.file.p);
    make_header(&header, &in, (int64_t)data_bytes, width);
    const uint64_t n = header.n;
    const size_t n_weights = PARITY_LABELS * (size_t)width;
    const float bias[PARITY_LABELS] = {0};
    float *weight = ARENA_ARRAY(a, n_weights, float);
    for (size_t i = 0; i < n_weights; i++) weight[i] = head_element(i);

    file_writer *w;
    CHECK_OK(file_write_begin(&w, path_join(a, to, "model.safetensors"), err));
    CHECK_OK(file_write_add(w, &n, sizeof n, err));
    CHECK_OK(file_write_add(w, header.p, header.n, err));
    CHECK_OK(file_write_add(w, in.data, data_bytes, err));
    CHECK_OK(file_write_add(w, bias, sizeof bias, err));
    CHECK_OK(file_write_add(w, weight, n_weights * sizeof *weight, err));
    CHECK_OK(file_write_end(w, NULL, err));
    text_free(&header);
    tensors_close(&in);
}

static int by_bytes(const void *x, const void *y) {
    return strcmp(*(const char *const *)x, *(const char *const *)y);
}

/* Sorted as training.py sorts them: by code point, which for UTF-8 is by byte. */
static void read_labels(arena *a, const char *categories, const char *labels[PARITY_LABELS]) {
    const json *list = json_of_file(a, categories);
    CHECK_INT(list->n, PARITY_LABELS);
    int n = 0;
    for (const json *c = list->child; c; c = c->next) labels[n++] = c->string.p;
    qsort(labels, PARITY_LABELS, sizeof *labels, by_bytes);
}

/* config.json of the source with the members of a classifier before its own. */
static void write_config(arena *a, const char *to, const char *source,
                         const char *const labels[PARITY_LABELS], const char *dropout) {
    const char *path = path_join(a, source, "config.json");
    const json *tree = json_of_file(a, path);
    text out = {0};
    text_str(&out, "{\"architectures\":[\"BertForSequenceClassification\"],\"problem_type\":\"single_label_"
                   "classification\",\"id2label\":{");
    for (int i = 0; i < PARITY_LABELS; i++) {
        text_printf(&out, "%s\"%d\":", i ? "," : "", i);
        text_json(&out, labels[i], strlen(labels[i]));
    }
    text_str(&out, "},\"label2id\":{");
    for (int i = 0; i < PARITY_LABELS; i++) {
        text_str(&out, i ? "," : "");
        text_json(&out, labels[i], strlen(labels[i]));
        text_printf(&out, ":%d", i);
    }
    text_str(&out, "}");
    for (const json *x = tree->child; x; x = x->next) {
        if (!strcmp(x->key.p, "architectures")) continue;
        text_printf(&out, ",\"%s\":", x->key.p);
        if (strstr(x->key.p, "dropout")) text_str(&out, dropout);
        else if (x->kind == JSON_STRING) text_json(&out, x->string.p, x->string.n);
        else if (x->kind == JSON_BOOL) text_str(&out, x->boolean ? "true" : "false");
        else if (x->is_int) text_printf(&out, "%lld", (long long)x->integer);
        else if (x->kind == JSON_NUMBER) text_double(&out, x->number);
        else test_fail(__FILE__, __LINE__, "%s: \"%s\" is %s", path, x->key.p, json_kind_name(x->kind));
    }
    text_str(&out, "}\n");
    CHECK_OK(file_write(path_join(a, to, "config.json"), out.p, out.n, err));
    text_free(&out);
}

static void copy_file(arena *a, const char *to, const char *from, const char *name) {
    file_view f;
    CHECK_OK(file_map(&f, path_join(a, from, name), HONE_EDAMAGED, err));
    CHECK_OK(file_write(path_join(a, to, name), f.p, f.n, err));
    file_unmap(&f);
}

void parity_model_write(const char *to, const char *source, const char *categories, const char *dropout) {
    static const char *const tokenizer[] = {"vocab.txt", "tokenizer.json", "tokenizer_config.json",
                                            "special_tokens_map.json"};
    arena *a = arena_new("parity model");
    const char *labels[PARITY_LABELS];
    CHECK_OK(folder_make(to, err));
    read_labels(a, categories, labels);
    const json *config = json_of_file(a, path_join(a, source, "config.json"));
    write_config(a, to, source, labels, dropout);
    for (size_t i = 0; i < sizeof tokenizer / sizeof *tokenizer; i++) copy_file(a, to, source, tokenizer[i]);
    write_weights(a, to, source, (int64_t)number_of(config, "hidden_size"));
    arena_free(a);
}

/* ---- the command
 * ---------------------------------------------------------------------------------------------- */

const char *parity_run(arena *a, const char *folder, const char *arguments) {
    const char *own = getenv("HONE_BIN"), *program = own && *own ? own : HONE_BUILD_FOLDER "/bin/hone";
    const char *out = path_join(a, folder, "stdout"), *log = path_join(a, folder, "stderr");
    if (!file_is_regular(program))
        test_fail(__FILE__, __LINE__, "%s is not there: build the command first", program);
    const char *line = arena_print(a, "\"%s\" %s >\"%s\" 2>\"%s\"", program, arguments, out, log);
    const int status = system(line);
    if (!WIFEXITED(status) || WEXITSTATUS(status)) {
        str said;
        CHECK_OK(file_read(&said, a, log, (size_t)1 << 24, HONE_EDATA, err));
        const size_t cut = said.n > 1500 ? said.n - 1500 : 0;
        test_fail(__FILE__, __LINE__, "hone %s ended with %d: %s", arguments,
                  WIFEXITED(status) ? WEXITSTATUS(status) : -status, said.p + cut);
    }
    return out;
}
