/* tree_device.c - messages of parts, and additions between them. */
#include <string.h>

#include "run/tree_device.h"
#include "base/err.h"
#include "base/mem.h"

typedef struct {
    tree_node at;
    int rank;
} ranked;

struct tree_device {
    tree_device_options o;
    hone_comm *link;
    hone_event *reached;
    int broken; /* a rank has gone, or the library gave up: nothing more is asked of it */
    wire_places wire;
    int64_t part;
    int n_leaves, n_nodes, by_halves, by_doubling;
    int first[COMM_RANKS_MAX + 1]; /* node of a rank in `node` */
    ranked *node;
    float **value; /* of each node: the part that this rank adds */
};

/* What one walk over the elements is about: those of `bound`, as fp32 or bf16, a part of each rank at a time. */
typedef struct {
    int64_t bound[COMM_RANKS_MAX + 1];
    int bf16;
    int64_t round, n_rounds;
} walk;

/* ---- nodes of ranks ----*/

static int list_nodes(int n_ranks, int n_leaves, ranked *node, int *first_of_rank) {
    tree_node own[TREE_NODES_MAX];
    int n = 0;
    for (int r = 0; r < n_ranks; r++) {
        int first, end;
        tree_run_of_rank(n_leaves, r, n_ranks, &first, &end);
        const int k = tree_maximal_nodes(n_leaves, first, end, own);
        if (first_of_rank) first_of_rank[r] = n;
        for (int i = 0; i < k; i++, n++)
            if (node) node[n] = (ranked){own[i], r};
    }
    if (first_of_rank) first_of_rank[n_ranks] = n;
    return n;
}

static int most_nodes(int n_ranks, int most_leaves) {
    int most = 0;
    for (int leaves = n_ranks > COMM_RANKS_MAX ? most_leaves : 1; leaves <= most_leaves; leaves++) {
        const int n = list_nodes(n_ranks, leaves, NULL, NULL);
        if (n > most) most = n;
    }
    return most;
}

int tree_device_nodes(int n_ranks, int most_leaves) {
    return n_ranks > 1 ? most_nodes(n_ranks, most_leaves) : 0;
}

/* Do ranks r and r ^ 1, then pairs of pairs ... hold siblings? */
static int is_by_halves(const ranked *node, int n_nodes, int n_ranks, int n_leaves) {
    tree_node now[COMM_RANKS_MAX];
    if (n_nodes != n_ranks || (n_ranks & (n_ranks - 1))) return 0;
    for (int r = 0; r < n_ranks; r++) {
        if (node[r].rank != r) return 0;
        now[r] = node[r].at;
    }
    for (int n = n_ranks; n > 1; n /= 2)
        for (int i = 0; i < n; i += 2) {
            if (!tree_are_siblings(n_leaves, now[i], now[i + 1])) return 0;
            now[i / 2] = (tree_node){now[i].first, now[i].n + now[i + 1].n};
        }
    return 1;
}

void tree_device_begin(tree_device *t, int n_leaves) {
    const int n = t->o.ranks->n;
    t->n_leaves = n_leaves;
    t->n_nodes = list_nodes(n, n_leaves, t->node, t->first);
    HONE_ASSERT(t->n_nodes <= t->o.wire.n_nodes);
    t->by_halves = is_by_halves(t->node, t->n_nodes, n, n_leaves);
    t->by_doubling = !(n & (n - 1));
}

/* ---- waiting ----*/

/* The library's own word for a rank that has gone comes first or last: who it was is known to the host's communicator. */
static hone_status give_up(tree_device *t, const hone_err *said, hone_err *err) {
    t->broken = 1;
    for (int64_t i = 0; i < 100000; i++) HONE_TRY(comm_look(t->o.ranks, i, err));
    if (err) *err = *said;
    return HONE_ECOMM;
}

static hone_status settle(tree_device *t, hone_err *err) {
    hone_err why = {0};
    int state = 0;
    for (int64_t i = 0; !state; i++) {
        state = t->o.table->comm->state(t->link, &why);
        if (state) break;
        const hone_status gone = comm_look(t->o.ranks, i, err);
        if (gone) t->broken = 1;
        HONE_TRY(gone);
    }
    return state > 0 ? HONE_OK : give_up(t, &why, err);
}

