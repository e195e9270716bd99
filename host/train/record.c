/* record.c - one row in, several files out. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "train/record.h"
#include "train/tensorboard.h"
#include "base/file.h"
#include "base/host.h"
#include "base/mem.h"

struct record {
    file_log *jsonl, *events, *csv;
    int warned, quiet;
    text history, row, event;
    text chain; /* of the steps since the last row: "hex","hex" */
    int64_t chain_step;
    int n_chained;
};

#define CHAINED_MAX 1000 /* steps in one row */

static int wants(const job *j, const char *what) {
    for (int i = 0; i < j->report_to.n; i++)
        if (!strcmp(j->report_to.p[i], what)) return 1;
    return 0;
}

static void add_line(record *r, file_log *to, const text *t) {
    hone_err err = {0};
    if (!to || file_log_add(to, t->p, t->n, &err) == HONE_OK) return;
    if (!r->warned) log_warn("%s; the run goes on", err.text);
    r->warned = 1;
}

hone_status record_open(record **out, const job *j, const char *folder, int append, hone_err *err) {
    record *r = mem_new(sizeof *r, "record");
    char path[4352], host[64] = "host";
    hone_status status;
    r->quiet = j->disable_tqdm || !folder;
    if (!folder) {
        *out = r;
        return HONE_OK;
    }
    snprintf(path, sizeof path, "%s/log.jsonl", folder);
    status = file_log_open(&r->jsonl, path, append, err);
    if (!status && wants(j, "csv")) {
        snprintf(path, sizeof path, "%s/log.csv", folder);
        status = file_log_open(&r->csv, path, append, err);
        if (!status && !append) {
            text head = {0};
            text_str(&head, "step,epoch,loss,grad_norm,learning_rate,tokens,tokens_per_second,seconds\n");
            add_line(r, r->csv, &head);
            text_free(&head);
        }
    }
    if (!status && wants(j, "tensorboard")) {
        gethostname(host, sizeof host - 1);
        snprintf(path, sizeof path, "%s/events.out.tfevents.%.0f.%s.%d", folder, clock_wall_seconds(), host,
                 (int)getpid());
        status = file_log_open(&r->events, path, 0, err);
        if (!status) {
            tensorboard_begin(&r->event, clock_wall_seconds());
            add_line(r, r->events, &r->event);
        }
    }
    if (status) {
        record_close(r);
        return status;
    }
    *out = r;
    return HONE_OK;
}

void record_close(record *r) {
    if (!r) return;
    file_log_close(r->jsonl);
    file_log_close(r->events);
    file_log_close(r->csv);
    text_free(&r->history);
    text_free(&r->row);
    text_free(&r->event);
    text_free(&r->chain);
    mem_free(r);
}

static void add_number(text *t, const char *name, double x) {
    text_printf(t, ",\"%s\":", name);
    text_double(t, x);
}

static void add_history(record *r, int64_t step, double epoch) {
    if (r->history.n) text_str(&r->history, ",");
    text_str(&r->history, "{\"epoch\":");
    text_double(&r->history, epoch);
    text_printf(&r->history, ",\"step\":%lld", (long long)step);
}

void record_run(record *r, const char *line) {
    text_clear(&r->row);
    text_printf(&r->row, "%s\n", line);
    add_line(r, r->jsonl, &r->row);
}

static void add_chain(record *r) {
    if (r->n_chained) text_printf(&r->row, ",\"chain\":[%s]", r->chain.p);
    text_clear(&r->chain);
    r->n_chained = 0;
}

static void write_chain(record *r) {
    if (!r->n_chained) return;
    text_clear(&r->row);
    text_printf(&r->row, "{\"step\":%lld", (long long)r->chain_step);
    add_chain(r);
    text_str(&r->row, "}\n");
    add_line(r, r->jsonl, &r->row);
}

void record_chain(record *r, int64_t step, uint64_t chain) {
    if (r->n_chained == CHAINED_MAX) write_chain(r);
    text_printf(&r->chain, r->n_chained ? ",\"%016llx\"" : "\"%016llx\"", (unsigned long long)chain);
    r->chain_step = step;
    r->n_chained++;
}

static void add_losses(text *to, const record_train *x) {
    if (!isfinite(x->loss)) return;
    add_number(to, "loss", x->loss);
    if (!x->has_parts) return;
    add_number(to, "mlm_loss", x->mlm_loss);
    add_number(to, "nsp_loss", x->nsp_loss);
}

