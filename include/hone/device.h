/* device.h - what a device is: one table of functions that ref, cpu and cuda fill alike.
 *
 * A device is a shared object that exports one symbol, hone_device_v1_table, found by name at run time. The engine
 * cannot tell devices apart: it reserves slabs, copies, and plays calls on queues. What a device needs from the host
 * (log, threads, clock) is handed over in hone_host_v1 when it is opened; a device includes nothing of the host.
 *
 * A change of this table makes hone_device_v2; v1 is never edited once released. */
#ifndef HONE_DEVICE_H
#define HONE_DEVICE_H
#include "hone/op.h"

/* ---- randomness ---------------------------------------------------------------------------------------------
 * Every random number is Philox4x32 with 7 rounds (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
 * SC 2011; multipliers 0xD2511F53, 0xCD9E8D57, Weyl constants 0x9E3779B9, 0xBB67AE85) of counter and key, so a
 * sample's masks are the same whichever rank, micro-batch or row it lands in. One call gives eight 16-bit numbers,
 * compared with thr = round(65536 p): kept if number >= thr, kept values times 65536 / (65536 - thr).
 *
 *   step key   words 0, 1 of philox(counter {step, 0, 0, 0}, key seed), in the tick
 *   rows       column c of a row with key {sample, position}, site s: counter {c / 8, position, sample, 0}, key
 *              {k0 ^ s, k1}; e = c % 8 reads half e & 1 (0: low 16 bits) of word e >> 1
 *   attention  probability of query i, key j (both counted from 0 in their sequence; i is the position in the query
 *              row's key, j the place after k_at.first), head h, site s:
 *                lane = (i & 7) * 4 + ((j & 7) >> 1), word = (i >> 3 & 1) + 2 * (j >> 3 & 1), half = j & 1
 *                counter {(j >> 4) * 32 + lane, i >> 4 | h << 20, sample, 0}, key {k0 ^ s, k1}
 *              which gives a tensor-core fragment whole calls (16 x 16 scores are 32 calls) */
#define HONE_PHILOX_ROUNDS 7

/* The tick: 16 words of STATE that travel with a run. GUARD moves them on; attributes of randomness read them, so a
 * captured step replays with new masks. The host begins a run with step 0, adam_t 0 and step 0's step key. GUARD, the
 * last but ADAMW_STEP of a step, sets step + 1 and that next step's key (nothing after GUARD draws numbers), and
 *   ok       adam_t + 1, good_steps + 1: adam_t is then the t of the update that ADAMW_STEP is about to make
 *   not ok   skipped + 1 and latch 1; adam_t stays
 * With attr.guard.dynamic the loss scale moves too, as DeepSpeed's DynamicLossScaler moves it, and
 *   ok       where good_steps reaches window: scale times 2 (up to HONE_LOSS_SCALE_MAX), hysteresis full again,
 *            good_steps 0
 *   not ok   good_steps 0, and latch 1 only where the scale cannot be lowered: while hysteresis > 1 it is taken down
 *            by one and nothing else happens; then scale / 2, not below min_scale; at min_scale the step latches
 * Once latched, steps only count as skipped. The host begins with hysteresis full and good_steps 0. */
#define HONE_LOSS_SCALE_MAX 16777216.0f /* 2^24: gradients that are all zero would double it to infinity */
typedef struct {
    uint32_t seed[2];     /* key of the step keys */
    uint32_t step_key[2]; /* of the step being played */
    int32_t step;         /* optimizer steps begun: 0 in the first step */
    int32_t adam_t;       /* t of AdamW, from 1: of the last update made or, after GUARD, of the one to make; a skipped step does not move it */
    uint32_t loss_scale;  /* bits of a float; 1 unless fp16 */
    int32_t good_steps;   /* in a row, since the scale was raised or a step was not finite */
    int32_t hysteresis;   /* steps that are not finite which it now takes to lower the scale */
    int32_t skipped;      /* steps skipped so far */
    int32_t latch;        /* not 0: a non-finite step has been seen, nothing is updated any more */
    int32_t reserved[5];
} hone_tick;

/* ---- a call --------------------------------------------------------------------------------------------------*/
typedef struct hone_device hone_device;
typedef struct hone_queue hone_queue;
typedef struct hone_event hone_event;
typedef struct hone_exec hone_exec;

/* in and out stand in the order of the op's line (hone_op_find), "+" inputs last. Shapes and dtypes were checked when
 * the plan was made; a kernel checks nothing. */
