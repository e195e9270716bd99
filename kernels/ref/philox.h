/* philox.h - the random numbers of dropout, as include/hone/device.h lays them out: a function of step key,
 * site, sample and position, so that a mask does not depend on where in a batch a row lies. */
#ifndef REF_PHILOX_H
#define REF_PHILOX_H
#include "hone/device.h"

/* Philox4x32 of Salmon et al. (SC 2011). A round multiplies words 0 and 2, and the key moves on by Weyl
 * steps. */
static inline void philox_block(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]) {
    uint32_t x0 = counter[0], x1 = counter[1], x2 = counter[2], x3 = counter[3], k0 = key[0], k1 = key[1];
    for (int round = 0; round < HONE_PHILOX_ROUNDS; round++, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
        const uint64_t a = (uint64_t)0xD2511F53u * x0, b = (uint64_t)0xCD9E8D57u * x2;
        x0 = (uint32_t)(b >> 32) ^ x1 ^ k0;
        x1 = (uint32_t)b;
        x2 = (uint32_t)(a >> 32) ^ x3 ^ k1;
        x3 = (uint32_t)a;
    }
    out[0] = x0, out[1] = x1, out[2] = x2, out[3] = x3;
}

/* Half 0 .. 1 (0: the low 16 bits) of word 0 .. 3 of the block of counter, at dropout site `site` of this
 * step. */
static inline uint32_t philox_half(const hone_tick *tick, int32_t site, const uint32_t counter[4], int word,
                                   int half) {
    const uint32_t key[2] = {tick->step_key[0] ^ (uint32_t)site, tick->step_key[1]};
    uint32_t block[4];
    philox_block(counter, key, block);
    return block[word] >> 16 * half & 0xffff;
}

/* The 16-bit number of column c of a row. */
static inline uint32_t philox_row(const hone_tick *tick, int32_t site, hone_key key, int64_t c) {
    const uint32_t counter[4] = {(uint32_t)(c / 8), key.position, key.sample, 0};
    return philox_half(tick, site, counter, (int)(c % 8) >> 1, (int)c & 1);
}

/* The 16-bit number of the probability of key j (counted in its sequence) for a query row, in head h. */
static inline uint32_t philox_score(const hone_tick *tick, int32_t site, hone_key query, int64_t j, int h) {
    const uint32_t i = query.position, lane = (i & 7) * 4 + ((uint32_t)(j & 7) >> 1);
    const uint32_t counter[4] = {(uint32_t)(j >> 4) * 32 + lane, i >> 4 | (uint32_t)h << 20, query.sample, 0};
    return philox_half(tick, site, counter, (int)(i >> 3 & 1) + 2 * (int)(j >> 3 & 1), (int)j & 1);
}

/* Numbers below the threshold are dropped; those kept are multiplied by 65536 / (65536 - threshold). */
static inline uint32_t dropout_threshold(float p) { return (uint32_t)((double)p * 65536 + 0.5); }
#endif
