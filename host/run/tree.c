/* tree.c - shards, nodes, and their sums over ranks. */
#include <string.h>

#include "run/tree.h"
#include "run/convert.h"
#include "base/err.h"
#include "base/mem.h"

#define PART ((int64_t)1 << 16) /* elements of each rank's part that travel at once */
#define BLOCK 4096              /* elements that a thread adds at once */

/* ---- the tree ------------------------------------------------------------------------------------------------*/

void tree_run_of_rank(int n_leaves, int rank, int n_ranks, int *first, int *end) {
    *first = (int)((int64_t)n_leaves * rank / n_ranks);
    *end = (int)((int64_t)n_leaves * (rank + 1) / n_ranks);
}

int tree_left_leaves(int n) {
    int k = 1;
    while (2 * k < n) k *= 2;
    return k;
}

int tree_are_siblings(int n_leaves, tree_node left, tree_node right) {
    tree_node at = {0, n_leaves};
    if (left.first + left.n != right.first) return 0;
    while (at.n > 1) {
        const int k = tree_left_leaves(at.n);
        if (at.first == left.first && left.n == k) return right.n == at.n - k;
        if (left.first < at.first + k) at.n = k;
        else at = (tree_node){at.first + k, at.n - k};
    }
    return 0;
}

static int collect(tree_node at, int first, int end, tree_node *out, int n) {
    if (at.first >= end || at.first + at.n <= first) return n;
    if (at.first >= first && at.first + at.n <= end) {
        HONE_ASSERT(n < TREE_NODES_MAX);
        out[n] = at;
        return n + 1;
    }
    const int k = tree_left_leaves(at.n);
    n = collect((tree_node){at.first, k}, first, end, out, n);
    return collect((tree_node){at.first + k, at.n - k}, first, end, out, n);
}

int tree_maximal_nodes(int n_leaves, int first, int end, tree_node *out) {
    return end > first ? collect((tree_node){0, n_leaves}, first, end, out, 0) : 0;
}

int tree_slots(int n_leaves, int first, int end) {
    tree_node held[TREE_NODES_MAX];
    int n = 0, most = 0;
    for (int leaf = first; leaf < end; leaf++) {
        HONE_ASSERT(n < TREE_NODES_MAX);
        held[n++] = (tree_node){leaf, 1};
        if (n > most) most = n;
        for (; n > 1 && tree_are_siblings(n_leaves, held[n - 2], held[n - 1]); n--)
            held[n - 2].n += held[n - 1].n;
    }
    return most;
}

/* ---- over ranks ----------------------------------------------------------------------------------------------*/

typedef struct {
    tree_node at;
    float *part; /* [PART]: this rank's share of the node's value, as received */
} received;

/* Ranks that exchange: those of this machine, or one of each machine. A member brings the maximal nodes of its run of shards. */
typedef struct {
    int n, me;
    int rank[COMM_RANKS_MAX];
    int first[COMM_RANKS_MAX + 1]; /* node of a member in `node` */
    int most;                      /* nodes of one member */
    received *node;
} circle;

struct tree_sum {
    comm *c;
    pool *p;
    int n_leaves, n_machines, per_machine;
    circle near, far; /* far: of several machines alone */
    int most_near, most_far, most_own;
    float *memory, *own; /* own: [machines][nodes of this one][PART] what goes to other machines */
    int bf16, plain;
    int64_t n_exact;
    char *out, *in; /* [n ranks][PART]: what travels as bf16 */
};

/* The shards of a circle's member k. */
static void run_of_member(const tree_sum *t, const circle *q, int k, int n_leaves, int *first, int *end) {
    const int n = t->c->n;
    int ignored;
    if (q == &t->near) return tree_run_of_rank(n_leaves, q->rank[k], n, first, end);
    tree_run_of_rank(n_leaves, k * t->per_machine, n, first, &ignored);
    tree_run_of_rank(n_leaves, (k + 1) * t->per_machine - 1, n, &ignored, end);
}

