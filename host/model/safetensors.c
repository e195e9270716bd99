/* safetensors.c - opening a file of weights: what it is, and whether its spans tile its data. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/table.h"
#include "model/safetensors_header.h"

#define HEAD_BYTES ((size_t)1024) /* by which another kind of file is told */

static int starts_with(const char *p, size_t n, const char *want) {
    const size_t length = strlen(want);
    if (n < length) return 0;
    for (size_t i = 0; i < length; i++) {
        const char c = p[i];
        if ((c >= 'A' && c <= 'Z' ? c | 0x20 : c) != want[i]) return 0;
    }
    return 1;
}

/* The text behind "KEY " on a line of a Git LFS pointer. */
static str pointer_field(const char *p, size_t n, const char *key) {
    const size_t length = strlen(key);
    for (size_t i = 0; i + length < n; i++) {
        if (memcmp(p + i, key, length) || (i && p[i - 1] != '\n')) continue;
        size_t end = i + length;
        while (end < n && p[end] != '\n' && p[end] != '\r') end++;
        return (str){p + i + length, end - i - length};
    }
    return (str){"", 0};
}

static hone_status refuse_pointer(const char *path, const char *p, size_t n, hone_err *err) {
    if (n > 1024) n = 1024;
    const str oid = pointer_field(p, n, "oid "), size = pointer_field(p, n, "size ");
    char shown[100], bytes[24] = "unknown";
    int64_t size_bytes;
    if (str_to_int64(size, &size_bytes) && size_bytes >= 0) bytes_text(bytes, (double)size_bytes);
    hone_fail(err, HONE_EDAMAGED, "%s: this is a Git LFS pointer (oid %s, size %s), not the weights", path,
              text_escape(shown, sizeof shown, oid.p, oid.n), bytes);
    return hone_hint(err, "run git lfs pull in that checkout, or download the file itself");
}

hone_status safetensors_recognise(const char *path, const char *p, size_t n, hone_err *err) {
    size_t at = n >= 3 && !memcmp(p, "\xef\xbb\xbf", 3) ? 3 : 0;
    while (at < n && at < 64 && strchr(" \t\r\n", p[at]) && p[at]) at++;
    if (starts_with(p, n, "version https://git-lfs")) return refuse_pointer(path, p, n, err);
    if (starts_with(p + at, n - at, "<!doctype") || starts_with(p + at, n - at, "<html") ||
        starts_with(p + at, n - at, "<?xml")) {
        char shown[16];
        size_t end = at;
        while (end < n && end - at < 9 && p[end] != ' ' && p[end] != '>') end++;
        hone_fail(err, HONE_EDAMAGED, "%s: looks like HTML (\"%s\"), not like weights", path,
                  text_escape(shown, sizeof shown, p + at, end - at));
        return hone_hint(err, "a download that failed and saved the error page? Fetch the file again");
    }
    const int zip = n >= 4 && !memcmp(p, "PK\x03\x04", 4),
              pickle = n >= 2 && (unsigned char)p[0] == 0x80 && p[1] >= 2 && p[1] <= 5;
    /* A header of 0x280 to 0x580 bytes could begin like a pickle, but '{' stands behind its length. */
    if (zip || (pickle && !(n > 8 && p[8] == '{'))) {
        hone_fail(err, HONE_EDAMAGED,
                  "%s: content is a %s, not safetensors: loading it can run code, refused", path,
                  zip ? "zip (as torch.save writes)" : "pickle");
        return hone_hint(err, "ask for model.safetensors, or convert it where you trust it");
    }
    if (n >= 4 && !memcmp(p, "GGUF", 4))
        return hone_fail(err, HONE_EDAMAGED, "%s: content is GGUF, expected safetensors", path);
    return HONE_OK;
}

static char *show_name(char *out, size_t out_bytes, const stored_tensor *t) {
    return text_escape(out, out_bytes, t->name, strlen(t->name));
}

