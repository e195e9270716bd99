/* safetensors_write.c - the writer: header first, then bytes in the header's order. */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "model/safetensors.h"

struct safetensors_writer {
    arena *a;
    file_writer *file;
    const tensor_form *form;
    int *order, n, at; /* order[at]: the tensor being written */
    size_t left;       /* bytes still missing of it */
};

static size_t form_bytes(const tensor_form *f) {
    size_t bytes = stored_type_bytes(f->type);
    for (int d = 0; d < f->n_dims; d++)
        HONE_ASSERT(f->dim[d] >= 0 && size_mul(bytes, (size_t)f->dim[d], &bytes));
    return bytes;
}

typedef struct {
    const tensor_form *form;
    int index;
} ranked;

static int compare_forms(const void *a, const void *b) {
    const tensor_form *x = ((const ranked *)a)->form, *y = ((const ranked *)b)->form;
    return x->type != y->type ? (int)y->type - (int)x->type : strcmp(x->name, y->name);
}

static int *order_forms(arena *a, const tensor_form *form, int n) {
    ranked *rank = ARENA_ARRAY(a, (size_t)n, ranked);
    int *order = ARENA_ARRAY(a, (size_t)n, int);
    for (int i = 0; i < n; i++) rank[i] = (ranked){&form[i], i};
    if (n) qsort(rank, (size_t)n, sizeof *rank, compare_forms);
    for (int i = 0; i < n; i++) {
        HONE_ASSERT(i == 0 || strcmp(rank[i].form->name, rank[i - 1].form->name));
        order[i] = rank[i].index;
    }
    return order;
}

static void print_header(text *t, const safetensors_writer *w, const metadata_pair *extra, int n_extra) {
    size_t at = 0;
    text_str(t, "{\"__metadata__\":{\"format\":\"pt\"");
    for (int i = 0; i < n_extra; i++) {
        text_str(t, ",");
        text_json(t, extra[i].key.p, extra[i].key.n);
        text_str(t, ":");
        text_json(t, extra[i].value.p, extra[i].value.n);
    }
    text_str(t, "}");
    for (int i = 0; i < w->n; i++) {
        const tensor_form *f = &w->form[w->order[i]];
        const size_t bytes = form_bytes(f);
        text_str(t, ",");
        text_json(t, f->name, strlen(f->name));
        text_printf(t, ":{\"dtype\":\"%s\",\"shape\":[", stored_type_name(f->type));
        for (int d = 0; d < f->n_dims; d++) text_printf(t, d ? ",%lld" : "%lld", (long long)f->dim[d]);
        text_printf(t, "],\"data_offsets\":[%zu,%zu]}", at, at + bytes);
        HONE_ASSERT(size_add(at, bytes, &at));
    }
    text_str(t, "}");
    while (t->n % 8) text_str(t, " ");
}

/* Skip tensors that have no bytes. */
static void next_tensor(safetensors_writer *w) {
    while (w->at < w->n && (w->left = form_bytes(&w->form[w->order[w->at]])) == 0) w->at++;
}

hone_status safetensors_begin(safetensors_writer **out, const char *path, const tensor_form *form, int n,
                              const metadata_pair *extra, int n_extra, hone_err *err) {
    arena *a = arena_new("safetensors writer");
    safetensors_writer *w = ARENA_NEW(a, safetensors_writer);
    tensor_form *copy = ARENA_ARRAY(a, (size_t)n, tensor_form);
    text header = {0};
    unsigned char length[8];
    for (int i = 0; i < n; i++) {
        copy[i] = form[i];
        copy[i].name = arena_copy(a, form[i].name, strlen(form[i].name));
    }
    w->a = a;
    w->n = n;
    w->form = copy;
    w->order = order_forms(a, copy, n);
    print_header(&header, w, extra, n_extra);
    HONE_ASSERT(header.n <= SAFETENSORS_MAX_HEADER);
    for (int i = 0; i < 8; i++) length[i] = (unsigned char)((uint64_t)header.n >> 8 * i);
    hone_status status = file_write_begin(&w->file, path, err);
    if (!status) status = file_write_add(w->file, length, 8, err);
    if (!status) status = file_write_add(w->file, header.p, header.n, err);
    text_free(&header);
    if (status) {
        safetensors_abort(w);
        return status;
    }
    next_tensor(w);
    *out = w;
    return HONE_OK;
}

int safetensors_next(const safetensors_writer *w) { return w->at < w->n ? w->order[w->at] : -1; }

hone_status safetensors_add(safetensors_writer *w, const void *p, size_t bytes, hone_err *err) {
    HONE_ASSERT(w->at < w->n && bytes <= w->left);
    HONE_TRY(file_write_add(w->file, p, bytes, err));
    w->left -= bytes;
    if (w->left == 0) {
        w->at++;
        next_tensor(w);
    }
    return HONE_OK;
}

hone_status safetensors_end(safetensors_writer *w, char sha256_hex[65], hone_err *err) {
    HONE_ASSERT(w->at == w->n);
    const hone_status status = file_write_end(w->file, sha256_hex, err);
    arena_free(w->a);
    return status;
}

void safetensors_abort(safetensors_writer *w) {
    if (!w) return;
    file_write_abort(w->file);
    arena_free(w->a);
}