hone_status tree_device_wait(tree_device *t, hone_queue *queue, hone_err *err) {
    const hone_device_v1 *table = t->o.table;
    hone_status status = HONE_OK;
    if (t->link) {
        hone_err why = {0};
        table->event_record(queue, t->reached);
        for (int64_t i = 0; !table->event_done(t->reached); i++) {
            status = comm_look(t->o.ranks, i, err);
            if (!status && table->comm->state(t->link, &why) < 0) return give_up(t, &why, err);
            if (status) t->broken = 1;
            HONE_TRY(status);
        }
    }
    status = table->queue_wait(queue);
    return status ? hone_fail(err, status, "device %s: playing failed", table->name) : HONE_OK;
}

/* ---- what a device is asked to do ----*/

static hone_status called(tree_device *t, hone_status status, hone_err *err) {
    return status ? hone_fail(err, status, "device %s: adding gradients failed", t->o.table->name) : HONE_OK;
}

static hone_tensor rows_of(const void *p, int64_t rows, int64_t width) {
    return (hone_tensor){.p = (void *)p, .n_dims = 2, .dim = {rows, width, 1}, .ld = width, .dtype = HONE_F32};
}

static hone_status add_rows(tree_device *t, float *to, const float *from, int64_t rows, int64_t width, hone_err *err) {
    const hone_tensor a = rows_of(to, rows, width), b = rows_of(from, rows, width);
    const hone_call c = {.op = HONE_OP_ADD, .in = {a, b}, .out = {a}};
    return rows ? called(t, t->o.table->op[HONE_OP_ADD](t->o.queue, &c), err) : HONE_OK;
}

static hone_status add(tree_device *t, float *to, const float *from, int64_t n, hone_err *err) {
    const int64_t whole = n / 64 * 64;
    HONE_TRY(add_rows(t, to, from, n / 64, 64, err));
    return n > whole ? add_rows(t, to + whole, from + whole, 1, n - whole, err) : HONE_OK;
}

static hone_status copy(tree_device *t, hone_queue *queue, void *to, hone_dtype to_type, const void *from,
                        hone_dtype type, int64_t n, hone_err *err) {
    const hone_tensor x = {.p = (void *)from, .n_dims = 1, .dim = {n, 1, 1}, .ld = 1, .dtype = type},
                      y = {.p = to, .n_dims = 1, .dim = {n, 1, 1}, .ld = 1, .dtype = to_type};
    const hone_call c = {.op = HONE_OP_COPY, .in = {x}, .out = {y}};
    return n > 0 ? called(t, t->o.table->op[HONE_OP_COPY](queue, &c), err) : HONE_OK;
}

static hone_status to_wire(tree_device *t, void *to, const float *from, int64_t n, hone_err *err) {
    return copy(t, t->o.queue, to, HONE_BF16, from, HONE_F32, n, err);
}
static hone_status from_wire(tree_device *t, float *to, const void *from, int64_t n, hone_err *err) {
    return copy(t, t->o.queue, to, HONE_F32, from, HONE_BF16, n, err);
}

static hone_status round_on(tree_device *t, hone_queue *queue, float *x, int64_t n, hone_err *err) {
    HONE_TRY(copy(t, queue, t->wire.rounded, HONE_BF16, x, HONE_F32, n, err));
    return copy(t, queue, x, HONE_F32, t->wire.rounded, HONE_BF16, n, err);
}
static hone_status round_part(tree_device *t, float *x, int64_t n, hone_err *err) {
    return round_on(t, t->o.queue, x, n, err);
}

static hone_status round_range(tree_device *t, hone_queue *queue, float *x, int64_t first, int64_t end, hone_err *err) {
    for (int64_t at = first > t->o.n_exact ? first : t->o.n_exact; at < end; at += t->part)
        HONE_TRY(round_on(t, queue, x + at, end - at < t->part ? end - at : t->part, err));
    return HONE_OK;
}

hone_status tree_device_round(tree_device *t, hone_queue *queue, float *x, hone_err *err) {
    return round_range(t, queue, x, 0, t->o.n_elements, err);
}

hone_status tree_device_fold(tree_device *t, float *to, float *from, int64_t first, int64_t end, int rounds, hone_err *err) {
    if (rounds) HONE_TRY(round_range(t, t->o.queue, to, first, end, err));
    if (rounds) HONE_TRY(round_range(t, t->o.queue, from, first, end, err));
    return add(t, to + first, from + first, end - first, err);
}

/* ---- messages ----*/

typedef struct {
    hone_comm_piece to[COMM_RANKS_MAX], from[COMM_RANKS_MAX];
    int n_to, n_from;
} message;

static void send_to(message *m, const void *p, int64_t n, size_t size, int rank) {
    if (n) m->to[m->n_to++] = (hone_comm_piece){(void *)p, (size_t)n * size, rank};
}
static void take_from(message *m, void *p, int64_t n, size_t size, int rank) {
    if (n) m->from[m->n_from++] = (hone_comm_piece){p, (size_t)n * size, rank};
}

