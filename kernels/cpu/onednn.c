/* onednn.c - the library opened, and its products of blocks. What is declared here of it stands in its headers
 * include/oneapi/dnnl/dnnl.h and dnnl_types.h: the same in 2.6 and 3, but for how descriptions are made. No header of the
 * library is needed, and nothing is linked with it. */
#include "onednn.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RIGHT (ONEDNN_RIGHT_BYTES / 2) /* numbers */
#define ROWS_DEEP 512                  /* of rows that a product sums over, at a time */
#define ROWS_LEFT 64                   /* of what is left of them */

/* Of its headers: DNNL_RUNTIME_SEQ, _OMP; dnnl_cpu, a stream's default flags, dnnl_scratchpad_mode_user; dnnl_data_type_t,
 * dnnl_ab (rows without gaps), dnnl_query_scratchpad_md; DNNL_ARG_... */
enum { SEQUENTIAL = 1, OPENMP = 2, CPU = 1, IN_ORDER = 1, USER = 1 };
enum { BF16 = 2, F32 = 3, AB = 3, QUERY_SCRATCHPAD = 136 };
enum { SRC = 1, DST = 17, WEIGHTS = 33, SCRATCHPAD = 80 };
#define DESC_BYTES 4096 /* room for structs of version 2 */
#define MATMUL_BYTES 16384
#define TAGS 4096 /* more than layouts have names */

typedef struct {
    int major, minor, patch;
    const char *hash;
    unsigned cpu_runtime, gpu_runtime;
} dnnl_version_t;

typedef struct {
    int arg;
    void *memory;
} dnnl_arg;

/* name, result, arguments; every handle of the library is a pointer. A status is 0 or an error. */
#define CALLS(XX)                                                                                            \
    XX(version, const dnnl_version_t *, (void))                                                              \
    XX(fmt_tag2str, const char *, (int tag))                                                                 \
    XX(engine_create, int, (void **engine, int kind, size_t index))                                          \
    XX(engine_destroy, int, (void *engine))                                                                  \
    XX(stream_create, int, (void **stream, void *engine, unsigned flags))                                    \
    XX(stream_destroy, int, (void *stream))                                                                  \
    XX(memory_desc_get_size, size_t, (const void *desc))                                                     \
    XX(memory_create, int, (void **memory, const void *desc, void *engine, void *handle))                    \
    XX(memory_set_data_handle, int, (void *memory, void *handle))                                            \
    XX(memory_destroy, int, (void *memory))                                                                  \
    XX(primitive_attr_create, int, (void **attr))                                                            \
    XX(primitive_attr_set_scratchpad_mode, int, (void *attr, int mode))                                      \
    XX(primitive_attr_destroy, int, (void *attr))                                                            \
    XX(primitive_desc_query_md, const void *, (const void *desc, int what, int index))                       \
    XX(primitive_desc_destroy, int, (void *desc))                                                            \
    XX(primitive_create, int, (void **primitive, const void *desc))                                          \
    XX(primitive_execute, int, (const void *primitive, void *stream, int n_args, const dnnl_arg *args))      \
    XX(primitive_destroy, int, (void *primitive))
#define CALLS_2(XX)                                                                                          \
    XX(memory_desc_init_by_tag, int, (void *desc, int n_dims, const int64_t *dims, int type, int tag))       \
    XX(matmul_desc_init, int, (void *op, const void *a, const void *b, const void *bias, const void *c))     \
    XX(primitive_desc_create, int,                                                                           \
       (void **desc, const void *op, const void *attr, void *engine, const void *hint))
#define CALLS_3(XX)                                                                                          \
    XX(memory_desc_create_with_tag, int, (void **desc, int n_dims, const int64_t *dims, int type, int tag))  \
    XX(memory_desc_destroy, int, (void *desc))                                                               \
    XX(matmul_primitive_desc_create, int,                                                                    \
       (void **desc, void *engine, const void *a, const void *b, const void *bias, const void *c,            \
        const void *attr))

