/* inspect.c - gathering the facts. */
#include <string.h>

#include "base/file.h"
#include "base/hash.h"
#include "model/architecture.h"
#include "model/inspect.h"
#include "model/tokenizer_files.h"

static hone_status hash_tensor(inspected_tensor *x, const safetensors *f, hone_err *err) {
    enum { PART = 65536 };
    char part[PART];
    sha256 s;
    uint8_t digest[32];
    const size_t all = x->tensor->end - x->tensor->begin;
    sha256_begin(&s);
    for (size_t at = 0, n; at < all; at += n) {
        n = all - at < PART ? all - at : PART;
        HONE_TRY(safetensors_read(f, x->tensor, at, part, n, err));
        sha256_add(&s, part, n);
    }
    sha256_end(&s, digest);
    sha256_hex(digest, x->sha256);
    return HONE_OK;
}

static hone_status take_tensors(inspection *x, int with_sha256, hone_err *err) {
    const weights *w = x->weights;
    x->n_tensors = w->n;
    x->tensor = ARENA_ARRAY(x->a, (size_t)w->n, inspected_tensor);
    for (int i = 0; i < w->n; i++) {
        const stored_tensor *t = w->tensor[i];
        x->tensor[i] = (inspected_tensor){.tensor = t, .file = path_name(w->of[i]->path)};
        x->bytes += t->end - t->begin;
        x->n_elements += t->n;
        if (with_sha256) HONE_TRY(hash_tensor(&x->tensor[i], w->of[i], err));
        if (!stored_type_is_float(t->type)) continue;
        const char *type = stored_type_name(t->type);
        x->dtype = !x->dtype || !strcmp(x->dtype, type) ? type : "mixed";
    }
    return HONE_OK;
}

/* A folder is asked for all its head; a bare body for a classifier, which would be new. */
static void take_use(inspection *x, const char *folder) {
    const params_options options = {.quiet = 1};
    const char *own = x->config->architecture;
    hone_err why = {0};
    params *p;
    int n;
    const param_want *want =
        own && !architecture_is_bare(own) ? architecture_params(x->a, x->config, own, x->config->n_labels, &n) : NULL;
    x->class = want ? own : x->config->family->classes.architecture;
    if (!want) want = architecture_params(x->a, x->config, x->class, x->config->n_labels, &n);
    x->made_new = "";
    if (params_open(&p, x->config, folder, want, n, &options, &why)) {
        x->problem = arena_copy(x->a, why.text, strlen(why.text));
        return;
    }
    for (int i = 0; i < n; i++)
        if (!params_is_new(p, i)) x->n_parameters += param_elements(&want[i]);
    x->made_new = arena_copy(x->a, params_new_names(p), strlen(params_new_names(p)));
    int n_unused[2];
    const char *const *unused[2] = {params_ignored(p, &n_unused[0]), params_unexpected(p, &n_unused[1])};
    for (int k = 0; k < 2; k++) {
        const char **copy = ARENA_ARRAY(x->a, (size_t)n_unused[k], const char *);
        for (int i = 0; i < n_unused[k]; i++) copy[i] = arena_copy(x->a, unused[k][i], strlen(unused[k][i]));
        if (k) x->unexpected = copy, x->n_unexpected = n_unused[k];
        else x->ignored = copy, x->n_ignored = n_unused[k];
    }
    params_close(p);
}

/* Kind and size from tokenizer.json, else from the lines of vocab.txt. */
static hone_status read_tokenizer(inspection *x, const char *json_path, const char *vocab_path,
                                  hone_err *err) {
    str s;
    const json *root;
    x->tokenizer_size = -1;
    if (json_path) {
        HONE_TRY(file_read(&s, x->a, json_path, (size_t)256 << 20, HONE_EUSAGE, err));
        HONE_TRY(json_parse(&root, x->a, json_path, s.p, s.n, HONE_EUSAGE, err));
        const json *type = json_get(json_get(root, "model"), "type"),
                   *vocab = json_get(json_get(root, "model"), "vocab");
        x->tokenizer_kind = type && type->kind == JSON_STRING ? type->string.p : "unknown";
        if (vocab) x->tokenizer_size = (int64_t)vocab->n;
    } else if (vocab_path) {
        HONE_TRY(file_read(&s, x->a, vocab_path, (size_t)256 << 20, HONE_EUSAGE, err));
        x->tokenizer_kind = "WordPiece";
        x->tokenizer_size = s.n && s.p[s.n - 1] != '\n';
        for (size_t i = 0; i < s.n; i++) x->tokenizer_size += s.p[i] == '\n';
    }
    return HONE_OK;
}

static hone_status take_tokenizer(inspection *x, const char *folder, hone_err *err) {
    const char *json_path = NULL, *vocab_path = NULL;
    x->tokenizer = ARENA_ARRAY(x->a, 8, inspected_file);
    for (int i = 0; tokenizer_file_names[i]; i++) {
        const char *name = tokenizer_file_names[i], *path;
        HONE_TRY(model_file(&path, x->a, folder, name, err));
        if (!path) continue;
        if (!strcmp(name, "tokenizer.json")) json_path = path;
        if (!strcmp(name, "vocab.txt")) vocab_path = path;
        x->tokenizer[x->n_tokenizer++] = (inspected_file){name, file_bytes(path)};
    }
    return read_tokenizer(x, json_path, vocab_path, err);
}

hone_status inspect_folder(inspection **out, const char *folder, int with_sha256, hone_err *err) {
    arena *a = arena_new("inspection");
    inspection *x = ARENA_NEW(a, inspection);
    x->a = a;
    hone_status status = config_load(&x->config, folder, err);
    if (!status) status = weights_open(&x->weights, folder, err);
    if (!status) status = take_tensors(x, with_sha256, err);
    if (!status) {
        take_use(x, folder);
        status = take_tokenizer(x, folder, err);
    }
    if (status) {
        inspect_free(x);
        return status;
    }
    *out = x;
    return HONE_OK;
}

void inspect_free(inspection *x) {
    if (!x) return;
    weights_close(x->weights);
    config_free(x->config);
    arena_free(x->a);
}
