/* reduce.c - sums over flat ranges, and a hash of their bits. Plain version: kernels/ref/reduce.inc. */
#include "ops.h"

/* In row order, in fp64: there are few rows. */
hone_status ISA(sum)(hone_queue *q, const hone_call *c) {
    const float *x = floats(&c->in[0]);
    float *s = floats(&c->out[0]);
    double sum = 0;
    (void)q;
    for (int64_t m = 0; m < c->in[0].dim[0]; m++) sum += (double)x[m];
    s[0] = (float)(c->in[1].p ? (double)s[0] + sum : sum);
    return HONE_OK;
}

/* Has a chunk anything but rows of zeros? */
static int is_touched(const hone_call *c, int64_t first, int64_t n) {
    const float *touched = floats(&c->in[2]);
    const int64_t D = c->attr.table.width, V = c->in[2].dim[0], at = first - c->attr.table.first;
    if (!touched || at < 0 || at >= V * D) return 1;
    for (int64_t v = at / D; v < V && v * D < at + n; v++)
        if (touched[v] != 0) return 1;
    return 0;
}

static void square_chunk(void *arg, int64_t item, int thread) {
    const hone_call *c = arg;
    const int32_t *chunk = cell(&c->in[1], item, 0); /* first element / 64, elements, group */
    const float *g = floats(&c->in[0]) + (int64_t)chunk[0] * 64, scale = loss_scale_of(c->tick);
    const int64_t n = chunk[1];
    const int is_any = is_touched(c, (int64_t)chunk[0] * 64, n);
    vf sum[4] = {vf_set(0), vf_set(0), vf_set(0), vf_set(0)};
    (void)thread;
    for (int64_t i = 0; i < n && is_any; i += VW) {
        const vf v = ld_n(g, i, n - i, 0) / scale;
        sum[i / VW & 3] = vf_fma(v, v, sum[i / VW & 3]);
    }
    floats(&c->out[0])[item] = vf_sum((sum[0] + sum[1]) + (sum[2] + sum[3]));
}

hone_status ISA(sqsum)(hone_queue *q, const hone_call *c) {
    deal(q, c->in[1].dim[0], square_chunk, (void *)(uintptr_t)c);
    return HONE_OK;
}

/* Murmur3's last mix. */
INLINE vu mix_bits(vu x) {
    x = (x ^ x >> 16) * 0x85EBCA6Bu;
    x = (x ^ x >> 13) * 0xC2B2AE35u;
    return x ^ x >> 16;
}

/* The sum over elements i of mix(bits + (i + 1) golden), i from 0 in the chunk of 65,536: see ref's HASH. */
static void hash_chunk(void *arg, int64_t item, int thread) {
    const hone_call *c = arg;
    const int64_t first = item * 65536, n = most(least(c->in[0].dim[0] - first, 65536), 0);
    const int bf = is_bf(&c->in[0]);
    const void *x = cell(&c->in[0], 0, first);
    vu sum = vu_set(0);
    (void)thread;
    for (int64_t i = 0; i < n; i += VW) {
        const vu bits = (vu)ld_n(x, i, n - i, bf) >> (bf ? 16 : 0);
        const vu mixed = mix_bits(bits + vu_lanes((uint32_t)i + 1) * 0x9E3779B9u);
        sum += (vu)vf_first((vf)mixed, n - i);
    }
    uint32_t total = 0;
    for (int lane = 0; lane < VW; lane++) total += sum[lane];
    ints(&c->out[0])[item] = (int32_t)total;
}

hone_status ISA(hash)(hone_queue *q, const hone_call *c) {
    deal(q, c->out[0].dim[0], hash_chunk, (void *)(uintptr_t)c);
    return HONE_OK;
}