static hone_status pass(tree_device *t, const message *m, hone_err *err) {
    if (!m->n_to && !m->n_from) return HONE_OK;
    for (int i = 0; i < m->n_to; i++) t->o.ranks->bytes_sent += m->to[i].bytes;
    HONE_TRY(t->o.table->comm->exchange(t->link, t->o.queue, m->to, m->n_to, m->from, m->n_from, err));
    return settle(t, err);
}

/* ---- walks ----*/

static int64_t clamp(int64_t x, int64_t low, int64_t high) { return x < low ? low : x > high ? high : x; }

/* The walk over those elements of bound that travel exactly, or over those that do not. */
static walk walk_of(const tree_device *t, const int64_t *bound, int bf16) {
    walk w = {.bf16 = bf16};
    const int64_t all = bound[t->o.ranks->n], exact = t->o.wire.bf16 ? clamp(t->o.n_exact, 0, all) : all;
    for (int r = 0; r <= t->o.ranks->n; r++) w.bound[r] = bf16 ? clamp(bound[r], exact, all) : clamp(bound[r], 0, exact);
    for (int r = 0; r < t->o.ranks->n; r++) {
        const int64_t n = (w.bound[r + 1] - w.bound[r] + t->part - 1) / t->part;
        if (n > w.n_rounds) w.n_rounds = n;
    }
    return w;
}

/* Elements at .. at + *n of rank r's part, in this round. */
static int64_t slice(const tree_device *t, const walk *w, int r, int64_t *n) {
    const int64_t at = w->bound[r] + w->round * t->part;
    *n = clamp(w->bound[r + 1] - at, 0, t->part);
    return at;
}

static char *half_place(const tree_device *t, void *all, int i) { return (char *)all + (size_t)i * (size_t)t->part * 2; }

/* What a rank sends of x goes as it is, or by way of a place on the wire. */
static hone_status send_slice(tree_device *t, const walk *w, message *m, const float *x, int q, int place, int rank,
                              hone_err *err) {
    int64_t n;
    const float *from = x + slice(t, w, q, &n);
    if (!w->bf16) return send_to(m, from, n, sizeof *from, rank), HONE_OK;
    char *half = half_place(t, t->wire.out, place);
    send_to(m, half, n, 2, rank);
    return to_wire(t, half, from, n, err);
}

static void take_slice(const tree_device *t, const walk *w, message *m, float *to, int q, int place, int rank) {
    int64_t n;
    slice(t, w, q, &n);
    if (w->bf16) take_from(m, half_place(t, t->wire.in, place), n, 2, rank);
    else take_from(m, to, n, sizeof *to, rank);
}

static float *value_place(const tree_device *t, int i) { return t->wire.value + (int64_t)i * t->part; }

/* ---- scattering: recursive halving ----*/

/* Elements whose rank agrees with `like` in the bits below and at `bit` are kept by it after this exchange. */
static int is_kept(int q, int like, int bit) { return !((q ^ like) & (2 * bit - 1)); }

static hone_status halve(tree_device *t, const walk *w, float *x, int bit, hone_err *err) {
    const int me = t->o.ranks->rank, n_ranks = t->o.ranks->n, partner = me ^ bit;
    message m = {.n_to = 0};
    int n_out = 0, n_in = 0;
    for (int q = 0; q < n_ranks; q++)
        if (is_kept(q, partner, bit)) HONE_TRY(send_slice(t, w, &m, x, q, n_out++, partner, err));
    for (int q = 0; q < n_ranks; q++)
        if (is_kept(q, me, bit)) take_slice(t, w, &m, value_place(t, n_in), q, n_in, partner), n_in++;
    HONE_TRY(pass(t, &m, err));
    n_in = 0;
    for (int q = 0; q < n_ranks; q++) {
        int64_t n;
        const int64_t at = slice(t, w, q, &n);
        if (!is_kept(q, me, bit)) continue;
        if (w->bf16) HONE_TRY(from_wire(t, value_place(t, n_in), half_place(t, t->wire.in, n_in), n, err));
        if (w->bf16) HONE_TRY(round_part(t, x + at, n, err));
        HONE_TRY(add(t, x + at, value_place(t, n_in++), n, err));
    }
    return HONE_OK;
}

/* ---- scattering: from each to all ----*/

