/* status.h - how every function of hone says that it failed.
 *
 * A function that can fail returns a hone_status and, when that is not HONE_OK, has filled *err once, at the place
 * where the facts are known. Callers hand err on; HONE_TRY adds nothing but the return. A NULL err is allowed.
 *
 * The text of an error is one line without a newline: FILE: PLACE: WHAT; expected WHAT. The hint, if any, says what
 * to do about it. The command prints "error: " before the text and "hint: " before the hint, and ends with the exit
 * code of the status. Bytes of foreign origin (labels, names from files) enter the text escaped and cut. */
#ifndef HONE_STATUS_H
#define HONE_STATUS_H
#include <stddef.h>

/* One row an outcome: name, process exit code, what it means. */
#define HONE_STATUS_MAP(XX)                                                                                  \
    XX(HONE_OK, 0, "done")                                                                                   \
    XX(HONE_EUSAGE, 2, "command line, job file or model configuration is wrong")                             \
    XX(HONE_EDATA, 3, "training or evaluation data is wrong")                                                \
    XX(HONE_ENOFIT, 4, "does not fit into memory")                                                           \
    XX(HONE_ENOTFINITE, 5, "a loss, gradient or weight is not finite")                                       \
    XX(HONE_ECOMM, 6, "communication between ranks failed")                                                  \
    XX(HONE_EDAMAGED, 7, "model or checkpoint is damaged or hostile")                                        \
    XX(HONE_ESTORAGE, 8, "storage is full, read-only or failing")                                            \
    XX(HONE_EBUG, 70, "hone broke a promise to itself; please report")                                       \
    XX(HONE_EPREEMPTED, 75, "preempted and saved; run the same command again")                               \
    XX(HONE_EINTERRUPTED, 130, "interrupted by the user")

typedef enum {
#define XX(name, exit_code, text) name,
    HONE_STATUS_MAP(XX)
#undef XX
        HONE_N_STATUS
} hone_status;

typedef struct {
    hone_status status;
    char text[1024]; /* one line, no "error: " before it */
    char hint[512];  /* "" where there is nothing to advise */
} hone_err;

/* Process exit code and sentence of a status; any value is accepted. */
int hone_status_exit(hone_status status);
const char *hone_status_text(hone_status status);

/* Fill *err (NULL is fine) and return status. printf formats; the result is cut to fit, control bytes are escaped. */
#if defined(__GNUC__)
#define HONE_PRINTF(a, b) __attribute__((format(printf, a, b)))
#else
#define HONE_PRINTF(a, b)
#endif
hone_status hone_fail(hone_err *err, hone_status status, const char *fmt, ...) HONE_PRINTF(3, 4);

/* Add what to do about the failure just filled in; returns err's status. */
hone_status hone_hint(hone_err *err, const char *fmt, ...) HONE_PRINTF(2, 3);

#define HONE_TRY(call)                                                                                       \
    do {                                                                                                     \
        const hone_status hone_try_status = (call);                                                          \
        if (hone_try_status != HONE_OK) return hone_try_status;                                              \
    } while (0)
#endif
