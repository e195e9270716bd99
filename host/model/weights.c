/* weights.c - one file or many: which, and whether index and shards agree. */
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/json.h"
#include "base/vec.h"
#include "model/weights.h"

#define SINGLE "model.safetensors"
#define INDEX SINGLE ".index.json"
#define INDEX_MAX_BYTES ((size_t)256 << 20)
#define MAX_SHARDS 10000

/* Is path the folder root, or below it? */
static int is_below(const char *path, const char *root) {
    const size_t n = strlen(root);
    return !strncmp(path, root, n) && (path[n] == '/' || path[n] == 0 || (n > 0 && root[n - 1] == '/'));
}

hone_status model_file(const char **out, arena *a, const char *folder, const char *name, hone_err *err) {
    char root[4096], real[4096];
    const char *path = path_join(a, folder, name);
    *out = NULL;
    if (!file_exists(path)) return HONE_OK;
    if (!path_resolve(root, folder) || !path_resolve(real, path))
        return HONE_OK; /* a link to nothing: as if absent */
    char *slash = strrchr(root, '/');
    if (slash && slash - root >= 10 && !memcmp(slash - 10, "/snapshots", 10))
        slash[-10] = 0; /* .../snapshots/REVISION */
    if (!is_below(real, root)) {
        hone_fail(err, HONE_EDAMAGED, "%s: resolves outside the model folder, refused", path);
        return hone_hint(err, "copy the file into the folder");
    }
    if (!file_is_regular(path)) return hone_fail(err, HONE_EDAMAGED, "%s: not a regular file", path);
    *out = path;
    return HONE_OK;
}

