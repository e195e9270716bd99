/* player.h - plays a plan's programs on the device ref, one call after another, in plain memory.
 *
 * Storage is either one slab a class as the plan laid it out, or, with `own`, a piece of memory for every
 * value that holds activations or results: then nothing shares a place with anything. Either is filled with
 * NaN before a program is played, so what is read before it is written shows in the loss. */
#ifndef PLAYER_H
#define PLAYER_H
#include "hone/plan.h"

typedef struct {
    const hone_plan *plan;
    const hone_device_v1 *device;
    int own;
    char *slab[HONE_N_CLASSES];
    char **storage; /* own: by root value */
    size_t *bytes;  /* of that, 0 where it is another value's */
} player;

player *player_open(const hone_plan *plan, int own);
void player_close(player *p);

/* Address of a value; slot counts for GRAD only. */
void *player_at(const player *p, int value, int slot);
/* Where the gradient of a parameter lies. */
void *player_gradient(const player *p, int param, int slot);
int64_t player_elements(const player *p, int value);

/* Weights by name and element from a seed, so that plans of unlike layout get the same; the tick as a run
 * begins. */
void player_begin(player *p, unsigned seed);

/* rows[space]: rows played; NULL: capacity. */
void player_play(player *p, hone_program_kind program, int slot, const int64_t *rows);

/* ---- batches ---- */
#define BATCH_MAX 8
#define LENGTH_MAX 16
typedef struct {
    int n, length[BATCH_MAX];
    int32_t id[BATCH_MAX][LENGTH_MAX], type[BATCH_MAX][LENGTH_MAX], label[BATCH_MAX];
    double target[BATCH_MAX], scale;
    uint32_t sample[BATCH_MAX];
    int looks_at_last; /* a head of sequences reads the last row of each instead of the first */
} batch;

/* n sequences of 1 .. longest rows; samples are numbered from first. */
void batch_make(batch *b, int n, int longest, int vocab, int classes, unsigned first, double scale);
/* Samples from .. from + n of b. */
batch batch_part(const batch *b, int from, int n);
/* Fill the images of all INPUT values; rows[1 .. n_spaces] become the counts. */
void player_feed(player *p, const batch *b, int64_t *rows);
#endif
