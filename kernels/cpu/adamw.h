/* adamw.h - a step of AdamW in registers, rounded as torch's AdamW does: decay as one factor, sqrt(v) divided by
 * sqrt(1 - beta2^t), the rate by 1 - beta1^t. One text, so that a row has the same bits whenever its step is taken. */
#ifndef CPU_ADAMW_H
#define CPU_ADAMW_H
#include <math.h>

#include "vec.h"
#include "cpu.h"

typedef struct {
    vf b1, a1, b2, a2, eps; /* a = 1 - b */
} adamw_betas;

typedef struct {
    float keep, step, spread;
} adamw_rate; /* of one step and group */

INLINE adamw_betas betas_of(const hone_attr *attr) {
    return (adamw_betas){vf_set((float)attr->adamw.beta1), vf_set((float)(1 - attr->adamw.beta1)),
                         vf_set((float)attr->adamw.beta2), vf_set((float)(1 - attr->adamw.beta2)),
                         vf_set((float)attr->adamw.eps)};
}

/* unbias: 1 - beta^t */
INLINE adamw_rate rate_of(const float *rate, double unbias1, double unbias2) {
    return (adamw_rate){(float)(1 - (double)rate[0] * (double)rate[1]), (float)((double)rate[0] / unbias1),
                        (float)sqrt(unbias2)};
}

INLINE void take_step(const adamw_betas *b, adamw_rate r, vf e, vf *w, vf *m, vf *v) {
    *m = vf_fma(b->b1, *m, b->a1 * e);
    *v = vf_fma(b->b2, *v, b->a2 * e * e);
    *w = *w * r.keep - r.step * (*m / (vf_sqrt(*v) / r.spread + b->eps));
}
#endif