/* The nodes of all members, into `node` unless that is NULL; how many. */
static int list_nodes(const tree_sum *t, circle *q, int n_leaves) {
    tree_node own[TREE_NODES_MAX];
    int n = 0;
    q->most = 0;
    for (int m = 0; m < q->n; m++) {
        int first, end;
        run_of_member(t, q, m, n_leaves, &first, &end);
        int k = tree_maximal_nodes(n_leaves, first, end, own);
        if (t->plain && k) own[0] = (tree_node){first, end - first}, k = 1;
        q->first[m] = n;
        for (int i = 0; i < k; i++, n++)
            if (q->node) q->node[n].at = own[i];
        if (k > q->most) q->most = k;
    }
    q->first[q->n] = n;
    return n;
}

static int nodes_of(const circle *q, int member) { return q->first[member + 1] - q->first[member]; }

static void larger(int *most, int n) { *most = n > *most ? n : *most; }

static void make_circles(tree_sum *t) {
    const comm *c = t->c;
    t->per_machine = c->per_machine ? c->per_machine : c->n;
    t->n_machines = c->n / t->per_machine;
    const int machine = c->rank / t->per_machine, local = c->rank % t->per_machine;
    t->near = (circle){.n = t->per_machine, .me = local};
    t->far = (circle){.n = t->n_machines, .me = machine};
    for (int k = 0; k < t->near.n; k++) t->near.rank[k] = machine * t->per_machine + k;
    for (int m = 0; m < t->far.n; m++) t->far.rank[m] = m * t->per_machine + local;
}

static void place_parts(circle *q, float *memory, int n) {
    q->node = mem_new((size_t)n * sizeof *q->node + 1, "sums over ranks");
    for (int i = 0; i < n; i++) q->node[i].part = memory + (int64_t)i * PART;
}

static size_t floats_of(const tree_sum *t) {
    const int several = t->n_machines > 1;
    return (size_t)(t->most_near + several * (t->most_far + t->n_machines * t->most_own)) * PART;
}

tree_sum *tree_sum_new(comm *c, int most_leaves, pool *p) {
    tree_sum *t = mem_new(sizeof *t, "sums over ranks");
    t->c = c;
    t->p = p;
    make_circles(t);
    for (int n = 1; n <= most_leaves; n++) {
        larger(&t->most_near, list_nodes(t, &t->near, n));
        larger(&t->most_far, list_nodes(t, &t->far, n));
        larger(&t->most_own, nodes_of(&t->far, t->far.me));
    }
    t->memory = mem_new(floats_of(t) * sizeof(float) + 1, "sums over ranks");
    place_parts(&t->near, t->memory, t->most_near);
    if (t->n_machines > 1) place_parts(&t->far, t->memory + (int64_t)t->most_near * PART, t->most_far);
    t->own = t->memory + (int64_t)(t->most_near + t->most_far) * PART;
    tree_sum_begin(t, most_leaves);
    return t;
}

void tree_sum_begin(tree_sum *t, int n_leaves) {
    t->n_leaves = n_leaves;
    const int near = list_nodes(t, &t->near, n_leaves), far = list_nodes(t, &t->far, n_leaves);
    HONE_ASSERT(near <= t->most_near && far <= t->most_far);
}

void tree_sum_free(tree_sum *t) {
    if (!t) return;
    mem_free(t->near.node);
    mem_free(t->far.node);
    mem_free(t->memory);
    mem_free(t->out);
    mem_free(t->in);
    mem_free(t);
}

comm *tree_sum_comm(const tree_sum *t) { return t->c; }
void tree_sum_threads(tree_sum *t, pool *p) { t->p = p; }
void tree_sum_travel(tree_sum *t, int bf16, int64_t n_exact, int plain) {
    const size_t bytes = (size_t)t->c->n * (PART * 2 + (size_t)n_exact * 2);
    t->bf16 = bf16;
    t->plain = plain;
    t->n_exact = n_exact;
    tree_sum_begin(t, t->n_leaves);
    if (!bf16) return;
    t->out = mem_new(bytes, "gradients on their way out");
    t->in = mem_new(bytes, "gradients on their way in");
}