/* Elements and bytes of a tensor from its shape, and whether its span is as long. */
static hone_status check_extent(const safetensors *s, stored_tensor *t, hone_err *err) {
    char shown[120], form[200];
    size_t n = 1, bytes;
    int empty = 0;
    for (int d = 0; d < t->n_dims; d++) {
        if (t->dim[d] == 0) empty = 1;
        else if (!size_mul(n, (size_t)t->dim[d], &n))
            n = SIZE_MAX; /* refused even where another extent is 0 */
        if (n > INT64_MAX)
            return hone_fail(err, HONE_EDAMAGED, "%s: \"%s\": %s: its shape overflows", s->path,
                             show_name(shown, sizeof shown, t), stored_form(form, sizeof form, t));
    }
    if (!size_mul(n, stored_type_bytes(t->type), &bytes))
        return hone_fail(err, HONE_EDAMAGED, "%s: \"%s\": %s: its shape overflows", s->path,
                         show_name(shown, sizeof shown, t), stored_form(form, sizeof form, t));
    if (empty) n = bytes = 0;
    t->n = (int64_t)n;
    if (bytes != t->end - t->begin)
        return hone_fail(err, HONE_EDAMAGED, "%s: \"%s\": %s needs %zu bytes, offsets give %zu", s->path,
                         show_name(shown, sizeof shown, t), stored_form(form, sizeof form, t), bytes,
                         t->end - t->begin);
    return HONE_OK;
}

static int compare_spans(const void *a, const void *b) {
    const stored_tensor *x = *(const stored_tensor *const *)a, *y = *(const stored_tensor *const *)b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end);
}

/* The spans, in the order of the file, must tile it. */
static hone_status check_tiles(safetensors *s, size_t data_bytes, hone_err *err) {
    char shown[120], other[120];
    size_t reached = 0;
    const stored_tensor **order = ARENA_ARRAY(s->a, (size_t)s->n, const stored_tensor *);
    for (int i = 0; i < s->n; i++) order[i] = &s->tensor[i];
    if (s->n) qsort(order, (size_t)s->n, sizeof *order, compare_spans);
    for (int i = 0; i < s->n; i++) {
        const stored_tensor *t = order[i];
        show_name(shown, sizeof shown, t);
        if (t->begin < reached)
            return hone_fail(err, HONE_EDAMAGED, "%s: \"%s\": bytes %zu-%zu overlap \"%s\"", s->path, shown,
                             t->begin, t->end < reached ? t->end : reached,
                             show_name(other, sizeof other, order[i - 1]));
        if (t->begin > reached)
            return hone_fail(err, HONE_EDAMAGED,
                             "%s: bytes %zu-%zu belong to no tensor; \"%s\" begins after them", s->path,
                             reached, t->begin, shown);
        if (t->end > data_bytes) {
            hone_fail(err, HONE_EDAMAGED, "%s: \"%s\": bytes %zu-%zu go beyond the %zu bytes of data",
                      s->path, shown, t->begin, t->end, data_bytes);
            return hone_hint(err, "the file was cut short: fetch it again");
        }
        reached = t->end;
    }
    if (reached != data_bytes)
        return hone_fail(err, HONE_EDAMAGED,
                         "%s: bytes %zu-%zu belong to no tensor; expected the file to end there", s->path,
                         reached, data_bytes);
    return HONE_OK;
}

static uint64_t header_length(const char *p) {
    uint64_t length = 0;
    for (int i = 7; i >= 0; i--) length = length << 8 | (unsigned char)p[i];
    return length;
}

hone_status safetensors_check(safetensors *s, hone_err *err) {
    const char *p = s->head;
    const size_t n = s->bytes;
    if (n < 8)
        return hone_fail(err, HONE_EDAMAGED, "%s: byte 0: file has %zu bytes, a header needs at least 8",
                         s->path, n);
    HONE_TRY(safetensors_recognise(s->path, p, n < HEAD_BYTES ? n : HEAD_BYTES, err));
    const uint64_t length = header_length(p);
    if (length > SAFETENSORS_MAX_HEADER)
        return hone_fail(err, HONE_EDAMAGED, "%s: byte 0: header length %llu above the limit %u", s->path,
                         (unsigned long long)length, SAFETENSORS_MAX_HEADER);
    if (length > n - 8)
        return hone_fail(err, HONE_EDAMAGED,
                         "%s: byte 0: header length %llu exceeds the %zu bytes that follow", s->path,
                         (unsigned long long)length, n - 8);
    s->header_bytes = (size_t)length;
    s->data_at = 8 + s->header_bytes;
    HONE_TRY(header_read(s, p + 8, s->header_bytes, err));
    for (int i = 0; i < s->n; i++) HONE_TRY(check_extent(s, &s->tensor[i], err));
    return check_tiles(s, n - s->data_at, err);
}

