/* sample.h - small models for the tests of the plan, described in one struct. */
#ifndef SAMPLE_H
#define SAMPLE_H
#include "plan/build.h"
#include "player.h"

typedef struct {
    const char *family; /* bert, distilbert, gpt2; NULL: bert. before, gated: no family that is read yet, but bert
                         * with norms before the branches, and with a gated feed-forward */
    int layers, width, heads, inner, vocab, positions, outputs; /* 0: a small number */
    double p;                                                   /* every dropout */
    head_kind kind;
    int pool_first; /* of an embedding */
    int weighted; /* classes have weights */
    double smoothing;
    const char *freeze; /* one pattern or NULL */
    int64_t chunk_rows; /* of a head of words */
    int accumulation, tokens, seqs;
    hone_dtype dtype;
    int no_narrow, no_pack, no_fuse, recompute, eval_only;
    int plain_norms; /* by a device whose norms are norms and no more, as a library's are */
    int cached, moves; /* of a decoder */
    size_t budget;
} sample;

model_config *sample_config(const sample *s);
plan_options sample_options(const sample *s, const model_config *config);
/* The plan; the test fails if there is none. */
hone_plan *sample_plan(const sample *s);
/* A player with weights from seed 5. */
player *sample_player(const hone_plan *plan, int own);
/* The batch that fits the sample, its scale 1 / sequences. */
batch sample_batch(const sample *s, int n, int longest);
const hone_device_v1 *sample_device(void);
#endif
