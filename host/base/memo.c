/* memo.c - lines "checksum bytes key": CRC-32C of the rest in hex, the value in hex, the key to the end of the line. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/memo.h"
#include "base/err.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/host.h"

#define FILE_NAME "measured.txt"
#define MAX_FILE_BYTES ((size_t)4 << 20)
#define MAX_KEY_BYTES 500

static pthread_mutex_t guard = PTHREAD_MUTEX_INITIALIZER;
static text in_use; /* lines; of two of one key the later one counts */

/* The line at p, without its newline; "" at the end of n bytes or where the last line has no newline. */
static str line_at(const char *p, size_t n) {
    const char *end = n ? memchr(p, '\n', n) : NULL;
    return end ? (str){p, (size_t)(end - p)} : (str){p, 0};
}

static int digit_of(char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* 1 if a line is whole: *value its hex digits, *key the rest. */
static int split(str line, str *value, str *key) {
    char sum[9];
    if (line.n < 12 || line.p[8] != ' ') return 0;
    snprintf(sum, sizeof sum, "%08x", crc32c(0, line.p + 9, line.n - 9));
    const char *space = memchr(line.p + 9, ' ', line.n - 9);
    if (memcmp(sum, line.p, 8) || !space) return 0;
    *value = (str){line.p + 9, (size_t)(space - line.p) - 9};
    *key = (str){space + 1, line.n - (size_t)(space + 1 - line.p)};
    for (size_t i = 0; i < value->n; i++)
        if (digit_of(value->p[i]) < 0) return 0;
    return value->n % 2 == 0 && value->n <= 2 * (size_t)MEMO_MAX_BYTES && key->n > 0 &&
           key->n <= MAX_KEY_BYTES;
}

/* The newest line of a key with n bytes. */
static int find(str *found, const char *lines, size_t n_lines, const char *key, size_t n) {
    str value, name;
    int is_found = 0;
    for (size_t at = 0; at < n_lines;) {
        const str line = line_at(lines + at, n_lines - at);
        if (split(line, &value, &name) && str_is(name, key) && value.n == 2 * n) is_found = 1, *found = line;
        at += line.n + 1;
    }
    return is_found;
}

static void add_line(text *to, str line) {
    text_add(to, line.p, line.n);
    text_add(to, "\n", 1);
}

static const char *file_path(arena *a) { return path_join(a, env_cache_folder(), FILE_NAME); }

static str read_file(arena *a) {
    hone_err ignored = {0};
    str all = {0};
    const char *path = file_path(a);
    if (!file_is_regular(path) || file_read(&all, a, path, MAX_FILE_BYTES, HONE_EDAMAGED, &ignored))
        return (str){0};
    return all;
}

int memo_get(const char *key, void *bytes, size_t n) {
    str line, value, name;
    arena *a = arena_new("memo");
    pthread_mutex_lock(&guard);
    int found = find(&line, in_use.p, in_use.n, key, n);
    if (!found) {
        const str all = read_file(a);
        found = find(&line, all.p, all.n, key, n);
        if (found) add_line(&in_use, line);
    }
    if (found && split(line, &value, &name))
        for (size_t i = 0; i < n; i++)
            ((unsigned char *)bytes)[i] =
                (unsigned char)(digit_of(value.p[2 * i]) << 4 | digit_of(value.p[2 * i + 1]));
    pthread_mutex_unlock(&guard);
    arena_free(a);
    return found;
}

/* The file with the line in place of those of its key: written anew, so a reader sees all or nothing of it. */
static hone_status write_file(str line, hone_err *err) {
    str value, name, mine;
    text anew = {0};
    arena *a = arena_new("memo");
    file_lock *lock = NULL;
    hone_status status = folder_make(env_cache_folder(), err);
    if (!status) status = file_lock_wait(&lock, path_join(a, env_cache_folder(), FILE_NAME ".lock"), err);
    if (!status) {
        const str all = read_file(a);
        split(line, &value, &mine);
        for (size_t at = 0; at < all.n;) {
            const str old = line_at(all.p + at, all.n - at);
            if (split(old, &value, &name) && !str_eq(name, mine)) add_line(&anew, old);
            at += old.n + 1;
        }
        add_line(&anew, line);
        status = file_write(file_path(a), anew.p, anew.n, err);
    }
    file_lock_close(lock);
    text_free(&anew);
    arena_free(a);
    return status;
}

void memo_put(const char *key, const void *bytes, size_t n) {
    const size_t n_key = strlen(key);
    HONE_ASSERT(n <= MEMO_MAX_BYTES && n_key > 0 && n_key <= MAX_KEY_BYTES && !strchr(key, '\n'));
    text rest = {0}, line = {0};
    for (size_t i = 0; i < n; i++) text_printf(&rest, "%02x", ((const unsigned char *)bytes)[i]);
    text_printf(&rest, " %s", key);
    text_printf(&line, "%08x %s", crc32c(0, rest.p, rest.n), rest.p);
    hone_err err = {0};
    pthread_mutex_lock(&guard);
    add_line(&in_use, (str){line.p, line.n});
    if (write_file((str){line.p, line.n}, &err)) log_debug("what was measured is not kept: %s", err.text);
    pthread_mutex_unlock(&guard);
    text_free(&rest);
    text_free(&line);
}

void memo_print(text *out) {
    pthread_mutex_lock(&guard);
    if (in_use.n) text_add(out, in_use.p, in_use.n);
    pthread_mutex_unlock(&guard);
}

int memo_read(const char *lines, size_t n) {
    str value, name;
    int n_whole = 0;
    pthread_mutex_lock(&guard);
    for (size_t at = 0; at < n;) {
        const str line = line_at(lines + at, n - at);
        if (split(line, &value, &name)) add_line(&in_use, line), n_whole++;
        at += line.n + 1;
    }
    pthread_mutex_unlock(&guard);
    return n_whole;
}

int memo_since(size_t from, char *key, size_t key_bytes) {
    str value, name;
    int n = 0;
    pthread_mutex_lock(&guard);
    for (size_t at = from; at < in_use.n;) {
        const str line = line_at(in_use.p + at, in_use.n - at);
        if (split(line, &value, &name) && !n++) snprintf(key, key_bytes, "%.*s", (int)name.n, name.p);
        at += line.n + 1;
    }
    pthread_mutex_unlock(&guard);
    return n;
}
