/* drop.h - the random numbers of dropout, many at a time. The layout is that of include/hone/device.h: a
 * Philox call gives eight 16-bit numbers, and here each lane of a vector is a call. */
#ifndef CPU_DROP_H
#define CPU_DROP_H
#include "vec.h"
#include "cpu.h"

/* What is compared with, and what kept values are multiplied by. A threshold of 0 keeps everything. */
typedef struct {
    uint32_t threshold;
    float kept;
    uint32_t key[2];
} dropper;

static inline dropper dropper_of(const hone_tick *tick, float p, int32_t site) {
    dropper d = {.kept = 1};
    if (!(p > 0)) return d;
    d.threshold = (uint32_t)((double)p * 65536 + 0.5);
    d.kept = d.threshold < 65536 ? 65536.0f / (float)(65536 - d.threshold) : 0;
    d.key[0] = tick->step_key[0] ^ (uint32_t)site, d.key[1] = tick->step_key[1];
    return d;
}

INLINE void philox(vu x[4], const uint32_t key[2]) {
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < HONE_PHILOX_ROUNDS; round++, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
        vu a_high = x[0], a_low = x[0], b_high = x[0], b_low = x[0];
        vu_mul(x[0], 0xD2511F53u, &a_high, &a_low);
        vu_mul(x[2], 0xCD9E8D57u, &b_high, &b_low);
        x[0] = b_high ^ x[1] ^ k0;
        x[1] = b_low;
        x[2] = a_high ^ x[3] ^ k1;
        x[3] = a_low;
    }
}

/* The numbers of columns 0 .. n - 1 of a row; n is rounded up to 8 VW. */
static inline __attribute__((unused)) void draw_row(uint16_t *bits, int64_t n, const dropper *d,
                                                    hone_key key) {
    uint32_t *to = (uint32_t *)(void *)bits;
    for (int64_t c = 0; c < n; c += 8 * VW, to += 4 * VW) {
        vu x[4] = {vu_lanes((uint32_t)(c / 8)), vu_set(key.position), vu_set(key.sample), vu_set(0)};
        philox(x, d->key);
        const vu low02 = MIX_LOW(x[0], x[2]), low13 = MIX_LOW(x[1], x[3]);
        const vu high02 = MIX_HIGH(x[0], x[2]), high13 = MIX_HIGH(x[1], x[3]);
        vu_store(to, MIX_LOW(low02, low13)); /* words 0, 1, 2, 3 of call 0, of call 1, ... */
        vu_store(to + VW, MIX_HIGH(low02, low13));
        vu_store(to + 2 * VW, MIX_LOW(high02, high13));
        vu_store(to + 3 * VW, MIX_HIGH(high02, high13));
    }
}

/* Where the numbers at bits are below the threshold 0, elsewhere x times what is kept. */
INLINE vf drop(vf x, const uint16_t *bits, const dropper *d) {
    return vf_select(vu_ge(vu_load16(bits), vu_set(d->threshold)), x * d->kept, vf_set(0));
}
#endif