struct onednn_block {
    onednn_block *next;
    const onednn *lib;
    int64_t n, k;
    void *primitive;
    int n_args;
    dnnl_arg (*args)[4]; /* of each thread: a, b, c, scratch */
};

typedef struct cut {
    struct cut *next;
    int64_t n, k;
    onednn_product product;
} cut;

struct onednn {
#define XX(name, result, arguments) result(*name) arguments;
    CALLS(XX)
    CALLS_2(XX)
    CALLS_3(XX)
#undef XX
    void (*set_threads)(int n); /* of the caller, OpenMP's; NULL: the library is built without */
    int (*threads)(void);
    void *engine, **stream; /* a stream a thread */
    int n_threads, packed;  /* packed: the number of BA16a48b2a, which versions have not in common */
    onednn_block *blocks;
    cut *cuts;
};

/* ---- the library -----------------------------------------------------------------------------------------------*/

/* The name of a function that the library lacks, or NULL. */
static const char *bind(onednn *lib, void *library) {
#define XX(name, result, arguments)                                                                          \
    *(void **)&lib->name = dlsym(library, "dnnl_" #name);                                                    \
    if (!lib->name) return "dnnl_" #name;
    CALLS(XX)
    if (lib->version()->major < 3) {
        CALLS_2(XX)
    } else {
        CALLS_3(XX)
    }
#undef XX
    *(void **)&lib->set_threads = dlsym(library, "omp_set_num_threads"); /* of what it is linked with */
    *(void **)&lib->threads = dlsym(library, "omp_get_max_threads");
    return NULL;
}

static int find_packed(onednn *lib) {
    while (lib->packed < TAGS && strcmp(lib->fmt_tag2str(lib->packed), "BA16a48b2a")) lib->packed++;
    return lib->packed < TAGS;
}

/* NULL, or what is against this library. */
static const char *refuse(onednn *lib, void *library) {
    const char *lacking = bind(lib, library);
    if (lacking) return lacking;
    const unsigned runtime = lib->version()->cpu_runtime;
    if (runtime != SEQUENTIAL && runtime != OPENMP)
        return "a build that plays on threads of its own (expected OpenMP's, or one without)";
    if (runtime == OPENMP && (!lib->set_threads || !lib->threads)) return "omp_set_num_threads";
    if (!find_packed(lib)) return "the layout BA16a48b2a (expected 2.6 or later)";
    if (lib->engine_create(&lib->engine, CPU, 0)) return "an engine";
    return NULL;
}

static const char *open_one(onednn *lib, const char *file, int n_threads) {
    void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL); /* stays open */
    if (!library) return dlerror();
    const char *against = refuse(lib, library);
    if (against) return against;
    lib->stream = calloc((size_t)n_threads, sizeof *lib->stream);
    for (; lib->stream && lib->n_threads < n_threads; lib->n_threads++)
        if (lib->stream_create(&lib->stream[lib->n_threads], lib->engine, IN_ORDER)) break;
    return lib->n_threads < n_threads ? "streams" : NULL;
}

onednn *onednn_open(int n_threads, char *why, size_t why_bytes) {
    static const char *const files[] = {"libdnnl.so.3", "libdnnl.so.2"};
    size_t used = 0;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        onednn *lib = calloc(1, sizeof *lib);
        const char *against = lib ? open_one(lib, files[i], n_threads) : "memory";
        if (!against) return lib;
        used += (size_t)snprintf(why + used, why_bytes - used, "%s%s: %s", i ? "; " : "", files[i], against);
        if (used >= why_bytes) used = why_bytes - 1;
        onednn_close(lib);
    }
    return NULL;
}

static void free_block(const onednn *lib, onednn_block *b) {
    if (!b) return;
    for (int t = 0; b->args && t < lib->n_threads; t++)
        for (int i = 0; i < 4; i++)
            if (b->args[t][i].memory) (void)lib->memory_destroy(b->args[t][i].memory);
    if (b->primitive) (void)lib->primitive_destroy(b->primitive);
    free(b->args);
    free(b);
}

