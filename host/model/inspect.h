/* inspect.h - what a model folder holds, for `hone inspect`. */
#ifndef MODEL_INSPECT_H
#define MODEL_INSPECT_H
#include "model/config.h"
#include "model/weights.h"

typedef struct {
    const stored_tensor *tensor;
    const char *file; /* its shard's name */
    char sha256[65];  /* of its bytes as stored; "" where not asked for */
} inspected_tensor;

typedef struct {
    const char *name;
    int64_t bytes;
} inspected_file;

typedef struct {
    arena *a;
    model_config *config;
    weights *weights;
    int64_t n_parameters; /* elements of floating tensors that the body and head of its architecture take */
    int64_t n_elements;   /* of all tensors */
    size_t bytes;         /* of all tensors */
    const char *dtype;    /* "F32"; "mixed" where floating tensors differ */
    inspected_tensor *tensor;
    int n_tensors;
    inspected_file *tokenizer; /* its files */
    int n_tokenizer;
    const char *tokenizer_kind; /* "WordPiece", "BPE", ... ; NULL: none */
    int64_t tokenizer_size;     /* ids; -1 unknown */
    const char *class;          /* its own, if it has a head that is known, else the family's classifier */
    /* What training that class would do with the folder: */
    const char *made_new;       /* names, comma-separated; "" none */
    const char *const *ignored; /* tensors of other heads, buffers */
    int n_ignored;
    const char *const *unexpected;
    int n_unexpected;
    const char *problem; /* why it would not load; NULL: it would */
} inspection;

/* with_sha256: hash every tensor (reads all bytes). Fails where config or weights cannot be read at all. */
hone_status inspect_folder(inspection **out, const char *folder, int with_sha256, hone_err *err);
void inspect_free(inspection *x); /* NULL is fine */
#endif
