/* plan_job.c - the plan of a job, printed; nothing is trained, no slab is reserved. */
#include <string.h>

#include "train/train.h"
#include "base/table.h"

static void print_json(const session *s, text *out) {
    static const char *const names[] = {"",
#define XX(name, text, what) text,
                                        HONE_CLASS_MAP(XX)
#undef XX
    };
    const hone_plan *p = s->plan;
    text_printf(out,
                "{\"device\":\"%s\",\"dtype\":\"%s\",\"planned_device_bytes\":%zu,\"activation_bound_bytes\":"
                "%zu,\"slab_bytes\":{",
                s->device, hone_dtype_name(p->dtype), hone_plan_device_bytes(p), p->bound_bytes);
    for (int c = 1; c < HONE_N_CLASSES; c++)
        text_printf(out, "%s\"%s\":%zu", c > 1 ? "," : "", names[c], p->slab_bytes[c]);
    text_str(out, "},\"rows\":{");
    for (int i = 1; i <= p->n_spaces; i++)
        text_printf(out, "%s\"%s\":%lld", i > 1 ? "," : "", p->space[i].name, (long long)p->space[i].cap);
    text_printf(out, "},\"gradient_slots\":%d,\"steps\":{\"micro\":%d,\"fold\":%d,\"update\":%d,\"eval\":%d}",
                p->n_slots, p->program[HONE_MICRO].n_steps, p->program[HONE_FOLD].n_steps,
                p->program[HONE_UPDATE_WEIGHTS].n_steps, p->program[HONE_EVAL].n_steps);
    int64_t n = 0;
    for (int i = 1; i <= p->n_params; i++) {
        const hone_value *v = &p->value[p->param[i].value];
        n += v->dim[0].n * (v->n_dims > 1 ? v->dim[1].n : 1);
    }
    text_printf(out, ",\"parameters\":%lld}\n", (long long)n);
}

hone_status plan_of_job(session **out, const job *j, pool *p, int64_t tokens, int64_t seqs, hone_err *err) {
    session *s = NULL;
    inputs *in = NULL;
    steps st = {0};
    session_limits l = {.training = 1, .tokens_max = tokens, .seqs_max = seqs};
    hone_status status = session_open(&s, j, j->model_name_or_path, j->tokenizer_name, p, err);
    if (!status && !tokens) {
        status = inputs_open(&in, s, err);
        if (!status && !in->train)
            status = hone_fail(err, HONE_EUSAGE, "%s: no train_file, expected a data file (or --tokens N)",
                               j->file);
        if (!status) {
            steps_init(&st, s->a, j, in->train);
            l = training_limits(j, in, &st);
        }
    }
    if (!status) status = session_plan_only(s, &l, err);
    steps_deinit(&st);
    inputs_close(in);
    if (status) session_close(s);
    else *out = s;
    return status;
}

hone_status plan_job(const job *j, pool *p, int64_t tokens, int64_t seqs, int with_steps, int as_json,
                     text *out, hone_err *err) {
    session *s;
    HONE_TRY(plan_of_job(&s, j, p, tokens, seqs, err));
    if (as_json) print_json(s, out);
    else plan_print_bytes(s->plan, out);
    if (!as_json && with_steps) plan_print_steps(s->plan, out);
    session_close(s);
    return HONE_OK;
}
