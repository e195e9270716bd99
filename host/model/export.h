/* export.h - the folder handed back: config.json, weights, tokenizer, card, as transformers reads and writes
 * them. Of a class that continues texts generation_config.json too: that of tokenizer_folder, or the ids of config.json.
 *
 * Files appear whole (file.h). The weights are streamed to their temporary name first, the small files
 * follow, and the weights take their final name last: a folder with model.safetensors in it is complete. Into
 * a folder that has an older model the same order leaves a moment, between the small files and the last
 * rename, in which a reader may see new labels beside old weights; write into a fresh folder where somebody
 * may be reading. */
#ifndef MODEL_EXPORT_H
#define MODEL_EXPORT_H
#include "model/card.h"
#include "model/config.h"
#include "model/params.h"

/* The fp32 values of parameter i into to [product of its dims]. */
typedef hone_status params_get(void *from, int i, float *to, hone_err *err);

typedef struct {
    const model_config
        *config; /* of the model it was made from: what it says and hone does not change is kept */
    const char *architecture; /* NULL: the family's class for categories */
    const str *label;         /* NULL: the config's, or LABEL_0 ... */
    int n_labels;
    const char *problem_type; /* NULL: single_label_classification, or regression where n_labels is 1 */
    const param_want *param;  /* names as the folder has them, and shapes */
    int n_params;
    params_get *get;
    void *from;
    const char *tokenizer_folder; /* NULL: no tokenizer files */
    int end_id;                   /* causal families: the token that closes a text; -1: not known */
    const char *generation;       /* JSON object whose members replace those of generation_config.json; NULL: none */
    const card *card;             /* NULL: no README.md */
} export_model;

/* Write the folder (made if missing). sha256_hex (or NULL): of model.safetensors.
 *   HONE_EUSAGE  two labels are the same, or the tokenizer cannot be made; HONE_ESTORAGE; what get returns */
hone_status export_write(const export_model *m, const char *folder, char sha256_hex[65], hone_err *err);

/* config.json's text alone. */
hone_status export_config(const export_model *m, text *out, hone_err *err);
#endif
