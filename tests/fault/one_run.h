/* one_run.h - a small training in a process of its own, whose calls may fail, or whose disk may forget. */
#ifndef FAULT_ONE_RUN_H
#define FAULT_ONE_RUN_H
#include "../test.h"
#include "calls.h"
#include "disk.h"
#include "train/train.h"

typedef struct {
    hone_status status;
    int left; /* the process ended before the run did: exit code, or minus the signal; 0: it did not */
    char sha[65], text[1024];
    faults seen;
    disk_state disk;
    char last[16];
} outcome;

typedef struct {
    const char *max_steps, *save_steps, *save_total_limit;
} shape;
extern const shape six_steps; /* checkpoints after 3 and 6 */

const char *folder_of(arena *a, const char *name); /* in the test's */
/* The run in folder NAME of the test's, resumed where there is something to resume from. */
outcome one_run(arena *a, const char *name, const shape *s, faults f, disk_state d);
outcome train_with(arena *a, const char *name,
                   faults f); /* six steps; the test fails where the process ends early */
int is_valid(arena *a, const char *folder, int64_t step);
#endif
