#include <stdio.h>
#include <string.h>

#include "data/cache.h"
#include "data/reader.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/stamp.h"

#define NOTE_BYTES ((size_t)64 << 20)
#define SETTLED_SECONDS 2 /* coarsest time stamps of common file systems */

static void hash_hex(const void *p, size_t n, char out[65]) {
    uint8_t digest[32];
    sha256 s;
    sha256_begin(&s);
    sha256_add(&s, p, n);
    sha256_end(&s, digest);
    sha256_hex(digest, out);
}

int note_read(str *out, arena *a, const char *path) {
    char hash[65];
    str all;
    if (!file_exists(path) || file_read(&all, a, path, NOTE_BYTES, HONE_EDATA, NULL) != HONE_OK || all.n < 65)
        return 0;
    hash_hex(all.p, all.n - 65, hash);
    if (memcmp(hash, all.p + all.n - 65, 64) || all.p[all.n - 1] != '\n') return 0;
    *out = (str){all.p, all.n - 65};
    return 1;
}

void note_write(const char *path, str content) {
    char hash[65];
    text all = {0};
    hash_hex(content.p, content.n, hash);
    text_add(&all, content.p, content.n);
    text_printf(&all, "%s\n", hash);
    (void)file_write(path, all.p, all.n, NULL); /* only a memory of what can be read again */
    text_free(&all);
}

/* Where PATH is remembered, and how it looks now: everything but the hash at the end. */
static int describe(text *out, char note[4200], const char *path, const char *cache_folder) {
    file_stamp s;
    char full[4096], name[65];
    if (!cache_folder || !file_stamp_get(&s, path) || !path_resolve(full, path)) return 0;
    if (clock_wall_seconds() - (double)(s.mtime_ns > s.ctime_ns ? s.mtime_ns : s.ctime_ns) * 1e-9 <
        SETTLED_SECONDS)
        return 0;
    hash_hex(full, strlen(full), name);
    if ((size_t)snprintf(note, 4200, "%s/%.32s.source", cache_folder, name) >= 4200) return 0;
    text_printf(out, "%s\n%lld %lld %lld %llu %llu\n", full, (long long)s.bytes, (long long)s.mtime_ns,
                (long long)s.ctime_ns, (unsigned long long)s.inode, (unsigned long long)s.device);
    return 1;
}

void source_remember(const char *path, const char *cache_folder, const char *hash) {
    text content = {0};
    char note[4200];
    if (describe(&content, note, path, cache_folder)) {
        text_str(&content, hash);
        note_write(note, (str){content.p, content.n});
    }
    text_free(&content);
}

/* 1 and the hash where the file looks as it did when it was hashed. */
static int recall(char out[65], const char *path, const char *cache_folder) {
    text now = {0};
    char note[4200];
    str then;
    arena *a = arena_new("source note");
    const int known = describe(&now, note, path, cache_folder) && note_read(&then, a, note) &&
                      then.n == now.n + 64 && !memcmp(then.p, now.p, now.n);
    if (known) {
        memcpy(out, then.p + now.n, 64);
        out[64] = 0;
    }
    arena_free(a);
    text_free(&now);
    return known;
}

hone_status source_hash(char out[65], const char *path, const char *cache_folder, hone_err *err) {
    if (recall(out, path, cache_folder)) return HONE_OK;
    file_stamp before, after;
    const int regular = file_stamp_get(&before, path);
    HONE_TRY(source_hash_file(out, path, err));
    if (regular && file_stamp_get(&after, path) && !memcmp(&before, &after, sizeof before))
        source_remember(path, cache_folder, out);
    return HONE_OK;
}
