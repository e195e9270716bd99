/* safetensors.h - the file format of weights: an 8-byte length, a JSON header, the tensors' bytes.
 *
 * The reader believes nothing: the header is read by a parser of its own (it names the byte of every fault, and takes time and memory in proportion to the header), spans must tile the data without
 * hole or overlap, and a tensor's span must be what its shape and type need. Every refusal is HONE_EDAMAGED.
 * Nothing but the header is read until somebody asks for the numbers, and then by reads that may come back
 * short: a mapped file that is cut short would be a signal. Format:
 * https://github.com/huggingface/safetensors#format */
#ifndef MODEL_SAFETENSORS_H
#define MODEL_SAFETENSORS_H
#include "base/file.h"
#include "base/stamp.h"
#include "model/names.h"

/* ORDER: as the reference writer sorts types, smallest first. */
#define STORED_TYPE_MAP(XX)                                                                                  \
    XX(STORED_BOOL, "BOOL", 1)                                                                               \
    XX(STORED_U8, "U8", 1)                                                                                   \
    XX(STORED_I8, "I8", 1)                                                                                   \
    XX(STORED_I16, "I16", 2)                                                                                 \
    XX(STORED_U16, "U16", 2)                                                                                 \
    XX(STORED_F16, "F16", 2)                                                                                 \
    XX(STORED_BF16, "BF16", 2)                                                                               \
    XX(STORED_I32, "I32", 4)                                                                                 \
    XX(STORED_U32, "U32", 4)                                                                                 \
    XX(STORED_F32, "F32", 4)                                                                                 \
    XX(STORED_F64, "F64", 8)                                                                                 \
    XX(STORED_I64, "I64", 8)                                                                                 \
    XX(STORED_U64, "U64", 8)
typedef enum {
#define XX(name, text, bytes) name,
    STORED_TYPE_MAP(XX)
#undef XX
        N_STORED_TYPES
} stored_type;
const char *stored_type_name(stored_type type);
size_t stored_type_bytes(stored_type type);
int stored_type_is_float(stored_type type);

#define STORED_MAX_DIMS 8
#define SAFETENSORS_MAX_HEADER 100000000u /* decimal, as the reference reader */

typedef struct {
    const char *name; /* UTF-8 without NUL, otherwise anything: escape it before it is shown */
    stored_type type;
    int n_dims;         /* 0 is legal: one element */
    const int64_t *dim; /* [n_dims], 0 is legal */
    int64_t n;          /* elements */
    size_t begin, end;  /* bytes from the start of the data */
} stored_tensor;

typedef struct {
    str key, value;
} metadata_pair;

typedef struct {
    arena *a;
    const char *path;
    file_reader *reader; /* NULL: only bytes in memory to be checked */
    const char *head;    /* the header's length and the header */
    size_t bytes;        /* of the file */
    file_stamp stamp;
    size_t header_bytes, data_at; /* data_at = 8 + header_bytes */
    stored_tensor *tensor;        /* in the order of the header */
    int n;
    metadata_pair *metadata;
    int n_metadata;
    name_index *names;
} safetensors;

hone_status safetensors_open(safetensors **out, const char *path, hone_err *err);
void safetensors_close(safetensors *s); /* NULL is fine */
const stored_tensor *safetensors_find(const safetensors *s, const char *name);
/* HONE_EDAMAGED if the file is no longer the one that was opened: to be asked once its numbers were
 * taken. */
hone_status safetensors_unchanged(const safetensors *s, hone_err *err);

/* The same checks on bytes in memory: what safetensors_open does after reading the header. s->a, s->path,
 * s->head and s->bytes are set. */
hone_status safetensors_check(safetensors *s, hone_err *err);
/* Is this some other kind of file? HONE_OK if the bytes may be safetensors; else a refusal that says what it
 * is. */
hone_status safetensors_recognise(const char *path, const char *p, size_t n, hone_err *err);

/* n bytes of a tensor of s, from its byte `at` on. */
hone_status safetensors_read(const safetensors *s, const stored_tensor *t, size_t at, void *to, size_t n,
                             hone_err *err);
/* Elements first .. first + n - 1 as fp32: exact from F32, F16, BF16; nearest from F64 and integers. */
hone_status safetensors_floats(const safetensors *s, const stored_tensor *t, int64_t first, int64_t n,
                               float *to, hone_err *err);
void stored_to_float(float *to, const void *from, stored_type type, int64_t n); /* from: of any alignment */
/* "F32 [30522,768]" */
char *stored_form(char *out, size_t out_bytes, const stored_tensor *t);

/* ---- writing
 * -------------------------------------------------------------------------------------------------*/
typedef struct {
    const char *name;
    stored_type type;
    int n_dims;
    int64_t dim[4];
} tensor_form;

/* Begin PATH (by a temporary name; see file.h) with n tensors and the metadata {"format": "pt"} and extra
 * pairs. The header is written at once, padded so that the data start on 8 bytes; tensors follow larger types
 * first, then by name, as the reference writer orders them: the caller adds the bytes of
 * form[safetensors_next(w)] until that is -1. */
typedef struct safetensors_writer safetensors_writer;
hone_status safetensors_begin(safetensors_writer **out, const char *path, const tensor_form *form, int n,
                              const metadata_pair *extra, int n_extra, hone_err *err);
int safetensors_next(const safetensors_writer *w);
/* All bytes of the tensor safetensors_next names; or a part of them: the next part follows. */
hone_status safetensors_add(safetensors_writer *w, const void *p, size_t bytes, hone_err *err);
/* Sync and rename. Frees w in any case. */
hone_status safetensors_end(safetensors_writer *w, char sha256_hex[65], hone_err *err);
void safetensors_abort(safetensors_writer *w); /* NULL is fine */
#endif
