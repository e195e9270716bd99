/* cmd_inspect.c - hone inspect: what a model folder, a run's folder or a checkpoint holds. */
#include <stdio.h>
#include <string.h>

#include "cli/cmd.h"
#include "base/err.h"
#include "base/file.h"
#include "base/table.h"
#include "model/architecture.h"
#include "model/family.h"
#include "model/inspect.h"
#include "run/checkpoint.h"

const option inspect_flags[] = {{"tensors", 1, "List every tensor with its SHA-256."}};
const int n_inspect_flags = sizeof inspect_flags / sizeof *inspect_flags;

static void add_form(text *out, const stored_tensor *t) {
    text_str(out, "[");
    for (int d = 0; d < t->n_dims; d++) text_printf(out, d ? ",%lld" : "%lld", (long long)t->dim[d]);
    text_str(out, "]");
}

static void add_names(text *out, const char *name, const char *const *p, int n) {
    text_printf(out, ",\"%s\":[", name);
    for (int i = 0; i < n; i++) {
        if (i) text_str(out, ",");
        text_json(out, p[i], strlen(p[i]));
    }
    text_str(out, "]");
}

static void print_json(const inspection *x, int tensors, text *out) {
    const model_config *c = x->config;
    text_str(out, "{\"kind\":\"model\",\"architecture\":");
    text_json(out, c->architecture ? c->architecture : "", c->architecture ? strlen(c->architecture) : 0);
    text_printf(out, ",\"family\":\"%s\",\"parameters\":%lld,\"bytes\":%zu,\"dtype\":\"%s\"",
                c->family->model_type, (long long)x->n_parameters, x->bytes, x->dtype);
    text_printf(
        out,
        ",\"layers\":%d,\"width\":%d,\"heads\":%d,\"inner\":%d,\"vocab\":%d,\"positions\":%d,\"labels\":[",
        c->layers, c->width, c->heads, c->inner, c->vocab, c->positions);
    for (int i = 0; i < c->n_labels && c->label; i++) {
        if (i) text_str(out, ",");
        text_json(out, c->label[i].p, c->label[i].n);
    }
    text_printf(out, "],\"tokenizer\":\"%s\",\"tokenizer_size\":%lld,\"made_new\":",
                x->tokenizer_kind ? x->tokenizer_kind : "", (long long)x->tokenizer_size);
    text_json(out, x->made_new, strlen(x->made_new));
    add_names(out, "ignored", x->ignored, x->n_ignored);
    add_names(out, "unexpected", x->unexpected, x->n_unexpected);
    text_str(out, ",\"problem\":");
    if (x->problem) text_json(out, x->problem, strlen(x->problem));
    else text_str(out, "null");
    if (tensors) {
        text_str(out, ",\"tensors\":[");
        for (int i = 0; i < x->n_tensors; i++) {
            const stored_tensor *t = x->tensor[i].tensor;
            text_str(out, i ? ",{\"name\":" : "{\"name\":");
            text_json(out, t->name, strlen(t->name));
            text_printf(out, ",\"dtype\":\"%s\",\"shape\":", stored_type_name(t->type));
            add_form(out, t);
            text_printf(out, ",\"bytes\":%zu,\"sha256\":\"%s\"}", t->end - t->begin, x->tensor[i].sha256);
        }
        text_str(out, "]");
    }
    text_str(out, "}\n");
}

static void print_labels(const model_config *c, text *out) {
    char safe[256];
    text_printf(out, "labels        %d:", c->n_labels);
    for (int i = 0; i < c->n_labels && c->label && i < 12; i++)
        text_printf(out, " %s", text_escape(safe, sizeof safe, c->label[i].p, c->label[i].n));
    text_str(out, c->n_labels > 12 ? " ...\n" : "\n");
}

static void print_people(const inspection *x, int tensors, text *out) {
    const model_config *c = x->config;
    char size[24], safe[256];
    bytes_text(size, (double)x->bytes);
    text_printf(out, "architecture  %s (family %s)\n",
                c->architecture ? text_escape(safe, sizeof safe, c->architecture, strlen(c->architecture))
                                : "not said",
                c->family->model_type);
    text_printf(out, "shape         %d layers, %d wide, %d heads, %d inner, %d vocabulary, %d positions\n",
                c->layers, c->width, c->heads, c->inner, c->vocab, c->positions);
    text_printf(out, "weights       %lld parameters, %d tensors, %s, %s\n", (long long)x->n_parameters,
                x->n_tensors, size, x->dtype);
    text_printf(out, "tokenizer     %s, %lld ids\n", x->tokenizer_kind ? x->tokenizer_kind : "none",
                (long long)x->tokenizer_size);
    if (c->architecture && architecture_has_labels(c->architecture)) print_labels(c, out);
    if (x->made_new[0]) text_printf(out, "made new      %s\n", x->made_new);
    for (int i = 0; i < x->n_ignored; i++)
        text_printf(out, "ignored       %s\n",
                    text_escape(safe, sizeof safe, x->ignored[i], strlen(x->ignored[i])));
    for (int i = 0; i < x->n_unexpected; i++)
        text_printf(out, "unexpected    %s\n",
                    text_escape(safe, sizeof safe, x->unexpected[i], strlen(x->unexpected[i])));
    if (x->problem) text_printf(out, "would not load: %s\n", x->problem);
    if (!tensors) return;
    table *t = table_new(4);
    const char *const head[] = {"tensor", "form", "bytes", "sha256"};
    for (int i = 0; i < 4; i++) table_cell(t, "%s", head[i]);
    for (int i = 0; i < x->n_tensors; i++) {
        const stored_tensor *s = x->tensor[i].tensor;
        table_cell(t, "%s", text_escape(safe, sizeof safe, s->name, strlen(s->name)));
        table_cell(t, "%s", stored_form(safe, sizeof safe, s));
        table_cell(t, "%zu", s->end - s->begin);
        table_cell(t, "%.16s", x->tensor[i].sha256);
    }
    text_str(out, "\n");
    table_print(t, out);
    table_free(t);
}