static hone_status send_nodes(tree_device *t, const walk *w, float *const *node, int i, hone_err *err) {
    const int me = t->o.ranks->rank;
    message m = {.n_to = 0};
    int64_t mine;
    const int64_t own = slice(t, w, me, &mine);
    for (int r = 0; r < t->o.ranks->n; r++) {
        const int has = t->first[r] + i < t->first[r + 1], k = t->first[r] + i;
        if (t->first[me] + i < t->first[me + 1] && r != me) HONE_TRY(send_slice(t, w, &m, node[i], r, r, r, err));
        if (!has) continue;
        t->value[k] = r == me ? node[i] + own : value_place(t, k);
        if (r != me) take_slice(t, w, &m, t->value[k], me, r, r);
    }
    HONE_TRY(pass(t, &m, err));
    for (int r = 0; r < t->o.ranks->n && w->bf16; r++) {
        const int k = t->first[r] + i;
        if (k >= t->first[r + 1]) continue;
        if (r == me) HONE_TRY(round_part(t, t->value[k], mine, err));
        else HONE_TRY(from_wire(t, t->value[k], half_place(t, t->wire.in, r), mine, err));
    }
    return HONE_OK;
}

static hone_status evaluate(tree_device *t, const walk *w, tree_node at, int64_t n, float **out, hone_err *err) {
    float *right;
    for (int i = 0; i < t->n_nodes; i++)
        if (t->node[i].at.first == at.first && t->node[i].at.n == at.n) return *out = t->value[i], HONE_OK;
    const int k = tree_left_leaves(at.n);
    HONE_TRY(evaluate(t, w, (tree_node){at.first, k}, n, out, err));
    HONE_TRY(evaluate(t, w, (tree_node){at.first + k, at.n - k}, n, &right, err));
    HONE_TRY(add(t, *out, right, n, err));
    return w->bf16 ? round_part(t, *out, n, err) : HONE_OK;
}

static hone_status scatter(tree_device *t, walk *w, float *const *node, float *out, hone_err *err) {
    int most = 0;
    for (int r = 0; r < t->o.ranks->n; r++)
        if (t->first[r + 1] - t->first[r] > most) most = t->first[r + 1] - t->first[r];
    for (w->round = 0; w->round < w->n_rounds; w->round++) {
        int64_t n;
        const int64_t at = slice(t, w, t->o.ranks->rank, &n);
        float *root = t->by_halves ? node[0] + at : NULL;
        for (int bit = 1; t->by_halves && bit < t->o.ranks->n; bit *= 2) HONE_TRY(halve(t, w, node[0], bit, err));
        for (int i = 0; i < most && !t->by_halves; i++) HONE_TRY(send_nodes(t, w, node, i, err));
        if (!t->by_halves) HONE_TRY(evaluate(t, w, (tree_node){0, t->n_leaves}, n, &root, err));
        else if (w->bf16) HONE_TRY(round_part(t, root, n, err));
        if (root != out + at)
            HONE_TRY(called(t, t->o.table->put(t->o.queue, out + at, root, (size_t)n * sizeof *out), err));
    }
    return HONE_OK;
}

hone_status tree_device_scatter(tree_device *t, float *const *node, float *out, const int64_t *bound, hone_err *err) {
    walk exact = walk_of(t, bound, 0), rounded = walk_of(t, bound, 1);
    HONE_TRY(scatter(t, &exact, node, out, err));
    return scatter(t, &rounded, node, out, err);
}

/* ---- gathering ----*/

/* piece[r]: the place of what rank r has, here; everybody gets all. */
static hone_status gather(tree_device *t, const comm_piece *piece, hone_err *err) {
    const int me = t->o.ranks->rank, n = t->o.ranks->n;
    message m = {.n_to = 0};
    for (int r = 0; r < n && !t->by_doubling; r++) {
        if (r == me) continue;
        send_to(&m, piece[me].p, (int64_t)piece[me].bytes, 1, r);
        take_from(&m, piece[r].p, (int64_t)piece[r].bytes, 1, r);
    }
    if (!t->by_doubling) return pass(t, &m, err);
    for (int bit = n / 2; bit; bit /= 2) {
        m.n_to = m.n_from = 0;
        for (int q = 0; q < n; q++) {
            if (is_kept(q, me, bit)) send_to(&m, piece[q].p, (int64_t)piece[q].bytes, 1, me ^ bit);
            if (is_kept(q, me ^ bit, bit)) take_from(&m, piece[q].p, (int64_t)piece[q].bytes, 1, me ^ bit);
        }
        HONE_TRY(pass(t, &m, err));
    }
    return HONE_OK;
}

