/* generation.h - how texts are continued: transformers' GenerationConfig, in its names and presets.
 *
 * What the command line does not say is what the job's `generation` says, else generation_config.json of the model folder,
 * else the preset. */
#ifndef TRAIN_GENERATION_H
#define TRAIN_GENERATION_H
#include "model/config.h"
#include "text/tokenizer.h"
#include "train/beams.h"

typedef enum { GENERATION_BOOL, GENERATION_INT, GENERATION_REAL, GENERATION_EARLY } generation_kind;

/* kind, name, least, most, preset, help */
#define GENERATION_MAP(XX)                                                                                                 \
    XX(INT, max_new_tokens, 1, 1048576, -1, "N: at most N new tokens; 20 where max_length is not given either.")          \
    XX(INT, max_length, 1, 1048576, -1, "N: at most N tokens with the prompt's, where max_new_tokens is not given.")       \
    XX(INT, min_new_tokens, 0, 1048576, 0, "N: no text ends by itself before N new tokens; 0.")                            \
    XX(BOOL, do_sample, 0, 1, 0, "Draw tokens by their probabilities; without it the likeliest one is taken.")             \
    XX(REAL, temperature, 1e-6, 1e6, 1, "X: logits are divided by X before drawing; 1.")                                   \
    XX(INT, top_k, 0, 1048576, 50, "N: draw from the N likeliest tokens; 0: all; 50.")                                     \
    XX(REAL, top_p, 0, 1, 1, "P: draw from the fewest likeliest tokens that have probability P together; 1.")              \
    XX(REAL, repetition_penalty, 1e-6, 1e6, 1, "X: above 1, tokens that occurred before become less likely; 1.")           \
    XX(INT, num_beams, 1, 64, 1, "N: beam search with N beams; 1: none.")                                                  \
    XX(REAL, length_penalty, -100, 100, 1, "X: beams are judged by log-probability / length ** X; 1.")                     \
    XX(EARLY, early_stopping, 0, 2, 0, "true, false or never: whether beams stop at the first num_beams ends; false.")     \
    XX(INT, num_return_sequences, 1, 64, 1, "N: texts for each prompt; 1.")                                                \
    XX(BOOL, use_cache, 0, 1, 1, "false: every step reads the whole text again, which is slow and gives the same.")

typedef struct {
#define XX(kind, name, least, most, preset, help) double name; /* help */
    GENERATION_MAP(XX)
#undef XX
    /* max_new_tokens below 0: max_length counts. */
    uint64_t seed;
    const int32_t *end; /* tokens that end a text */
    int n_ends;
    int32_t begin;      /* what an empty prompt reads as; -1: there is none */
    const str *stop;    /* strings that end a text, which do not belong to it */
    int n_stops;
} generation;

/* Presets, over them FOLDER/generation_config.json (if there; else the token ids of config.json, else the tokenizer's), over
 * these a job's object (generation_read; NULL: none), over all the values by name: value[i] of generation_name(i), NULL: not
 * given; value NULL: none is. Strings live in a. What a file asks for that hone does not play is noted once. HONE_EUSAGE: a
 * value is wrong, or two do not go together. */
hone_status generation_load(generation *out, arena *a, const char *folder, const model_config *c, const tokenizer *t,
                            const char *object, const char *const *value, hone_err *err);

/* A job's object of these names, checked, as JSON on one line. where: its place, "job.json: line 3 column 9 (generation)".
 * HONE_EUSAGE: a name or a value is wrong. */
hone_status generation_read(text *out, const json *object, const char *where, hone_err *err);
void generation_print_schema(text *out); /* of such an object, as JSON Schema */
enum {
#define XX(kind, name, least, most, preset, help) GENERATION_##name,
    GENERATION_MAP(XX)
#undef XX
        N_GENERATION
};
const char *generation_name(int i);
#endif