/* The checkpoints of a run, newest first, and its state. */
static hone_status print_run(const char *path, int as_json, text *out, hone_err *err) {
    arena *a = arena_new("inspect");
    checkpoint c;
    int found = 0;
    hone_status status = checkpoint_newest(&c, &found, a, path, err);
    str s = {0};
    const json *state = NULL;
    const char *name =
        found ? path_join(a, c.path, "trainer_state.json") : path_join(a, path, "trainer_state.json");
    if (!status && file_exists(name)) {
        status = file_read(&s, a, name, (size_t)256 << 20, HONE_EDAMAGED, err);
        if (!status) status = json_parse(&state, a, name, s.p, s.n, HONE_EDAMAGED, err);
    }
    if (!status) {
        const json *step = json_get(state, "global_step"), *most = json_get(state, "max_steps"),
                   *best = json_get(state, "best_metric");
        const int64_t at = step && step->is_int ? step->integer : 0,
                      total = most && most->is_int ? most->integer : 0;
        if (as_json) {
            text_printf(out, "{\"kind\":\"run\",\"global_step\":%lld,\"max_steps\":%lld,\"best_metric\":",
                        (long long)at, (long long)total);
            if (best && best->kind == JSON_NUMBER) text_double(out, best->number);
            else text_str(out, "null");
            text_str(out, ",\"checkpoint\":");
            if (found) text_json(out, c.path, strlen(c.path));
            else text_str(out, "null");
            text_str(out, "}\n");
        } else {
            text_printf(out, "run           step %lld of %lld\n", (long long)at, (long long)total);
            if (best && best->kind == JSON_NUMBER) text_printf(out, "best metric   %.6g\n", best->number);
            if (found) text_printf(out, "checkpoint    %s: %d files, every hash holds\n", c.path, c.n_files);
        }
    }
    arena_free(a);
    return status;
}

static hone_status print_checkpoint(const char *path, int as_json, text *out, hone_err *err) {
    arena *a = arena_new("inspect");
    checkpoint c;
    const hone_status status = checkpoint_open(&c, a, path, err);
    if (!status && as_json)
        text_printf(out, "{\"kind\":\"checkpoint\",\"step\":%lld,\"files\":%d,\"valid\":true}\n",
                    (long long)c.step, c.n_files);
    if (!status && !as_json)
        text_printf(out, "checkpoint    step %lld, %d files, every hash holds\n", (long long)c.step,
                    c.n_files);
    arena_free(a);
    return status;
}

hone_status cmd_inspect(const args *a, hone_err *err) {
    HONE_TRY(args_words(a, 1, 1, "hone inspect PATH", err));
    const char *path = a->word[0];
    arena *m = arena_new("inspect");
    text out = {0};
    const int is_checkpoint = file_exists(path_join(m, path, "MANIFEST.json")),
              is_run = file_exists(path_join(m, path, "log.jsonl")),
              is_model = file_exists(path_join(m, path, "config.json")),
              tensors = args_value(a, "tensors") != NULL;
    hone_status status = HONE_OK;
    if (!file_exists(path))
        status = hone_fail(err, HONE_EUSAGE,
                           "%s: not there, expected a model folder, a run's folder or a checkpoint", path);
    else if (is_checkpoint && !tensors) status = print_checkpoint(path, a->json, &out, err);
    else if (is_run && !tensors) status = print_run(path, a->json, &out, err);
    if (!status && (is_model || (!is_run && !is_checkpoint)) &&
        (!a->json || tensors || !(is_run || is_checkpoint))) {
        inspection *x;
        status = inspect_folder(&x, path, tensors, err);
        if (!status) {
            if (a->json) print_json(x, tensors, &out);
            else print_people(x, tensors, &out);
            inspect_free(x);
        }
    }
    stdout_add(out.p, out.n);
    text_free(&out);
    arena_free(m);
    return status;
}
