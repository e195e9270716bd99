/* parity_check.h - a training run beside what scripts/golden recorded of the same in torch. */
#ifndef PARITY_CHECK_H
#define PARITY_CHECK_H
#include "base/arena.h"
#include "base/json.h"
#include "base/str.h"

/* The lines of a JSONL file, one after the other: 0 at its end. */
int parity_next_row(arena *a, str *left, const json **row);

/* Rows of OUT/log.jsonl: losses, norms, rates and tokens of every step, as golden's "steps". */
void parity_steps(arena *a, const char *out, const json *golden);

/* The parameters in OUT, trained from those in MODEL, as golden's "weights"; returns how many were compared
 * (all but attention key biases and that of spans). */
int parity_weights(arena *a, const char *model, const char *out, const json *golden);
#endif
