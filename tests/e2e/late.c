/* late.c - training on the GPU's own code, emulated: queues, rungs, work lists and graphs as on a GPU. A run
 * ends where ref's ends, however it is played. */
#include <math.h>
#include <stdlib.h>

#include "command.h"
#include "golden.h"

/* The tiny job with heads of 32; skipped where the emulator does not play all of it yet. */
static const char *late_job(arena *a, const char *name, const char *out, const char *more) {
    const char *model = here(a, "model");
    if (!file_is_folder(model)) {
        copy_folder(a, test_fixture("e2e/model"), model);
        put_file(a, "model/config.json",
                 "{\"architectures\": [\"BertForSequenceClassification\"], \"model_type\": \"bert\", "
                 "\"vocab_size\": 229, \"hidden_size\": 128, \"num_hidden_layers\": 2, "
                 "\"num_attention_heads\": 4, \"intermediate_size\": 192, \"hidden_act\": \"gelu\", "
                 "\"hidden_dropout_prob\": 0.1, \"attention_probs_dropout_prob\": 0.1, "
                 "\"max_position_embeddings\": 48, \"type_vocab_size\": 2, \"initializer_range\": 0.05, "
                 "\"layer_norm_eps\": 1e-12, \"pad_token_id\": 0}");
    }
    const char *job =
        tiny_job(a, name, out,
                 arena_print(a,
                             ",\"config_name\": \"%s\", \"logging_steps\": 1, \"do_eval\": true, "
                             "\"learning_rate\": 5e-4, \"save_strategy\": \"no\"%s",
                             model, more));
    const said s = command_run(a, "plan \"%s\" --device emu --quiet", job);
    if (s.code == 2 && strstr(s.err, "there is no libhone_emu.so")) test_skip("%s", s.err);
    return job;
}

static const json *train(arena *a, const char *job, const char *out, const char *flags) {
    return command_json(a, "train \"%s\" --json --quiet --output_dir \"%s\" %s", job, here(a, out), flags);
}

static const char *sha_of(const json *summary) { return text_of(summary, "params_sha256"); }

/* A figure of every training row of the log; NAN where a row has none. Returns how many rows there are. */
static int read_log(arena *a, const char *out, const char *figure, double *x, int room) {
    int n = 0;
    for (const char *p = file_text(a, path_join(a, here(a, out), "log.jsonl")); *p && n < room;) {
        const char *end = strchr(p, '\n');
        const json *row;
        CHECK_OK(json_parse(&row, a, "log.jsonl", p, (size_t)(end - p), HONE_EDATA, err));
        const json *v = json_get(row, figure);
        if (json_get(row, "learning_rate")) x[n++] = v ? v->number : (double)NAN;
        p = end + 1;
    }
    return n;
}

/* The largest relative distance of the losses of two runs of n steps. */
static double loss_distance(arena *a, const char *one, const char *other, int n) {
    double x[64], y[64], worst = 0;
    CHECK_INT(read_log(a, one, "loss", x, 64), n);
    CHECK_INT(read_log(a, other, "loss", y, 64), n);
    for (int i = 0; i < n; i++) worst = fmax(worst, fabs(x[i] - y[i]) / y[i]);
    return worst;
}

TEST(twenty_steps_on_the_emulated_gpu_end_where_ref_ends) {
    static const struct {
        const char *out, *flags;
        double bound; /* the 2-byte types: rounding of activations, through 20 updates */
    } runs[] = {{"fp32", "", 1e-5}, {"bf16", "--bf16", 2e-2}, {"fp16", "--fp16", 2e-3}};
    arena *a = command_begin();
    const char *job = late_job(a, "job.json", "out", ",\"max_steps\": 20");
    const json *ref = train(a, job, "ref", "--device ref");
    for (int i = 0; i < 3; i++) {
        const json *s = train(a, job, runs[i].out, arena_print(a, "--device emu %s", runs[i].flags));
        const double off = loss_distance(a, runs[i].out, "ref", 20);
        printf("  %s: losses off by %.1e at most\n", runs[i].out, off);
        CHECK(off <= runs[i].bound);
        CHECK_NEAR(number_of(s, "eval_loss"), number_of(ref, "eval_loss"), runs[i].bound);
        CHECK_STR(text_of(s, "dtype"), runs[i].out);
        CHECK_INT(number_of(s, "peak_device_bytes"), number_of(s, "planned_device_bytes"));
        CHECK(number_of(s, "padded_rows_fraction") > 0 && number_of(s, "padded_rows_fraction") < 1);
        const json *plan = command_json(a, "plan \"%s\" --device emu --json --quiet %s", job, runs[i].flags);
        CHECK_INT(number_of(plan, "planned_device_bytes"), number_of(s, "planned_device_bytes"));
    }
    arena_free(a);
}

