/* resume.c - a run stopped after every one of its steps, in twelve kinds, and gone on with by another number of ranks. */
#include <stdlib.h>

#include "../golden.h"
#include "campaign.h"

#define N_KINDS 12
#define STEPS 60

/* Each with 24 samples a step, so that 1 to 4 ranks may share them. */
static const char *const kinds[N_KINDS] = {
    ",\"reduce_shards\": 12",
    ",\"reduce_shards\": 12, \"bf16\": true",
    ",\"reduce_shards\": 6, \"lr_scheduler_type\": \"cosine\"",
    ",\"reduce_shards\": 6, \"bf16\": true, \"gradient_checkpointing\": 2",
    ",\"reduce_shards\": 24, \"label_smoothing_factor\": 0.1",
    ",\"reduce_shards\": 8, \"class_weights\": \"balanced\"",
    ",\"reduce_shards\": 4, \"train_sampling_strategy\": \"group_by_length\"",
    ",\"reduce_shards\": 4, \"train_sampling_strategy\": \"sequential\"",
    ",\"reduce_shards\": 12, \"freeze\": [\"*embeddings*\"]",
    ",\"reduce_shards\": 12, \"layerwise_lr_decay\": 0.8, \"weight_decay\": 0.1",
    ",\"reduce_shards\": 12, \"eval_strategy\": \"steps\", \"eval_steps\": 7",
    ",\"reduce_shards\": 12, \"max_grad_norm\": 0.1, \"gradient_checkpointing\": 1",
};

TEST(campaign_a_run_stopped_at_any_step_goes_on_with_other_ranks_in_the_same_bits) {
    static char whole[STEPS][17];
    campaign c = campaign_begin("resume", 12, N_KINDS * STEPS);
    arena *a = command_begin();
    int done = 0, by_ranks[5] = {0}, kind_now = -1;
    int64_t compared = 0;
    const char *sha = NULL;
    for (int round = c.first; round < c.n_rounds; round++) {
        arena *b = arena_new("round");
        campaign_round(&c, round);
        /* the long form has all of them; the short one is spread over kinds and steps */
        const int all = getenv("HONE_LONG_TESTS") != NULL,
                  kind = all ? round / STEPS : round * N_KINDS / c.n_rounds,
                  step = all ? round % STEPS : (int)campaign_below(&c, STEPS),
                  before = 1 + (int)campaign_below(&c, 4),
                  after = 1 + (before + (int)campaign_below(&c, 3)) % 4;
        const char *more = arena_print(b,
                                       "%s, \"train_batch_size\": 24, \"per_device_train_batch_size\": 2, "
                                       "\"max_steps\": 60, \"logging_steps\": 1, "
                                       "\"save_strategy\": \"steps\", \"save_steps\": 1, \"threads\": 1",
                                       kinds[kind]);
        if (kind != kind_now) {
            CHECK_OK(folder_remove(here(b, "whole"), err));
            const char *job = tiny_job(b, "whole.json", "whole", more);
            const json *run = command_json(b, "launch -n %d train \"%s\" --json --quiet", before, job);
            sha = arena_print(a, "%s", text_of(run, "params_sha256"));
            CHECK_INT(read_chain(b, here(b, "whole"), whole, STEPS), STEPS);
            kind_now = kind;
        }
        CHECK_OK(folder_remove(here(b, "out"), err));
        const char *job = tiny_job(b, "job.json", "out", more), *flags = "--save_strategy no --json --quiet";
        const char *from =
            step ? arena_print(b, "--resume_from_checkpoint \"%s/checkpoint-%d\"", here(b, "whole"), step)
                 : "";
        const json *run = command_json(b, "launch -n %d train \"%s\" %s %s", after, job, flags, from);
        if (strcmp(text_of(run, "params_sha256"), sha))
            test_fail(__FILE__, __LINE__, "kind %d, stopped at step %d, %d then %d ranks: other weights",
                      kind, step, before, after);
        const int n =
            check_chain(b, here(b, "out"), whole, STEPS, arena_print(b, "kind %d, step %d", kind, step));
        CHECK_INT(n, STEPS - step);
        compared += n;
        by_ranks[after]++;
        done++;
        arena_free(b);
    }
    campaign_say(&c, "%d resumes on 1 to 4 ranks (%d, %d, %d, %d), %lld steps compared", done, by_ranks[1],
                 by_ranks[2], by_ranks[3], by_ranks[4], (long long)compared);
    arena_free(a);
}