void onednn_close(onednn *lib) {
    if (!lib) return;
    for (onednn_block *b = lib->blocks, *next; b; b = next) next = b->next, free_block(lib, b);
    for (cut *c = lib->cuts, *next; c; c = next) next = c->next, free(c);
    for (int t = 0; t < lib->n_threads; t++) (void)lib->stream_destroy(lib->stream[t]);
    if (lib->engine) (void)lib->engine_destroy(lib->engine);
    free(lib->stream);
    free(lib);
}

int onednn_version(const onednn *lib) {
    const dnnl_version_t *v = lib->version();
    return v->major * 10000 + v->minor * 100 + v->patch;
}

/* ---- blocks ----------------------------------------------------------------------------------------------------*/

static void *describe(const onednn *lib, int64_t rows, int64_t columns, int type, int tag) {
    const int64_t dims[12] = {rows, columns};
    void *desc = NULL;
    if (lib->memory_desc_create_with_tag)
        return lib->memory_desc_create_with_tag(&desc, 2, dims, type, tag) ? NULL : desc;
    desc = calloc(1, DESC_BYTES);
    if (!desc || !lib->memory_desc_init_by_tag(desc, 2, dims, type, tag)) return desc;
    free(desc);
    return NULL;
}

static void forget(const onednn *lib, void *desc) {
    if (!lib->memory_desc_destroy) free(desc);
    else if (desc) (void)lib->memory_desc_destroy(desc);
}

/* The plan of c = a b, whose scratch memory the caller gives; NULL: the library has none. */
static void *plan(const onednn *lib, void *const desc[3]) {
    void *attr = NULL, *made = NULL, *op = NULL;
    int is_bad = lib->primitive_attr_create(&attr) || lib->primitive_attr_set_scratchpad_mode(attr, USER);
    if (!is_bad && lib->matmul_primitive_desc_create)
        is_bad = lib->matmul_primitive_desc_create(&made, lib->engine, desc[0], desc[1], NULL, desc[2], attr);
    else if (!is_bad) {
        op = calloc(1, MATMUL_BYTES);
        is_bad = !op || lib->matmul_desc_init(op, desc[0], desc[1], NULL, desc[2]) ||
                 lib->primitive_desc_create(&made, op, attr, lib->engine, NULL);
    }
    free(op);
    if (attr) (void)lib->primitive_attr_destroy(attr);
    return is_bad ? NULL : made;
}

/* For each thread, memory objects without memory: it is told before each call. */
static int make_args(const onednn *lib, onednn_block *b, void *const desc[3], const void *scratch) {
    static const int arg[4] = {SRC, WEIGHTS, DST, SCRATCHPAD};
    b->n_args = scratch && lib->memory_desc_get_size(scratch) > 0 ? 4 : 3;
    b->args = calloc((size_t)lib->n_threads, sizeof *b->args);
    for (int t = 0; b->args && t < lib->n_threads; t++)
        for (int i = 0; i < b->n_args; i++) {
            b->args[t][i].arg = arg[i];
            if (lib->memory_create(&b->args[t][i].memory, i < 3 ? desc[i] : scratch, lib->engine, NULL))
                return 0;
        }
    return b->args != NULL;
}

static int make_block(const onednn *lib, onednn_block *b) {
    void *desc[3] = {describe(lib, ONEDNN_ROWS, b->k, BF16, AB), describe(lib, b->k, b->n, BF16, lib->packed),
                     describe(lib, ONEDNN_ROWS, b->n, F32, AB)};
    void *made = desc[0] && desc[1] && desc[2] ? plan(lib, desc) : NULL;
    const void *scratch = made ? lib->primitive_desc_query_md(made, QUERY_SCRATCHPAD, 0) : NULL;
    const int is_made = made && (!scratch || lib->memory_desc_get_size(scratch) <= ONEDNN_SCRATCH) &&
                        !lib->primitive_create(&b->primitive, made) && make_args(lib, b, desc, scratch);
    if (made) (void)lib->primitive_desc_destroy(made);
    for (int i = 0; i < 3; i++) forget(lib, desc[i]);
    return is_made;
}