TEST(graphs_threads_and_recomputed_layers_keep_the_bits) {
    static const char *const flags[] = {"--threads 1",
                                        "--graphs false",
                                        "--gradient_checkpointing 1",
                                        "--gradient_checkpointing 2",
                                        "--bf16 --gradient_checkpointing 0",
                                        "--bf16 --gradient_checkpointing 1",
                                        "--bf16 --gradient_checkpointing 2"};
    arena *a = command_begin();
    const char *job = late_job(a, "job.json", "out", ",\"max_steps\": 5, \"device\": \"emu\"");
    const char *sha = sha_of(train(a, job, "first", ""));
    for (int i = 0; i < 7; i++) {
        const char *other = sha_of(train(a, job, arena_print(a, "other-%d", i), flags[i]));
        if (i == 4) sha = other;
        else CHECK_STR(other, sha);
    }
    arena_free(a);
}

/* The same run but for how its products of fp32 read: near by, and other bits. */
TEST(tf32_changes_products_of_fp32_alone) {
    arena *a = command_begin();
    const char *job = late_job(a, "job.json", "out", ",\"max_steps\": 5, \"device\": \"emu\"");
    const char *plain = sha_of(train(a, job, "plain", "--tf32 false")),
               *rounded = sha_of(train(a, job, "tf32", "--tf32"));
    CHECK(strcmp(plain, rounded));
    const double apart = loss_distance(a, "plain", "tf32", 5);
    if (!(apart > 1e-7 && apart < 2e-3)) test_fail(__FILE__, __LINE__, "the losses are %.3g apart", apart);
    CHECK_STR(sha_of(train(a, job, "again", "--tf32")), rounded);
    const said s =
        command_expect(a, 0, "train \"%s\" --json --output_dir \"%s\" --bf16 --tf32", job, here(a, "half"));
    CHECK(strstr(s.err, "tf32: true changes nothing: products of bf16 read no fp32"));
    CHECK(strstr(s.out, sha_of(train(a, job, "bf16", "--bf16"))));
    const char *steps = command_expect(a, 0, "plan \"%s\" --device emu --tf32 --steps --quiet", job).out;
    int n = 0, products = 0;
    for (const char *p = steps; (p = strstr(p, " tf32")); p++) n++;
    for (const char *p = steps; (p = strstr(p, " LINEAR_")); p++) products++;
    CHECK_INT(n, products);
    CHECK(products > 20);
    arena_free(a);
}

/* The library's graphs in place of hone's own kernels, captured like these. Without dropout inside attention. */
TEST(attention_by_cudnn_ends_where_ref_ends) {
    arena *a = command_begin();
    const char *job = late_job(a, "job.json", "out", ",\"max_steps\": 8, \"attention\": \"cudnn\"");
    said s = command_run(a, "train \"%s\" --quiet --device emu --bf16 --output_dir \"%s\"", job, here(a, "refused"));
    CHECK(s.code == 2 && strstr(s.err, "layer 0: cuDNN: dropout inside attention") && strstr(s.err, "attention_probs_dropout_prob"));
    const char *config = file_text(a, here(a, "model/config.json")), *p = strstr(config, "\"attention_probs_dropout_prob\": 0.1");
    CHECK(p != NULL);
    put_file(a, "model/config.json",
             arena_print(a, "%.*s\"attention_probs_dropout_prob\": 0.0%s", (int)(p - config), config, p + 35));
    s = command_run(a, "train \"%s\" --quiet --device emu --output_dir \"%s\"", job, here(a, "refused"));
    CHECK(s.code == 2 && strstr(s.err, "cuDNN: attention in bf16 and fp16 alone"));
    s = command_run(a, "train \"%s\" --quiet --device cpu --output_dir \"%s\"", job, here(a, "refused"));
    CHECK(s.code == 2 && strstr(s.err, "attention: cudnn, but device cpu has one attention"));
    train(a, job, "ref", "--device ref --attention auto");
    const char *sha = sha_of(train(a, job, "cudnn", "--device emu --bf16"));
    CHECK(loss_distance(a, "cudnn", "ref", 8) <= 2e-2);
    s = command_run(a, "train \"%s\" --device emu --bf16 --graphs false --output_dir \"%s\"", job, here(a, "calls"));
    CHECK(s.code == 0 && strstr(s.err, "ATTENTION_BWD, bf16: cuDNN 9.19.0 plays, as asked for"));
    CHECK_STR(sha_of(train(a, job, "again", "--device emu --bf16 --graphs false")), sha);
    CHECK(strcmp(sha_of(train(a, job, "hone", "--device emu --bf16 --attention hone")), sha)); /* or it would not have played */
    train(a, job, "fp16", "--device emu --fp16");
    CHECK(loss_distance(a, "fp16", "ref", 8) <= 2e-3);
    arena_free(a);
}