/* The header, and at least as much as tells what else the file may be. */
static hone_status read_head(safetensors *s, hone_err *err) {
    char first[8] = {0};
    s->bytes = file_reader_bytes(s->reader);
    size_t n = s->bytes < HEAD_BYTES ? s->bytes : HEAD_BYTES;
    HONE_TRY(file_reader_get(s->reader, 0, first, n < 8 ? n : 8, err));
    const uint64_t length = header_length(first);
    if (length <= SAFETENSORS_MAX_HEADER && s->bytes >= 8 && length <= s->bytes - 8 && n < 8 + length)
        n = 8 + (size_t)length;
    char *head = arena_alloc(s->a, n + 1);
    s->head = head;
    return file_reader_get(s->reader, 0, head, n, err);
}

hone_status safetensors_open(safetensors **out, const char *path, hone_err *err) {
    arena *a = arena_new("safetensors header");
    safetensors *s = ARENA_NEW(a, safetensors);
    s->a = a;
    s->path = arena_copy(a, path, strlen(path));
    file_stamp_get(&s->stamp, path);
    hone_status status = file_reader_open(&s->reader, path, HONE_EDAMAGED, err);
    if (!status) status = read_head(s, err);
    if (!status) status = safetensors_check(s, err);
    if (status) {
        safetensors_close(s);
        return status;
    }
    *out = s;
    return HONE_OK;
}

void safetensors_close(safetensors *s) {
    if (!s) return;
    file_reader_close(s->reader);
    arena_free(s->a);
}

const stored_tensor *safetensors_find(const safetensors *s, const char *name) {
    const int i = names_find(s->names, name);
    return i < 0 ? NULL : &s->tensor[i];
}

hone_status safetensors_unchanged(const safetensors *s, hone_err *err) {
    file_stamp now = {0};
    char was[24], is[24];
    const int there = file_stamp_get(&now, s->path);
    if (there && now.bytes == s->stamp.bytes && now.mtime_ns == s->stamp.mtime_ns &&
        now.inode == s->stamp.inode && now.device == s->stamp.device)
        return HONE_OK;
    bytes_text(was, (double)s->stamp.bytes);
    bytes_text(is, (double)now.bytes);
    if (!there) return hone_fail(err, HONE_EDAMAGED, "%s: vanished during load", s->path);
    return hone_fail(err, HONE_EDAMAGED, "%s: changed during load (size %s, now %s)", s->path, was, is);
}

hone_status safetensors_read(const safetensors *s, const stored_tensor *t, size_t at, void *to, size_t n,
                             hone_err *err) {
    HONE_ASSERT(at <= t->end - t->begin && n <= t->end - t->begin - at);
    const hone_status status = file_reader_get(s->reader, s->data_at + t->begin + at, to, n, err);
    if (status != HONE_EDAMAGED) return status;
    const hone_status why = safetensors_unchanged(s, err); /* says from how many bytes to how many */
    return why ? why : status;
}

hone_status safetensors_floats(const safetensors *s, const stored_tensor *t, int64_t first, int64_t n,
                               float *to, hone_err *err) {
    enum { PIECE = 32768 };
    _Alignas(8) char raw[PIECE];
    const size_t size = stored_type_bytes(t->type);
    HONE_ASSERT(first >= 0 && n >= 0 && first <= t->n && n <= t->n - first);
    if (t->type == STORED_F32) return safetensors_read(s, t, (size_t)first * 4, to, (size_t)n * 4, err);
    while (n > 0) {
        const int64_t k = n < PIECE / (int64_t)size ? n : PIECE / (int64_t)size;
        HONE_TRY(safetensors_read(s, t, (size_t)first * size, raw, (size_t)k * size, err));
        stored_to_float(to, raw, t->type, k);
        first += k;
        to += k;
        n -= k;
    }
    return HONE_OK;
}