/* On one thread: so many the library plans for as it would use when it plans. */
static const onednn_block *block_of(onednn *lib, int64_t n, int64_t k, char *why, size_t why_bytes) {
    for (const onednn_block *b = lib->blocks; b; b = b->next)
        if (b->n == n && b->k == k) return b;
    onednn_block *b = calloc(1, sizeof *b);
    const int threads = lib->threads ? lib->threads() : 1;
    if (b) *b = (onednn_block){.next = lib->blocks, .lib = lib, .n = n, .k = k};
    if (lib->set_threads) lib->set_threads(1);
    const int is_made = b && make_block(lib, b);
    if (lib->set_threads) lib->set_threads(threads);
    if (is_made) return lib->blocks = b;
    free_block(lib, b);
    snprintf(why, why_bytes, "oneDNN does not multiply blocks of %d x %lld x %lld", ONEDNN_ROWS, (long long)n,
             (long long)k);
    return NULL;
}

int64_t onednn_depth(const onednn_block *block) { return block->k; }

hone_status onednn_multiply(const onednn_block *b, int thread, const void *a, const void *right, float *c,
                            void *scratch) {
    const onednn *lib = b->lib;
    void *const at[4] = {(void *)(uintptr_t)a, (void *)(uintptr_t)right, c, scratch};
    for (int i = 0; i < b->n_args; i++)
        if (lib->memory_set_data_handle(b->args[thread][i].memory, at[i])) return HONE_EBUG;
    return lib->primitive_execute(b->primitive, lib->stream[thread], b->n_args, b->args[thread]) ? HONE_EBUG
                                                                                                 : HONE_OK;
}

/* ---- products --------------------------------------------------------------------------------------------------*/

static int64_t up_to(int64_t n, int64_t multiple) { return (n + multiple - 1) / multiple * multiple; }

/* As many columns as leave room for all of k, if there are any; else blocks of k. The depth of the last block, if that is
 * another. */
static int64_t cut_product(onednn_product *p, int64_t k) {
    const int64_t deep = k ? up_to(k, ONEDNN_K) : ROWS_DEEP;
    p->columns = ONEDNN_COLUMNS, p->k = deep;
    while (p->columns > ONEDNN_PANEL && p->columns * deep > RIGHT) p->columns /= 2;
    if (p->columns * deep <= RIGHT) return k ? 0 : ROWS_LEFT;
    p->columns = ONEDNN_COLUMNS, p->k = RIGHT / ONEDNN_COLUMNS;
    return deep % p->k;
}

const onednn_product *onednn_cut(onednn *lib, int64_t n, int64_t k, char *why, size_t why_bytes) {
    for (const cut *c = lib->cuts; c; c = c->next)
        if (c->n == n && c->k == k) return &c->product;
    cut *c = calloc(1, sizeof *c);
    if (!c) return NULL;
    *c = (cut){.next = lib->cuts, .n = n, .k = k};
    const int64_t rest = cut_product(&c->product, k);
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 2; j++) {
            const int64_t columns = j ? n % c->product.columns : c->product.columns,
                          deep = i ? rest : c->product.k;
            if (!deep || !columns || (!j && n < columns)) continue;
            c->product.block[i][j] = block_of(lib, up_to(columns, ONEDNN_PANEL), deep, why, why_bytes);
            if (c->product.block[i][j]) continue;
            free(c);
            return NULL;
        }
    lib->cuts = c;
    return &c->product;
}

const onednn_block *onednn_next(const onednn_product *p, int64_t k_left, int64_t n) {
    return p->block[up_to(k_left, ONEDNN_K) < p->k][n < p->columns];
}