/* A plan of the library a rung, what hone fuses into a norm beside it; statistics and gradients that nobody asks for, too. */
TEST(layernorm_by_cudnn_ends_where_ref_ends) {
    static const struct {
        const char *flags;
        double bound;
    } types[] = {{"", 1e-5}, {"--bf16", 2e-2}, {"--fp16", 2e-3}};
    arena *a = command_begin();
    const char *job = late_job(a, "job.json", "out", ",\"max_steps\": 8, \"layernorm\": \"cudnn\"");
    said s = command_run(a, "train \"%s\" --quiet --device cpu --output_dir \"%s\"", job, here(a, "refused"));
    CHECK(s.code == 2 && strstr(s.err, "layernorm: cudnn, but device cpu has one layernorm, its own"));
    train(a, job, "ref", "--device ref --layernorm hone");
    for (int i = 0; i < 3; i++) {
        const char *flags = arena_print(a, "--device emu --overwrite_output_dir %s", types[i].flags);
        const json *run = train(a, job, "cudnn", flags);
        CHECK(loss_distance(a, "cudnn", "ref", 8) <= types[i].bound);
        CHECK_INT(number_of(run, "peak_device_bytes"), number_of(run, "planned_device_bytes"));
        const char *own = arena_print(a, "%s --layernorm hone", flags);
        CHECK(strcmp(sha_of(train(a, job, "hone", own)), sha_of(run))); /* or it would not have played */
    }
    const char *sha = sha_of(train(a, job, "graphs", "--device emu"));
    s = command_run(a, "train \"%s\" --device emu --graphs false --output_dir \"%s\"", job, here(a, "calls"));
    CHECK(s.code == 0 && strstr(s.err, "NORM_FWD, fp32: cuDNN 9.19.0 plays, as asked for; bias, dropout and residual are apart"));
    CHECK(strstr(s.err, "NORM_BWD, fp32: cuDNN 9.19.0 plays"));
    CHECK_STR(sha_of(train(a, job, "calls", "--device emu --graphs false --overwrite_output_dir")), sha);
    CHECK_STR(sha_of(train(a, job, "once", "--device emu --gradient_checkpointing 1")), sha);
    CHECK_STR(sha_of(train(a, job, "twice", "--device emu --gradient_checkpointing 2")), sha);
    train(a, job, "frozen", "--device emu --freeze \"*LayerNorm*\"");
    train(a, job, "frozen-ref", "--device ref --layernorm hone --freeze \"*LayerNorm*\"");
    CHECK(loss_distance(a, "frozen", "frozen-ref", 8) <= 1e-5);
    const char *steps = command_expect(a, 0, "plan \"%s\" --device emu --steps --quiet", job).out;
    int n = 0, norms = 0;
    for (const char *p = steps; (p = strstr(p, " cudnn")); p++) n++;
    for (const char *p = steps; (p = strstr(p, " NORM_")); p++) norms++;
    CHECK(norms > 10);
    CHECK_INT(n, norms);
    arena_free(a);
}

/* Slots and folds; the micro-batches of a step are under way together. */
TEST(accumulated_steps_end_where_refs_do) {
    arena *a = command_begin();
    const char *job =
        late_job(a, "job.json", "out",
                 ",\"max_steps\": 4, \"gradient_accumulation_steps\": 4, \"per_device_train_batch_size\": 4");
    const char *sha = sha_of(train(a, job, "emu", "--device emu"));
    train(a, job, "ref", "--device ref");
    CHECK(loss_distance(a, "emu", "ref", 4) <= 1e-5);
    CHECK_STR(sha_of(train(a, job, "calls", "--device emu --graphs false")), sha);
    arena_free(a);
}