int tree_sum_leaves(const tree_sum *t) { return t->n_leaves; }

size_t tree_sum_bytes(const tree_sum *t) {
    const size_t halves = t->bf16 ? 2 * (size_t)t->c->n * (PART * 2 + (size_t)t->n_exact * 2) : 0;
    return floats_of(t) * sizeof(float) + halves;
}

/* Blocks of n elements, to the pool's threads or one after another. */
static void deal(tree_sum *t, int64_t n, void (*fn)(void *arg, int64_t i, int thread), void *arg) {
    const int64_t n_blocks = (n + BLOCK - 1) / BLOCK;
    if (t->p) pool_run(t->p, n_blocks, fn, arg);
    for (int64_t i = 0; i < n_blocks && !t->p; i++) fn(arg, i, 0);
}

/* ---- what travels as bf16: the first n_exact elements of all as they are, the others in two bytes ----*/

static int64_t exact_of(const tree_sum *t, int64_t at, int64_t n) {
    const int64_t exact = t->bf16 ? t->n_exact - at : n;
    return exact < 0 ? 0 : exact < n ? exact : n;
}
static size_t bytes_of(const tree_sum *t, int64_t at, int64_t n) {
    const int64_t exact = exact_of(t, at, n);
    return (size_t)exact * sizeof(float) + (size_t)(n - exact) * 2;
}
static char *place_of(const tree_sum *t, char *all, int rank) {
    return all + (size_t)rank * (PART * 2 + (size_t)t->n_exact * 2);
}

typedef struct {
    float *value;
    char *half;
    int64_t n;
    int packs;
} packing;
static void pack_block(void *arg, int64_t i, int thread) {
    const packing *p = arg;
    const int64_t first = i * BLOCK, n = first + BLOCK < p->n ? BLOCK : p->n - first;
    (void)thread;
    if (p->packs) convert_from_float(p->half + 2 * first, HONE_BF16, p->value + first, (size_t)n);
    else convert_to_float(p->value + first, p->half + 2 * first, HONE_BF16, (size_t)n);
}
static void pack(tree_sum *t, char *to, const float *from, int64_t at, int64_t n) {
    const int64_t exact = exact_of(t, at, n);
    packing p = {(float *)from + exact, to + exact * (int64_t)sizeof(float), n - exact, 1};
    memcpy(to, from, (size_t)exact * sizeof(float));
    deal(t, p.n, pack_block, &p);
}
static void unpack(tree_sum *t, float *to, const char *from, int64_t at, int64_t n) {
    const int64_t exact = exact_of(t, at, n);
    packing p = {to + exact, (char *)from + exact * (int64_t)sizeof(float), n - exact, 0};
    memcpy(to, from, (size_t)exact * sizeof(float));
    deal(t, p.n, pack_block, &p);
}

/* ---- adding ----*/

typedef struct {
    float *to, *from;
    int64_t n, rounded_from; /* elements from there on are rounded before they are added */
} addition;

static void round_run(float *x, int64_t n) {
    uint16_t half[BLOCK];
    convert_from_float(half, HONE_BF16, x, (size_t)n);
    convert_to_float(x, half, HONE_BF16, (size_t)n);
}

static void add_block(void *arg, int64_t i, int thread) {
    const addition *a = arg;
    const int64_t first = i * BLOCK, end = first + BLOCK < a->n ? first + BLOCK : a->n,
                  rounded = a->rounded_from > first ? a->rounded_from : first;
    (void)thread;
    if (rounded < end) round_run(a->to + rounded, end - rounded), round_run(a->from + rounded, end - rounded);
    for (int64_t e = first; e < end; e++) a->to[e] += a->from[e];
}

void tree_sum_add(tree_sum *t, float *to, float *from, int64_t at, int64_t n) {
    addition a = {to, from, n, t->plain ? n : exact_of(t, at, n)};
    deal(t, n, add_block, &a);
}