typedef struct {
    hone_op op;
    hone_tensor in[HONE_MAX_IN], out[HONE_MAX_OUT];
    hone_attr attr;
    const hone_tick *tick; /* device memory; needed where attr.p or p_out is not 0, and by ADAMW_STEP */
    void *work;            /* work_bytes(query) bytes, 64-byte aligned, contents undefined */
    size_t work_bytes;
    void *choice; /* what choose() made for this call, or NULL */
} hone_call;

/* What a call will look like: the same without pointers; dims hold capacities. A bound operand has n_dims > 0. */
typedef struct {
    hone_op op;
    hone_tensor in[HONE_MAX_IN], out[HONE_MAX_OUT]; /* p is NULL */
    hone_attr attr;
} hone_query;

/* ---- the host half -------------------------------------------------------------------------------------------*/
typedef struct {
    uint32_t struct_bytes;
    void *context;
    int n_threads;
    /* Run fn(arg, i, thread) for every i in [0, n), thread in [0, n_threads); returns when all are done. Items are
     * dealt to whichever thread is free: results must not depend on thread. Not to be nested. */
    void (*parallel_for)(void *context, int64_t n, void (*fn)(void *arg, int64_t i, int thread), void *arg);
    uint64_t (*clock_ns)(void *context);
    void (*log)(void *context, const char *line); /* a note, one line without a newline */
    /* A small memory that outlives the process, for what was measured once: n bytes under a key of printable
     * characters. recall: 1, or 0: nothing of that key and size. Before a run begins, from one thread. */
    int (*recall)(void *context, const char *key, void *bytes, size_t n_bytes);
    void (*remember)(void *context, const char *key, const void *bytes, size_t n_bytes);
} hone_host_v1;

typedef struct {
    char name[96];        /* "AMD EPYC 9R14, AVX-512 bf16" */
    size_t memory_bytes;  /* that a slab may use; 0: unknown */
    uint32_t dtypes;      /* bit 1 << dtype: compute types it can play */
    int tf32;             /* 1: it can round operands of fp32 products to TF32 (hone_attr.linear) */
    int max_head_width;   /* 0: any */
    int host_memory;      /* 1: slabs are ordinary memory of this process */
    int measures; /* 1: choose() times what it chooses: ranks and resumed runs need one memory (hone_host_v1) */
    size_t cache_bytes;   /* between the processors and memory; 0: unknown */
    int fixed_rows;       /* 1: calls are played at rungs (captured graphs); 0: at the batch's count */
    int links;            /* 1: such devices send to each other where their library is there (hone_comm_v1) */
} hone_limits;

/* ---- between devices -----------------------------------------------------------------------------------------
 * What NCCL is for cuda: ranks, one device each, that send to each other from device memory. One rank makes an id, the
 * host's communicator carries it to all, and each opens its end with it. Calls only put work on a queue, and one that is
 * still being set up is asked for by state: between two calls, and after open, state must have said 1. A rank that has gone
 * is waited for for ever, here and on the queue: the host looks after it, and leaves by abort, which ends the work on
 * queues with undefined results. */
typedef struct hone_comm hone_comm;
typedef struct {
    char bytes[128];
} hone_comm_id;
typedef struct {
    void *p; /* device memory */
    size_t bytes;
    int rank; /* to whom, or from whom */
} hone_comm_piece;
typedef struct {
    const char *name; /* NCCL */
    uint32_t struct_bytes;
    /* Is the library there, and recent enough? Needs no device. HONE_EUSAGE: err says what was looked for. */
    hone_status (*ready)(hone_err *err);
    hone_status (*make_id)(hone_comm_id *out, hone_err *err);
    hone_status (*open)(hone_comm **out, hone_device *device, const hone_comm_id *id, int rank, int n, hone_err *err);
    /* 1: what was called is under way on its queue (the end is open); 0: not yet; -1: it failed, err says how. */
    int (*state)(hone_comm *c, hone_err *err);
    /* All these at once. Between two ranks, sent and received pieces agree one by one, in the order given; none is the
     * rank's own. */
    hone_status (*exchange)(hone_comm *c, hone_queue *queue, const hone_comm_piece *to, int n_to,
                            const hone_comm_piece *from, int n_from, hone_err *err);
    /* x[n] becomes the sum of all ranks' x, the same bits everywhere, in an order that is the library's: F32 or BF16. */
    hone_status (*sum)(hone_comm *c, hone_queue *queue, void *x, int64_t n, hone_dtype dtype, hone_err *err);
    void (*abort)(hone_comm *c); /* and close */
    void (*close)(hone_comm *c); /* after all that was given is done; the other ranks close, too */
} hone_comm_v1;

