/* hmac.c - RFC 2104 with SHA-256. */
#include <string.h>

#include "base/hash.h"

void hmac_begin(hmac *h, const void *key, size_t n) {
    uint8_t block[64] = {0};
    if (n > sizeof block) {
        sha256 long_key;
        sha256_begin(&long_key);
        sha256_add(&long_key, key, n);
        sha256_end(&long_key, block);
    } else memcpy(block, key, n);
    for (size_t i = 0; i < sizeof block; i++) block[i] ^= 0x36;
    sha256_begin(&h->inner);
    sha256_add(&h->inner, block, sizeof block);
    for (size_t i = 0; i < sizeof block; i++) block[i] ^= 0x36 ^ 0x5c;
    sha256_begin(&h->outer);
    sha256_add(&h->outer, block, sizeof block);
}

void hmac_add(hmac *h, const void *p, size_t n) { sha256_add(&h->inner, p, n); }

void hmac_end(hmac *h, uint8_t out[32]) {
    uint8_t digest[32];
    sha256_end(&h->inner, digest);
    sha256_add(&h->outer, digest, sizeof digest);
    sha256_end(&h->outer, out);
}

int hmac_equal(const uint8_t a[32], const uint8_t b[32]) {
    uint8_t differs = 0;
    for (int i = 0; i < 32; i++) differs |= (uint8_t)(a[i] ^ b[i]);
    return !differs;
}