void record_step(record *r, const record_train *x) {
    text_clear(&r->row);
    text_printf(&r->row, "{\"step\":%lld,\"epoch\":", (long long)x->step);
    text_double(&r->row, x->epoch);
    add_losses(&r->row, x);
    if (x->skipped) text_printf(&r->row, ",\"skipped\":%lld", (long long)x->skipped);
    else add_number(&r->row, "grad_norm", x->grad_norm);
    add_number(&r->row, "learning_rate", x->rate);
    text_printf(&r->row, ",\"tokens\":%lld", (long long)x->tokens);
    add_number(&r->row, "tokens_per_second", x->tokens_per_second);
    add_number(&r->row, "seconds", x->seconds);
    add_chain(r);
    text_str(&r->row, "}\n");
    add_line(r, r->jsonl, &r->row);
    add_history(r, x->step, x->epoch);
    add_losses(&r->history, x);
    if (!x->skipped) add_number(&r->history, "grad_norm", x->grad_norm);
    add_number(&r->history, "learning_rate", x->rate);
    text_str(&r->history, "}");
    if (r->csv) {
        text_clear(&r->row);
        text_printf(&r->row, "%lld,%.9g,", (long long)x->step, x->epoch);
        if (isfinite(x->loss)) text_printf(&r->row, "%.9g", x->loss);
        text_str(&r->row, ",");
        if (!x->skipped) text_printf(&r->row, "%.9g", x->grad_norm);
        text_printf(&r->row, ",%.9g,%lld,%.9g,%.9g\n", x->rate, (long long)x->tokens, x->tokens_per_second,
                    x->seconds);
        add_line(r, r->csv, &r->row);
    }
    if (r->events) {
        const double now = clock_wall_seconds();
        text_clear(&r->event);
        if (isfinite(x->loss)) tensorboard_scalar(&r->event, now, x->step, "train/loss", x->loss);
        if (isfinite(x->loss) && x->has_parts) {
            tensorboard_scalar(&r->event, now, x->step, "train/mlm_loss", x->mlm_loss);
            tensorboard_scalar(&r->event, now, x->step, "train/nsp_loss", x->nsp_loss);
        }
        if (!x->skipped) tensorboard_scalar(&r->event, now, x->step, "train/grad_norm", x->grad_norm);
        tensorboard_scalar(&r->event, now, x->step, "train/learning_rate", x->rate);
        tensorboard_scalar(&r->event, now, x->step, "train/epoch", x->epoch);
        tensorboard_scalar(&r->event, now, x->step, "train/tokens_per_second", x->tokens_per_second);
        add_line(r, r->events, &r->event);
    }
}

void record_eval(record *r, int64_t step, double epoch, const metric *f, int n, double runtime, double rate) {
    text_clear(&r->row);
    text_printf(&r->row, "{\"step\":%lld,\"epoch\":", (long long)step);
    text_double(&r->row, epoch);
    add_history(r, step, epoch);
    if (r->events) text_clear(&r->event);
    for (int i = 0; i < n; i++) {
        char name[64];
        snprintf(name, sizeof name, "eval_%s", f[i].name);
        add_number(&r->row, name, f[i].value);
        add_number(&r->history, name, f[i].value);
        snprintf(name, sizeof name, "eval/%s", f[i].name);
        if (r->events) tensorboard_scalar(&r->event, clock_wall_seconds(), step, name, f[i].value);
    }
    text *both[] = {&r->row, &r->history};
    for (int i = 0; i < 2; i++) {
        add_number(both[i], "eval_runtime", runtime);
        add_number(both[i], "eval_samples_per_second", rate);
        text_str(both[i], "}");
    }
    text_str(&r->row, "\n");
    add_line(r, r->jsonl, &r->row);
    if (r->events) add_line(r, r->events, &r->event);
}

void record_saved(record *r, int64_t step, const char *folder, int64_t bytes, double seconds, double held) {
    write_chain(r);
    text_clear(&r->row);
    text_printf(&r->row, "{\"step\":%lld,\"saved\":", (long long)step);
    text_json(&r->row, folder, strlen(folder));
    text_printf(&r->row, ",\"bytes\":%lld", (long long)bytes);
    add_number(&r->row, "seconds", seconds);
    add_number(&r->row, "held_seconds", held);
    text_str(&r->row, "}\n");
    add_line(r, r->jsonl, &r->row);
}

void record_straggler(record *r, int64_t step, int rank, double factor) {
    text_clear(&r->row);
    text_printf(&r->row, "{\"step\":%lld,\"straggler\":%d", (long long)step, rank);
    add_number(&r->row, "slower", factor);
    text_str(&r->row, "}\n");
    add_line(r, r->jsonl, &r->row);
}

void record_progress(record *r, int64_t step, int64_t total, double loss, double rate,
                     double tokens_per_second, double left) {
    if (r->quiet || !log_is_terminal()) return;
    const int done = total > 0 ? (int)(20 * step / total) : 0;
    static const char bar[] = "####################....................";
    log_bar("step %lld/%lld [%.20s] loss %.4f  rate %.3g  %.0f tokens/s  %d:%02d left", (long long)step,
            (long long)total, bar + 20 - done, loss, rate, tokens_per_second, (int)left / 60, (int)left % 60);
}

const text *record_history(const record *r) { return &r->history; }

void record_set_history(record *r, const char *elements, size_t n) {
    text_clear(&r->history);
    text_add(&r->history, elements, n);
}