/* The node's value, of elements at .. at + n, in the place of its leftmost received part. */
static float *evaluate(tree_sum *t, circle *q, tree_node node, int64_t at, int64_t n) {
    for (int i = 0; i < q->first[q->n]; i++)
        if (q->node[i].at.first == node.first && q->node[i].at.n == node.n) return q->node[i].part;
    const int k = tree_left_leaves(node.n);
    float *to = evaluate(t, q, (tree_node){node.first, k}, at, n);
    tree_sum_add(t, to, evaluate(t, q, (tree_node){node.first + k, node.n - k}, at, n), at, n);
    return to;
}

static float *evaluate_plainly(tree_sum *t, circle *q, int64_t at, int64_t n) {
    for (int i = 1; i < q->first[q->n]; i++) tree_sum_add(t, q->node[0].part, q->node[i].part, at, n);
    return q->node[0].part;
}

static float *value_of(tree_sum *t, circle *q, tree_node node, int64_t at, int64_t n) {
    return t->plain ? evaluate_plainly(t, q, at, n) : evaluate(t, q, node, at, n);
}

/* ---- scattering ----*/

/* Elements at .. at + *n of rank r's part, in round `round` of travelling. */
static int64_t slice_of(const int64_t *bound, int r, int64_t round, int64_t *n) {
    const int64_t at = bound[r] + round * PART, left = bound[r + 1] - at;
    *n = left < 0 ? 0 : left < PART ? left : PART;
    return at;
}

static int64_t rounds_of(const tree_sum *t, const int64_t *bound) {
    int64_t most = 0;
    for (int r = 0; r < t->c->n; r++) {
        const int64_t n = (bound[r + 1] - bound[r] + PART - 1) / PART;
        if (n > most) most = n;
    }
    return most;
}

typedef struct {
    int64_t at, n;
} elements;

/* The i-th node of every member that has so many, cut for its receivers: value[k] is elements part[k] of this rank's own, for
 * member k; part[me] is what this rank hears. */
static hone_status send_nodes(tree_sum *t, circle *q, int i, const float *const *value, const elements *part,
                              hone_err *err) {
    comm_piece to[COMM_RANKS_MAX] = {{0}}, from[COMM_RANKS_MAX] = {{0}};
    const elements own = part[q->me];
    for (int k = 0; k < q->n; k++) {
        const int r = q->rank[k];
        if (i < nodes_of(q, q->me)) {
            to[r] = (comm_piece){(void *)value[k], bytes_of(t, part[k].at, part[k].n)};
            if (t->bf16) pack(t, to[r].p = place_of(t, t->out, r), value[k], part[k].at, part[k].n);
        }
        if (i < nodes_of(q, k))
            from[r] = (comm_piece){t->bf16 ? (void *)place_of(t, t->in, r) : q->node[q->first[k] + i].part,
                                   bytes_of(t, own.at, own.n)};
    }
    HONE_TRY(comm_exchange(t->c, to, from, err));
    for (int k = 0; k < q->n && t->bf16; k++)
        if (i < nodes_of(q, k)) unpack(t, q->node[q->first[k] + i].part, from[q->rank[k]].p, own.at, own.n);
    return HONE_OK;
}

/* What goes to the rank of machine m that has this one's number there: node i of this machine. */
static float *own_node(const tree_sum *t, int m, int i) {
    return t->own + ((int64_t)m * t->most_own + i) * PART;
}

/* Of elements that machine m's ranks add: each rank of this machine gets those of its number there. */
static hone_status scatter_near(tree_sum *t, const float *const *node, int m, int64_t round,
                                const int64_t *bound, hone_err *err) {
    circle *q = &t->near;
    elements part[COMM_RANKS_MAX];
    for (int k = 0; k < q->n; k++) part[k].at = slice_of(bound, m * t->per_machine + k, round, &part[k].n);
    for (int i = 0; i < q->most; i++) {
        const float *value[COMM_RANKS_MAX] = {NULL};
        for (int k = 0; k < q->n && i < nodes_of(q, q->me); k++) value[k] = node[i] + part[k].at;
        HONE_TRY(send_nodes(t, q, i, value, part, err));
    }
    for (int i = 0; t->n_machines > 1 && i < nodes_of(&t->far, t->far.me); i++)
        memcpy(own_node(t, m, i),
               value_of(t, q, t->far.node[t->far.first[t->far.me] + i].at, part[q->me].at, part[q->me].n),
               (size_t)part[q->me].n * sizeof(float));
    return HONE_OK;
}

