/* vocab.c - a hash table of borrowed tokens, and the plain file of them. */
#include <string.h>

#include "text/vocab.h"
#include "base/err.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/host.h"

#define FILE_MAX ((size_t)256 << 20)

static void rehash(vocab *v, arena *a, int n_slots) {
    v->slot = ARENA_ARRAY(a, (size_t)n_slots, int32_t);
    v->n_slots = n_slots;
    for (int id = 0; id < v->n; id++) {
        if (!v->token[id].p) continue;
        size_t h = hash64(v->token[id].p, v->token[id].n, 0) & (size_t)(n_slots - 1);
        while (v->slot[h]) h = (h + 1) & (size_t)(n_slots - 1);
        v->slot[h] = id + 1;
    }
}

void vocab_init(vocab *v, arena *a, int n_expected) {
    memset(v, 0, sizeof *v);
    v->cap = n_expected + 64;
    v->token = ARENA_ARRAY(a, (size_t)v->cap, str);
    int n_slots = 1024;
    while (n_slots < 4 * v->cap) n_slots *= 2;
    rehash(v, a, n_slots);
}

int vocab_find(const vocab *v, const char *p, size_t n) {
    const size_t mask = (size_t)(v->n_slots - 1);
    for (size_t h = hash64(p, n, 0) & mask;; h = (h + 1) & mask) {
        const int32_t id = v->slot[h] - 1;
        if (id < 0) return -1;
        if (v->token[id].n == n && !memcmp(v->token[id].p, p, n)) return id;
    }
}

int vocab_add(vocab *v, arena *a, str token, int id, int *clash) {
    const int same = vocab_find(v, token.p, token.n);
    if (same >= 0) return *clash = same, 0;
    if (id < v->n && v->token[id].p) return *clash = id, 0;
    if (id >= v->cap) {
        const int cap = 2 * id + 64;
        str *more = ARENA_ARRAY(a, (size_t)cap, str);
        memcpy(more, v->token, sizeof *more * (size_t)v->n);
        v->token = more;
        v->cap = cap;
        int n_slots = v->n_slots;
        while (n_slots < 4 * cap) n_slots *= 2;
        rehash(v, a, n_slots);
    }
    v->token[id] = token.p ? token : (str){"", 0};
    if (id >= v->n) v->n = id + 1;
    if ((int)token.n > v->longest) v->longest = (int)token.n;
    size_t h = hash64(token.p, token.n, 0) & (size_t)(v->n_slots - 1);
    while (v->slot[h]) h = (h + 1) & (size_t)(v->n_slots - 1);
    v->slot[h] = id + 1;
    return 1;
}

hone_status vocab_read(vocab *v, arena *a, const char *path, hone_err *err) {
    str s;
    size_t bad, n_lines = 1;
    HONE_TRY(file_read(&s, a, path, FILE_MAX, HONE_EUSAGE, err));
    if (s.n >= 3 && !memcmp(s.p, "\xef\xbb\xbf", 3)) {
        log_note("%s: a byte order mark is passed over", path);
        s.p += 3, s.n -= 3;
    }
    if (!utf8_valid(s.p, s.n, &bad))
        return hone_fail(err, HONE_EUSAGE, "%s: byte %zu: invalid UTF-8", path, bad);
    for (size_t i = 0; i < s.n; i++) n_lines += s.p[i] == '\n';
    if (n_lines > VOCAB_MAX)
        return hone_fail(err, HONE_EUSAGE, "%s: %zu lines, expected at most %d", path, n_lines, VOCAB_MAX);
    vocab_init(v, a, (int)n_lines);
    int line = 0, crlf = 0, clash;
    for (size_t from = 0; from < s.n; line++) {
        const char *end = memchr(s.p + from, '\n', s.n - from);
        const size_t to = end ? (size_t)(end - s.p) : s.n;
        str token = {s.p + from, to - from};
        if (token.n && token.p[token.n - 1] == '\r') token.n--, crlf = 1;
        from = to + 1;
        if (!token.n)
            return hone_fail(err, HONE_EUSAGE, "%s: line %d: empty, expected a token", path, line + 1);
        if (!vocab_add(v, a, token, line, &clash)) {
            char safe[96];
            return hone_fail(err, HONE_EUSAGE, "%s: line %d: \"%s\" given twice, first in line %d", path,
                             line + 1, text_escape(safe, sizeof safe, token.p, token.n), clash + 1);
        }
    }
    if (crlf) log_note("%s: lines end with CRLF, which is read as LF", path);
    return line ? HONE_OK : hone_fail(err, HONE_EUSAGE, "%s: no tokens", path);
}
