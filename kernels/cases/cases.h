/* cases.h - one list of cases for every op, and what can be done with a case:
 *
 *   check    play it on a device and, in fp64 on the same rounded inputs, on ref; compare every result; see that nothing
 *            outside the results was written, and that bits depend neither on threads, nor on repeating, nor on which
 *            other rows are in the call
 *   grad     check ref's gradients by central differences in fp64, through the ops that the op's rule names
 *   bench    time it, beside a passed check
 *   support  ask a device whether it can play it
 *
 * A case is an op, extents of the letters of its line, the optional operands that are bound, attributes and a
 * type; operands follow from the line, contents from a seed. Families of cases lie in the files that are
 * named as the families of ops are (norm.c: NORM_FWD, NORM_BWD). */
#ifndef CASES_CASES_H
#define CASES_CASES_H
#include "hone/device.h"
#include "hone/emu.h"

/* LONG: a check that takes its time; tests play it with HONE_LONG_TESTS=1. */
typedef enum { CASES_CHECK = 1, CASES_GRAD = 2, CASES_BENCH = 4, CASES_LONG = 8 } cases_mode;
typedef enum {
    CASES_PASS,
    CASES_FAIL,
    CASES_REFUSED
} cases_outcome; /* refused: the device cannot, and says so */

#define CASES_MAX_SEQUENCES 48
#define CASES_LETTER(c) ((c) - 'A')

struct cases_values;
typedef struct {
    hone_op op;
    unsigned modes;     /* in which the case takes part; every case can be checked */
    int64_t extent[26]; /* of letters; CASES_LETTER('N') */
    char with[96];      /* the optional operands that are bound, by name, "+y" among them */
    char note[40];      /* what is special, for the name */
    hone_attr attr;
    hone_dtype dtype;    /* compute type */
    hone_dtype from, to; /* COPY: types of x and y */
    int same_type;       /* ref plays in the same types: the result is a question of bits */
    int pad;             /* elements between the end of a row and the next row */
    int in_place;        /* results take the storage that their @ offers */
    int no_list;                 /* attention: "list" stays unbound where the device has lists */
    int n_sequences, q_len[CASES_MAX_SEQUENCES], k_len[CASES_MAX_SEQUENCES];
    int overflows; /* sums overflow the type: results may be lost to infinity or NaN, some of each must be, and none may
                    * be finite and wrong */
    int trap; /* which unkind contents; the family says what they are. 0: ordinary */
    char
        row_letter; /* rows of this letter do not depend on each other; 'B': sequences do not; 0: not tried */
    const char *rule;           /* grad: instead of the op's own rule, for fused forms, which have none */
    double bound;     /* largest error of a result in fp32, relative to max(|value|, root mean square of the */
    double floor;     /*   result, floor). Of a result in bf16 or fp16: as much, and of_naive times the largest error */
    double of_naive;  /*   of a naive kernel in that type, which is played beside (naive.c); 0: twice */
    double bound_ref; /* instead of bound for ref in fp32, which adds in natural order; 0: bound */
    const char *why;  /* where the bound comes from */
    void (*fill)(struct cases_values *v); /* the family's contents */
    int (*naive)(struct cases_values *v, char *why, size_t why_bytes); /* the family's naive kernel; NULL: naive_by_ref */
} cases_case;

/* Return 0 to stop. */
typedef int cases_visit(void *arg, const cases_case *k);

/* Visit all cases, in the order of families. */
void cases_each(cases_visit *visit, void *arg);
int cases_count(hone_op op, unsigned modes); /* cases of op that take part in one of modes */

/* "D=384 N=7 with bias key p=0.1 pad=8 fp32": all but the op. */
void cases_describe(const cases_case *k, char *name, size_t name_bytes);
void cases_shape(const cases_case *k, char *shape, size_t shape_bytes); /* "D=384,N=7" */
/* Set extents from "N=4096,D=384,p=0.1"; lengths of sequences from "S=128" (all). HONE_EUSAGE: unknown
 * letter, bad number. */
hone_status cases_set_shape(cases_case *k, const char *text, hone_err *err);

/* The case that a call of a plan is: its op, extents, bound operands, attributes and types, the contents of the op's
 * family, sequences of equal length (CASES_MAX_SEQUENCES of them at most). 0: the op has no case. */
int cases_planned(cases_case *out, const hone_query *q);

/* What is tested: a device opened once for each number of threads (results must agree), and ref. */
typedef struct {
    const hone_device_v1 *table;
    hone_device *device[4];
    int n_devices;
    const hone_device_v1 *ref;
    hone_device *ref_device;
} cases_on;

typedef struct {
    cases_outcome outcome;
    double max_error, error_bound; /* as in cases_case.bound, where they came nearest; grad: bound 1e-6 */
    uint32_t bits;                 /* hash of the results' bits */
    char what[256];                /* the first thing that was wrong, or why the device refused */
    /* bench */
    double median_us, p10_us, p90_us, gb_per_s, tflops;
    double cold_us; /* median, the caches written over before every run; 0: no room for that */
    int n_runs;
    const char *peer; /* the library that played the same case beside a check of its own; NULL: none, why in peer_what */
    double peer_us;   /* its median; 0: not timed */
    char peer_what[160];
} cases_result;

int cases_can(const hone_device_v1 *table, const cases_case *k, char *why, size_t why_bytes);
cases_outcome cases_check(const cases_on *on, const cases_case *k, cases_result *out);
cases_outcome cases_grad(const cases_on *on, const cases_case *k, cases_result *out); /* of ref alone */
/* Checks first; times are filled in only if that passed. By the device's events, where it has them (a captured graph of
 * a few plays), else by the host's clock; seconds: how long to measure. */
cases_outcome cases_bench(const cases_on *on, const cases_case *k, const hone_host_v1 *host, double seconds,
                          cases_result *out);
/* The same case by the device's library (cuda, emu: attention and norms by cuDNN, engine cudnn of op.h): fills in the peer.
 * host NULL: checked, not timed. */
void cases_peer(const cases_on *on, const cases_case *k, const hone_host_v1 *host, double seconds, cases_result *out);
/* The product of a LINEAR case by itself, without what is fused with it; on a GPU: one call of the library. 0: no
 * product. */
int cases_alone(const cases_case *k, cases_case *out);
/* Yardsticks: the device's own COPY of 32 MiB of fp32, and its largest LINEAR_FWD of the list in dtype (tf32 1: whose
 * operands are rounded). 0: it did not pass. */
void cases_baselines(const cases_on *on, hone_dtype dtype, int tf32, const hone_host_v1 *host, double seconds,
                     double *copy_gb_per_s, double *gemm_tflops);

/* What the kernels of a case ask of memory, counted by the emulated GPU emu_count. */
typedef struct {
    hone_emu_counts sum;             /* over kernels; its name is that of the first */
    hone_emu_counts kernel[16];      /* by first launch */
    int n_kernels;                   /* more than 16: the sum holds them */
    double floor_bytes, floor_flops; /* what the op must at least read, write and compute */
} cases_counts;
/* Play the case once on counting->device[0], whose counter is emu. 0 and *why: the device failed. */
int cases_counted(const cases_on *counting, const hone_emu_v1 *emu, const cases_case *k, cases_counts *out, char *why,
                  size_t why_bytes);
#endif
