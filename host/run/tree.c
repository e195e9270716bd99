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
    int rank;
    float *part; /* [PART]: this rank's share of the node's value, as received */
} received;

struct tree_sum {
    comm *c;
    pool *p;
    int n_leaves, n_nodes, n_rounds; /* of this step: nodes of all ranks; most of one rank */
    int most_nodes;
    int first[COMM_RANKS_MAX + 1]; /* node of a rank in `node` */
    received *node;
    float *memory;
    int bf16, plain;
    int64_t n_exact;
    char *out, *in; /* [n ranks][PART]: what travels as bf16 */
};

/* The nodes of all ranks, into `node` unless that is NULL; *rounds: most of one rank. */
static int list_nodes(const comm *c, int n_leaves, int plain, received *node, int *first_of_rank, int *rounds,
                      float *memory) {
    tree_node own[TREE_NODES_MAX];
    int n = 0;
    *rounds = 0;
    for (int r = 0; r < c->n; r++) {
        int first, end;
        tree_run_of_rank(n_leaves, r, c->n, &first, &end);
        int k = tree_maximal_nodes(n_leaves, first, end, own);
        if (plain && k) own[0] = (tree_node){first, end - first}, k = 1;
        first_of_rank[r] = n;
        for (int i = 0; i < k; i++, n++)
            if (node) node[n] = (received){.at = own[i], .rank = r, .part = memory + (int64_t)n * PART};
        if (k > *rounds) *rounds = k;
    }
    first_of_rank[c->n] = n;
    return n;
}

tree_sum *tree_sum_new(comm *c, int most_leaves, pool *p) {
    tree_sum *t = mem_new(sizeof *t, "sums over ranks");
    t->c = c;
    t->p = p;
    for (int n = 1; n <= most_leaves; n++) {
        const int nodes = list_nodes(c, n, 0, NULL, t->first, &t->n_rounds, NULL);
        if (nodes > t->most_nodes) t->most_nodes = nodes;
    }
    t->node = mem_new((size_t)t->most_nodes * sizeof *t->node + 1, "sums over ranks");
    t->memory = mem_new((size_t)t->most_nodes * PART * sizeof(float) + 1, "sums over ranks");
    tree_sum_begin(t, most_leaves);
    return t;
}

void tree_sum_begin(tree_sum *t, int n_leaves) {
    t->n_leaves = n_leaves;
    t->n_nodes = list_nodes(t->c, n_leaves, t->plain, t->node, t->first, &t->n_rounds, t->memory);
    HONE_ASSERT(t->n_nodes <= t->most_nodes);
}

void tree_sum_free(tree_sum *t) {
    if (!t) return;
    mem_free(t->node);
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
    return (size_t)t->most_nodes * PART * sizeof(float) + halves;
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
static float *evaluate(tree_sum *t, tree_node node, int64_t at, int64_t n) {
    for (int i = 0; i < t->n_nodes; i++)
        if (t->node[i].at.first == node.first && t->node[i].at.n == node.n) return t->node[i].part;
    const int k = tree_left_leaves(node.n);
    float *to = evaluate(t, (tree_node){node.first, k}, at, n);
    tree_sum_add(t, to, evaluate(t, (tree_node){node.first + k, node.n - k}, at, n), at, n);
    return to;
}

static float *evaluate_plainly(tree_sum *t, int64_t at, int64_t n) {
    for (int i = 1; i < t->n_nodes; i++) tree_sum_add(t, t->node[0].part, t->node[i].part, at, n);
    return t->node[0].part;
}

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

/* The i-th node of every rank that has so many, cut for its receivers. */
static hone_status send_nodes(tree_sum *t, const float *const *node, int i, int64_t round,
                              const int64_t *bound, hone_err *err) {
    comm_piece to[COMM_RANKS_MAX] = {{0}}, from[COMM_RANKS_MAX] = {{0}};
    const int me = t->c->rank;
    int64_t mine;
    const int64_t own = slice_of(bound, me, round, &mine);
    for (int r = 0; r < t->c->n; r++) {
        int64_t n;
        const int64_t at = slice_of(bound, r, round, &n);
        if (t->first[me] + i < t->first[me + 1]) {
            to[r] = (comm_piece){(void *)(node[i] + at), bytes_of(t, at, n)};
            if (t->bf16) pack(t, to[r].p = place_of(t, t->out, r), node[i] + at, at, n);
        }
        if (t->first[r] + i < t->first[r + 1])
            from[r] = (comm_piece){t->bf16 ? (void *)place_of(t, t->in, r) : t->node[t->first[r] + i].part,
                                   bytes_of(t, own, mine)};
    }
    HONE_TRY(comm_exchange(t->c, to, from, err));
    for (int r = 0; r < t->c->n && t->bf16; r++)
        if (t->first[r] + i < t->first[r + 1]) unpack(t, t->node[t->first[r] + i].part, from[r].p, own, mine);
    return HONE_OK;
}

hone_status tree_sum_scatter(tree_sum *t, const float *const *node, float *out, const int64_t *bound,
                             hone_err *err) {
    for (int64_t round = 0; round < rounds_of(t, bound); round++) {
        int64_t n;
        const int64_t at = slice_of(bound, t->c->rank, round, &n);
        for (int i = 0; i < t->n_rounds; i++) HONE_TRY(send_nodes(t, node, i, round, bound, err));
        if (!n) continue;
        const float *root = t->plain ? evaluate_plainly(t, at, n)
                                     : evaluate(t, (tree_node){0, t->n_leaves}, at, n);
        if (t->bf16) {
            pack(t, t->out, root, at, n);
            unpack(t, out + at, t->out, at, n);
        } else memcpy(out + at, root, (size_t)n * sizeof(float));
    }
    return HONE_OK;
}

hone_status tree_sum_gather(tree_sum *t, void *x, size_t element_bytes, const int64_t *bound, hone_err *err) {
    comm_piece to[COMM_RANKS_MAX], from[COMM_RANKS_MAX];
    const int me = t->c->rank;
    for (int r = 0; r < t->c->n; r++) {
        to[r] = (comm_piece){(char *)x + (size_t)bound[me] * element_bytes,
                             (size_t)(bound[me + 1] - bound[me]) * element_bytes};
        from[r] = (comm_piece){(char *)x + (size_t)bound[r] * element_bytes,
                               (size_t)(bound[r + 1] - bound[r]) * element_bytes};
    }
    return comm_exchange(t->c, to, from, err);
}

hone_status tree_sum_gather_sums(tree_sum *t, float *x, const int64_t *bound, hone_err *err) {
    if (!t->bf16) return tree_sum_gather(t, x, sizeof *x, bound, err);
    const int me = t->c->rank;
    for (int64_t round = 0; round < rounds_of(t, bound); round++) {
        comm_piece to[COMM_RANKS_MAX], from[COMM_RANKS_MAX];
        int64_t n, own = slice_of(bound, me, round, &n);
        pack(t, t->out, x + own, own, n);
        for (int r = 0; r < t->c->n; r++) {
            int64_t its;
            const int64_t at = slice_of(bound, r, round, &its);
            to[r] = (comm_piece){t->out, bytes_of(t, own, n)};
            from[r] = (comm_piece){place_of(t, t->in, r), bytes_of(t, at, its)};
        }
        HONE_TRY(comm_exchange(t->c, to, from, err));
        for (int r = 0; r < t->c->n; r++) {
            int64_t its;
            const int64_t at = slice_of(bound, r, round, &its);
            unpack(t, x + at, from[r].p, at, its);
        }
    }
    return HONE_OK;
}
