/* command.h - the built command as a user runs it, and a job so small that a run of 60 steps takes a moment.
 *
 * The job: tests/data/e2e, 80 requests of 4 kinds, a BERT of 2 layers from nothing with dropout, batches of 8: 10
 * steps an epoch, 6 epochs. */
#ifndef COMMAND_H
#define COMMAND_H
#include <sys/types.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/json.h"

#define TINY_STEPS 60
#define TINY_SAMPLES 80

typedef struct {
    int code;              /* exit code; minus the signal that ended it */
    const char *out, *err; /* all that it printed, NUL-terminated */
    size_t n_out;
} said;

/* The start of a test: an arena, and token caches in the test's own folder. */
arena *command_begin(void);

/* Run `hone ARGUMENTS` in a shell, standard input from nothing. Any end is fine. */
said command_run(arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same; it must end with `code` (else the test fails, showing stderr). */
said command_expect(arena *a, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* The same with code 0; stdout must be one JSON object on one line and nothing else. */
const json *command_json(arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* `hone` is refused: this code, stdout empty, stderr holds one line "error: ..." in which `part` stands. Returns that line. */
const char *command_refused(arena *a, int code, const char *part, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* Start without waiting; output is thrown away. */
pid_t command_start(arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int command_wait(pid_t pid); /* as said.code */

/* The same two with any line of shell instead of arguments of hone; the path of hone for it. */
said command_shell(arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
pid_t command_start_shell(arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
const char *command_program(void);

/* A file in the test's folder; returns its path. */
const char *put_file(arena *a, const char *name, const char *content);
/* The tiny job as a file: its members but for those that `more` names, then more (",\"x\":1", or ""); output_dir is OUT in
 * the test's folder. */
const char *tiny_job(arena *a, const char *name, const char *out, const char *more);
/* A folder of weights that the tiny job made in 2 steps: a model that can be fine-tuned, evaluated, broken. */
const char *tiny_model(arena *a);
/* The id of a word of the tiny vocabulary. */
int tiny_id(arena *a, const char *word);
/* A path in the test's folder. */
const char *here(arena *a, const char *name);
void copy_folder(arena *a, const char *from, const char *to);
const char *file_text(arena *a, const char *path);
/* Write n bytes over the bytes at `at`. */
void patch_file(const char *path, long at, const void *p, size_t n);
/* Where the numbers of a tensor lie in a .safetensors file: offset in bytes from the start of the file. */
long tensor_offset(arena *a, const char *path, const char *name);
#endif
