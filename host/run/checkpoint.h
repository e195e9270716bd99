/* checkpoint.h - folders that are there whole or not at all.
 *
 * A checkpoint is RUN/checkpoint-<step>/ with a MANIFEST.json that names every other file with its size and
 * SHA-256. Protocol: write into a hidden folder, sync each file, write the manifest last, sync the folder,
 * rename it, sync the parent; only then is it announced, and only then are older ones removed. A failed sync
 * is final (reliability: pages may have been dropped): the hidden folder is removed and the earlier
 * checkpoints stand.
 *
 * What is inside is the caller's business; this file knows names, sizes and hashes. */
#ifndef RUN_CHECKPOINT_H
#define RUN_CHECKPOINT_H
#include "base/arena.h"
#include "base/json.h"

#define CHECKPOINT_FORMAT 1

/* HONE_ESTORAGE where less than 1.1 times so many bytes are free. */
hone_status checkpoint_room(const char *run_folder, size_t bytes, hone_err *err);

typedef struct checkpoint_writer checkpoint_writer;
/* bytes: what will be written; without room for it nothing is begun. */
hone_status checkpoint_begin(checkpoint_writer **out, const char *run_folder, int64_t step, size_t bytes,
                             hone_err *err);
const char *checkpoint_folder(const checkpoint_writer *w); /* to put files into */
/* facts: one JSON object with what a resume must compare. Frees w in any case. *bytes: of all files. */
hone_status checkpoint_end(checkpoint_writer *w, const char *facts, int64_t *bytes, hone_err *err);
void checkpoint_abort(checkpoint_writer *w); /* NULL is fine */

typedef struct {
    const char *path;
    int64_t step;
    const json *facts;
    int n_files;
} checkpoint;
/* Check every byte of the checkpoint at PATH; HONE_EDAMAGED says which file and how. */
hone_status checkpoint_open(checkpoint *out, arena *a, const char *path, hone_err *err);
/* Everything that is wrong with one: a line each. A folder that cannot be listed is an error. */
#define CHECKPOINT_FAULTS_MAX 64
typedef struct {
    int64_t step, bytes; /* bytes: of the files that hold */
    int n_files, n;
    const char *line[CHECKPOINT_FAULTS_MAX];
} checkpoint_faults;
hone_status checkpoint_check(checkpoint_faults *out, arena *a, const char *path, hone_err *err);
/* Steps of the checkpoint folders of RUN, newest first; where that of a step lies. */
hone_status checkpoint_steps(int64_t **steps, int *n, arena *a, const char *run_folder, hone_err *err);
const char *checkpoint_path(arena *a, const char *run_folder, int64_t step);
/* The run's folder that a checkpoint's folder lies in, and its step by name; NULL: PATH has not such a name. */
const char *checkpoint_run(arena *a, const char *path, int64_t *step);
/* The newest valid one under RUN; damaged ones are passed over with a warning each. None was ever saved:
 * *found 0 and HONE_OK. Some are there, none valid: HONE_EDAMAGED. */
hone_status checkpoint_newest(checkpoint *out, int *found, arena *a, const char *run_folder, hone_err *err);
/* Remove all but the newest `keep` up to step `now` and the one of step `best` (-1: none). Later ones than
 * now were left by a run that was resumed before them (they may be damaged): they count for nothing and stay
 * until they are saved again. */
hone_status checkpoint_prune(const char *run_folder, int64_t now, int64_t keep, int64_t best, hone_err *err);
/* Remove what never ended: hidden folders of saves and of removals, temporary files. For whoever holds the run's lock. */
hone_status checkpoint_sweep(const char *run_folder, hone_err *err);
#endif