static hone_status scatter_far(tree_sum *t, int64_t round, const int64_t *bound, hone_err *err) {
    circle *q = &t->far;
    elements part[COMM_RANKS_MAX];
    for (int m = 0; m < q->n; m++) part[m].at = slice_of(bound, q->rank[m], round, &part[m].n);
    for (int i = 0; i < q->most; i++) {
        const float *value[COMM_RANKS_MAX];
        for (int m = 0; m < q->n; m++) value[m] = own_node(t, m, i);
        HONE_TRY(send_nodes(t, q, i, value, part, err));
    }
    return HONE_OK;
}

hone_status tree_sum_scatter(tree_sum *t, const float *const *node, float *out, const int64_t *bound,
                             hone_err *err) {
    const int several = t->n_machines > 1;
    for (int64_t round = 0; round < rounds_of(t, bound); round++) {
        int64_t n;
        const int64_t at = slice_of(bound, t->c->rank, round, &n);
        for (int m = 0; m < t->n_machines; m++) HONE_TRY(scatter_near(t, node, m, round, bound, err));
        if (several) HONE_TRY(scatter_far(t, round, bound, err));
        if (!n) continue;
        const float *root = value_of(t, several ? &t->far : &t->near, (tree_node){0, t->n_leaves}, at, n);
        if (t->bf16) {
            pack(t, t->out, root, at, n);
            unpack(t, out + at, t->out, at, n);
        } else memcpy(out + at, root, (size_t)n * sizeof(float));
    }
    return HONE_OK;
}

/* ---- gathering ----*/

/* all[r]: the place of what rank r has. First from those of this number on the other machines, then from the neighbours what
 * these have. */
static hone_status gather(tree_sum *t, const comm_piece *all, hone_err *err) {
    for (int m = t->n_machines > 1 ? -1 : 0; m < t->n_machines;
         m++) { /* -1: across machines; then what machine m's ranks have */
        comm_piece to[COMM_RANKS_MAX] = {{0}}, from[COMM_RANKS_MAX] = {{0}};
        const circle *q = m < 0 ? &t->far : &t->near;
        for (int k = 0; k < q->n; k++) {
            const int first = m * t->per_machine;
            to[q->rank[k]] = all[m < 0 ? t->c->rank : first + q->me];
            from[q->rank[k]] = all[m < 0 ? q->rank[k] : first + k];
        }
        HONE_TRY(comm_exchange(t->c, to, from, err));
    }
    return HONE_OK;
}

hone_status tree_sum_gather(tree_sum *t, void *x, size_t element_bytes, const int64_t *bound, hone_err *err) {
    comm_piece all[COMM_RANKS_MAX];
    for (int r = 0; r < t->c->n; r++)
        all[r] = (comm_piece){(char *)x + (size_t)bound[r] * element_bytes,
                              (size_t)(bound[r + 1] - bound[r]) * element_bytes};
    return gather(t, all, err);
}

hone_status tree_sum_gather_sums(tree_sum *t, float *x, const int64_t *bound, hone_err *err) {
    if (!t->bf16) return tree_sum_gather(t, x, sizeof *x, bound, err);
    for (int64_t round = 0; round < rounds_of(t, bound); round++) {
        comm_piece all[COMM_RANKS_MAX];
        int64_t n;
        for (int r = 0; r < t->c->n; r++) {
            const int64_t at = slice_of(bound, r, round, &n);
            all[r] = (comm_piece){place_of(t, t->in, r), bytes_of(t, at, n)};
            if (r == t->c->rank) pack(t, all[r].p, x + at, at, n);
        }
        HONE_TRY(gather(t, all, err));
        for (int r = 0; r < t->c->n; r++) {
            const int64_t at = slice_of(bound, r, round, &n);
            unpack(t, x + at, all[r].p, at, n);
        }
    }
    return HONE_OK;
}
