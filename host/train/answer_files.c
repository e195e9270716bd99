#include "train/answer_files.h"
#include "base/arena.h"
#include "base/file.h"

static void add_key(text *out, str id) {
    text_str(out, out->n ? ",\n" : "{\n");
    text_json(out, id.p, id.n);
    text_str(out, ": ");
}

void answer_files_add(void *files, const answered *a) {
    answer_files *f = files;
    const str id = f->d->windows->of->q[a->question].id,
              said = a->chosen < 0 ? STR("") : a->best[a->chosen].text;
    add_key(&f->predictions, id);
    text_json(&f->predictions, said.p, said.n);
    add_key(&f->nbest, id);
    for (int i = 0; i < a->n_best; i++) {
        const answer *x = &a->best[i];
        text_str(&f->nbest, i ? ",\n {\"start_logit\": " : "[\n {\"start_logit\": ");
        text_double(&f->nbest, (double)x->start);
        text_str(&f->nbest, ", \"end_logit\": ");
        text_double(&f->nbest, (double)x->end);
        text_str(&f->nbest, ", \"text\": ");
        text_json(&f->nbest, x->text.p, x->text.n);
        text_str(&f->nbest, ", \"probability\": ");
        text_double(&f->nbest, x->probability);
        text_str(&f->nbest, "}");
    }
    text_str(&f->nbest, "]");
    if (!f->negative) return;
    add_key(&f->odds, id);
    text_double(&f->odds, a->difference);
}

static hone_status write_one(arena *a, text *t, const char *folder, const char *name, hone_err *err) {
    if (!t->n) return HONE_OK;
    text_str(t, "\n}\n");
    return file_write(path_join(a, folder, name), t->p, t->n, err);
}

hone_status answer_files_end(answer_files *f, const char *folder, const char *prefix, hone_err *err) {
    arena *a = arena_new("names of files");
    hone_status status =
        write_one(a, &f->predictions, folder, arena_print(a, "%s_predictions.json", prefix), err);
    if (!status)
        status = write_one(a, &f->nbest, folder, arena_print(a, "%s_nbest_predictions.json", prefix), err);
    if (!status) status = write_one(a, &f->odds, folder, arena_print(a, "%s_null_odds.json", prefix), err);
    arena_free(a);
    answer_files_drop(f);
    return status;
}

void answer_files_drop(answer_files *f) {
    text_free(&f->predictions);
    text_free(&f->nbest);
    text_free(&f->odds);
}
