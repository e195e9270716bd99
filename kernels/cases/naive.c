/* naive.c - how wrong a naive kernel in the case's 2-byte type is, which decides how wrong a device may be: plain loops in
 * fp32 over the stored inputs, rounded where such a kernel stores. Most ops store their results alone, so that ref in
 * fp32, rounded, is one; a family whose kernels store more (a norm its sum, attention its probabilities) has its own. */
#include "harness.h"

int naive_by_ref(cases_values *v, char *why, size_t why_bytes) {
    image im = {0};
    const int played = image_init(&im, v, HONE_F32, v->on->ref, v->on->ref_device, why, why_bytes) &&
                       image_play(&im, (slice){0}, why, why_bytes);
    if (played) image_read(&im, v);
    image_deinit(&im);
    for (int i = v->op->n_in; played && i < v->op->n_in + v->op->n_out; i++)
        for (int64_t e = 0; v->v[i].x && e < v->v[i].rows * v->v[i].width; e++)
            v->v[i].x[e] = type_round(v->v[i].x[e], v->v[i].dtype);
    return played;
}

int naive_play(cases_values *out, const cases_values *v, char *why, size_t why_bytes) {
    values_init(out, v->on, v->k, v->compute);
    for (int i = 0; i < v->op->n_in; i++) values_copy(out, v->op->in[i].name, v, v->op->in[i].name);
    out->tick = v->tick;
    return v->k->naive ? v->k->naive(out, why, why_bytes) : naive_by_ref(out, why, why_bytes);
}

double type_half_ulp(hone_dtype dtype) {
    return dtype == HONE_BF16 ? 0x1p-9 : dtype == HONE_F16 ? 0x1p-12 : dtype == HONE_F32 ? 0x1p-25 : 0;
}
