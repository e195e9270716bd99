/* args.h - a command line as options of the command, job fields and words. */
#ifndef CLI_ARGS_H
#define CLI_ARGS_H
#include "train/job.h"

/* An option of a command; value NULL in the result: not given; for a bare one "true". */
typedef struct {
    const char *name; /* without -- */
    int bare;         /* takes no value */
    const char *help; /* one sentence; with the value's name in capitals first where it takes one */
} option;

#define ARGS_MAX_WORDS 64
#define ARGS_MAX_OVERRIDES 128
typedef struct {
    char *const *line; /* what was parsed, up to a NULL; line[-1] is the command */
    const option *option;
    int n_options;
    const char *value[24];            /* by option */
    const char *word[ARGS_MAX_WORDS]; /* what is no option */
    int n_words;
    job_override override[ARGS_MAX_OVERRIDES]; /* --field value */
    int n_overrides;
    int json, quiet, help; /* of every command */
    int threads;           /* 0: all */
    const char *device;    /* NULL: auto */
} args;

/* fields 0: an option that is not the command's is an error naming the nearest. HONE_EUSAGE. */
hone_status args_parse(args *out, int argc, char **argv, const option *options, int n_options, int fields,
                       hone_err *err);
const char *args_value(const args *a, const char *name); /* NULL: not given */
/* The values of an option that may be given several times, in their order; returns how many (at most `most` are written). */
int args_values(const args *a, const char *name, const char **out, int most);
hone_status args_integer(const args *a, const char *name, int64_t low, int64_t high, int64_t otherwise,
                         int64_t *out, hone_err *err);
/* The job of a file (NULL: only fields of the command line), with --threads, --device, --quiet and --strict
 * applied. */
hone_status job_of_args(job **out, const args *a, const char *path, hone_err *err);
/* Between low and high words are wanted; usage is shown in the message. */
hone_status args_words(const args *a, int low, int high, const char *usage, hone_err *err);
#endif