/* ---- the device half -----------------------------------------------------------------------------------------*/
typedef struct {
    const char *name; /* ref cpu cuda emu */
    uint32_t struct_bytes;

    /* Pure: usable without a device, so that any machine can plan for it. can returns 1, or 0 with a reason naming
     * operand and extent in why. work_bytes must not shrink when row extents grow. */
    int (*can)(const hone_query *query, char *why, size_t why_bytes);
    size_t (*work_bytes)(const hone_query *query);
    /* Attention's work lists: bytes of operand "list" (0: none), and its filling by the batcher. Pure too. Ranges ascend
     * and do not overlap; rows: of queries and of keys that are played (those of no sequence are in the list, too); key: of
     * the query rows, NULL without dropout. A list serves every call whose query is the same but for site, scale, and p
     * where neither is 0: a forward and its backward have the same one. */
    size_t (*list_bytes)(const hone_query *query);
    void (*list_fill)(const hone_query *query, const hone_range *q_at, const hone_range *k_at, const hone_key *key,
                      const int64_t rows[2], void *out);

    /* How many devices this process sees; 0: none, and open says why. NULL: there is one. */
    int (*count)(void);
    /* host must outlive the device. ordinal: which of several. */
    hone_status (*open)(hone_device **out, const hone_host_v1 *host, int ordinal, hone_err *err);
    void (*close)(hone_device *device);
    /* device NULL: what holds of every device of this kind (memory 0), pure like can. */
    hone_status (*limits)(hone_device *device, hone_limits *out);
    /* Prepare what a call needs beyond memory (a matrix product's code, an algorithm measured once); called for every
     * planned step before the run begins, never after. *out (may become NULL) goes into hone_call.choice and lives
     * until close. It serves calls of no more rows; but of a norm with engine cudnn, whose plans have a number of rows,
     * it serves as many as the query's: the host asks for each rung. */
    hone_status (*choose)(hone_device *device, const hone_query *query, void **out, hone_err *err);

    /* Device memory (pinned: host memory the device copies from), 256-byte aligned, zeroed. */
    hone_status (*slab_new)(hone_device *device, int pinned, size_t bytes, void **out, hone_err *err);
    void (*slab_free)(hone_device *device, void *slab);

    /* Queues run their calls in order; put and get are calls too (put also from device memory). queue_wait returns
     * when all are done. */
    hone_status (*queue_new)(hone_device *device, hone_queue **out);
    void (*queue_free)(hone_queue *queue);
    hone_status (*queue_wait)(hone_queue *queue);
    hone_status (*put)(hone_queue *queue, void *to, const void *from, size_t bytes);
    hone_status (*get)(hone_queue *queue, void *to, const void *from, size_t bytes);

    /* Events order queues; a device with one synchronous queue leaves these and capture NULL. event_ns: the device's own
     * time between two events made with is_timed that are both done, in nanoseconds. */
    hone_status (*event_new)(hone_device *device, int is_timed, hone_event **out);
    hone_status (*event_ns)(hone_event *from, hone_event *to, uint64_t *ns);
    void (*event_free)(hone_event *event);
    void (*event_record)(hone_queue *queue, hone_event *event);
    void (*event_wait)(hone_queue *queue, hone_event *event);
    int (*event_done)(hone_event *event);
    hone_status (*capture)(hone_queue *queue, int begin, hone_exec **out);
    hone_status (*graph_launch)(hone_queue *queue, hone_exec *graph);
    void (*graph_free)(hone_exec *graph);

    /* A name on a profiler's timeline, from here to the call with name NULL that belongs to it: ranges nest, and are of the
     * host's time. NULL: the device has no profiler. */
    void (*range)(const char *name);
    const hone_comm_v1 *comm; /* between devices; NULL: bytes travel through the host */

    /* The ops, by number; NULL: absent. */
    hone_status (*op[HONE_N_OPS])(hone_queue *queue, const hone_call *call);
} hone_device_v1;

#define HONE_DEVICE_SYMBOL "hone_device_v1_table" /* const hone_device_v1 hone_device_v1_table; */
#endif