static hone_status refuse_absent(arena *a, const char *folder, hone_err *err) {
    static const char *const pickles[] = {"pytorch_model.bin", "pytorch_model.bin.index.json", "model.pt",
                                          "model.pth"};
    if (!file_is_folder(folder))
        return hone_fail(err, HONE_EDAMAGED, "%s: no such folder; expected a model folder", folder);
    for (size_t i = 0; i < sizeof pickles / sizeof *pickles; i++)
        if (file_exists(path_join(a, folder, pickles[i]))) {
            hone_fail(err, HONE_EDAMAGED, "%s: %s is a pickle file: loading can run code, refused", folder,
                      pickles[i]);
            return hone_hint(
                err, "ask for model.safetensors, or convert it where you trust it: "
                     "AutoModel.from_pretrained(\".\").save_pretrained(\".\", safe_serialization=True)");
        }
    static const char *const others[] = {"tf_model.h5", "flax_model.msgpack", "model.onnx"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (file_exists(path_join(a, folder, others[i])))
            return hone_fail(err, HONE_EDAMAGED, "%s: only %s; expected " SINGLE, folder, others[i]);
    return hone_fail(err, HONE_EDAMAGED, "%s: no " SINGLE " and no " INDEX, folder);
}

/* A plain file name: letters, digits, dot, dash, underscore; ends in .safetensors. */
static int is_shard_name(str s) {
    const size_t suffix = strlen(".safetensors");
    if (s.n <= suffix || s.n > 255 || s.p[0] == '.' || memcmp(s.p + s.n - suffix, ".safetensors", suffix))
        return 0;
    for (size_t i = 0; i < s.n; i++) {
        const char c = s.p[i];
        const int plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                          c == '.' || c == '_' || c == '-';
        if (!plain) return 0;
    }
    return 1;
}

typedef struct {
    weights *w;
    const char *path; /* of the index */
    const json *map;
    const char **shard; /* its distinct shard names */
    int n_shards;
    const int *of; /* shard of each member of map, in order */
} shard_index;

static hone_status refuse_shard_name(const shard_index *x, const json *file, hone_err *err) {
    char shown[120];
    if (file->kind != JSON_STRING)
        return hone_fail(err, HONE_EDAMAGED, "%s: byte %zu: %s, expected a file name", x->path, file->offset,
                         json_kind_name(file->kind));
    return hone_fail(err, HONE_EDAMAGED,
                     "%s: byte %zu: shard name \"%s\" must be a plain file name in this folder", x->path,
                     file->offset, text_escape(shown, sizeof shown, file->string.p, file->string.n));
}

/* The distinct shard names of the map, and each tensor's. */
static hone_status list_shards(shard_index *x, hone_err *err) {
    arena *a = x->w->a;
    int *of = ARENA_ARRAY(a, x->map->n, int), last = -1, i = 0;
    x->shard = ARENA_ARRAY(a, MAX_SHARDS, const char *);
    x->of = of;
    for (const json *file = x->map->child; file; file = file->next, i++) {
        if (file->kind != JSON_STRING || !is_shard_name(file->string)) return refuse_shard_name(x, file, err);
        int s = last >= 0 && str_is(file->string, x->shard[last]) ? last : 0;
        while (s < x->n_shards && !str_is(file->string, x->shard[s])) s++;
        if (s == MAX_SHARDS)
            return hone_fail(err, HONE_EDAMAGED, "%s: more than %d shards", x->path, MAX_SHARDS);
        if (s == x->n_shards) x->shard[x->n_shards++] = file->string.p;
        of[i] = last = s;
    }
    return HONE_OK;
}

static hone_status open_shards(shard_index *x, hone_err *err) {
    weights *w = x->w;
    w->file = ARENA_ARRAY(w->a, (size_t)x->n_shards, safetensors *);
    for (int s = 0; s < x->n_shards; s++) {
        const char *path;
        HONE_TRY(model_file(&path, w->a, w->folder, x->shard[s], err));
        if (!path) {
            hone_fail(err, HONE_EDAMAGED, "%s: shard %s is missing", x->path, x->shard[s]);
            return hone_hint(err, "the download is not complete: fetch the folder again");
        }
        HONE_TRY(safetensors_open(&w->file[s], path, err));
        w->n_files = s + 1;
    }
    return HONE_OK;
}

/* All tensors of all files in one index; none twice. */
static hone_status index_weights(weights *w, hone_err *err) {
    int n = 0, twice, first;
    for (int f = 0; f < w->n_files; f++) HONE_ASSERT(!__builtin_add_overflow(n, w->file[f]->n, &n));
    w->tensor = ARENA_ARRAY(w->a, (size_t)n, const stored_tensor *);
    w->of = ARENA_ARRAY(w->a, (size_t)n, const safetensors *);
    const char **name = ARENA_ARRAY(w->a, (size_t)n, const char *);
    for (int f = 0; f < w->n_files; f++)
        for (int i = 0; i < w->file[f]->n; i++, w->n++) {
            w->tensor[w->n] = &w->file[f]->tensor[i];
            w->of[w->n] = w->file[f];
            name[w->n] = w->tensor[w->n]->name;
        }
    w->names = names_index(w->a, name, n, &twice, &first);
    if (twice < 0) return HONE_OK;
    char shown[120];
    return hone_fail(err, HONE_EDAMAGED, "%s: tensor \"%s\" is in two shards, %s and %s", w->folder,
                     text_escape(shown, sizeof shown, name[twice], strlen(name[twice])),
                     path_name(w->of[first]->path), path_name(w->of[twice]->path));
}

static hone_status check_map(const shard_index *x, hone_err *err) {
    const weights *w = x->w;
    char shown[120];
    int i = 0;
    for (const json *file = x->map->child; file; file = file->next, i++) {
        const int at = weights_find(w, file->key.p);
        if (at >= 0 && w->of[at] == w->file[x->of[i]]) continue;
        return hone_fail(err, HONE_EDAMAGED, "%s: tensor \"%s\" is not in its shard %s", x->path,
                         text_escape(shown, sizeof shown, file->key.p, file->key.n), x->shard[x->of[i]]);
    }
    for (i = 0; i < w->n; i++)
        if (!json_get(x->map, w->tensor[i]->name))
            return hone_fail(err, HONE_EDAMAGED, "%s: tensor \"%s\" of %s is not in the index", x->path,
                             text_escape(shown, sizeof shown, w->tensor[i]->name, strlen(w->tensor[i]->name)),
                             path_name(w->of[i]->path));
    return HONE_OK;
}

static hone_status check_total(const shard_index *x, const json *root, hone_err *err) {
    const json *total = json_get(json_get(root, "metadata"), "total_size");
    size_t bytes = 0;
    if (!total) return HONE_OK;
    for (int i = 0; i < x->w->n; i++) bytes += x->w->tensor[i]->end - x->w->tensor[i]->begin;
    if (total->kind == JSON_NUMBER && total->number == (double)bytes) return HONE_OK;
    if (total->kind != JSON_NUMBER)
        return hone_fail(err, HONE_EDAMAGED, "%s: byte %zu (metadata.total_size): %s, expected bytes",
                         x->path, total->offset, json_kind_name(total->kind));
    return hone_fail(err, HONE_EDAMAGED,
                     "%s: byte %zu (metadata.total_size): %.0f, the shards hold %zu bytes", x->path,
                     total->offset, total->number, bytes);
}

static hone_status open_index(weights *w, const char *path, hone_err *err) {
    shard_index x = {.w = w, .path = path};
    const json *root;
    str s;
    HONE_TRY(file_read(&s, w->a, path, INDEX_MAX_BYTES, HONE_EDAMAGED, err));
    HONE_TRY(json_parse(&root, w->a, path, s.p, s.n, HONE_EDAMAGED, err));
    x.map = json_get(root, "weight_map");
    if (!x.map || x.map->kind != JSON_OBJECT || !x.map->n)
        return hone_fail(err, HONE_EDAMAGED, "%s: expected an object weight_map", path);
    HONE_TRY(list_shards(&x, err));
    HONE_TRY(open_shards(&x, err));
    HONE_TRY(index_weights(w, err));
    HONE_TRY(check_map(&x, err));
    return check_total(&x, root, err);
}

static hone_status open_folder(weights *w, hone_err *err) {
    const char *path = NULL;
    if (file_is_regular(w->folder)) path = w->folder;
    else HONE_TRY(model_file(&path, w->a, w->folder, SINGLE, err));
    if (path) {
        w->file = ARENA_NEW(w->a, safetensors *);
        HONE_TRY(safetensors_open(&w->file[0], path, err));
        w->n_files = 1;
        return index_weights(w, err);
    }
    HONE_TRY(model_file(&path, w->a, w->folder, INDEX, err));
    return path ? open_index(w, path, err) : refuse_absent(w->a, w->folder, err);
}

hone_status weights_open(weights **out, const char *folder, hone_err *err) {
    arena *a = arena_new("weights");
    weights *w = ARENA_NEW(a, weights);
    w->a = a;
    w->folder = arena_copy(a, folder, strlen(folder));
    const hone_status status = open_folder(w, err);
    if (status) {
        weights_close(w);
        return status;
    }
    *out = w;
    return HONE_OK;
}

void weights_close(weights *w) {
    if (!w) return;
    for (int f = 0; f < w->n_files; f++) safetensors_close(w->file[f]);
    arena_free(w->a);
}

int weights_find(const weights *w, const char *name) { return names_find(w->names, name); }

hone_status weights_unchanged(const weights *w, hone_err *err) {
    for (int f = 0; f < w->n_files; f++) HONE_TRY(safetensors_unchanged(w->file[f], err));
    return HONE_OK;
}
