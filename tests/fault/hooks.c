/* hooks.c - the wrappers (CMakeLists.txt, --wrap). */
#include <unistd.h>

#include "hooks.h"
#include "train/train.h"

hooks hook;

hone_status __real_session_compare_ranks(session *s, int64_t step, hone_err *err);
hone_status __wrap_session_compare_ranks(session *s, int64_t step, hone_err *err);
hone_status __wrap_session_compare_ranks(session *s, int64_t step, hone_err *err) {
    if (hook.flip_at && step == hook.flip_at) {
        const int v = s->plan->param[hook.flip_param].value;
        uint32_t bits;
        HONE_TRY(run_get_part(s->run, v, 4 * 7, &bits, sizeof bits, err));
        bits ^= 1;
        HONE_TRY(run_put_part(s->run, v, 4 * 7, &bits, sizeof bits, err));
    }
    return __real_session_compare_ranks(s, step, err);
}

hone_status __real_run_play(run *r, hone_program_kind kind, int slot, const int64_t *n_rows, hone_err *err);
hone_status __wrap_run_play(run *r, hone_program_kind kind, int slot, const int64_t *n_rows, hone_err *err);
hone_status __wrap_run_play(run *r, hone_program_kind kind, int slot, const int64_t *n_rows, hone_err *err) {
    if (hook.slow_us && kind == HONE_MICRO) usleep((useconds_t)hook.slow_us);
    return __real_run_play(r, kind, slot, n_rows, err);
}