/* Evaluations and checkpoints look at the weights in between: nothing may be under way then. */
TEST(a_late_run_is_resumed_to_the_same_bits) {
    arena *a = command_begin();
    const char *job = late_job(a, "job.json", "out",
                               ",\"max_steps\": 7, \"device\": \"emu\", \"fp16\": true, "
                               "\"initial_scale_power\": 21, \"hysteresis\": 1, \"loss_scale_window\": 3");
    const char *whole = sha_of(train(a, job, "whole", ""));
    const char *saving = "--save_strategy steps --save_steps 4 --eval_strategy steps --eval_steps 2";
    CHECK_STR(sha_of(train(a, job, "saved", saving)), whole);
    const char *from = arena_print(a, "--resume_from_checkpoint \"%s/checkpoint-4\"", here(a, "saved"));
    CHECK_STR(sha_of(train(a, job, "resumed", from)), whole);
    arena_free(a);
}

TEST(steps_of_fp16_that_overflow_are_skipped_and_counted) {
    arena *a = command_begin();
    const char *job = late_job(a, "job.json", "out",
                               ",\"max_steps\": 8, \"device\": \"emu\", \"fp16\": {\"enabled\": true, "
                               "\"initial_scale_power\": 22, \"hysteresis\": 1}");
    double skipped[16], norm[16], loss[16];
    train(a, job, "scaled", "");
    CHECK_INT(read_log(a, "scaled", "skipped", skipped, 16), 8);
    CHECK_INT(read_log(a, "scaled", "grad_norm", norm, 16), 8);
    read_log(a, "scaled", "loss", loss, 16);
    CHECK_NEAR(skipped[0], 1, 0); /* 2^22 times the first gradient is beyond fp16 */
    CHECK(isnan(skipped[7]) && norm[7] > 0);
    for (int i = 0; i < 8; i++) {
        CHECK(isnan(skipped[i]) != isnan(norm[i])); /* one of them */
        if (!isnan(skipped[i])) CHECK_NEAR(skipped[i], i + 1, 0);
        CHECK(loss[i] > 0);
    }
    /* a scale that may not fall ends the run, and says where */
    const char *e =
        command_refused(a, 5, "step 1: ", "train \"%s\" --quiet --output_dir \"%s\" --min_loss_scale 4194304",
                        job, here(a, "floor"));
    CHECK(strstr(e, " in the head is infinite; sample "));
    arena_free(a);
}

TEST(steps_are_timed_on_a_device_that_is_late) {
    arena *a = command_begin();
    const char *job = late_job(a, "job.json", "out", ",\"max_steps\": 1");
    train(a, job, "model-2", "--device ref");
    const json *s = command_json(a,
                                 "bench step --model \"%s\" --batch 3 --seq 9 --steps 3 --warmup 1 --device "
                                 "emu --dtype fp16 --json --quiet",
                                 here(a, "model-2"));
    const json *phases = member(s, "phases");
    CHECK_STR(text_of(s, "dtype"), "fp16");
    CHECK(number_of(s, "median_s") > 0 && number_of(phases, "forward") > 0);
    CHECK(number_of(phases, "backward") > 0 && number_of(phases, "optimizer") > 0);
    arena_free(a);
}

/* No GPU, no driver, no library of them: the plan is printed all the same, and it is the emulator's to the
 * byte. */
TEST(any_machine_plans_for_a_gpu) {
    arena *a = command_begin();
    const char *job = late_job(a, "job.json", "out", "");
    const json *cuda = command_json(a, "plan \"%s\" --device cuda --json --quiet", job),
               *emu = command_json(a, "plan \"%s\" --device emu --json --quiet", job);
    CHECK_STR(text_of(cuda, "device"), "cuda");
    CHECK_INT(number_of(cuda, "planned_device_bytes"), number_of(emu, "planned_device_bytes"));
    CHECK_INT(member(cuda, "rungs")->n, 16);
    double batches = 0;
    for (const json *r = member(cuda, "rungs")->child; r; r = r->next) batches += number_of(r, "batches");
    CHECK_NEAR(batches, 10, 0); /* of an epoch */
    CHECK(number_of(cuda, "padded_rows_fraction") > 0);
    CHECK_INT(member(cuda, "gradient_checkpointing_bytes")->n, 3);
    CHECK_NEAR(member(cuda, "gradient_checkpointing_bytes")->child->number,
               number_of(cuda, "planned_device_bytes"), 0);
    const said s = command_expect(a, 0, "plan \"%s\" --device cuda --fp16 --quiet", job);
    CHECK(strstr(s.out, "gradient_checkpointing: 0 takes ") && strstr(s.out, "batches of the first epoch"));
    arena_free(a);
}