static hone_status gather_elements(tree_device *t, void *x, size_t size, const int64_t *bound, hone_err *err) {
    comm_piece piece[COMM_RANKS_MAX];
    for (int r = 0; r < t->o.ranks->n; r++)
        piece[r] = (comm_piece){(char *)x + (size_t)bound[r] * size, (size_t)(bound[r + 1] - bound[r]) * size};
    return gather(t, piece, err);
}

hone_status tree_device_gather(tree_device *t, void *x, size_t element_bytes, const int64_t *bound, hone_err *err) {
    return gather_elements(t, x, element_bytes, bound, err);
}

hone_status tree_device_gather_sums(tree_device *t, float *x, const int64_t *bound, hone_err *err) {
    const walk exact = walk_of(t, bound, 0);
    walk w = walk_of(t, bound, 1);
    const int me = t->o.ranks->rank;
    HONE_TRY(gather_elements(t, x, sizeof *x, exact.bound, err));
    for (w.round = 0; w.round < w.n_rounds; w.round++) {
        comm_piece piece[COMM_RANKS_MAX];
        int64_t n;
        for (int r = 0; r < t->o.ranks->n; r++) {
            const int64_t at = slice(t, &w, r, &n);
            piece[r] = (comm_piece){half_place(t, t->wire.out, r), (size_t)n * 2};
            if (r == me) HONE_TRY(to_wire(t, piece[r].p, x + at, n, err));
        }
        HONE_TRY(gather(t, piece, err));
        for (int r = 0; r < t->o.ranks->n; r++) {
            const int64_t at = slice(t, &w, r, &n);
            if (r != me) HONE_TRY(from_wire(t, x + at, piece[r].p, n, err));
        }
    }
    return HONE_OK;
}

/* ---- the library's sum ----*/

static hone_status library_sum(tree_device *t, void *x, int64_t n, hone_dtype dtype, hone_err *err) {
    if (n <= 0) return HONE_OK;
    HONE_TRY(t->o.table->comm->sum(t->link, t->o.queue, x, n, dtype, err));
    return settle(t, err);
}

hone_status tree_device_sum(tree_device *t, float *x, int64_t first, int64_t end, hone_err *err) {
    const int64_t exact = t->o.wire.bf16 ? clamp(t->o.n_exact, first, end) : end, most = t->part * t->o.ranks->n;
    HONE_TRY(library_sum(t, x + first, exact - first, HONE_F32, err));
    for (int64_t at = exact; at < end; at += most) {
        const int64_t n = clamp(end - at, 0, most);
        HONE_TRY(to_wire(t, t->wire.out, x + at, n, err));
        HONE_TRY(library_sum(t, t->wire.out, n, HONE_BF16, err));
        HONE_TRY(from_wire(t, x + at, t->wire.out, n, err));
    }
    return HONE_OK;
}

/* ---- opening and ending ----*/

static hone_status open_link(tree_device *t, hone_err *err) {
    const hone_comm_v1 *c = t->o.table->comm;
    comm *ranks = t->o.ranks;
    hone_comm_id id = {{0}};
    if (ranks->rank == 0) HONE_TRY(c->make_id(&id, err));
    HONE_TRY(comm_broadcast(ranks, &id, sizeof id, 0, err));
    HONE_TRY(c->open(&t->link, t->o.device, &id, ranks->rank, ranks->n, err));
    return settle(t, err);
}

hone_status tree_device_new(tree_device **out, const tree_device_options *o, hone_err *err) {
    tree_device *t = mem_new(sizeof *t, "sums on devices");
    t->o = *o;
    t->part = wire_part(&o->wire, o->n_elements);
    t->wire = wire_at(&o->wire, o->n_elements, o->slab);
    t->node = mem_new((size_t)o->wire.n_nodes * sizeof *t->node + 1, "sums on devices");
    t->value = mem_new((size_t)o->wire.n_nodes * sizeof *t->value + 1, "sums on devices");
    hone_status status = HONE_OK;
    if (o->linked) {
        status = called(t, o->table->event_new(o->device, 0, &t->reached), err);
        if (!status) status = open_link(t, err);
    }
    if (status) tree_device_free(t);
    else *out = t;
    return status;
}

void tree_device_free(tree_device *t) {
    hone_err ignored = {0};
    if (!t) return;
    if (t->link && !t->broken) (void)tree_device_wait(t, t->o.queue, &ignored);
    if (t->link) (t->broken ? t->o.table->comm->abort : t->o.table->comm->close)(t->link);
    if (t->reached) t->o.table->event_free(t->reached);
    mem_free(t->node);
    mem_free(t->value);
    mem_free(t);
}

int tree_device_is_linked(const tree_device *t) { return t && t->link; }
