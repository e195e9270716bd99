/* cache_place.c - a data set is looked for in the cache folder, or made there by one process at a time. */
#include <stdio.h>

#include "data/cache.h"
#include "base/err.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"

void cache_key(text *description, char out[65]) {
    uint8_t digest[32];
    sha256 s;
    sha256_begin(&s);
    sha256_add(&s, description->p, description->n);
    sha256_end(&s, digest);
    sha256_hex(digest, out);
    text_free(description);
}

/* For all keys that begin with the same digit. */
static void take_lock(cache_place *c, const char *folder, const char *key) {
    char path[4200];
    file_lock *lock = NULL;
    if ((size_t)snprintf(path, sizeof path, "%s/lock-%c", folder, key[0]) < sizeof path)
        if (file_lock_wait(&lock, path, NULL) != HONE_OK) lock = NULL;
    c->lock = lock;
}

hone_status cache_find(dataset **out, cache_place *c, const char *folder, const cache_want *want, int rebuild, const char *source,
                       pool *p, hone_err *err) {
    const char *why = NULL;
    *out = NULL;
    if ((size_t)snprintf(c->path, sizeof c->path, "%s/%s.tokens", folder, want->key) >= sizeof c->path)
        return hone_fail(err, HONE_EUSAGE, "cache folder: path longer than 4000 bytes");
    if (!rebuild) *out = cache_open(c->path, want, p, &why);
    if (*out) return HONE_OK;
    take_lock(c, folder, want->key);
    if (!rebuild) *out = cache_open(c->path, want, p, &why); /* another process may have built it */
    if (!*out && why) log_note("note: %s: cache %s, rebuilding", source, why);
    return HONE_OK;
}

void cache_leave(cache_place *c) {
    if (c->lock) file_lock_close(c->lock);
    c->lock = NULL;
}

static hone_status build_in_memory(dataset **out, const cache_layout *l, cache_fill *fill, void *arg, hone_err *err) {
    dataset *d = dataset_new();
    dataset_owner *w = d->owner;
    w->memory = mem_new(l->bytes, "tokens");
    const hone_status status = fill(d, w->memory, l, arg, err);
    if (status == HONE_OK) *out = d;
    else dataset_free(d);
    return status;
}

static hone_status write_file(const char *path, const cache_layout *l, cache_fill *fill, void *arg, hone_err *err) {
    void *memory;
    file_writer *w;
    HONE_TRY(file_build_begin(&memory, &w, path, l->bytes, err));
    dataset *d = dataset_new();
    const hone_status status = fill(d, memory, l, arg, err);
    dataset_free(d);
    if (status == HONE_OK) return file_write_end(w, NULL, err);
    file_write_abort(w);
    return status;
}

hone_status cache_build(dataset **out, const cache_place *c, const cache_layout *l, const cache_want *want, pool *p,
                        cache_fill *fill, void *arg, hone_err *err) {
    hone_err storage = {0};
    const char *why;
    *out = NULL;
    if (c && write_file(c->path, l, fill, arg, &storage) != HONE_OK)
        log_warn("%s; tokens are kept in memory only", storage.text);
    else if (c) {
        *out = cache_open(c->path, want, p, &why);
        if (*out) (*out)->from_cache = 0;
        else log_warn("%s: just written, cannot be used: %s; tokens are kept in memory only", c->path, why ? why : "gone");
    }
    return *out ? HONE_OK : build_in_memory(out, l, fill, arg, err);
}
