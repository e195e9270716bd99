/* weights.h - the weights of a model folder: model.safetensors, or the shards that an index names. */
#ifndef MODEL_WEIGHTS_H
#define MODEL_WEIGHTS_H
#include "model/safetensors.h"

typedef struct {
    arena *a;
    const char *folder;
    safetensors **file;
    int n_files;
    const stored_tensor **tensor; /* of all files, in the order of files and headers */
    const safetensors **of;       /* the file of each */
    int n;
    name_index *names;
} weights;

/* Open FOLDER's weights (or PATH itself, a .safetensors file). Every shard is opened and checked, the index
 * against them. HONE_EDAMAGED: damaged, hostile or absent; a folder with only pytorch_model.bin is refused
 * with its reason. */
hone_status weights_open(weights **out, const char *folder, hone_err *err);
void weights_close(weights *w);                       /* NULL is fine */
int weights_find(const weights *w, const char *name); /* index into tensor; -1: none */
hone_status weights_unchanged(const weights *w, hone_err *err);

/* Path of a file of a model folder, *out NULL if it has none of that name. A link is followed only if it ends
 * inside the folder, or inside the repository of the hub's cache that the folder is a snapshot of
 * (snapshots/REVISION beside blobs/). HONE_EDAMAGED: it leads elsewhere, or to what is no regular file. */
hone_status model_file(const char **out, arena *a, const char *folder, const char *name, hone_err *err);
#endif
